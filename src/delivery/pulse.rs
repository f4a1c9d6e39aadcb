//! What a worker shows of itself while it works: that it moves, and since when its sink fails.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A worker that has not moved for so long hangs: none sleeps for longer than a third of this.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) struct Pulse(Mutex<(Instant, Option<Timestamp>)>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), None)))
    }
}

impl Pulse {
    /// The worker goes round, with its sink failing since then.
    pub(super) fn beat(&self, failing_since: Option<Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), failing_since);
    }

    /// Whether it should have gone round since.
    pub(super) fn is_gone(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.elapsed() > PATIENCE
    }

    /// Since when the sink fails, if it does.
    pub(super) fn failing_since(&self) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_sleeps_lives_and_one_that_hangs_does_not() {
        let pulse = Pulse::default();
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(!pulse.is_gone());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(pulse.is_gone());
        pulse.beat(Some(Timestamp::UNIX_EPOCH));
        assert!(!pulse.is_gone());
        assert_eq!(pulse.failing_since(), Some(Timestamp::UNIX_EPOCH));
    }
}
