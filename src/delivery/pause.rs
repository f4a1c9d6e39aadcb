//! Pure: the growing pause after failures in a row, of a sink or of one of its recipients.

use jiff::Timestamp;

use crate::backoff;
use crate::clock::later;
use crate::rule::Retry;

/// A pause that grows with each failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// When it ends.
    pub(super) until: Timestamp,
    failures: u32,
    /// When the last failure that counted was.
    last_at: Timestamp,
}

/// A failed attempt, and what the next pause depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailedAttempt<'r> {
    /// When the attempt began.
    pub(super) began: Timestamp,
    pub(super) now: Timestamp,
    pub(super) retry: &'r Retry,
    /// For the jitter, in 0..1.
    pub(super) dice: f64,
}

impl Pause {
    /// Ends at `now`; nothing has failed yet.
    pub(super) fn none(now: Timestamp) -> Self {
        Self { until: now, failures: 0, last_at: Timestamp::MIN }
    }

    /// Whether an attempt began after the last failure. Attempts that were in progress together count as one failure.
    pub(super) fn is_over_for(&self, began: Timestamp) -> bool {
        began >= self.last_at
    }

    /// Begins the pause after another failure.
    pub(super) fn grow(&mut self, failed: FailedAttempt<'_>) {
        if self.is_over_for(failed.began) {
            self.failures = self.failures.saturating_add(1);
            self.last_at = failed.now;
        }
        self.until = self
            .until
            .max(later(failed.now, backoff::wait(failed.retry.first, failed.retry.max, self.failures, failed.dice)));
    }

    /// Ends now, and begins anew after the next failure. The clock may have been set back.
    pub(super) fn end(&mut self, now: Timestamp) {
        self.until = self.until.min(now);
        self.last_at = self.last_at.min(now);
        self.failures = 0;
    }
}
