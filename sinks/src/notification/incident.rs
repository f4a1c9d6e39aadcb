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

    /// The line's next outage, if a message about this one is the reader's first news of that.
    pub fn first_news(&self) -> Option<&Again> {
        self.again.as_ref().filter(|again| again.besides == Besides::GivenUp)
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
    /// What else the reader hears of it.
    pub besides: Besides,
}

/// What the reader of a message about an outage that is over is told of the line's next one besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Besides {
    /// It has a message of its own, which has reached them or is due.
    Told,
    /// The message that was to tell them was given up, and nobody has taken the outage. Once this one has reached them, they
    /// hear more of it as anybody who was told.
    GivenUp,
    /// Nothing so far: it is held back, or not for them. They may not be told when it ends either.
    Nothing,
}

impl Besides {
    /// As templates see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::GivenUp => "given-up",
            Self::Nothing => "nothing",
        }
    }
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
