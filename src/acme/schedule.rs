//! Pure: when to ask an authority for a certificate.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backoff;
use crate::certificate::Validity;
use crate::clock::{between, later};

/// The first pause after a failure, and the longest. Let's Encrypt allows five failed validations of a name per hour; with
/// these pauses there are never more.
const FIRST_PAUSE: Duration = Duration::from_mins(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(3);
/// The longest pause after a reload. However often that happens, there are no more failures per hour than are allowed.
const EASED: Duration = Duration::from_mins(20);
/// The longest pause that an authority can ask for.
const LONGEST_HINT: Duration = Duration::from_hours(24);

/// The last attempt to obtain a certificate, and how long to wait after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    at: Timestamp,
    /// Failures in a row, counting this attempt until it has succeeded.
    failures: u32,
    pause: Duration,
    /// How long the authority asked us to wait.
    #[serde(default)]
    hint: Duration,
}

impl Asked {
    /// An attempt begins. Until its outcome is known it counts as a failure, so that a daemon that crashes during each
    /// attempt does not ask again and again.
    pub(super) fn now(before: Option<&Self>, now: Timestamp, dice: f64) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let pause = backoff::wait(FIRST_PAUSE, LONGEST_PAUSE, failures, dice);
        Self { at: now, failures, pause, hint: Duration::ZERO }
    }

    /// The attempt failed. `hint` is how long the authority asked us to wait.
    pub(super) fn failed(&mut self, hint: Option<Duration>) {
        self.hint = hint.unwrap_or_default().min(LONGEST_HINT);
    }

    /// The attempt obtained a certificate. The next attempt waits for at least a sixth of its lifetime, so that a wrong
    /// clock does not make us ask again at once.
    pub(super) fn succeeded(&mut self, validity: Validity) {
        *self = Self { at: self.at, failures: 0, pause: life(validity) / 6, ..*self };
    }

    /// The daemon was stopped during the attempt: it does not count, and may be repeated at once after the next start.
    pub(super) fn broken_off(&mut self) {
        *self = Self { failures: self.failures.saturating_sub(1), pause: Duration::ZERO, ..*self };
    }

    /// The config was reloaded. An operator who does that after a failure has probably fixed the cause: if what is asked for
    /// has changed, the next attempt may begin at once, otherwise after [`EASED`]. An authority's own wish stands.
    pub(super) fn reloaded(&mut self, is_changed: bool) {
        if self.failures > 0 && is_changed {
            *self = Self { failures: 0, pause: Duration::ZERO, ..*self };
        } else if self.failures > 0 {
            self.pause = self.pause.min(EASED);
        }
    }
}

/// When to ask next: after two thirds of the certificate's lifetime, or at once without one; but never before the pause
/// is over.
pub(super) fn due(certificate: Option<Validity>, asked: Option<&Asked>, now: Timestamp) -> Timestamp {
    let wanted = certificate.map_or(now, |validity| later(validity.from, life(validity) / 3 * 2));
    // An attempt in the future was made while the clock was wrong.
    let asked = asked.filter(|asked| asked.at <= now);
    asked.map_or(wanted, |asked| wanted.max(later(asked.at, asked.pause.max(asked.hint))))
}

fn life(validity: Validity) -> Duration {
    between(validity.from, validity.until)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::from_millis;

    const DAY: Duration = Duration::from_hours(24);

    fn day(day: u32) -> Timestamp {
        later(from_millis(0), DAY * day)
    }

    const fn certificate(from: Timestamp, until: Timestamp) -> Validity {
        Validity { from, until }
    }

    #[test]
    fn without_a_certificate_at_once_and_with_one_at_two_thirds_of_its_life() {
        assert_eq!(due(None, None, day(7)), day(7));
        assert_eq!(due(Some(certificate(day(0), day(90))), None, day(7)), day(60));
        assert_eq!(due(Some(certificate(day(0), day(6))), None, day(7)), day(4), "a short one's time is long over");
    }

    #[test]
    fn failures_make_growing_pauses() {
        let (mut asked, mut minutes) = (None, vec![]);
        for _ in 0..8 {
            let now = Asked::now(asked.as_ref(), day(1), 0.5);
            minutes.push(between(day(1), due(None, Some(&now), day(1))).as_secs() / 60);
            asked = Some(now);
        }
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 180, 180]);
    }

    #[test]
    fn what_is_broken_off_does_not_count() {
        let failed = Asked::now(None, day(1), 0.5);
        let mut asked = Asked::now(Some(&failed), day(2), 0.5);
        asked.broken_off();
        assert_eq!(due(None, Some(&asked), day(2)), day(2));
        assert_eq!(Asked::now(Some(&asked), day(2), 0.5).pause, Duration::from_mins(10));
    }

    #[test]
    fn no_hour_sees_more_than_five_failures() {
        for dice in [0.0, 0.5, 1.0] {
            let (mut now, mut asked, mut times) = (day(1), None, vec![]);
            for _ in 0..20 {
                times.push(now);
                let question = Asked::now(asked.as_ref(), now, dice);
                now = due(None, Some(&question), now);
                asked = Some(question);
            }
            assert!(times.windows(6).all(|six| between(six[0], six[5]) > Duration::from_hours(1)), "{dice}: {times:?}");
        }
    }

    #[test]
    fn a_reload_shortens_the_wait_but_makes_no_more_failures_than_are_allowed() {
        for dice in [0.0, 0.5, 1.0] {
            let (mut now, mut asked, mut times) = (day(1), None, vec![]);
            for _ in 0..20 {
                times.push(now);
                let mut question = Asked::now(asked.as_ref(), now, dice);
                question.reloaded(false);
                now = due(None, Some(&question), now);
                asked = Some(question);
            }
            assert!(times.windows(6).all(|six| between(six[0], six[5]) > Duration::from_hours(1)), "{dice}: {times:?}");
            assert!(times.windows(2).all(|two| between(two[0], two[1]) <= EASED), "{dice}: {times:?}");
        }
    }

    #[test]
    fn who_asks_for_something_else_after_a_failure_asks_at_once_unless_the_authority_objects() {
        for (hint, pause) in [(None, Duration::ZERO), (Some(Duration::from_hours(2)), Duration::from_hours(2))] {
            let mut asked = Asked::now(Some(&Asked::now(None, day(1), 0.5)), day(1), 0.5);
            asked.failed(hint);
            asked.reloaded(true);
            assert_eq!(due(None, Some(&asked), day(1)), later(day(1), pause));
            let again = Asked::now(Some(&asked), day(1), 0.5);
            assert_eq!(due(None, Some(&again), day(1)), later(day(1), FIRST_PAUSE), "as after the first failure");
        }
        let issued = certificate(day(1), day(91));
        let mut asked = Asked::now(None, day(1), 0.5);
        asked.succeeded(issued);
        asked.reloaded(true);
        assert_eq!(due(None, Some(&asked), day(1)), later(day(1), DAY * 15), "it was no failure");
    }

    #[test]
    fn an_authority_may_ask_for_a_longer_pause_but_not_for_ever() {
        for (hint, hours) in [(Some(2), 2), (Some(1_000_000), 24)] {
            let mut asked = Asked::now(None, day(1), 0.5);
            asked.failed(hint.map(Duration::from_hours));
            assert_eq!(due(None, Some(&asked), day(1)), later(day(1), Duration::from_hours(hours)));
        }
        let mut asked = Asked::now(None, day(1), 0.5);
        asked.failed(Some(Duration::ZERO));
        assert_eq!(due(None, Some(&asked), day(1)), later(day(1), Duration::from_mins(5)));
    }

    #[test]
    fn a_wrong_clock_asks_neither_all_the_time_nor_never() {
        let ahead = day(1000);
        let mut asked = Asked::now(None, ahead, 0.5);
        let issued = certificate(day(0), day(90));
        asked.succeeded(issued);
        assert_eq!(due(Some(issued), Some(&asked), ahead), later(ahead, DAY * 15), "though it seems to have expired");
        assert_eq!(due(Some(issued), Some(&asked), day(7)), day(60), "and once the clock is right");
    }

    proptest! {
        #[test]
        fn a_pause_is_kept_whatever_there_is(from in 0_u32..100, life in 0_u32..400, failures in 0_u32..50, dice in 0.0..1.0) {
            let before = Asked { at: day(1), failures, pause: Duration::ZERO, hint: Duration::ZERO };
            let asked = Asked::now(Some(&before), day(50), dice);
            let validity = certificate(day(from), day(from + life));
            for there in [None, Some(validity)] {
                prop_assert!(due(there, Some(&asked), day(50)) >= later(day(50), Duration::from_mins(4)));
            }
        }
    }
}
