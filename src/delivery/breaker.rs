//! Pure: a circuit breaker that judges a sink by its recent attempts. A sink that is down is probed with a single
//! notification at a time after growing waits, instead of being flooded with everything that is pending.

use jiff::Timestamp;
use linedown_sinks::FailureKind;

use super::backoff;
use crate::clock::later;
use crate::rule::Retry;

/// The health of a sink, judging by its latest attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing has been tried yet.
    #[default]
    Unknown,
    /// The sink accepts messages.
    Well,
    /// The sink fails.
    Failing {
        /// When its first failure was.
        since: Timestamp,
        /// The latest failure, in words.
        why: String,
        /// When it is tried next; none if every message is tried as it comes.
        resume_at: Option<Timestamp>,
        /// Until when it asked not to be tried.
        asked_until: Option<Timestamp>,
    },
}

/// The state of a sink, with what is needed to decide about the next attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Nothing has been tried yet.
    #[default]
    Untried,
    /// The sink accepts messages.
    Well,
    /// The sink refuses our credentials, which waiting does not mend: since when, and its latest answer in words.
    Refusing(Timestamp, String),
    /// The sink is down and is being probed.
    Down(Trouble),
}

/// A sink that is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// When its first failure was.
    pub since: Timestamp,
    /// When it may be tried again.
    pub resume_at: Timestamp,
    /// The latest failure, in words.
    pub why: String,
    /// Until when it asked not to be tried.
    asked_until: Option<Timestamp>,
    failures: u32,
    last_at: Timestamp,
}

/// What may be started now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// As many attempts as the sink's limits allow.
    Full,
    /// One attempt, if no other is in progress.
    Probe,
    /// No attempt before this time.
    NotBefore(Timestamp),
}

impl Breaker {
    /// What may be started now.
    pub(super) fn leave(&self, now: Timestamp) -> Leave {
        match self {
            Self::Down(trouble) if now >= trouble.resume_at => Leave::Probe,
            Self::Down(trouble) => Leave::NotBefore(trouble.resume_at),
            Self::Untried | Self::Well | Self::Refusing(..) => Leave::Full,
        }
    }

    /// Why the sink is down, if it is.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        if let Self::Down(trouble) = self { Some(trouble) } else { None }
    }

    /// The health of the sink.
    pub(super) fn health(&self) -> Health {
        match self {
            Self::Untried => Health::Unknown,
            Self::Well => Health::Well,
            Self::Refusing(since, why) => {
                Health::Failing { since: *since, why: why.clone(), resume_at: None, asked_until: None }
            }
            Self::Down(Trouble { since, why, resume_at, asked_until, .. }) => Health::Failing {
                since: *since,
                why: why.clone(),
                resume_at: Some(*resume_at),
                asked_until: *asked_until,
            },
        }
    }

    /// Since when the sink has been failing, if it is.
    fn failing_since(&self) -> Option<Timestamp> {
        match self {
            Self::Untried | Self::Well => None,
            Self::Refusing(since, _) | Self::Down(Trouble { since, .. }) => Some(*since),
        }
    }

    /// An attempt reached the sink, even if it refused that one message. Returns since when the sink had been failing.
    pub(super) fn well(&mut self) -> Option<Timestamp> {
        std::mem::replace(self, Self::Well).failing_since()
    }

    /// The sink refused our credentials. A person must act, so every message may be tried at once.
    pub(super) fn refused(&mut self, failure: (FailureKind, &str), now: Timestamp) {
        let (kind, why) = failure;
        *self = Self::Refusing(self.failing_since().unwrap_or(now), format!("{}: {why}", kind.as_str()));
    }

    /// An attempt that began at `began` failed for a reason that concerns the whole sink. Attempts that were in
    /// progress together count as one failure. Returns whether the sink was not down before.
    pub(super) fn failed(
        &mut self,
        failure: (FailureKind, &str, Option<std::time::Duration>),
        began: Timestamp,
        now: Timestamp,
        retry: &Retry,
        dice: f64,
    ) -> bool {
        let (kind, why, hint) = failure;
        let is_new = self.trouble().is_none();
        let since = self.failing_since().unwrap_or(now);
        let mut trouble = match std::mem::take(self) {
            Self::Down(trouble) => trouble,
            Self::Untried | Self::Well | Self::Refusing(..) => Trouble {
                since,
                resume_at: now,
                why: String::new(),
                asked_until: None,
                failures: 0,
                last_at: Timestamp::MIN,
            },
        };
        if began >= trouble.last_at {
            trouble.failures = trouble.failures.saturating_add(1);
            trouble.last_at = now;
        }
        trouble.asked_until = trouble.asked_until.max(hint.map(|_| later(now, backoff::clamped(hint))));
        let wait = backoff::wait(retry, trouble.failures, dice);
        trouble.resume_at = trouble.resume_at.max(later(now, wait)).max(trouble.asked_until.unwrap_or(now));
        trouble.why = format!("{}: {why}", kind.as_str());
        *self = Self::Down(trouble);
        is_new
    }

    /// The clock was set back, the sink has a new config, or somebody says that it is mended. It may be tried now, or
    /// at the time that it asked for, and the waits begin anew.
    pub(super) fn forgive(&mut self, now: Timestamp) {
        if let Self::Down(trouble) = self {
            // No sink can ask for longer, so a later time was computed before the clock was set back.
            let longest = later(now, backoff::LONGEST_HINT);
            trouble.asked_until = trouble.asked_until.map(|until| until.min(longest));
            trouble.resume_at = trouble.resume_at.min(trouble.asked_until.unwrap_or(now).max(now));
            trouble.last_at = trouble.last_at.min(now);
            trouble.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::from_millis;

    fn at(second: i64) -> Timestamp {
        from_millis(second * 1000)
    }

    fn fail(breaker: &mut Breaker, began: i64, now: i64) -> bool {
        breaker.failed((FailureKind::Unreachable, "refused", None), at(began), at(now), &Retry::default(), 0.5)
    }

    #[test]
    fn a_sink_that_is_down_is_probed() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.leave(at(0)), Leave::Full);
        assert!(fail(&mut breaker, 0, 1));
        assert_eq!(breaker.leave(at(2)), Leave::NotBefore(at(3)));
        assert_eq!(breaker.leave(at(3)), Leave::Probe);
        assert!(!fail(&mut breaker, 3, 4));
        assert_eq!(breaker.leave(at(7)), Leave::NotBefore(at(8)));
        assert_eq!(breaker.well(), Some(at(1)));
        assert_eq!(breaker.leave(at(7)), Leave::Full);
    }

    #[test]
    fn a_sink_that_does_not_know_us_fails_and_is_tried_with_every_message() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.health(), Health::Unknown);
        assert_eq!((breaker.well(), breaker.health()), (None, Health::Well));
        let refuse = |breaker: &mut Breaker, second| {
            breaker.refused((FailureKind::Unauthorised, "no_service"), at(second));
        };
        refuse(&mut breaker, 1);
        refuse(&mut breaker, 2);
        let failing =
            |why: &str, resume_at| Health::Failing { since: at(1), why: why.to_owned(), resume_at, asked_until: None };
        assert_eq!(breaker.health(), failing("unauthorised: no_service", None));
        assert_eq!(breaker.leave(at(2)), Leave::Full);
        fail(&mut breaker, 3, 4);
        assert_eq!(breaker.health(), failing("unreachable: refused", Some(at(6))), "one spell, for another reason");
        refuse(&mut breaker, 5);
        assert_eq!((breaker.well(), breaker.health()), (Some(at(1)), Health::Well));
    }

    #[test]
    fn failures_together_count_once() {
        let mut breaker = Breaker::default();
        for _ in 0..8 {
            fail(&mut breaker, 0, 1);
        }
        assert_eq!(breaker.leave(at(1)), Leave::NotBefore(at(3)));
    }

    fn ask(breaker: &mut Breaker, kind: FailureKind, hint: Duration, now: i64) {
        breaker.failed((kind, "slow", Some(hint)), at(now), at(now), &Retry::default(), 0.5);
    }

    #[test]
    fn a_new_config_is_tried_at_once_but_what_the_sink_asked_for_is_kept_to() {
        for kind in [FailureKind::RateLimited, FailureKind::Busy] {
            let mut breaker = Breaker::default();
            fail(&mut breaker, 0, 1);
            breaker.forgive(at(1));
            assert_eq!(breaker.leave(at(1)), Leave::Probe);
            ask(&mut breaker, kind, Duration::from_mins(1), 2);
            breaker.forgive(at(2));
            assert_eq!(breaker.leave(at(3)), Leave::NotBefore(at(62)), "{kind:?}");
            fail(&mut breaker, 3, 4);
            breaker.forgive(at(5));
            assert_eq!(breaker.leave(at(5)), Leave::NotBefore(at(62)), "whatever came after it");
            breaker.forgive(at(-100_000));
            assert_eq!(breaker.leave(at(-100_000)), Leave::NotBefore(at(-96_400)), "the clock was set back by a day");
        }
    }

    /// The time that the sink asked for is now sooner than our own wait.
    #[test]
    fn a_sink_is_forgiven_down_to_what_it_asked_for() {
        let mut breaker = Breaker::default();
        (0..9).for_each(|second| _ = fail(&mut breaker, second, second));
        ask(&mut breaker, FailureKind::RateLimited, Duration::from_secs(5), 10);
        breaker.forgive(at(11));
        assert_eq!(breaker.leave(at(11)), Leave::NotBefore(at(15)));
    }

    #[test]
    fn pauses_begin_anew_with_a_sink_that_is_forgiven() {
        let mut breaker = Breaker::default();
        (0..9).for_each(|second| _ = fail(&mut breaker, second, second));
        breaker.forgive(at(10));
        fail(&mut breaker, 10, 11);
        assert_eq!(breaker.leave(at(11)), Leave::NotBefore(at(13)));
    }
}
