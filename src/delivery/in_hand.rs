//! What a worker has started and not finished: attempts, and records of attempts.

use jiff::Timestamp;
use linedown_sinks::Failure;
use tokio::task::JoinSet;

use crate::store::Settlement;

/// The share of what a sink bears that is worth a look into the store: one in so many.
const WORTH_A_LOOK: usize = 4;

/// How one attempt ended.
pub(super) struct Ended {
    pub(super) began: Timestamp,
    pub(super) failure: Option<Failure>,
    pub(super) settlement: Settlement,
}

/// What is on record by now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// What a sink took.
    Taken,
    /// What it did not take, and may be due again.
    Failed,
}

/// What a worker has in hand.
#[derive(Default)]
pub(super) struct InHand {
    /// With the sink.
    pub(super) attempts: JoinSet<Ended>,
    /// On their way into the store. The sink need not wait for them: what is due next is fetched in the same transaction.
    pub(super) records: JoinSet<Recorded>,
    /// When the last attempt began or ended.
    pub(super) last: Option<Timestamp>,
    /// Until when nothing will be due, unless the bell rings or something changes.
    pub(super) nothing_until: Option<Timestamp>,
}

impl InHand {
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.records.is_empty()
    }

    /// How much more a sink may be given that bears so much. Nothing while there is little room and more to be
    /// recorded: where many are under way, not each is worth a look into the store.
    pub(super) fn room(&self, in_flight: usize) -> usize {
        let unrecorded = self.attempts.len() + self.records.len();
        let room = in_flight.saturating_sub(self.attempts.len()).min((2 * in_flight).saturating_sub(unrecorded));
        if room * WORTH_A_LOOK < in_flight && !self.records.is_empty() { 0 } else { room }
    }
}
