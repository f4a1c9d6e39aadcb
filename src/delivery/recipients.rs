//! Pure: tells a recipient that fails from a sink that fails. A failure that came when the sink had accepted everything
//! up to the recipient counts against the recipient, who is then tried alone, with pauses of their own. It counts against
//! the sink as well if no recipient is known to work, or if several begin to fail with no success in between.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::pause::{FailedAttempt, Pause};
use crate::backoff;
use crate::clock::{between, later};
use crate::rule::Retry;
use crate::store::{RecipientPause, RecipientPauses};

/// Most failing recipients that are remembered for a sink. Beyond that, the one whose pause ends first is forgotten.
const MOST_FAILING: usize = 1000;
/// How many recipients that were reached last are remembered.
const KNOWN_WELL: usize = 2;
/// How many recipients begin to fail, with no success in between, until the sink counts as failing.
const SUSPICIOUS: u32 = 2;
/// The longest time for which a lease puts off what waits for a recipient: what is put off does not hear that the
/// recipient, or the sink, is back.
const PUT_OFF: Duration = Duration::from_secs(30);

/// The recipients of a sink, judging by their latest attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recipients {
    failing: BTreeMap<String, Failing>,
    /// Those that were reached last, the latest last.
    well: Vec<String>,
    /// How many have begun to fail since a message last reached the sink.
    begun: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Failing {
    pause: Pause,
    /// The latest failure, in words.
    why: String,
    /// When the attempt began that is in progress, if one is.
    in_progress_since: Option<Timestamp>,
}

/// What the failure of a recipient says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The recipient has only now begun to fail.
    pub(super) is_news: bool,
    /// The sink fails, as far as is known.
    pub(super) is_of_sink: bool,
}

impl Recipients {
    /// A message reached the sink: it accepted the message, or refused it to this recipient alone.
    pub(super) fn reached(&mut self, recipient: &str, is_accepted: bool) {
        self.begun = 0;
        if !self.failing.is_empty() {
            self.failing.remove(recipient);
        }
        if is_accepted && self.well.last().is_none_or(|last| last != recipient) {
            self.well.retain(|other| other != recipient);
            self.well.push(recipient.to_owned());
            if self.well.len() > KNOWN_WELL {
                self.well.remove(0);
            }
        }
    }

    /// An attempt for a recipient failed after the sink had accepted everything before.
    pub(super) fn failed(&mut self, recipient: &str, why: &str, failed: FailedAttempt<'_>) -> Verdict {
        let is_news = !self.failing.contains_key(recipient);
        if is_news {
            self.begun = self.begun.saturating_add(1);
            self.well.retain(|other| other != recipient);
            self.make_room();
        }
        let new = || Failing { pause: Pause::none(failed.now), why: String::new(), in_progress_since: None };
        let failing = self.failing.entry(recipient.to_owned()).or_insert_with(new);
        failing.pause.grow(failed);
        why.clone_into(&mut failing.why);
        Verdict { is_news, is_of_sink: self.well.is_empty() || self.begun >= SUSPICIOUS }
    }

    fn make_room(&mut self) {
        if self.failing.len() >= MOST_FAILING {
            let first = self.failing.iter().min_by_key(|(_, failing)| failing.pause.until);
            if let Some(first) = first.map(|(recipient, _)| recipient.clone()) {
                self.failing.remove(&first);
            }
        }
    }

    /// An attempt for a recipient begins.
    pub(super) fn begins(&mut self, recipient: &str, now: Timestamp) {
        self.set_in_progress_since(recipient, Some(now));
    }

    /// An attempt for a recipient has ended.
    pub(super) fn ended(&mut self, recipient: &str) {
        self.set_in_progress_since(recipient, None);
    }

    fn set_in_progress_since(&mut self, recipient: &str, since: Option<Timestamp>) {
        if !self.failing.is_empty()
            && let Some(failing) = self.failing.get_mut(recipient)
        {
            failing.in_progress_since = since;
        }
    }

    /// The recipients that fail, each with the time before which nothing may be sent to them: the end of their own pause,
    /// and of that of a sink that is down. While an attempt for a recipient is in progress, no other begins: what waits is
    /// put off for as long again as the attempt takes already, so that it is not written over and over. If the sink works,
    /// what is at the end of its patience does not wait; if it is down, that is given up without an attempt.
    pub(super) fn pauses(&self, sink: Option<Timestamp>, now: Timestamp, retry: &Retry) -> RecipientPauses {
        let patience_began = now.checked_sub(retry.give_up_after).unwrap_or(Timestamp::MIN);
        let owed_after = if sink.is_some() { Timestamp::MIN } else { patience_began };
        let next = later(now, backoff::wait(retry.first, retry.max, 1, 0.5).min(PUT_OFF))
            .max(later(now, Duration::from_millis(1)));
        let pause = |failing: &Failing| {
            let until = sink.map_or(failing.pause.until, |other| failing.pause.until.max(other));
            let until = until.min(later(now, PUT_OFF));
            let again = failing.in_progress_since.map(|since| later(now, between(since, now).min(PUT_OFF)).max(next));
            let until = again.map_or(until, |again| until.max(again));
            RecipientPause { until, then: next, owed_after, why: failing.why.clone() }
        };
        self.failing.iter().map(|(recipient, failing)| (recipient.clone(), pause(failing))).collect()
    }

    /// Somebody says that all is well, or the clock was set back: everybody may be tried now.
    pub(super) fn forgive(&mut self) {
        self.failing.clear();
        self.begun = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    fn at(second: usize) -> Timestamp {
        from_millis(i64::try_from(second).unwrap() * 1000)
    }

    impl Recipients {
        /// An attempt that took no time fails for a recipient.
        fn fails(&mut self, recipient: &str, second: usize) {
            let failed = FailedAttempt { began: at(second), now: at(second), retry: &Retry::default(), dice: 0.5 };
            self.failed(recipient, "busy: 451", failed);
        }

        /// The second until which what waits for a recipient is put off; none if it does not wait.
        fn put_off(&self, recipient: &str, second: usize) -> Option<usize> {
            let pauses = self.pauses(None, at(second), &Retry::default());
            pauses.get(recipient).map(|pause| pause.until.as_second().try_into().unwrap())
        }
    }

    #[test]
    fn of_too_many_that_fail_the_one_whose_pause_ends_first_is_forgotten() {
        let mut recipients = Recipients::default();
        (0..MOST_FAILING).for_each(|number| recipients.fails(&number.to_string(), number));
        recipients.fails("0", MOST_FAILING);
        recipients.fails("one more", MOST_FAILING);
        let pauses = recipients.pauses(None, at(MOST_FAILING), &Retry::default());
        assert_eq!((pauses.len(), pauses.contains_key("0"), pauses.contains_key("1")), (MOST_FAILING, true, false));
    }

    #[test]
    fn what_waits_through_a_long_pause_is_looked_at_again_before_that_ends() {
        let mut recipients = Recipients::default();
        (0..20).for_each(|second| recipients.fails("ana", second));
        assert_eq!(recipients.put_off("ana", 20), Some(50), "the pause is ten minutes");
        assert_eq!(recipients.put_off("ana", 50), Some(80));
        recipients.forgive();
        assert_eq!(recipients.put_off("ana", 50), None);
    }

    /// An attempt may take two minutes, and thousands of messages may wait for it.
    #[test]
    fn what_waits_for_an_attempt_is_put_off_ever_less_often() {
        let mut recipients = Recipients::default();
        recipients.fails("ana", 0);
        recipients.begins("ana", at(2));
        let ends = std::iter::successors(Some(2), |second| recipients.put_off("ana", *second));
        assert_eq!(ends.take_while(|end| *end < 122).collect::<Vec<_>>(), [2, 4, 6, 10, 18, 34, 64, 94]);
        recipients.ended("ana");
        assert_eq!(recipients.put_off("ana", 100), Some(2), "it is tried at once");
    }
}
