//! Decides whether webhooks can be accepted.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use crate::certificate::Served;
use crate::clock;
use crate::delivery::Delivery;
use crate::store::{Store, StoreError};

/// How long the result of testing the store is reused.
const FRESH: Duration = Duration::from_secs(1);
/// How long a webhook that could not be stored counts, if no other webhook comes after it.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How long a test of the store may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why webhooks cannot be accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotReady {
    /// A part of the daemon has stopped. Only a restart helps.
    #[error("{0}; restart linedown")]
    Stuck(String),
    /// The store refuses to write. A restart would not help.
    #[error("cannot write to the store: {0}")]
    Store(String),
    /// TLS has no valid certificate.
    #[error("{0}")]
    Certificate(String),
}

/// Keeps track of whether webhooks can be accepted.
pub struct Readiness {
    store: Arc<dyn Store>,
    delivery: Arc<Delivery>,
    certificate: Option<Arc<Served>>,
    /// When the store was last tested. The lock is held during a test, so that others wait for its result.
    tried_at: tokio::sync::Mutex<Option<Instant>>,
    /// The result of that test, and since when it has not passed.
    amiss: ArcSwapOption<(Timestamp, NotReady)>,
    /// Kept until the store accepts a webhook. On a full disk the test may pass although a webhook does not fit.
    refused: ArcSwapOption<Refusal>,
}

/// The store refuses webhooks.
struct Refusal {
    since: Timestamp,
    last_at: Instant,
    /// Why it did last.
    why: String,
}

impl Refusal {
    fn counts(&self) -> bool {
        self.last_at.elapsed() < REMEMBERED
    }
}

impl Readiness {
    /// Nothing is known yet.
    pub(crate) fn new(store: Arc<dyn Store>, delivery: Arc<Delivery>, certificate: Option<Arc<Served>>) -> Self {
        Self {
            store,
            delivery,
            certificate,
            tried_at: tokio::sync::Mutex::default(),
            amiss: ArcSwapOption::empty(),
            refused: ArcSwapOption::empty(),
        }
    }

    /// Why webhooks cannot be accepted, if they cannot: a worker has stopped, the store does not write, or TLS lacks a
    /// valid certificate.
    pub async fn not_ready(&self) -> Option<NotReady> {
        if let Some(sink) = self.delivery.stuck() {
            return Some(NotReady::Stuck(format!("the worker of the sink {sink} has stopped")));
        }
        let trouble = || self.certificate.as_ref()?.trouble(clock::now());
        self.store_amiss().await.or_else(|| trouble().map(NotReady::Certificate))
    }

    /// Tests the store, at most once per [`FRESH`] and one test at a time for all who ask: asking often can neither
    /// keep the disk busy nor fill the store's queue while the disk hangs.
    async fn store_amiss(&self) -> Option<NotReady> {
        let mut tried_at = self.tried_at.lock().await;
        if tried_at.is_none_or(|at| at.elapsed() >= FRESH) {
            let amiss = self.try_store().await;
            let since = self.amiss.load().as_ref().map_or_else(clock::now, |last| last.0);
            self.amiss.store(amiss.map(|amiss| Arc::new((since, amiss))));
            *tried_at = Some(Instant::now());
        }
        self.last_amiss().map(|(_, amiss)| amiss)
    }

    async fn try_store(&self) -> Option<NotReady> {
        match timeout(PATIENCE, self.store.writable()).await {
            Ok(Ok(())) => None,
            Ok(Err(StoreError::Closed)) => Some(NotReady::Stuck("the store has stopped".to_owned())),
            Ok(Err(error)) => Some(NotReady::Store(error.to_string())),
            Err(_) => Some(NotReady::Stuck(format!("the store has not answered for {} s", PATIENCE.as_secs()))),
        }
    }

    /// Why the store did not write when it was last tested or used, if it did not.
    pub(crate) fn cannot_write(&self) -> Option<String> {
        self.last_amiss().map(|(_, amiss)| amiss.to_string())
    }

    /// Since when the store has not written, if it did not when it was last tested or used.
    pub(crate) fn not_writing_since(&self) -> Option<Timestamp> {
        self.last_amiss().map(|(since, _)| since)
    }

    /// Notes that a webhook could not be stored.
    pub(crate) fn refused(&self, error: &StoreError) {
        if matches!(error, StoreError::Full | StoreError::Failed(_)) {
            let before = self.refused.load_full().filter(|before| before.counts());
            let since = before.map_or_else(clock::now, |before| before.since);
            let refusal = Refusal { since, last_at: Instant::now(), why: error.to_string() };
            self.refused.store(Some(Arc::new(refusal)));
        }
    }

    /// Notes that a webhook was stored.
    pub(crate) fn took(&self) {
        if self.refused.load().is_some() {
            self.refused.store(None);
        }
    }

    /// Why the store did not write when it was last tested or used, if it did not; and since when.
    fn last_amiss(&self) -> Option<(Timestamp, NotReady)> {
        let amiss = self.amiss.load().as_deref().cloned();
        let refused = self.refused.load_full().filter(|refused| refused.counts());
        let refused = refused.map(|refused| (refused.since, NotReady::Store(refused.why.clone())));
        match (amiss, refused) {
            (Some((since, why)), Some((earlier, _))) => Some((since.min(earlier), why)),
            (amiss, refused) => amiss.or(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use futures_util::FutureExt;
    use linedown_sinks::Reason;

    use super::*;
    use crate::clock::from_millis;
    use crate::rule::Routing;
    use crate::source::{Event, EventKind};
    use crate::store::Sqlite;

    #[tokio::test(start_paused = true)]
    async fn a_webhook_that_could_not_be_stored_counts_until_one_is() {
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        let delivery = Delivery::new(Arc::clone(&store), Arc::default(), Arc::default(), Arc::default());
        let readiness = Readiness::new(store, Arc::new(delivery), None);
        readiness.refused(&StoreError::Busy);
        assert_eq!(readiness.cannot_write(), None, "there is only much to do");
        readiness.refused(&StoreError::Full);
        let since = readiness.not_writing_since();
        readiness.refused(&StoreError::Full);
        assert!(since.is_some() && readiness.not_writing_since() == since, "from the first refusal on");
        assert!(readiness.cannot_write().is_some_and(|why| why.contains("no space left")));
        readiness.took();
        assert_eq!(readiness.cannot_write(), None);
        readiness.refused(&StoreError::Full);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(readiness.cannot_write(), None, "nobody knows");
    }

    #[tokio::test]
    async fn whoever_asks_often_while_the_disk_hangs_keeps_no_webhook_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(&path).unwrap());
        let routing = Arc::new(ArcSwap::from_pointee(Routing::default()));
        let delivery = Delivery::new(Arc::clone(&store), routing, Arc::default(), Arc::default());
        let readiness = Readiness::new(Arc::clone(&store), Arc::new(delivery), None);
        let disk = rusqlite::Connection::open(&path).unwrap();
        disk.execute_batch("BEGIN IMMEDIATE").unwrap();
        // More requests than the store's queue holds.
        let mut asking: Vec<_> = (0..5000).map(|_| Box::pin(readiness.not_ready())).collect();
        assert!(asking.iter_mut().all(|asked| asked.as_mut().now_or_never().is_none()));

        let event = Event::found(("z-api", "A"), EventKind::Disconnected, Reason::Other, None, from_millis(0));
        let mut webhook = store.accept(event, "{}".into(), Arc::default());
        let refused = webhook.as_mut().now_or_never();
        assert!(refused.is_none(), "{refused:?}");
        disk.execute_batch("ROLLBACK").unwrap();
        webhook.await.unwrap();
        for asked in asking {
            assert!(asked.await.is_none());
        }
    }
}
