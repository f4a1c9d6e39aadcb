//! Stands in for a sink that has left the config while notifications are still owed to it: it refuses all of them.

use async_trait::async_trait;
use linedown_sinks::{Failure, FailureKind, Notification, Receipt, Sink};

/// The stand-in for the sink with this name.
pub(super) struct Missing(pub(super) String);

#[async_trait]
impl Sink for Missing {
    async fn deliver(&self, _notification: &Notification) -> Result<Receipt, Failure> {
        let words = format!("the sink {:?} is no longer in the config; put it back and `linedown retry`", self.0);
        Err(Failure::new(FailureKind::Refused, words))
    }
}
