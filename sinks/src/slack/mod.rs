//! `slack`: posts to a channel through an incoming webhook. Mattermost and other services with the same interface work
//! too.
//!
//! ```toml
//! [sinks.ops-slack]
//! type = "slack"
//! webhook_url = { credential = "slack-url" }   # the address is a password: whoever has it can post
//! insecure = false                             # true lets it be http:// beyond this machine
//! ```

mod answer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod message;

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::http::{self, Answer};
use crate::{
    BuildError, Failure, Limits, Notification, Problem, Receipt, Secret, Section, Settings, Sink, SinkKind, Texts,
};

/// This sink's entry in [`crate::KINDS`].
pub(crate) const KIND: SinkKind = SinkKind { name: "slack", check };

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    webhook_url: Option<Secret>,
    insecure: bool,
}

fn check(section: &mut Section<'_>, texts: Texts) -> Option<Arc<dyn Settings>> {
    let keys: Keys = section.read()?;
    let Some(secret) = &keys.webhook_url else {
        section.missing("webhook_url", "create an incoming webhook in Slack and put its address here");
        return None;
    };
    let address = section.secret("webhook_url", secret)?;
    // A credential is empty if this process has none; the section has noted that.
    let address = match address.expose_secret() {
        "" => None,
        text => Some(Address(check_address(section, text, keys.insecure)?)),
    };
    Some(Arc::new(Checked { address, texts }))
}

const EXPECTED: &str = "`https://hooks.slack.com/services/…`";

/// Checks the address; no problem repeats it.
fn check_address(section: &mut Section<'_>, text: &str, insecure: bool) -> Option<Url> {
    let text = text.trim();
    if text.contains(char::is_whitespace) {
        section.error("webhook_url", "there is a blank in the address").hint =
            Some("copy it again, in one line".into());
        return None;
    }
    let url = Url::parse(text).ok().filter(Url::has_host);
    match url {
        Some(url) if url.path() == "/" && url.query().is_none() => {
            section.error("webhook_url", "the address ends with the host: it is not that of a webhook").expected =
                Some(EXPECTED.into());
            None
        }
        Some(url) if url.scheme() == "https" => Some(url),
        Some(url) if url.scheme() == "http" && (insecure || http::is_loopback(&url)) => Some(url),
        Some(url) if url.scheme() == "http" => {
            let what = "http:// would expose the address, and anyone who has it can post";
            let problem = Problem::error(section.path().join("webhook_url"), what);
            let problem = problem.hint("use https://, or write `insecure = true`");
            section.problems.push(problem.unless("insecure"));
            None
        }
        _ => {
            section.error("webhook_url", "not the address of a webhook").expected = Some(EXPECTED.into());
            None
        }
    }
}

/// The shortest part of an address that counts as a secret by itself, in bytes.
const SECRET: usize = 8;

/// An address that cannot print itself.
#[derive(Clone)]
struct Address(Url);

impl Address {
    /// Removes the address from an answer, which may repeat it: the whole, its path, its query, or a part of them.
    fn taken_out_of(&self, text: &str) -> String {
        self.secrets().iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }

    /// Everything in the address that is secret, the longest first, since a shorter one may be part of it.
    fn secrets(&self) -> Vec<String> {
        let Self(url) = self;
        let query = url.query().unwrap_or_default();
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
        let parts = url.path().split('/').chain(values).chain(url.password()).map(str::to_owned).chain(decoded);
        let wholes = [url.as_str(), url.path(), query].into_iter().filter(|whole| whole.len() > 1).map(str::to_owned);
        let mut secrets: Vec<String> = wholes.chain(parts.filter(|part| part.len() >= SECRET)).collect();
        secrets.sort_unstable_by_key(|secret| Reverse(secret.len()));
        secrets
    }
}

struct Checked {
    address: Option<Address>,
    texts: Texts,
}

impl Settings for Checked {
    fn preview(&self, notification: &Notification) -> String {
        let message = message::message(&self.texts, notification);
        serde_json::to_string_pretty(&message).unwrap_or_else(|error| error.to_string())
    }

    /// Slack takes about one message a second per webhook.
    fn limits(&self) -> Limits {
        Limits { in_flight: 1, interval: Duration::from_millis(1100), ..Limits::default() }
    }

    fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
        let Some(address) = self.address.clone() else {
            return Err(BuildError(
                "`webhook_url` is a systemd credential, available only when systemd starts linedown".into(),
            ));
        };
        Ok(Arc::new(Slack { client: http::client(&address.0, http::SINK)?, address, texts: self.texts.clone() }))
    }
}

struct Slack {
    client: Client,
    address: Address,
    texts: Texts,
}

#[async_trait]
impl Sink for Slack {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let body = message::message(&self.texts, notification).to_string();
        let request = self.client.post(self.address.0.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await.map_err(|error| http::failure("Slack", &error))?;
        let answer = Answer::read(response, http::LARGEST, notification.at).await;
        let answer = answer.map_err(|error| http::failure("Slack", &error))?;
        answer::outcome(&Answer { body: self.address.taken_out_of(&answer.body), ..answer })
    }
}
