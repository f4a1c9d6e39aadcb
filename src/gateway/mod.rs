//! The gateway's own API: what is registered there, and how each line stands by its word.
//!
//! A webhook that was never registered, or never came, is an alert that nobody misses until it is missed. Z-API's
//! calls are those of its documentation. Their address holds the instance's token, so an address here cannot print
//! itself, and no text of an answer is kept before the secrets are taken out of it.

mod answer;
pub mod audit;
pub(crate) mod auditor;
mod client;
pub mod counter;
mod failure;
pub mod fleet;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod hidden;
pub(crate) mod notices;
pub(crate) mod patrol;
pub mod registration;
mod round;
mod strangers;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub use answer::{Member, Page, Profile, QrCode, Standing};
pub use client::Client;
pub use failure::{Failure, FailureKind};

/// Where the API of Z-API is.
pub const API: &str = "https://api.z-api.io";

/// How the API of one source is asked.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where it is, without a final slash.
    pub api: Url,
    /// The account's security token, which each call carries.
    pub client_token: Option<SecretString>,
    /// The partner's token, by which the whole fleet is listed.
    pub partner_token: Option<SecretString>,
    /// The lines that can be asked for, by instance.
    pub lines: Arc<[Line]>,
    /// How the daemon asks how each line stands; none if it does not.
    pub watch: Option<Watched>,
    /// How it is audited.
    pub audit: Audit,
}

/// How lines are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// How often each is asked about.
    pub every: Duration,
    /// How long a line must be without an answer for that to be told; three intervals at least.
    pub unknown_after: Duration,
}

impl Default for Watched {
    fn default() -> Self {
        Self { every: Duration::from_mins(1), unknown_after: Duration::from_mins(10) }
    }
}

/// How what is registered and paid for is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How often the daemon does; none if it does not.
    pub every: Option<Duration>,
    /// How long before what was paid for ends that is amiss.
    pub due_within: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self { every: Some(Duration::from_hours(6)), due_within: Duration::from_hours(3 * 24) }
    }
}

impl Access {
    /// The gateway's name, for what is about no single line of it.
    pub fn host(&self) -> &str {
        self.api.host_str().unwrap_or_default()
    }

    /// Whether there is something to audit: lines, or a partner's fleet.
    fn can_be_audited(&self) -> bool {
        !self.lines.is_empty() || self.partner_token.is_some()
    }

    /// The line of that instance, if its token is known.
    pub fn line(&self, instance: &str) -> Option<&Line> {
        self.lines.get(self.place(instance)?)
    }

    /// Where it stands among the lines.
    fn place(&self, instance: &str) -> Option<usize> {
        self.lines.binary_search_by(|line| (*line.instance).cmp(instance)).ok()
    }

    /// Whether an audit would find the same by the other. How lines are watched does not concern it.
    fn is_audited_as(&self, other: &Self) -> bool {
        let Self { api, client_token, partner_token, lines, watch: _, audit } = self;
        *api == other.api
            && is_same(client_token.as_ref(), other.client_token.as_ref())
            && is_same(partner_token.as_ref(), other.partner_token.as_ref())
            && *lines == other.lines
            && *audit == other.audit
    }
}

fn is_same(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    one.map(ExposeSecret::expose_secret) == other.map(ExposeSecret::expose_secret)
}

/// One line and the token that it is asked for with. There may be a hundred thousand of them.
#[derive(Clone, Debug)]
pub struct Line {
    /// The gateway's identifier.
    pub instance: Box<str>,
    /// The instance's token.
    pub token: SecretString,
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.instance == other.instance && is_same(Some(&self.token), Some(&other.token))
    }
}

/// A webhook that can be registered. Others exist, for people's messages; those are never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Webhook {
    /// The line lost its connection.
    Disconnected,
    /// The line has its connection again.
    Connected,
}

impl Webhook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Disconnected, Self::Connected];

    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connected => "connected",
        }
    }

    /// The call that registers it.
    fn call(self) -> &'static str {
        match self {
            Self::Disconnected => "update-webhook-disconnected",
            Self::Connected => "update-webhook-connected",
        }
    }
}
