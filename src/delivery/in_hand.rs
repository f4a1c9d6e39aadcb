//! What a worker has started and not finished: attempts, and records of attempts.

use jiff::Timestamp;
use linedown_sinks::Failure;
use tokio::task::JoinSet;

use crate::store::Settlement;

/// How one attempt ended.
pub(super) struct Ended {
    pub(super) began: Timestamp,
    pub(super) failure: Option<Failure>,
    pub(super) settlement: Settlement,
}

/// What a worker has in hand.
#[derive(Default)]
pub(super) struct InHand {
    /// With the sink.
    pub(super) attempts: JoinSet<Ended>,
    /// On their way into the store, each with whether it failed. The sink need not wait for them: what is due next is
    /// fetched in the same transaction.
    pub(super) records: JoinSet<bool>,
    /// When the last attempt began or ended.
    pub(super) last: Option<Timestamp>,
    /// Until when nothing will be due, unless the bell rings or something changes.
    pub(super) nothing_until: Option<Timestamp>,
}

impl InHand {
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.records.is_empty()
    }

    /// How much more a sink may be given that bears so much.
    pub(super) fn room(&self, in_flight: usize) -> usize {
        let unrecorded = self.attempts.len() + self.records.len();
        in_flight.saturating_sub(self.attempts.len()).min((2 * in_flight).saturating_sub(unrecorded))
    }
}
