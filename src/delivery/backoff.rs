//! Pure: after a failed attempt, when to try again, and when to stop trying.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::FailureKind;

use crate::clock::later;
use crate::rule::Retry;

/// The longest that a hint from outside is obeyed.
pub const LONGEST_HINT: Duration = Duration::from_hours(1);

/// A failed attempt, as far as it matters for what comes next.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// What sort of failure.
    pub kind: FailureKind,
    /// What the far side asked us to wait.
    pub hint: Option<Duration>,
    /// From when on patience counts.
    pub owed_at: Timestamp,
    /// Which try it was since then, from 1.
    pub tries: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again then.
    At(Timestamp),
    /// It is dead.
    GiveUp,
}

/// The wait after the n-th failure in a row (from 1): exponential, with ±20 % jitter by a `dice` in 0..1.
pub fn wait(retry: &Retry, failures: u32, dice: f64) -> Duration {
    let doubled = retry.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(31)));
    doubled.min(retry.max).mul_f64(0.8 + 0.4 * dice.clamp(0.0, 1.0))
}

/// A hint from outside is a lower bound, within our own window.
pub fn clamped(hint: Option<Duration>) -> Duration {
    hint.unwrap_or_default().min(LONGEST_HINT)
}

/// What comes after a failure. The last attempt is made when patience ends, not before; later, by an hour at most, where
/// the far side asks for it.
pub fn next(failed: &Failed, retry: &Retry, now: Timestamp, dice: f64) -> Next {
    let end = later(failed.owed_at, retry.give_up_after);
    if !failed.kind.is_transient() || now >= end {
        return Next::GiveUp;
    }
    let own = later(now, wait(retry, failed.tries, dice)).min(end);
    Next::At(own.max(later(now, clamped(failed.hint))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn waits_double_up_to_the_longest() {
        let seconds: Vec<u64> = (1..=11).map(|failures| wait(&Retry::default(), failures, 0.5).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(wait(&Retry::default(), u32::MAX, 0.5).as_secs(), 600);
    }

    #[test]
    fn hints_are_lower_bounds_within_a_window() {
        let now = from_millis(1_000_000);
        for (hint, seconds) in [(None, 2), (Some(0), 2), (Some(1), 2), (Some(30), 30), (Some(u64::MAX), 3600)] {
            let failed =
                Failed { kind: FailureKind::RateLimited, hint: hint.map(Duration::from_secs), owed_at: now, tries: 1 };
            assert_eq!(
                next(&failed, &Retry::default(), now, 0.5),
                Next::At(later(now, Duration::from_secs(seconds))),
                "{hint:?}"
            );
        }
    }

    #[test]
    fn patience_ends_with_one_last_attempt() {
        let owed_at = from_millis(0);
        let at = |second: i64| from_millis(second * 1000);
        let failed = Failed { kind: FailureKind::Unreachable, hint: None, owed_at, tries: 20 };
        assert_eq!(next(&failed, &Retry::default(), at(86_000), 0.5), Next::At(at(86_400)));
        assert_eq!(next(&failed, &Retry::default(), at(86_400), 0.5), Next::GiveUp);
    }

    #[test]
    fn each_kind_of_failure_is_retried_or_dead() {
        for kind in FailureKind::ALL {
            let failed = Failed { kind, hint: None, owed_at: from_millis(0), tries: 1 };
            let gives_up = next(&failed, &Retry::default(), from_millis(0), 0.0) == Next::GiveUp;
            assert_eq!(gives_up, matches!(kind, FailureKind::Refused | FailureKind::Unauthorised), "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn never_in_the_past_never_after_the_window(
            tries in any::<u32>(), hint in prop::option::of(any::<u64>()), now in 0_i64..200_000_000, dice in any::<f64>(),
        ) {
            let now = from_millis(now);
            let failed = Failed { kind: FailureKind::Busy, hint: hint.map(Duration::from_secs), owed_at: from_millis(0), tries };
            if let Next::At(due) = next(&failed, &Retry::default(), now, dice) {
                prop_assert!(due > now);
                prop_assert!(due <= later(now, LONGEST_HINT));
            }
        }
    }
}
