//! Pure: what a message says by the time it is sent, to somebody who knows something already.

use linedown_sinks::{Kind, Reason};

/// The state of an incident as somebody knows it, or as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The reason of the outage.
    pub reason: Reason,
    /// Whether it is over.
    pub closed: bool,
}

/// What somebody who was told the state `told` must hear, now that the state is `now`.
pub fn news(told: State, now: State, wants_resolved: bool) -> Option<Kind> {
    if now.closed && !told.closed {
        wants_resolved.then_some(Kind::Resolved)
    } else if !now.closed && now.reason > told.reason {
        Some(Kind::Worse)
    } else {
        None
    }
}

/// What a recipient knows of an outage, before the message in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// They were not told.
    Nothing,
    /// They were told of it, not how bad it is, nor of its end.
    Milder,
    /// They were told of it, not of its end.
    Outage,
    /// They were told that it is over, or are being told.
    End,
}

/// The kind that a notification has by the time it is sent; `None` if there is nothing left to say.
///
/// Nobody is reminded of what they were never told: they are told that the line is down, late, or that it is worse than
/// they know. If the incident is over, a message to a recipient who knows of it says that it is over, but only if they
/// want to hear that, and only once. A message to a recipient who knows nothing says both.
pub fn kind_when_sent(kind: Kind, now: State, wants_resolved: bool, knows: Knows) -> Option<Kind> {
    if knows == Knows::Nothing && tells_who_knows(kind) {
        return Some(Kind::Down);
    }
    if !now.closed && kind == Kind::Reminder && knows == Knows::Milder {
        return Some(Kind::Worse);
    }
    let follows = matches!(kind, Kind::Worse | Kind::Reminder | Kind::Acknowledged);
    if !now.closed || !(follows || matches!(kind, Kind::Escalation | Kind::Resolved)) {
        return Some(kind);
    }
    match (kind, knows) {
        (_, Knows::End) => None,
        (Kind::Escalation | Kind::Resolved, _) | (_, Knows::Nothing) => Some(kind),
        (_, Knows::Milder | Knows::Outage) if wants_resolved => Some(Kind::Resolved),
        // They do not know yet how bad it was.
        (Kind::Worse, _) => Some(kind),
        (_, Knows::Milder | Knows::Outage) => None,
    }
}

/// Whether a kind of message makes sense only to somebody who knows of the outage, also while that goes on.
fn tells_who_knows(kind: Kind) -> bool {
    matches!(kind, Kind::Worse | Kind::Reminder)
}

/// The sort of news that a message is. Each sort is gathered by itself, so that good news never delays bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A line is down.
    Bad,
    /// A line is back, or somebody has taken it.
    Good,
    /// A message was lost.
    Lost,
}

impl Class {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::Lost => "lost",
        }
    }
}

/// The sort of news that a kind of message is.
pub fn class(kind: Kind) -> Class {
    match kind {
        Kind::Resolved | Kind::Acknowledged | Kind::Steady => Class::Good,
        Kind::Undelivered => Class::Lost,
        Kind::Down | Kind::Worse | Kind::Reminder | Kind::Escalation | Kind::Flapping | Kind::Digest | Kind::Test => {
            Class::Bad
        }
    }
}
