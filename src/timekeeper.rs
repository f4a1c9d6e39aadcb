//! Watches the wall clock against one that only goes forward: every timer is a moment in the store, and a clock that
//! is set back would make what is owed now wait until it is that late again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::{between, later};

/// How often to look.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// What a clock may lag by; time servers correct less than this in small steps.
const SLACK: Duration = Duration::from_secs(1);

/// What both clocks said at the last look.
pub(crate) struct Timekeeper {
    wall: Timestamp,
    steady: Instant,
}

impl Timekeeper {
    /// Begins to watch.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { wall: now, steady: Instant::now() }
    }

    /// By how much the wall clock was set back since the last look, if it was.
    pub(crate) fn look(&mut self, now: Timestamp) -> Option<Duration> {
        let expected = later(self.wall, self.steady.elapsed());
        *self = Self::new(now);
        Some(between(now, expected)).filter(|by| *by > SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_is_noticed_and_one_that_is_set_ahead_is_none_of_its_concern() {
        let mut timekeeper = Timekeeper::new(from_millis(100_000));
        for (wall, by) in [(105_000, None), (109_500, None), (900_000, None), (200_000, Some(705_000)), (205_000, None)]
        {
            tokio::time::advance(LOOK).await;
            assert_eq!(timekeeper.look(from_millis(wall)), by.map(Duration::from_millis), "{wall}");
        }
    }
}
