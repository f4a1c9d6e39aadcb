//! What a lease hands to a worker, and what comes back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use linedown_sinks::{FailureKind, Notification};

/// Recipients to whom a lease hands out nothing yet.
pub type RecipientPauses = BTreeMap<String, RecipientPause>;

/// How long what is due to a recipient waits. After that, one message to them is handed out in a lease.
#[derive(Clone, Debug)]
pub struct RecipientPause {
    /// Until when.
    pub until: Timestamp,
    /// Until when the rest waits if the lease hands out one message.
    pub then: Timestamp,
    /// What has been owed since then or longer does not wait: it is its last attempt.
    pub owed_after: Timestamp,
    /// Why, in words: kept with what has not been tried yet.
    pub why: String,
}

/// What one lease hands to a worker.
#[derive(Debug, Default)]
pub struct Leased {
    /// Messages to deliver, each to be settled exactly once.
    pub due: Vec<Due>,
    /// When the sink's next notification is due, if one is pending.
    pub next: Option<Timestamp>,
    /// Other sinks that have something to do now.
    pub sinks: BTreeSet<String>,
}

/// One message to be delivered now.
#[derive(Debug)]
pub struct Due {
    /// What to deliver.
    pub notification: Notification,
    /// The notifications that are settled with it: itself, or the parts of a digest.
    pub covers: Vec<i64>,
    /// Since when it is owed, which is when its first part was.
    pub owed_at: Timestamp,
    /// Since when each of `covers` is owed: `give_up_after` counts from here.
    pub parts_owed_at: Vec<Timestamp>,
    /// Which attempt since then this is, from 1.
    pub tries: u32,
}

/// How an attempt ended, and whose.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Whose attempt: one notification, or the parts of a digest.
    pub notifications: Vec<i64>,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The far side took it, with this receipt.
    Delivered(String),
    /// It failed, and will be tried again.
    Again {
        /// What sort of failure.
        kind: FailureKind,
        /// The failure in words.
        why: String,
        /// When to try next.
        due_at: Timestamp,
    },
    /// It failed, and is given up.
    Dead {
        /// What sort of failure.
        kind: FailureKind,
        /// The failure in words.
        why: String,
    },
}

/// What a settlement led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many notifications are given up.
    pub dead: usize,
    /// How many of those had no fallback, so that nobody else will be told.
    pub untold: usize,
    /// The sinks that have something to do now.
    pub sinks: BTreeSet<String>,
}

impl Settled {
    pub(crate) fn add(&mut self, mut other: Self) {
        self.dead += other.dead;
        self.untold += other.untold;
        self.sinks.append(&mut other.sinks);
    }
}
