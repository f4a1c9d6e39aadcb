//! Compares the wall clock with a monotonic clock to notice that the wall clock was set. Every timer is a wall-clock time
//! in the store, so after a step back, notifications that are due now would wait until the clock reaches that time again;
//! after a step ahead, others would wait for too short a time.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::clock::{between, later};

/// How often the daemon compares the clocks.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// How far the wall clock may differ without being reported. Time servers correct smaller differences gradually.
const SLACK: Duration = Duration::from_secs(1);

/// How the wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Back by this much.
    Back(Duration),
    /// Ahead by this much.
    Ahead(Duration),
}

/// A clock that was set back, and may be behind until it is set ahead by as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    since: Timestamp,
    by: Duration,
}

impl Lag {
    /// That of a clock that was set back by this much, or more, and then showed `since`.
    pub(crate) fn new(since: Timestamp, by: Duration) -> Self {
        Self { since, by }
    }

    /// That of a clock that was set back by this much now; before, it may have been behind already.
    pub(crate) fn grown(former: Option<Self>, now: Timestamp, by: Duration) -> Self {
        let Self { since, by: before } = former.unwrap_or(Self::new(now, Duration::ZERO));
        Self { since: since.min(now), by: before.saturating_add(by) }
    }

    /// Since when, by that clock.
    pub(crate) fn since(self) -> Timestamp {
        self.since
    }

    /// What is left of it when the clock is set ahead by this much; nothing if no more than [`SLACK`]. What it wrote
    /// since then is still to be corrected: the clock may be set in several steps.
    pub(crate) fn left(self, by: Duration) -> Option<Self> {
        let left = self.by.saturating_sub(by);
        (left > SLACK).then_some(Self { by: left, ..self })
    }
}

/// The clocks as of the last look.
pub(crate) struct Timekeeper {
    wall: Timestamp,
    steady: Instant,
    asleep: Duration,
}

impl Timekeeper {
    /// Starts watching. `asleep` is for how long the machine [has been suspended](asleep).
    pub(crate) fn new(now: Timestamp, asleep: Duration) -> Self {
        Self { wall: now, steady: Instant::now(), asleep }
    }

    /// Returns how the wall clock was set since the last look; nothing if by no more than [`SLACK`].
    pub(crate) fn look(&mut self, now: Timestamp, asleep: Duration) -> Option<Step> {
        let slept = asleep.saturating_sub(self.asleep);
        let expected = later(self.wall, self.steady.elapsed() + slept);
        *self = Self::new(now, asleep);
        let (back, ahead) = (between(now, expected), between(expected, now));
        (back > SLACK).then_some(Step::Back(back)).or((ahead > SLACK).then_some(Step::Ahead(ahead)))
    }
}

/// For how long the machine has been suspended since it started: the monotonic clock stands still meanwhile, and the
/// wall clock, which goes on, was not set.
pub(crate) fn asleep() -> Duration {
    let [whole, awake] = [ClockId::Boottime, ClockId::Monotonic].map(|clock| {
        let now = clock_gettime(clock);
        Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
    });
    whole.saturating_sub(awake)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn a_clock_that_is_set_ahead_in_steps_is_behind_until_the_last_of_them() {
        let hour = Duration::from_hours(1);
        let nearly = Duration::from_secs(2 * 3600 - 1);
        let since = from_millis(7000);
        let lag = Lag::grown(None, since, 3 * hour);
        let left = lag.left(hour).unwrap();
        assert_eq!(left, Lag::new(since, 2 * hour));
        assert_eq!([left.left(2 * hour), left.left(nearly), left.left(9 * hour)], [None; 3]);
        for (set_back_to, since) in [(9000, 7000), (5000, 5000)] {
            let again = Lag::grown(Some(left), from_millis(set_back_to), hour);
            assert_eq!(again, Lag::new(from_millis(since), 3 * hour), "{set_back_to}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_is_noticed_and_one_that_goes_on_while_the_machine_sleeps_is_not_set() {
        let (back, ahead) = (|by| Some(Step::Back(by)), |by| Some(Step::Ahead(by)));
        let millis = Duration::from_millis;
        let mut timekeeper = Timekeeper::new(from_millis(100_000), Duration::ZERO);
        for (wall, asleep, step) in [
            (105_000, 0, None),
            (109_500, 0, None),
            (900_000, 0, ahead(millis(785_500))),
            (200_000, 0, back(millis(705_000))),
            (205_500, 0, None),
            (300_500, 90_000, None),
            (305_500, 90_000, None),
        ] {
            tokio::time::advance(LOOK).await;
            assert_eq!(timekeeper.look(from_millis(wall), millis(asleep)), step, "{wall}");
        }
    }
}
