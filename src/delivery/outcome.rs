//! The outcome of an attempt: what it means for the notification, and how it is logged and counted.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Failure, Item, Notification, Receipt};

use crate::backoff::{self, Next};
use crate::clock;
use crate::metrics::Metrics;
use crate::rule::Retry;
use crate::store::{Outcome, Settlement, given_up};

/// What an attempt means for each part of a message, at the `tries`-th attempt since the first part was owed: the same for
/// all, except that what fails is given up by the patience with each part. A part is its number, and since when it is owed.
pub(super) fn settlements(
    result: &Result<Receipt, Failure>,
    parts: Vec<(i64, Timestamp)>,
    tries: u32,
    retry: &Retry,
    now: Timestamp,
) -> Vec<Settlement> {
    let may_be_tried_again = result.as_ref().is_err_and(|failure| failure.kind.is_transient());
    let is_late = |(_, owed_at): &(i64, Timestamp)| may_be_tried_again && backoff::is_over(*owed_at, retry, now);
    let (late, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_late);
    let settlement = |parts: Vec<(i64, Timestamp)>| {
        let owed_at = parts.iter().map(|(_, owed_at)| *owed_at).min()?;
        let outcome = outcome(result, owed_at, tries, retry, now);
        Some(Settlement { notifications: parts.into_iter().map(|(id, _)| id).collect(), at: now, outcome })
    };
    [late, others].into_iter().filter_map(settlement).collect()
}

/// The outcome of an attempt to deliver what is owed since `owed_at`, at the `tries`-th attempt since then.
fn outcome(
    result: &Result<Receipt, Failure>,
    owed_at: Timestamp,
    tries: u32,
    retry: &Retry,
    now: Timestamp,
) -> Outcome {
    let failure = match result {
        Ok(Receipt(said)) => return Outcome::Delivered(said.clone()),
        Err(failure) => failure,
    };
    let (kind, why) = (failure.kind, failure.in_full());
    let failed = backoff::Failed { kind, hint: failure.retry_after, owed_at, tries };
    match backoff::next(&failed, retry, now, fastrand::f64()) {
        Next::At(due_at) => Outcome::Again { kind, why, due_at },
        Next::GiveUp if kind.is_transient() => Outcome::Dead { kind, why: given_up::with(&why, given_up::TOO_LONG) },
        Next::GiveUp => Outcome::Dead { kind, why },
    }
}

/// Logs and counts the outcomes of an attempt. That something is given up is logged by [`note_given_up`], once it is known
/// whether somebody else is told.
pub(super) fn note(sink: &str, notification: &Notification, settlements: &[Settlement], metrics: &Metrics) {
    if let Some(Settlement { outcome, .. }) = settlements.first() {
        metrics.attempt(sink, outcome);
    }
    for Settlement { notifications, at, outcome } in settlements {
        log(sink, notification, outcome, clock::between(notification.at, *at));
        let is_among = |item: &&Item| settlements.len() == 1 || notifications.contains(&item.notification);
        let itself = notification.items.is_empty().then_some(notification.kind);
        let kinds = notification.items.iter().filter(is_among).map(|part| part.kind).chain(itself);
        metrics.outcome(sink, kinds, outcome, clock::between(notification.created_at, *at));
    }
}

/// Logs that a message is given up, if it is: as a whole or, if `is_whole` is false, some of its parts. `untold` is how many
/// of these nobody else is told of.
pub(super) fn note_given_up(
    sink: &str,
    notification: &Notification,
    settlement: &Settlement,
    is_whole: bool,
    untold: usize,
) {
    let Settlement { notifications, at, outcome: Outcome::Dead { why, .. } } = settlement else { return };
    if !is_whole {
        return note_waited_too_long(sink, notifications.len(), untold, why);
    }
    let Notification { id, attempt, incident, rule, .. } = notification;
    let (instance, incident, rule) = (incident.instance.id.as_str(), incident.id, rule.as_deref().unwrap_or_default());
    let (kind, took_ms) = (notification.kind.as_str(), milliseconds(clock::between(notification.at, *at)));
    tracing::error!(name: "given-up", sink, notification = id, incident, instance, rule, attempt, kind, took_ms, untold, why, "given up");
}

/// Logs that some notifications are given up that waited too long for their sink. `untold` is how many of these nobody else
/// is told of.
pub(super) fn note_waited_too_long(sink: &str, notifications: usize, untold: usize, why: &str) {
    tracing::error!(name: "given-up", sink, notifications, untold, why, "gave up notifications that waited too long");
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn log(sink: &str, notification: &Notification, outcome: &Outcome, took: Duration) {
    let Notification { id, attempt, incident, rule, .. } = notification;
    let (instance, incident, rule) = (incident.instance.id.as_str(), incident.id, rule.as_deref().unwrap_or_default());
    let (kind, took_ms) = (notification.kind.as_str(), milliseconds(took));
    match outcome {
        Outcome::Delivered(receipt) => {
            tracing::info!(name: "delivered", sink, notification = id, incident, instance, rule, attempt, kind, took_ms, receipt, "delivered");
        }
        Outcome::Again { why, due_at, .. } => {
            tracing::warn!(name: "put-off", sink, notification = id, incident, instance, rule, attempt, kind, took_ms, why, %due_at, "not delivered; will be tried again");
        }
        Outcome::Dead { .. } => {}
    }
}
