//! Pure: a circuit breaker that judges a sink by its recent attempts. A sink that is down is probed with a single
//! notification at a time after growing waits, instead of being flooded with everything that is pending.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::FailureKind;

use super::pause::{FailedAttempt, Pause};
use super::recipients::Recipients;
use crate::backoff;
use crate::clock::later;
use crate::rule::Retry;
use crate::store::RecipientPauses;

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
        /// When its latest failure was. If nothing is due since, it may work again, and nobody knows.
        failed_at: Timestamp,
        /// The latest failure, in words.
        why: String,
        /// When it is tried next, for recipients that have failed (others may be tried sooner); none if every message is
        /// tried as it comes.
        resume_at: Option<Timestamp>,
        /// Until when it asked not to be tried.
        asked_until: Option<Timestamp>,
    },
}

/// What is known of a sink and its recipients, and decides about the next attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    state: State,
    recipients: Recipients,
}

/// The state of a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing has been tried yet.
    #[default]
    Untried,
    /// The sink accepts messages.
    Well,
    /// The sink refuses our credentials, which waiting does not mend.
    Refusing(Refusal),
    /// The sink is down and is being probed.
    Down(Trouble),
}

/// A sink that refuses our credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    /// When its first failure was.
    since: Timestamp,
    /// When its latest answer was.
    failed_at: Timestamp,
    /// Its latest answer in words.
    why: String,
}

/// A sink that is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// When its first failure was.
    pub since: Timestamp,
    /// When its latest failure was.
    failed_at: Timestamp,
    /// The latest failure, in words.
    pub why: String,
    /// Until when it asked not to be tried.
    asked_until: Option<Timestamp>,
    /// The pause of recipients that have failed.
    pause: Pause,
    /// The pause of all others. Only failures that say something about them make it longer.
    others: Pause,
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

/// A failure that may be over later.
#[derive(Clone, Copy, Debug)]
pub(super) struct SinkFailure<'f> {
    pub(super) kind: FailureKind,
    /// What happened, in words.
    pub(super) why: &'f str,
    /// How long the sink asked us to wait.
    pub(super) hint: Option<Duration>,
    /// Whom it concerns alone, if it may spare the other recipients.
    pub(super) recipient: Option<&'f str>,
}

impl Breaker {
    /// What may be started now, to recipients who need not wait ([`Self::pauses`]).
    pub(super) fn leave(&self, now: Timestamp) -> Leave {
        match &self.state {
            State::Down(trouble) => match trouble.not_before(&trouble.others) {
                then if now >= then => Leave::Probe,
                then => Leave::NotBefore(then),
            },
            State::Untried | State::Well | State::Refusing(..) => Leave::Full,
        }
    }

    /// The recipients to whom nothing is sent yet, because they failed.
    pub(super) fn pauses(&self, now: Timestamp, retry: &Retry) -> RecipientPauses {
        self.recipients.pauses(self.trouble().map(|trouble| trouble.not_before(&trouble.pause)), now, retry)
    }

    /// Why the sink is down, if it is.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        if let State::Down(trouble) = &self.state { Some(trouble) } else { None }
    }

    /// The health of the sink.
    pub(super) fn health(&self) -> Health {
        match &self.state {
            State::Untried => Health::Unknown,
            State::Well => Health::Well,
            State::Refusing(Refusal { since, failed_at, why }) => Health::Failing {
                since: *since,
                failed_at: *failed_at,
                why: why.clone(),
                resume_at: None,
                asked_until: None,
            },
            State::Down(trouble) => Health::Failing {
                since: trouble.since,
                failed_at: trouble.failed_at,
                why: trouble.why.clone(),
                resume_at: Some(trouble.not_before(&trouble.pause)),
                asked_until: trouble.asked_until,
            },
        }
    }

    /// Since when the sink has been failing, if it is.
    fn failing_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Untried | State::Well => None,
            State::Refusing(Refusal { since, .. }) | State::Down(Trouble { since, .. }) => Some(*since),
        }
    }

    /// An attempt for a recipient begins.
    pub(super) fn begins(&mut self, recipient: &str, now: Timestamp) {
        self.recipients.begins(recipient, now);
    }

    /// An attempt for a recipient has ended.
    pub(super) fn ended(&mut self, recipient: &str) {
        self.recipients.ended(recipient);
    }

    /// An attempt reached the sink, which accepted the message or refused it to this recipient alone. Returns since when
    /// the sink had been failing.
    pub(super) fn well(&mut self, recipient: &str, is_accepted: bool) -> Option<Timestamp> {
        self.recipients.reached(recipient, is_accepted);
        let since = self.failing_since();
        self.state = State::Well;
        since
    }

    /// The sink refused our credentials. A person must act, so every message may be tried at once.
    pub(super) fn refused(&mut self, failure: (FailureKind, &str), now: Timestamp) {
        let (kind, why) = failure;
        let (since, why) = (self.failing_since().unwrap_or(now), format!("{}: {why}", kind.as_str()));
        self.state = State::Refusing(Refusal { since, failed_at: now, why });
    }

    /// An attempt failed for a reason that concerns the whole sink, or may do so. Attempts that were in progress
    /// together count as one failure. Returns whether the sink is down now and was not before.
    pub(super) fn failed(&mut self, failure: SinkFailure<'_>, failed: FailedAttempt<'_>) -> bool {
        let why = format!("{}: {}", failure.kind.as_str(), failure.why);
        let verdict = failure.recipient.map(|recipient| self.recipients.failed(recipient, &why, failed));
        let is_new = self.trouble().is_none();
        if is_new && verdict.is_some_and(|verdict| !verdict.is_of_sink) {
            return false;
        }
        let since = self.failing_since().unwrap_or(failed.now);
        let mut trouble = match std::mem::take(&mut self.state) {
            State::Down(trouble) => trouble,
            State::Untried | State::Well | State::Refusing(..) => Trouble::new(since, failed.now),
        };
        let says_something_of_others = match verdict {
            None => true,
            // The first of them says too little: somebody else is tried at once.
            Some(verdict) => verdict.is_news && !is_new && trouble.pause.is_over_for(failed.began),
        };
        if says_something_of_others {
            trouble.others.grow(failed);
        }
        trouble.pause.grow(failed);
        let asked = failure.hint.map(|_| later(failed.now, backoff::clamped(failure.hint)));
        trouble.asked_until = trouble.asked_until.max(asked);
        trouble.failed_at = failed.now;
        trouble.why = why;
        self.state = State::Down(trouble);
        is_new
    }

    /// The clock was set back, the sink has a new config, or somebody says that it is mended. It may be tried now, or
    /// at the time that it asked for, and the waits begin anew.
    pub(super) fn forgive(&mut self, now: Timestamp) {
        self.recipients.forgive();
        if let State::Down(trouble) = &mut self.state {
            // No sink can ask for longer, so a later time was computed before the clock was set back.
            let longest = later(now, backoff::LONGEST_HINT);
            trouble.asked_until = trouble.asked_until.map(|until| until.min(longest));
            trouble.pause.end(now);
            trouble.others.end(now);
        }
    }
}

impl Trouble {
    fn new(since: Timestamp, now: Timestamp) -> Self {
        let [pause, others] = [Pause::none(now), Pause::none(now)];
        Self { since, failed_at: now, why: String::new(), asked_until: None, pause, others }
    }

    /// Until when the sink is known to fail: while it pauses, until now. After that it must be tried first. (The machine
    /// may have slept, or its clock been set, so that this moment comes late.)
    pub(super) fn known_until(&self, now: Timestamp) -> Timestamp {
        if now < self.not_before(&self.pause) { now } else { self.failed_at.min(now) }
    }

    /// When a pause ends, and the time that the sink asked for as well.
    fn not_before(&self, pause: &Pause) -> Timestamp {
        pause.until.max(self.asked_until.unwrap_or(pause.until))
    }
}

#[cfg(test)]
mod tests;
