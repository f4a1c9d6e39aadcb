//! Where linedown's notifications go.
//!
//! A sink tries once and says what sort of failure it was; retrying, ordering, limiting and recording stand
//! around it, in the daemon. To add one: a file here (or a crate of your own) with [`Settings`] and [`Sink`],
//! a line in [`KINDS`], and a section in the documented config.

mod config;
mod email;
mod failure;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod notification;
mod reason;
#[cfg(test)]
mod sample;
mod secret;
mod slack;
mod stdout;
mod texts;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use config::{
    Cause, Circumstances, Environment, Key, Path, Problem, Section, Severity, closest, one_of, unread, written,
};
pub use failure::{EXCERPT, Failure, FailureKind, excerpt};
pub use file::{is_public, read_bounded, read_file};
pub use http::use_ring;
pub use notification::{
    Acknowledged, Again, Flapping, HeldBack, Holder, Incident, Instance, Item, Kind, Notification, Standing,
    Undelivered,
};
pub use reason::Reason;
pub use secret::{Found, Secret, SecretError, Secrets};
pub use texts::{Form, Inline, Language, TextKeys, Texts, is_deceptive, one_line, time_zone};

/// Tries once. Retrying, ordering, limiting and recording belong to the caller, who also bounds the time.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Hands the notification to the far side.
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure>;
}

/// A sink's section of the config, checked: everything that needs neither network nor time.
pub trait Settings: Send + Sync {
    /// Whom an incident's notification goes to, one message each. A sink that is its own address (a channel,
    /// a stream) answers with one empty name, which is the default.
    fn recipients(&self, _incident: &Incident) -> Vec<String> {
        vec![String::new()]
    }

    /// Whether a message can be sent to a recipient at all: to what is no address it cannot, and it is given up.
    fn reaches(&self, _recipient: &str) -> bool {
        true
    }

    /// What a line's label should be, if the sink sends to it and could not: looked at for each line of the
    /// inventory, so it must be quick.
    fn expects_of_label(&self, _key: &str, _value: &str) -> Option<&'static str> {
        None
    }

    /// Whether a line that has these labels has nobody whom the sink could tell of it, as far as that hangs on them:
    /// looked at for each line of the inventory.
    fn has_nobody<'l>(&self, _label: &dyn Fn(&str) -> Option<&'l str>) -> bool {
        false
    }

    /// The labels of a line that the sink sends to, each with the place in the config that names it.
    fn labels(&self) -> Vec<(Path, String)> {
        Vec::new()
    }

    /// The message as the far side would get it, for people to look at.
    fn preview(&self, notification: &Notification) -> String;

    /// What the caller must keep to where the user's config does not say otherwise.
    fn limits(&self) -> Limits;

    /// The sink itself. Opens no connection yet; fails only for what the machine lacks.
    fn build(&self) -> Result<Arc<dyn Sink>, BuildError>;
}

/// What a sink bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many deliveries at the same time, at least 1.
    pub in_flight: usize,
    /// Least time between the start or end of one delivery and the start of the next.
    pub interval: Duration,
    /// How long one delivery may take altogether.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 4, interval: Duration::ZERO, timeout: Duration::from_secs(30) }
    }
}

/// What the far side said when it took the message, at most [`EXCERPT`] characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub String);

/// A sink that cannot be made on this machine, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

/// One kind of sink: the `type` a user writes, and how its section is read.
#[derive(Clone, Copy)]
pub struct SinkKind {
    /// The value of `type`.
    pub name: &'static str,
    /// Reads the section's own keys without touching the network, noting every problem; none if it cannot be
    /// used. The texts are those of the keys that every sink has.
    pub check: fn(&mut Section<'_>, Texts) -> Option<Arc<dyn Settings>>,
}

/// The sinks that ship with linedown.
pub const KINDS: &[SinkKind] = &[stdout::KIND, email::KIND, slack::KIND];
