//! The gateway's own API: checks what is registered there, and asks for the state of each line.
//!
//! Without it, nobody would notice a webhook that was never registered, or that never came. The calls are those of
//! Z-API's documentation. Their addresses contain the instance's token, so addresses are not printed here, and no text
//! of an answer is kept before secrets are removed from it.

mod answer;
pub mod asking;
pub mod audit;
pub(crate) mod auditor;
mod client;
mod failure;
pub mod fleet;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub(crate) mod notices;
pub(crate) mod orders;
pub(crate) mod patrol;
pub mod registration;
mod round;
mod strangers;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use answer::{Member, Page, Profile, QrCode, Standing};
pub use client::Client;
pub use failure::{Failure, FailureKind};

/// The address of Z-API's API.
pub const API: &str = "https://api.z-api.io";

/// How to ask the API of one source.
#[derive(Clone, Debug)]
pub struct Access {
    /// The address of the API, without a final slash.
    pub api: Url,
    /// The account's security token, which is sent with each call.
    pub client_token: Option<SecretString>,
    /// The partner's token, which allows us to list the whole fleet.
    pub partner_token: Option<SecretString>,
    /// The lines that can be asked about, sorted by instance.
    pub lines: Arc<[LineAccess]>,
    /// How the daemon watches the lines; none if it does not.
    pub watch: Option<Watched>,
    /// How the daemon audits the gateway.
    pub audit: Audit,
}

/// How lines are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The interval between two questions about a line.
    pub every: Duration,
    /// How long a line must be without an answer before people are told; at least three intervals.
    pub unknown_after: Duration,
}

impl Default for Watched {
    fn default() -> Self {
        Self { every: Duration::from_mins(1), unknown_after: Duration::from_mins(10) }
    }
}

/// How registrations and payments are audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The interval between audits; none if the daemon makes none.
    pub every: Option<Duration>,
    /// How long before its end a paid period is reported.
    pub due_within: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self { every: Some(Duration::from_hours(6)), due_within: Duration::from_hours(3 * 24) }
    }
}

impl Access {
    /// The gateway's host name, for troubles that concern no single line.
    pub fn host(&self) -> &str {
        self.api.host_str().unwrap_or_default()
    }

    /// Whether there is anything to audit: lines, or a partner's fleet.
    fn can_be_audited(&self) -> bool {
        !self.lines.is_empty() || self.partner_token.is_some()
    }

    /// The line of this instance, if its token is known.
    pub fn line(&self, instance: &str) -> Option<&LineAccess> {
        self.lines.get(self.place(instance)?)
    }

    /// The position of this instance's line among the lines.
    fn place(&self, instance: &str) -> Option<usize> {
        self.lines.binary_search_by(|line| (*line.instance).cmp(instance)).ok()
    }

    /// Whether an audit would find the same with the other. How lines are watched does not matter for that.
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

/// How to ask about one line. There may be a hundred thousand of them.
#[derive(Clone, Debug)]
pub struct LineAccess {
    /// The gateway's identifier.
    pub instance: Box<str>,
    /// The instance's token.
    pub token: SecretString,
}

impl PartialEq for LineAccess {
    fn eq(&self, other: &Self) -> bool {
        self.instance == other.instance && is_same(Some(&self.token), Some(&other.token))
    }
}

/// A webhook that linedown registers. The gateway has others, for people's messages; those are never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Webhook {
    /// The line lost its connection.
    Disconnected,
    /// The line is connected again.
    Connected,
}

impl Webhook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Disconnected, Self::Connected];

    /// Its name in output.
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
