//! Accepts webhooks: finds the source, reads the payload, and answers 200 once the event is on disk.

mod address;
mod answer;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Buf;
use futures_util::Stream;
use ipnet::IpNet;
use serde_json::json;
use warp::http::{HeaderMap, Method, Response, StatusCode};

use self::address::Addressee;
use self::answer::{Answer, Refused, accepted, refusal, with_retry_after};
use super::body;
use super::guard::Guard;
use super::proxy;
use super::readiness::Readiness;
use crate::certificate::Served;
use crate::clock;
use crate::delivery::{Delivery, SharedRouting};
use crate::gateway::asking::SharedGateways;
use crate::metrics::Metrics;
use crate::rule::Routing;
use crate::source::{self, Event, EventKind};
use crate::store::{Accepted, Store, StoreError};
use crate::trouble;

pub use self::address::HookSource;

/// Everything that the handling of webhooks needs.
pub struct Hook {
    /// Swapped on reload.
    pub settings: arc_swap::ArcSwap<HookSettings>,
    /// Swapped on reload.
    pub routing: Arc<SharedRouting>,
    /// Stores the events.
    pub store: Arc<dyn Store>,
    /// Its workers are woken when something is due.
    pub delivery: Arc<Delivery>,
    /// Counts webhooks by result.
    pub metrics: Arc<Metrics>,
    /// The clients of the gateways' APIs. Swapped on reload.
    pub gateways: Arc<SharedGateways>,
    /// The certificate, if linedown itself speaks TLS.
    pub certificate: Option<Arc<Served>>,
    /// Whether webhooks can be accepted.
    pub readiness: Readiness,
    /// Limits clients that guess secrets.
    guard: Mutex<Guard>,
}

/// The part of the config that is about webhooks.
#[derive(Default)]
pub struct HookSettings {
    /// The sources, by name.
    pub sources: BTreeMap<String, HookSource>,
    /// Most bytes of a body, as sent and after decompression.
    pub max_body: usize,
    /// The proxies that are trusted to say where a request came from.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether they say so by the PROXY protocol at the beginning of each connection.
    pub proxy_protocol: bool,
    /// The networks that metrics, and the reason of not being ready, are for; none for everyone.
    pub metrics_for: Option<Vec<IpNet>>,
}

/// A request without its body.
pub struct Request {
    /// The path after `/hooks/`.
    pub address: String,
    /// Its method.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// The address at the other end of the connection.
    pub peer: Option<IpAddr>,
}

impl Hook {
    /// Assembles the parts.
    pub fn new(
        settings: HookSettings,
        routing: Arc<SharedRouting>,
        store: Arc<dyn Store>,
        delivery: Arc<Delivery>,
        metrics: Arc<Metrics>,
        gateways: Arc<SharedGateways>,
        certificate: Option<Arc<Served>>,
    ) -> Self {
        let settings = arc_swap::ArcSwap::from_pointee(settings);
        let readiness = Readiness::new(Arc::clone(&store), Arc::clone(&delivery), certificate.clone());
        Self { settings, routing, store, delivery, metrics, gateways, certificate, readiness, guard: Mutex::default() }
    }

    /// The address that a request came from, according to the trusted proxies.
    pub(super) fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        proxy::sender(peer, headers, &self.settings.load().trusted_proxies)
    }

    /// Whether metrics, and the reason of not being ready, are for the sender of a request.
    pub(super) fn may_look(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let settings = self.settings.load();
        let sender = peer.map(|peer| proxy::sender(peer, headers, &settings.trusted_proxies));
        let is_among = |networks: &Vec<IpNet>| sender.is_some_and(|sender| proxy::is_among(sender, networks));
        settings.metrics_for.as_ref().is_none_or(is_among)
    }

    /// Whether connections from this address begin with a PROXY header.
    pub(super) fn is_announced(&self, peer: IpAddr) -> bool {
        let settings = self.settings.load();
        settings.proxy_protocol && proxy::is_among(peer, &settings.trusted_proxies)
    }

    /// Answers one request to `/hooks/…`.
    pub async fn answer<S, B>(&self, request: Request, body: S) -> Response<String>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let settings = self.settings.load_full();
        let Some(addressee) = address::find(&settings.sources, &request.address) else {
            let peer = request.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            return self.wrong_address(proxy::sender(peer, &request.headers, &settings.trusted_proxies));
        };
        let (response, result) = match self.take(&addressee, &request, body, settings.max_body).await {
            Ok(answer) => answer,
            Err(refused) => refused.answer(addressee.name),
        };
        self.metrics.webhook(addressee.name, result);
        response
    }

    async fn take<S, B>(
        &self,
        addressee: &Addressee<'_>,
        request: &Request,
        body: S,
        max_body: usize,
    ) -> Result<Answer, Refused>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let Addressee { name, source, instance, goes_on } = addressee;
        if *goes_on {
            return Err(Refused::Address);
        }
        if !matches!(request.method, Method::POST | Method::PUT) {
            return Err(Refused::Method);
        }
        let body = body::read(&request.headers, body, max_body).await.map_err(Refused::Body)?;
        let Some(event) =
            source::read(source.kind, name, instance.as_deref(), &body, clock::now()).map_err(Refused::Unusable)?
        else {
            return Ok((accepted(None, false), "foreign"));
        };
        let payload = String::from_utf8_lossy(&body).into_owned();
        let line = event.instance.clone();
        if line == source::UNKNOWN {
            tracing::warn!(
                source = name,
                "a webhook names neither instance nor phone, so linedown cannot tell such lines apart; append the instance to the address registered at the gateway"
            );
        }
        let accepted_as = self.store.accept(event, payload, self.routing.load_full()).await;
        match &accepted_as {
            Ok(_) => self.readiness.took(),
            Err(error) => self.readiness.refused(error),
        }
        let accepted_as = accepted_as.map_err(Refused::Store)?;
        self.delivery.wake_for(&accepted_as.sinks);
        self.note(name, &line, &accepted_as);
        let result = if accepted_as.duplicate { "duplicate" } else { "accepted" };
        Ok((accepted(Some(accepted_as.event), accepted_as.duplicate), result))
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

    fn note(&self, source: &str, instance: &str, accepted: &Accepted) {
        let Accepted { event, incident, change, owed, .. } = accepted;
        tracing::info!(name: "webhook-accepted", source, instance, event, incident, change, owed, "webhook accepted");
        self.note_unrouted(source, instance, accepted);
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

    /// The answer is the same for a wrong source and for a wrong secret, so that a guesser learns nothing.
    fn wrong_address(&self, peer: IpAddr) -> Response<String> {
        let wait = self.guard.lock().unwrap_or_else(PoisonError::into_inner).wrong(peer, clock::now());
        let (response, result) = match wait {
            None => {
                tracing::warn!(name: "wrong-address", %peer, "a webhook came with a wrong source or secret; compare the address registered at the gateway with the config");
                (
                    refusal(StatusCode::NOT_FOUND, "no such webhook address; check the source and the secret in it"),
                    "wrong-address",
                )
            }
            Some(wait) => {
                let words = "too many wrong webhook addresses from here; wait, then check the source and the secret";
                (with_retry_after(refusal(StatusCode::TOO_MANY_REQUESTS, words), wait), "too-many-wrong")
            }
        };
        self.metrics.webhook("", result);
        response
    }
}
