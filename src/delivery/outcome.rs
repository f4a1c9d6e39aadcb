//! The outcome of an attempt: what it means for the notification, and how it is logged and counted.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Failure, Notification, Receipt};

use super::backoff::{self, Next};
use crate::clock;
use crate::metrics::Metrics;
use crate::rule::Retry;
use crate::store::{Outcome, given_up};

/// The outcome of an attempt to deliver a notification owed since `owed_at`, at the `tries`-th attempt since then.
pub(super) fn outcome(
    result: &Result<Receipt, Failure>,
    (owed_at, tries): (Timestamp, u32),
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

/// Logs and counts the outcome of an attempt. That something is given up is logged by [`note_given_up`], once it is known
/// whether somebody else is told.
pub(super) fn note(sink: &str, notification: &Notification, outcome: &Outcome, metrics: &Metrics, now: Timestamp) {
    log(sink, notification, outcome, clock::between(notification.at, now));
    let itself = notification.items.is_empty().then_some(notification.kind);
    let kinds = notification.items.iter().map(|part| part.kind).chain(itself);
    metrics.outcome(sink, kinds, outcome, clock::between(notification.created_at, now));
}

/// Logs that a notification is given up, if it is. `untold` is how many of its parts nobody else is told of.
pub(super) fn note_given_up(sink: &str, notification: &Notification, outcome: &Outcome, untold: usize, now: Timestamp) {
    let Outcome::Dead { why, .. } = outcome else { return };
    let Notification { id, attempt, incident, rule, .. } = notification;
    let (instance, incident, rule) = (incident.instance.id.as_str(), incident.id, rule.as_deref().unwrap_or_default());
    let (kind, took_ms) = (notification.kind.as_str(), milliseconds(clock::between(notification.at, now)));
    tracing::error!(name: "given-up", sink, notification = id, incident, instance, rule, attempt, kind, took_ms, untold, why, "given up");
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
