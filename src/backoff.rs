//! Pure: after a failed attempt, when to try again and when to give up.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::FailureKind;

use crate::clock::later;
use crate::rule::Retry;

/// The longest wait accepted from a sink.
pub const LONGEST_HINT: Duration = Duration::from_hours(1);

/// What matters about a failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// The kind of failure.
    pub kind: FailureKind,
    /// How long the sink asked us to wait.
    pub hint: Option<Duration>,
    /// The start of `retry.give_up_after`.
    pub owed_at: Timestamp,
    /// The number of this attempt since `owed_at`, from 1.
    pub tries: u32,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time.
    At(Timestamp),
    /// Give up: the notification becomes a dead letter.
    GiveUp,
}

/// The wait after a number of failures in a row (from 1): it doubles each time up to `longest`, with a jitter of ±20 %
/// by `dice` in 0..1.
pub fn wait(first: Duration, longest: Duration, failures: u32, dice: f64) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(31)));
    doubled.min(longest).mul_f64(0.8 + 0.4 * dice.clamp(0.0, 1.0))
}

/// How long to wait at least, as a sink asked for it, limited to [`LONGEST_HINT`].
pub fn clamped(hint: Option<Duration>) -> Duration {
    hint.unwrap_or_default().min(LONGEST_HINT)
}

/// Whether the patience with what is owed since `owed_at` has ended.
pub fn is_over(owed_at: Timestamp, retry: &Retry, now: Timestamp) -> bool {
    now >= later(owed_at, retry.give_up_after)
}

/// What to do after a failure. The last attempt is made when `give_up_after` ends, not before; or up to an hour later,
/// if the sink asked for that.
pub fn next(failed: &Failed, retry: &Retry, now: Timestamp, dice: f64) -> Next {
    let end = later(failed.owed_at, retry.give_up_after);
    if !failed.kind.is_transient() || is_over(failed.owed_at, retry, now) {
        return Next::GiveUp;
    }
    let own = later(now, wait(retry.first, retry.max, failed.tries, dice)).min(end);
    Next::At(own.max(later(now, clamped(failed.hint))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn waits_double_up_to_the_longest() {
        let Retry { first, max, .. } = Retry::default();
        let seconds: Vec<u64> = (1..=11).map(|failures| wait(first, max, failures, 0.5).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(wait(first, max, u32::MAX, 0.5).as_secs(), 600);
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
