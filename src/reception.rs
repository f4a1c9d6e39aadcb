//! Takes in events, both those of webhooks and those that linedown finds by itself: stores them, wakes whoever tells of
//! them, counts and logs.

use std::sync::Arc;

use serde_json::json;

use crate::certificate::Served;
use crate::delivery::{Delivery, SharedRouting};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::rule::Routing;
use crate::source::{Event, EventKind};
use crate::store::{Accepted, Store, StoreError};
use crate::trouble;

/// Everything that an event passes.
pub struct Reception {
    /// Swapped on reload.
    pub routing: Arc<SharedRouting>,
    /// Stores the events.
    pub store: Arc<dyn Store>,
    /// Its workers are woken when something is due.
    pub delivery: Arc<Delivery>,
    /// Counts webhooks by result.
    pub metrics: Arc<Metrics>,
    /// The certificate, if linedown itself speaks TLS.
    pub certificate: Option<Arc<Served>>,
    /// Whether webhooks can be accepted.
    pub readiness: Readiness,
}

impl Reception {
    /// Assembles the parts.
    pub fn new(
        routing: Arc<SharedRouting>,
        store: Arc<dyn Store>,
        delivery: Arc<Delivery>,
        metrics: Arc<Metrics>,
        certificate: Option<Arc<Served>>,
    ) -> Self {
        let readiness = Readiness::new(Arc::clone(&store), Arc::clone(&delivery), certificate.clone());
        Self { routing, store, delivery, metrics, certificate, readiness }
    }

    /// Stores the event of a webhook.
    pub(crate) async fn webhook(&self, event: Event, payload: String) -> Result<Accepted, StoreError> {
        let (source, instance) = (event.source.clone(), event.instance.clone());
        let accepted = self.store.accept(event, payload, self.routing.load_full()).await;
        match &accepted {
            Ok(_) => self.readiness.took(),
            Err(error) => self.readiness.refused(error),
        }
        let accepted = accepted?;
        self.delivery.wake_for(&accepted.sinks);
        let Accepted { event, incident, change, owed, .. } = &accepted;
        tracing::info!(name: "webhook-accepted", source, instance, event, incident, change, owed, "webhook accepted");
        self.note_unrouted(&source, &instance, &accepted);
        Ok(accepted)
    }

    /// Stores an event that was found by asking a gateway, in the same way as a webhook.
    pub(crate) async fn found(&self, event: Event) -> Result<Accepted, StoreError> {
        let (source, instance) = (event.source.clone(), event.instance.clone());
        let (kind, reason) = (event.kind, event.reason.as_str());
        let accepted = self.accept_found(event, self.routing.load_full()).await?;
        if accepted.event > 0 {
            let Accepted { event, incident, change, owed, .. } = &accepted;
            if kind == EventKind::Unwatched {
                tracing::info!(source, instance, event, incident, change, owed, reason, "no longer watched");
            } else {
                tracing::info!(name: "found", source, instance, event, incident, change, owed, reason, "found by asking the gateway; no webhook came");
            }
            self.note_unrouted(&source, &instance, &accepted);
        }
        Ok(accepted)
    }

    /// Stores the beginning or the end of a trouble of linedown's own, in the same way as a webhook.
    pub(crate) async fn found_of_itself(&self, event: Event, routing: Arc<Routing>) -> Result<(), StoreError> {
        let (instance, reason, why) = (event.instance.clone(), event.reason.as_str(), event.error.clone());
        let kind = event.kind;
        let accepted = self.accept_found(event, routing).await?;
        let Accepted { event, incident, owed, unrouted, .. } = &accepted;
        match kind {
            _ if *event == 0 => {}
            EventKind::Disconnected => {
                tracing::warn!(name: "own-trouble", reason, instance, incident, owed, why, "a trouble of linedown's own");
            }
            EventKind::Connected => {
                tracing::info!(name: "own-trouble-over", reason, instance, incident, owed, "a trouble of linedown's own is over");
            }
            EventKind::Unwatched => {
                tracing::info!(reason, instance, incident, owed, "a trouble of linedown's own is no longer watched");
            }
        }
        if *unrouted {
            self.metrics.unrouted();
            tracing::error!(name: "unrouted", source = trouble::SOURCE, instance, incident, "nobody is told of this trouble: no rule matches it, or there is no other sink");
        }
        Ok(())
    }

    async fn accept_found(&self, event: Event, routing: Arc<Routing>) -> Result<Accepted, StoreError> {
        let (kind, reason) = (event.kind.as_str(), event.reason.as_str());
        let payload = json!({ "found": kind, "reason": reason, "error": event.error }).to_string();
        let accepted = self.store.accept(event, payload, routing).await?;
        self.delivery.wake_for(&accepted.sinks);
        Ok(accepted)
    }

    fn note_unrouted(&self, source: &str, instance: &str, accepted: &Accepted) {
        if let Accepted { unrouted: true, incident, .. } = accepted {
            self.metrics.unrouted();
            tracing::warn!(
                name: "unrouted",
                source,
                instance,
                incident,
                "no rule matches this incident, so nobody is told; add a rule without `match` at the end"
            );
        }
    }
}
