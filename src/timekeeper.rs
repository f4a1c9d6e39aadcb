//! Compares the wall clock with a monotonic clock to notice that the wall clock was set back. Every timer is a
//! wall-clock time in the store, so after a step back, notifications that are due now would wait until the clock
//! reaches that time again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::{between, later};

/// How often the daemon compares the clocks.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// How far the wall clock may lag behind without being reported. Time servers correct smaller differences gradually.
const SLACK: Duration = Duration::from_secs(1);

/// Both clocks as of the last look.
pub(crate) struct Timekeeper {
    wall: Timestamp,
    steady: Instant,
}

impl Timekeeper {
    /// Starts watching.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { wall: now, steady: Instant::now() }
    }

    /// Returns by how much the wall clock was set back since the last look; nothing if by no more than [`SLACK`].
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
