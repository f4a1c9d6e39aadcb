//! The sinks: where linedown's notifications go.
//!
//! A sink tries once and says what sort of failure it was; the daemon around it retries, orders, limits and records. To
//! add a sink, write a file here (or a crate of your own) that implements [`Settings`] and [`Sink`], a line in
//! [`KINDS`], and a section in the documented config.

mod config;
mod email;
mod exec;
mod failure;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod hidden;
pub mod http;
mod notification;
mod reason;
#[cfg(test)]
mod sample;
mod secret;
mod slack;
mod stdout;
mod texts;
mod tls;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use config::{
    Cause, Circumstances, Environment, Key, Path, Problem, Section, Severity, closest, did_you_mean, one_of, unread,
    written,
};
pub use failure::{EXCERPT, Failure, FailureKind, excerpt};
pub use file::{is_public, read_bounded, read_file};
pub use hidden::Hidden;
pub use notification::{
    Acknowledged, Again, Besides, Flapping, GIVEN_UP, HeldBack, Holder, Incident, Instance, Item, Kind, Notification,
    Standing, Undelivered,
};
pub use reason::Reason;
pub use secret::{Found, Rotation, Secret, SecretError, Secrets, only_for_us};
pub use texts::{Form, Inline, Language, TextKeys, Texts, is_deceptive, name_of, one_line, time_zone};

/// A way to deliver notifications. A sink tries once; the caller retries, orders, limits, records, and bounds the time.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Hands the notification to the far side, and returns what that said.
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure>;
}

/// A sink's section of the config, checked as far as that needs neither network nor time.
pub trait Settings: Send + Sync {
    /// The recipients of an incident's notifications; each gets a message of its own. A sink that is itself the address
    /// (a channel, a stream) returns one empty name, which is the default.
    fn recipients(&self, _incident: &Incident) -> Vec<String> {
        vec![String::new()]
    }

    /// Whether a message can be sent to this recipient at all. If it is not an address, linedown gives the message up.
    fn reaches(&self, _recipient: &str) -> bool {
        true
    }

    /// What the value of a line's label should be, if the sink sends to that label and could not send to this value.
    /// Called for each line of the inventory, so it must be quick.
    fn expects_of_label(&self, _key: &str, _value: &str) -> Option<&'static str> {
        None
    }

    /// Whether a line's labels alone show that the sink has no recipient for it. `label` returns a label's value.
    /// Called for each line of the inventory.
    fn has_nobody<'l>(&self, _label: &dyn Fn(&str) -> Option<&'l str>) -> bool {
        false
    }

    /// The labels that the sink takes recipients from, each with the place in the config that names it.
    fn labels(&self) -> Vec<(Path, String)> {
        Vec::new()
    }

    /// The message as the far side would get it, as text for people to look at.
    fn preview(&self, notification: &Notification) -> String;

    /// The limits that the caller keeps to, unless the user's config says otherwise.
    fn limits(&self) -> Limits;

    /// Makes the sink itself. Opens no connection yet; fails only for something that this machine lacks.
    fn build(&self) -> Result<Arc<dyn Sink>, BuildError>;
}

/// How much a sink can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most deliveries at the same time, at least 1.
    pub in_flight: usize,
    /// The least time between the start or end of one delivery and the start of the next.
    pub interval: Duration,
    /// How long one delivery may take altogether.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 4, interval: Duration::ZERO, timeout: Duration::from_secs(30) }
    }
}

/// What the far side said when it took the message: at most [`EXCERPT`] characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub String);

/// Why a sink cannot be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

impl BuildError {
    /// A `secret` of the sink, in words, is a systemd credential, and this process has none.
    pub(crate) fn lacks(secret: &str) -> Self {
        Self(format!("{secret} is a systemd credential, available only when systemd starts linedown"))
    }
}

/// One kind of sink: the `type` a user writes, and how its section is read.
#[derive(Clone, Copy)]
pub struct SinkKind {
    /// The value of `type`.
    pub name: &'static str,
    /// Reads the section's own keys without touching the network, and notes every problem; returns none if the section
    /// cannot be used. The texts come from the keys that every sink has.
    pub check: fn(&mut Section<'_>, Texts) -> Option<Arc<dyn Settings>>,
}

/// The sinks that ship with linedown.
pub const KINDS: &[SinkKind] = &[stdout::KIND, email::KIND, slack::KIND, webhook::KIND, exec::KIND];
