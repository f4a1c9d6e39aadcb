//! One attempt to deliver a message: it ends in time, and a sink that panics has failed.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use linedown_sinks::{Failure, FailureKind, Kind, Notification, Receipt, Sink};
use tokio::time::timeout;

use crate::gateway::Standing;
use crate::gateway::asking::Gateways;

/// The line's state according to its gateway, for the first message about an outage.
pub(super) async fn standing(gateways: &Gateways, notification: &Notification) -> Option<linedown_sinks::Standing> {
    let Notification { kind, incident, attempt, .. } = notification;
    let is_news = matches!(kind, Kind::Down | Kind::Worse) && incident.reason.is_outage();
    if !is_news || incident.closed_at.is_some() || *attempt > 1 {
        return None;
    }
    match gateways.standing(&incident.source, &incident.instance.id).await? {
        Standing::Up => Some(linedown_sinks::Standing { connected: true, said: None }),
        Standing::Down { error } => Some(linedown_sinks::Standing { connected: false, said: error }),
    }
}

/// Makes one attempt with a time limit. A panic in the sink counts as a failure.
pub(crate) async fn deliver(
    sink: &dyn Sink,
    notification: &Notification,
    timeout: Duration,
) -> Result<Receipt, Failure> {
    survived(within(timeout, sink.deliver(notification))).await
}

/// Turns a panic in an attempt into a failure.
pub(super) async fn survived(attempt: impl Future<Output = Result<Receipt, Failure>>) -> Result<Receipt, Failure> {
    let crashed = |_panic| Err(Failure::new(FailureKind::Busy, "the attempt crashed; this is a bug in linedown"));
    AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(crashed)
}

pub(super) async fn within(
    time: Duration,
    attempt: impl Future<Output = Result<Receipt, Failure>>,
) -> Result<Receipt, Failure> {
    timeout(time, attempt).await.unwrap_or_else(|_elapsed| {
        Err(Failure::new(FailureKind::TimedOut, format!("no answer within {} s", time.as_secs())))
    })
}
