//! What is counted in the store, for metrics and the status line.

use std::collections::BTreeMap;

use jiff::Timestamp;
use linedown_sinks::{Kind, Reason};

/// How many lines are down and how much is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Open outages.
    pub down: u32,
    /// Notifications that are owed by now, without those that are held back or due later.
    pub pending: u32,
}

/// Figures that are counted in the store when they are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Open incidents by reason; a reason without any may be missing.
    pub open: BTreeMap<Reason, u32>,
    /// Notifications owed by now, by sink and kind.
    pub overdue: Vec<Overdue>,
}

/// Notifications of one sink and kind that are owed by now and not yet delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The sink.
    pub sink: String,
    /// The kind.
    pub kind: Kind,
    /// How many.
    pub count: u32,
    /// Since when the oldest is owed.
    pub since: Timestamp,
}

/// The store's size and the room left on its file system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The store's files.
    pub size: u64,
    /// What the daemon may still use of the file system.
    pub free: u64,
    /// The whole file system.
    pub capacity: u64,
}
