//! What a person asks to be sent again, and what becomes of that.

use std::collections::{BTreeMap, BTreeSet};

use super::view::Later;

/// Which notifications to send again.
#[derive(Clone, Debug)]
pub enum Which {
    /// These, dead or pending.
    These(Vec<i64>),
    /// All dead ones, or those of one sink.
    Dead {
        /// The sink.
        sink: Option<String>,
    },
}

/// The result of a retry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// The notifications that are due again, including those that go out in one message with a requested one.
    pub notifications: BTreeSet<i64>,
    /// The sinks of those.
    pub through: BTreeSet<String>,
    /// The sinks that have something to do because of it.
    pub sinks: BTreeSet<String>,
    /// Requested notifications that are not sent again, and why.
    pub refused: BTreeMap<i64, Refused>,
    /// What notifications that are due again wait for, if they are not sent now; and what those that are not sent again wait
    /// for already.
    pub later: BTreeMap<i64, Later>,
    /// How many requested notifications are left as they were because the store failed.
    pub left: usize,
}

impl Retried {
    /// Leaves out the refusals that somebody who asked for all dead letters need not hear of.
    pub(super) fn of_the_dead(mut self) -> Self {
        self.refused.retain(|_, why| why.concerns_the_dead());
        self
    }

    pub(super) fn add(&mut self, mut other: Self) {
        self.notifications.append(&mut other.notifications);
        self.through.append(&mut other.through);
        self.sinks.append(&mut other.sinks);
        self.refused.append(&mut other.refused);
        self.later.append(&mut other.later);
    }
}

/// Why a notification is not sent again. The message says what to do about it, and is also true of several.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of that number.
    #[error("there is no such notification; `linedown deliveries` lists them")]
    Unknown,
    /// It was delivered.
    #[error("delivered already")]
    Delivered,
    /// It is withdrawn, and why.
    #[error("withdrawn: {0}")]
    Withdrawn(String),
    /// A worker has it, or another part of its message, in hand.
    #[error("being sent right now")]
    InFlight,
    /// It is a reminder or an escalation, and this person has taken the outage.
    #[error("{0} has taken the outage")]
    Taken(String),
    /// This silence or these quiet hours hold it back, and would do so again at once.
    #[error("held back by {0}, and sent when that ends")]
    HeldBack(String),
    /// Its sink, named here, has left the config.
    #[error("the config has no sink {0:?} any more; put it back, reload, and try again")]
    Gone(String),
    /// Its recipient is no usable address, and the config has no other. The name is the sink's.
    #[error(
        "no recipient; correct the line's label that `to` of the sink {0:?} names, or add a fixed address to \
         `to`, reload, and try again"
    )]
    Nobody(String),
    /// Its recipient is no usable address, and everybody it is for now has another message: it is withdrawn, and why.
    #[error("withdrawn now: {0}")]
    Told(&'static str),
    /// It need not be sent any more, or another one that is sent again says the same: it is withdrawn, and why.
    #[error("withdrawn now: {0}")]
    Moot(&'static str),
}

impl Refused {
    /// Whether it was withdrawn by this request.
    pub fn withdraws(&self) -> bool {
        matches!(self, Self::Told(_) | Self::Moot(_))
    }

    /// Whether to mention it to somebody who asked for all dead letters: it is one still, or was one until now.
    fn concerns_the_dead(&self) -> bool {
        matches!(self, Self::InFlight | Self::Taken(_) | Self::Gone(_) | Self::Nobody(_)) || self.withdraws()
    }
}
