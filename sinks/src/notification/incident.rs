//! The outage, or another trouble, that a message is about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Instance;
use crate::Reason;

/// One outage of one instance, or another trouble that is no outage ([`Reason::is_outage`]).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// The number that an operator sees and types; 0 if no store keeps it.
    pub id: i64,
    /// The configured source that reported it.
    pub source: String,
    /// The line.
    pub instance: Instance,
    /// Why the line is down, as far as the gateway said.
    pub reason: Reason,
    /// The gateway's own words, untrusted.
    pub error: Option<String>,
    /// When the line went down.
    pub opened_at: Timestamp,
    /// When the line came back, or when linedown stopped watching it; none while it is down.
    pub closed_at: Option<Timestamp>,
    /// Who acknowledged, if somebody did.
    pub acknowledged: Option<Acknowledged>,
    /// Whether linedown found it by asking the gateway: no webhook came.
    pub found: bool,
    /// For a closed incident that is no outage: linedown does not watch it any more, and the trouble may still exist.
    pub unwatched: bool,
    /// For an outage that is over: the line's next outage, if that is in progress when the message is made.
    pub again: Option<Again>,
}

impl Incident {
    /// An incident in progress of which nothing more is known, and that no store keeps.
    pub fn of(source: impl Into<String>, instance: Instance, reason: Reason, opened_at: Timestamp) -> Self {
        Self {
            id: 0,
            source: source.into(),
            instance,
            reason,
            error: None,
            opened_at,
            closed_at: None,
            acknowledged: None,
            found: false,
            unwatched: false,
            again: None,
        }
    }
}

/// A later outage of the same line, still in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// The number of that outage.
    pub incident: i64,
    /// Why, as far as the gateway said.
    pub reason: Reason,
    /// When it began.
    pub opened_at: Timestamp,
}

/// Who acknowledged an incident, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The name that the person gave, or the recipient whose link was used.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The state of a line, as its gateway says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Whether it is connected.
    pub connected: bool,
    /// The gateway's own words, untrusted.
    pub said: Option<String>,
}
