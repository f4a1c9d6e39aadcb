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

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::hidden::Hidden;
use crate::http::{self, Address, Answer, Client, Purpose};
use crate::{BuildError, Failure, Limits, Notification, Receipt, Secret, Section, Settings, Sink, SinkKind, Texts};

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
        text => Some(check_address(section, text, keys.insecure)?),
    };
    Some(Arc::new(Checked { address, texts }))
}

const PURPOSE: Purpose =
    Purpose { what: "the address of a webhook", lets: "post", example: "`https://hooks.slack.com/services/…`" };

/// Checks the address. Slack tells its webhooks apart by the path.
fn check_address(section: &mut Section<'_>, text: &str, insecure: bool) -> Option<Address> {
    let address = Address::check(section, "webhook_url", text, insecure, &PURPOSE)?;
    if address.0.path() == "/" && address.0.query().is_none() {
        section.error("webhook_url", "the address ends with the host: it is not that of a webhook").expected =
            Some(PURPOSE.example.into());
        return None;
    }
    Some(address)
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
        let address = self.address.clone().ok_or_else(|| BuildError::lacks("`webhook_url`"))?;
        let (client, hidden) = (Client::new(&address.0, http::SINK)?, address.hidden([]));
        Ok(Arc::new(Slack { client, address, hidden, texts: self.texts.clone() }))
    }
}

struct Slack {
    client: Client,
    address: Address,
    hidden: Hidden,
    texts: Texts,
}

#[async_trait]
impl Sink for Slack {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let body = message::message(&self.texts, notification).to_string();
        let request = http::request(Method::POST, &self.address.0).header(CONTENT_TYPE, "application/json");
        let response = self.client.send(request, body).await.map_err(|error| http::failure("Slack", &error))?;
        let answer = Answer::read(response, http::LARGEST, notification.at).await;
        let answer = answer.map_err(|error| http::failure("Slack", &error))?;
        answer::outcome(&Answer { body: self.hidden.out_of(&answer.body), ..answer })
    }
}
