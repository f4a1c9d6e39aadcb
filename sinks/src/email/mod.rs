//! `email`: sends each recipient a message of its own, over the operator's relay.
//!
//! ```toml
//! [sinks.ops-email]
//! type = "email"
//! server = "smtps://relay.example.com:465"   # smtp://host[:587] with STARTTLS required; file:DIR writes .eml files
//! tls = "required"                           # or "none": smtp:// without any encryption
//! ca = "/etc/linedown/relay-ca.pem"          # certificates to trust besides the system's
//! username = "linedown"
//! password = { credential = "smtp-password" }
//! from = "linedown <alerts@example.com>"
//! reply_to = "support@example.com"
//! to = ["ops@example.com", "{{ instance.labels.owner }}"]
//! ```

mod addresses;
mod answers;
mod connection;
mod folder;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod message;
mod recipients;
mod relay;
mod reply;
mod server;
mod tls;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{
    BuildError, Failure, FailureKind, Incident, Limits, Notification, Path, Receipt, Secret, Section, Settings, Sink,
    SinkKind, Texts,
};
use folder::Folder;
use message::Letterhead;
use recipients::{OneOrMany, Recipients};
use relay::Relay;
use server::{Server, Smtp, TlsKey};

/// This sink's entry in [`crate::KINDS`].
pub(crate) const KIND: SinkKind = SinkKind { name: "email", check };

/// The time for one delivery: longer than the waits for all answers together ([`relay`]), so that the failure says which
/// answer of the relay was late.
const TIMEOUT: Duration = Duration::from_mins(14);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    server: Option<String>,
    tls: Option<TlsKey>,
    ca: Option<PathBuf>,
    username: Option<String>,
    password: Option<Secret>,
    from: Option<String>,
    reply_to: Option<String>,
    to: Option<OneOrMany>,
}

fn check(section: &mut Section<'_>, texts: Texts) -> Option<Arc<dyn Settings>> {
    let keys: Keys = section.read()?;
    let server = server::check(section, keys.server.as_deref(), keys.tls, keys.ca.as_deref());
    if let Some(Server::Folder(_)) = server {
        warn_of_idle_keys(section, &keys);
    }
    let login = check_login(section, keys.username, keys.password.as_ref(), server.as_ref());
    if keys.from.is_none() {
        section.missing("from", "name the sender: from = \"linedown <alerts@example.com>\"");
    }
    let from = keys.from.and_then(|from| mailbox(section, "from", &from));
    let reply_to = keys.reply_to.map(|reply_to| mailbox(section, "reply_to", &reply_to));
    let recipients = recipients::check(section, keys.to);
    let letterhead = Letterhead { from: from?, reply_to: reply_to.map_or(Some(None), |checked| checked.map(Some))? };
    let login = login?;
    let way = match server? {
        Server::Folder(folder) => Way::Folder(folder),
        Server::Smtp(server) => Way::Smtp { server, login },
    };
    Some(Arc::new(Checked { way, recipients: recipients?, letterhead, texts }))
}

/// Warns of keys that are about a relay where messages go to a folder.
fn warn_of_idle_keys(section: &mut Section<'_>, keys: &Keys) {
    for (key, is_set) in [
        ("tls", keys.tls.is_some()),
        ("ca", keys.ca.is_some()),
        ("username", keys.username.is_some()),
        ("password", keys.password.is_some()),
    ] {
        if is_set {
            section.warning(key, format!("`{key}` has no effect with `file:`")).hint =
                Some("take it out, or name a relay in `server`".into());
        }
    }
}

fn mailbox(section: &mut Section<'_>, key: &str, text: &str) -> Option<Mailbox> {
    let mailbox = text.parse().ok();
    if mailbox.is_none() {
        section.error(key, "not an email address").expected =
            Some("`name@example.com` or `Name <name@example.com>`".into());
    }
    mailbox
}

/// Returns what to log in with; the outer none means a mistake.
#[expect(clippy::option_option, reason = "wrong, and not wanted, are different")]
fn check_login(
    section: &mut Section<'_>,
    username: Option<String>,
    password: Option<&Secret>,
    server: Option<&Server>,
) -> Option<Option<Login>> {
    let password = password.map(|password| section.secret("password", password));
    match (username, password) {
        (None, None) => Some(None),
        (Some(username), Some(password)) => {
            if let Some(Server::Smtp(smtp)) = server
                && smtp.sends_in_the_clear()
            {
                section.warning("tls", "the password travels unencrypted").hint =
                    Some("take out `tls`, or use smtps://, if the relay can encrypt".into());
            }
            Some(Some(Login { username, password: password? }))
        }
        (Some(_), None) => {
            section.missing("password", "`username` needs a `password`");
            None
        }
        (None, Some(_)) => {
            section.missing("username", "`password` needs a `username`");
            None
        }
    }
}

struct Login {
    username: String,
    password: SecretString,
}

impl Login {
    fn credentials(&self) -> Credentials {
        Credentials::new(self.username.clone(), self.password.expose_secret().to_owned())
    }
}

struct Checked {
    way: Way,
    recipients: Recipients,
    letterhead: Letterhead,
    texts: Texts,
}

enum Way {
    Folder(PathBuf),
    Smtp { server: Smtp, login: Option<Login> },
}

impl Settings for Checked {
    fn recipients(&self, incident: &Incident) -> Vec<String> {
        self.recipients.of(incident)
    }

    fn reaches(&self, recipient: &str) -> bool {
        addressee(recipient).is_ok()
    }

    fn expects_of_label(&self, key: &str, value: &str) -> Option<&'static str> {
        (!self.recipients.takes_label(key, value)).then_some("an email address, or several separated by commas")
    }

    fn has_nobody<'l>(&self, label: &dyn Fn(&str) -> Option<&'l str>) -> bool {
        self.recipients.are_nobody(label)
    }

    fn labels(&self) -> Vec<(Path, String)> {
        self.recipients.labels()
    }

    fn preview(&self, notification: &Notification) -> String {
        if let Err(failure) = addressee(&notification.recipient) {
            return format!("Not sent: {}", failure.in_full());
        }
        self.letterhead.preview(&self.texts, notification)
    }

    fn limits(&self) -> Limits {
        Limits { timeout: TIMEOUT, ..Limits::default() }
    }

    fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
        let way = match &self.way {
            Way::Folder(path) => Carrier::Folder(Folder::new(path.clone())),
            Way::Smtp { login: Some(login), .. } if login.password.expose_secret().is_empty() => {
                return Err(BuildError::lacks("`password`"));
            }
            Way::Smtp { server, login } => Carrier::Relay(Relay::new(
                server.address(),
                server.encryption()?,
                login.as_ref().map(Login::credentials),
            )),
        };
        Ok(Arc::new(Email { way, letterhead: self.letterhead.clone(), texts: self.texts.clone() }))
    }
}

struct Email {
    way: Carrier,
    letterhead: Letterhead,
    texts: Texts,
}

enum Carrier {
    Folder(Folder),
    Relay(Relay),
}

#[async_trait]
impl Sink for Email {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let to = addressee(&notification.recipient)?;
        let message = self.letterhead.message(&self.texts, notification, to.clone())?;
        match &self.way {
            Carrier::Folder(folder) => folder.put(&notification.key(), notification.attempt, message).await,
            Carrier::Relay(relay) => relay.send(&self.letterhead.from.email, &to.email, &message).await,
        }
    }
}

fn addressee(recipient: &str) -> Result<Mailbox, Failure> {
    if recipient.is_empty() {
        let what = "no recipient: every entry of `to` is empty for this line";
        let advice = "give the line the label that `to` names, or add a fixed address to `to`";
        return Err(Failure::new(FailureKind::Refused, what).advice(advice));
    }
    // Most are a plain address, which is read much faster without the grammar for names, quotes and comments.
    let is_plain = recipient.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@.-_+".contains(&byte));
    if let Some(address) = is_plain.then(|| recipient.parse().ok()).flatten() {
        return Ok(Mailbox::new(None, address));
    }
    recipient.parse().map_err(|_| {
        let shown: String = recipient.chars().take(80).collect();
        let failure = Failure::new(FailureKind::Refused, format!("{shown:?} is not an email address"));
        failure.advice("correct `to`, or the label it comes from")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_address_is_read_as_the_whole_grammar_reads_it() {
        for text in [
            "a@b.example",
            "a+b.c@b.example",
            "\"a b\"@b.example",
            "a@localhost",
            "a@[127.0.0.1]",
            "<a@b.example>",
            "A <a@b.example>",
            "a..b@c.example",
            "a@b.example.",
            "a@b_c.example",
            "a@b c",
            "a @b.example",
            " a@b.example",
            "a@b.example\n",
            "a@b(c)",
            "a@b.example, c@d.example",
            "a",
            "@",
        ] {
            assert_eq!(addressee(text).ok(), text.parse().ok(), "{text:?}");
        }
    }
}
