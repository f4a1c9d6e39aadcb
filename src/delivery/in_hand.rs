//! What a worker has in progress: attempts, and the recording of finished ones.

use jiff::Timestamp;
use linedown_sinks::{Failure, Notification};
use tokio::task::JoinSet;

use crate::store::{Due, Settled, Settlement};

/// While results are being recorded, the store is asked for more only if at least one part in this many of `in_flight`
/// is free.
const WORTH_A_LOOK: usize = 4;

/// A finished attempt.
pub(super) struct Ended {
    pub(super) notification: Box<Notification>,
    pub(super) failure: Option<Failure>,
    /// One for each outcome: parts of a message may be given up while the rest is tried again.
    pub(super) settlements: Vec<Settlement>,
}

/// The result of an attempt that has been recorded.
#[derive(PartialEq, Eq)]
pub(super) enum Recorded {
    /// The sink accepted the notification.
    Taken,
    /// The sink did not accept it, so it may become due again; and what that settled, which nobody has heard of yet.
    Failed(Settled),
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
    /// Until when the sink was down, as far as is known, and why.
    pub(super) down: Option<(Timestamp, String)>,
}

impl InHand {
    /// Tells the reader of a message that waited, untried, while the sink was down, why it is late.
    pub(super) fn explain(&self, due: &mut Due) {
        let waited = self.down.as_ref().filter(|(until, _)| due.owed_at <= *until);
        if let (None, Some((_, why))) = (&due.notification.last_failure, waited) {
            due.notification.last_failure = Some(why.clone());
        }
    }

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

#[cfg(test)]
mod tests {

    use linedown_sinks::{Incident, Instance, Kind, Notification, Reason};

    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn what_waited_while_the_sink_was_down_says_so() {
        let down = Some((from_millis(10_000), "unreachable: refused".to_owned()));
        let in_hand = InHand { down, ..InHand::default() };
        let line = Instance::of("A");
        let incident = Incident::of("z-api", line, Reason::Other, from_millis(0));
        for (owed_at, own, expected) in [
            (9_000, None, Some("unreachable: refused")),
            (11_000, None, None),
            (9_000, Some("busy: 503"), Some("busy: 503")),
        ] {
            let mut notification = Notification::about(incident.clone(), Kind::Down, from_millis(20_000));
            notification.last_failure = own.map(str::to_owned);
            let owed_at = from_millis(owed_at);
            let mut due = Due { notification, covers: vec![1], owed_at, parts_owed_at: vec![owed_at], tries: 1 };
            in_hand.explain(&mut due);
            assert_eq!(due.notification.last_failure.as_deref(), expected, "owed at {owed_at}");
        }
    }
}
