//! `GET /metrics`: counters, and gauges that are set when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::clock;
use crate::reception::Reception;

/// How long gauges are reused. More frequent requests cost the store nothing.
const FRESH: Duration = Duration::from_secs(5);
/// How long the store may take. After that, the answer has the former values.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sets the gauges and renders all metrics.
pub(super) struct Scrape {
    reception: Arc<Reception>,
    looked_at: Mutex<Option<Instant>>,
}

impl Scrape {
    pub(super) fn new(reception: Arc<Reception>) -> Self {
        Self { reception, looked_at: Mutex::default() }
    }

    /// All metrics, in the `OpenMetrics` text format.
    pub(super) async fn open_metrics(&self) -> String {
        let mut looked_at = self.looked_at.lock().await;
        if looked_at.is_none_or(|at| at.elapsed() >= FRESH) {
            // After a timeout, too, the store is left alone for [`FRESH`].
            let _ = timeout(PATIENCE, self.look()).await;
            *looked_at = Some(Instant::now());
        }
        self.reception.metrics.open_metrics()
    }

    async fn look(&self) {
        let Reception { metrics, store, routing, delivery, certificate, .. } = &*self.reception;
        let sinks = routing.load().sinks.keys().cloned().collect();
        metrics.failing(&sinks, &delivery.failing().into_iter().map(|failing| failing.sink).collect());
        metrics.certificate(certificate.as_ref().and_then(|served| served.expires()));
        if let Ok(room) = store.room().await {
            metrics.room(room);
        }
        let now = clock::now();
        if let Ok(figures) = store.figures(now).await {
            metrics.counted(&figures, &sinks, now);
        }
    }
}
