//! What is amiss and is no outage, as far as it has been told: incidents that linedown itself begins and ends, each told
//! once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::Reason;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock;
use crate::server::hook::Hook;
use crate::source::{Event, EventKind};
use crate::store::StoreError;

/// How long to leave a store alone that failed.
const STORE_REST: Duration = Duration::from_secs(5);

/// Leaves a store alone for a while that failed. Answers false if the daemon stops meanwhile.
pub(super) async fn rest(stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => false,
        () = sleep(STORE_REST) => true,
    }
}

/// The incidents of one source by one reason.
pub(crate) struct Notices {
    hook: Arc<Hook>,
    source: String,
    reason: Reason,
}

impl Notices {
    pub(crate) fn new(hook: &Arc<Hook>, source: &str, reason: Reason) -> Self {
        Self { hook: Arc::clone(hook), source: source.to_owned(), reason }
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// Of whom it was told and is not over.
    pub(crate) async fn told(&self) -> Result<BTreeSet<String>, StoreError> {
        self.hook.store.open_lines(&self.source, self.reason, None).await
    }

    /// Tells that something is amiss.
    pub(crate) async fn begin(&self, instance: &str, why: Option<&str>) -> Result<(), StoreError> {
        self.tell(instance, EventKind::Disconnected, why).await
    }

    /// Tells that it is right again.
    pub(crate) async fn end(&self, instance: &str) -> Result<(), StoreError> {
        self.tell(instance, EventKind::Connected, None).await
    }

    /// Ends what was told of some that nobody looks after any more: nobody could say later that it is right again.
    pub(crate) async fn leave(&self, of: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        for instance in self.told().await?.iter().filter(|instance| of(instance)) {
            self.tell(instance, EventKind::Unwatched, None).await?;
        }
        Ok(())
    }

    /// Ends all that was told. A store that fails is asked again until it does it: nobody else would end it. Answers
    /// false if the daemon stops meanwhile.
    pub(crate) async fn leave_all(&self, stop: &mut watch::Receiver<bool>) -> bool {
        while let Err(error) = self.leave(|_| true).await {
            let reason = self.reason.as_str();
            tracing::warn!(source = self.source, reason, error = %error, "cannot close the incidents about the gateway; trying again");
            if !rest(stop).await {
                return false;
            }
        }
        true
    }

    async fn tell(&self, instance: &str, kind: EventKind, why: Option<&str>) -> Result<(), StoreError> {
        let times = (clock::now(), clock::now());
        let event = Event::found((&self.source, instance), kind, self.reason, why, times);
        self.hook.found(event).await.map(drop)
    }
}

/// Ends what was told of sources that nobody looks after any more, as of one that was taken out of the config while no
/// daemon ran.
pub(crate) async fn leave_all_but(hook: &Arc<Hook>, looked_after: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    for source in hook.store.noticed().await?.iter().filter(|source| !looked_after(source)) {
        for reason in Reason::ALL.into_iter().filter(|reason| !reason.is_outage()) {
            Notices::new(hook, source, reason).leave(|_| true).await?;
        }
    }
    Ok(())
}
