//! Why a message is sent.

use serde::{Deserialize, Serialize};

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The line is down. If the incident is closed by the time this is sent, the message says both.
    Down,
    /// The line was down already; its reason has turned out to be worse.
    Worse,
    /// The line is back.
    Resolved,
    /// The line is still down, some time later.
    Reminder,
    /// The line is still down and nobody has acknowledged: the next person is told.
    Escalation,
    /// Somebody has acknowledged: the others who were told need not act.
    Acknowledged,
    /// The line comes and goes: single outages are not reported until it is steady.
    Flapping,
    /// A line that flapped has now been up, or down, for a while: the tally.
    Steady,
    /// Several notifications of one group in one message.
    Digest,
    /// Another sink gave up a message; this one tells somebody so.
    Undelivered,
    /// Somebody asked for a test message.
    Test,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Down,
        Self::Worse,
        Self::Resolved,
        Self::Reminder,
        Self::Escalation,
        Self::Acknowledged,
        Self::Flapping,
        Self::Steady,
        Self::Digest,
        Self::Undelivered,
        Self::Test,
    ];

    /// The name by which it is stored, shown and matched.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Worse => "worse",
            Self::Resolved => "resolved",
            Self::Reminder => "reminder",
            Self::Escalation => "escalation",
            Self::Acknowledged => "acknowledged",
            Self::Flapping => "flapping",
            Self::Steady => "steady",
            Self::Digest => "digest",
            Self::Undelivered => "undelivered",
            Self::Test => "test",
        }
    }

    /// The inverse of [`Kind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[test]
    fn names_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
