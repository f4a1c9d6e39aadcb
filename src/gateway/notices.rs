//! Notices: incidents that are not outages, which linedown itself opens and closes, such as an expiring payment. Each
//! is told once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::Reason;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock;
use crate::reception::Reception;
use crate::source::{Event, EventKind};
use crate::store::StoreError;

/// The pause after an error of the store.
const STORE_REST: Duration = Duration::from_secs(5);

/// Pauses after an error of the store. Returns false if the daemon stops meanwhile.
pub(super) async fn rest(stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => false,
        () = sleep(STORE_REST) => true,
    }
}

/// The notices of one source with one reason.
pub(crate) struct Notices {
    reception: Arc<Reception>,
    source: String,
    reason: Reason,
}

impl Notices {
    pub(crate) fn new(reception: &Arc<Reception>, source: &str, reason: Reason) -> Self {
        Self { reception: Arc::clone(reception), source: source.to_owned(), reason }
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// The names of those with an open notice.
    pub(crate) async fn told(&self) -> Result<BTreeSet<String>, StoreError> {
        self.reception.store.open_lines(&self.source, self.reason, None).await
    }

    /// Opens a notice.
    pub(crate) async fn begin(&self, instance: &str, why: Option<&str>) -> Result<(), StoreError> {
        self.tell(instance, EventKind::Disconnected, why).await
    }

    /// Closes a notice, because all is right again.
    pub(crate) async fn end(&self, instance: &str) -> Result<(), StoreError> {
        self.tell(instance, EventKind::Connected, None).await
    }

    /// Closes the notices whose names match, because nobody looks any more and could say later that all is right again.
    pub(crate) async fn leave(&self, of: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        for instance in self.told().await?.iter().filter(|instance| of(instance)) {
            self.tell(instance, EventKind::Unwatched, None).await?;
        }
        Ok(())
    }

    /// Closes all notices, retrying for as long as the store fails, because nobody else would close them. Returns false
    /// if the daemon stops meanwhile.
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
        let event = Event::found((&self.source, instance), kind, self.reason, why, clock::now());
        self.reception.found(event).await.map(drop)
    }
}

/// Closes the notices of all sources that nobody looks after any more, such as one that left the config while no daemon
/// ran.
pub(crate) async fn leave_all_but(
    reception: &Arc<Reception>,
    looked_after: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    for source in reception.store.noticed().await?.iter().filter(|source| !looked_after(source)) {
        for reason in Reason::ALL.into_iter().filter(|reason| !reason.is_outage()) {
            Notices::new(reception, source, reason).leave(|_| true).await?;
        }
    }
    Ok(())
}
