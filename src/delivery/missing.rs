//! Stands in for a sink that has left the config while notifications are still owed to it: it refuses all of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use linedown_sinks::{Failure, FailureKind, Limits, Notification, Receipt, Sink};

use super::Assignment;
use crate::rule::Retry;

/// The stand-in for the sink with this name.
struct Missing(String);

#[async_trait]
impl Sink for Missing {
    async fn deliver(&self, _notification: &Notification) -> Result<Receipt, Failure> {
        let words = format!("the sink {:?} is no longer in the config; put it back and `linedown retry`", self.0);
        Err(Failure::new(FailureKind::Refused, words))
    }
}

/// What the worker of a sink that has left the config works with.
pub(super) fn missing(name: String) -> Assignment {
    let patience = Duration::from_hours(1);
    let retry = Retry { first: Duration::from_secs(2), max: patience, give_up_after: patience };
    Assignment { sink: Arc::new(Missing(name)), limits: Limits::default(), retry, stands_in: true }
}
