//! What a worker has in progress: attempts, and the recording of finished ones.

use jiff::Timestamp;
use linedown_sinks::Failure;
use tokio::task::JoinSet;

use crate::store::Settlement;

/// While results are being recorded, the store is asked for more only if at least one part in this many of `in_flight`
/// is free.
const WORTH_A_LOOK: usize = 4;

/// A finished attempt.
pub(super) struct Ended {
    pub(super) began: Timestamp,
    pub(super) recipient: String,
    pub(super) failure: Option<Failure>,
    pub(super) settlement: Settlement,
}

/// The result of an attempt that has been recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The sink accepted the notification.
    Taken,
    /// The sink did not accept it, so it may become due again.
    Failed,
}

/// What a worker has in progress.
#[derive(Default)]
pub(super) struct InHand {
    /// Attempts in progress.
    pub(super) attempts: JoinSet<Ended>,
    /// Results being recorded in the store. The next attempts need not wait for that: records and leases share
    /// transactions.
    pub(super) records: JoinSet<Recorded>,
    /// When the last attempt began or ended.
    pub(super) last: Option<Timestamp>,
    /// Nothing is due before this time, unless the bell rings or something else changes.
    pub(super) nothing_until: Option<Timestamp>,
}

impl InHand {
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.records.is_empty()
    }

    /// How many more attempts may start, given the sink's `in_flight`. None if there is little room and records are
    /// still being written: with many attempts in progress, not every free place is worth a query.
    pub(super) fn room(&self, in_flight: usize) -> usize {
        let unrecorded = self.attempts.len() + self.records.len();
        let room = in_flight.saturating_sub(self.attempts.len()).min((2 * in_flight).saturating_sub(unrecorded));
        if room * WORTH_A_LOOK < in_flight && !self.records.is_empty() { 0 } else { room }
    }
}
