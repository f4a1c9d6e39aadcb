//! The webhook: who sent it, what it says, and 200 once that is on disk.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use warp::http::header::{ALLOW, RETRY_AFTER};
use warp::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::body::{self, BodyError};
use super::guard::Guard;
use super::proxy;
use super::readiness::Readiness;
use crate::certificate::Served;
use crate::clock;
use crate::delivery::{Delivery, SharedRouting};
use crate::gateway::counter::SharedCounter;
use crate::metrics::Metrics;
use crate::rule::Routing;
use crate::source::{self, Event, EventKind, SourceKind, Unusable};
use crate::store::{self, Accepted, Store, StoreError};
use crate::trouble;

/// Longest instance in an address, in bytes.
const INSTANCE: usize = 256;

/// What a webhook goes through.
pub struct Hook {
    /// Swapped on reload.
    pub settings: arc_swap::ArcSwap<HookSettings>,
    /// Swapped on reload.
    pub routing: Arc<SharedRouting>,
    /// Where it is kept.
    pub store: Arc<dyn Store>,
    /// Who is told that something is due.
    pub delivery: Arc<Delivery>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whom to ask about lines. Swapped on reload.
    pub gateways: Arc<SharedCounter>,
    /// What webhooks are served with, where TLS is ours to terminate.
    pub certificate: Option<Arc<Served>>,
    /// Whether webhooks can be accepted.
    pub readiness: Readiness,
    /// Who guesses secrets.
    guard: Mutex<Guard>,
}

/// What the config says of webhooks.
#[derive(Default)]
pub struct HookSettings {
    /// By name.
    pub sources: BTreeMap<String, HookSource>,
    /// Largest body, as sent and inflated, in bytes.
    pub max_body: usize,
    /// The proxies whose word for where a request came from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether they give it by the PROXY protocol, at the beginning of each connection.
    pub proxy_protocol: bool,
}

/// A source that may send webhooks.
pub struct HookSource {
    kind: &'static SourceKind,
    digest: [u8; 32],
}

impl HookSource {
    /// A source of a kind, with the secret in its webhooks' address.
    pub fn new(kind: &'static SourceKind, secret: &SecretString) -> Self {
        Self { kind, digest: Sha256::digest(secret.expose_secret()).into() }
    }
}

/// A request without its body.
pub struct Request {
    /// The path after `/hooks/`.
    pub address: String,
    /// How it was sent.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Who is at the other end of its connection.
    pub peer: Option<IpAddr>,
}

/// An answer and what it counts as.
type Answer = (Response<String>, &'static str);

impl Hook {
    /// The way in.
    pub fn new(
        settings: HookSettings,
        routing: Arc<SharedRouting>,
        store: Arc<dyn Store>,
        delivery: Arc<Delivery>,
        metrics: Arc<Metrics>,
        gateways: Arc<SharedCounter>,
        certificate: Option<Arc<Served>>,
    ) -> Self {
        let settings = arc_swap::ArcSwap::from_pointee(settings);
        let readiness = Readiness::new(Arc::clone(&store), Arc::clone(&delivery), certificate.clone());
        Self { settings, routing, store, delivery, metrics, gateways, certificate, readiness, guard: Mutex::default() }
    }

    /// Who sent a request, as far as the proxies that are trusted say.
    pub(super) fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        proxy::sender(peer, headers, &self.settings.load().trusted_proxies)
    }

    /// Whether who connects from there says first whom it speaks for.
    pub(super) fn is_announced(&self, peer: IpAddr) -> bool {
        let settings = self.settings.load();
        settings.proxy_protocol && proxy::is_ours(peer, &settings.trusted_proxies)
    }

    /// Answers one request to `/hooks/…`.
    pub async fn answer<S, B>(&self, request: Request, body: S) -> Response<String>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let settings = self.settings.load_full();
        let Some((name, source, instance)) = find(&settings, &request.address) else {
            let peer = request.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            return self.wrong_address(proxy::sender(peer, &request.headers, &settings.trusted_proxies));
        };
        let taken = self.take(name, source, instance.as_deref(), &request, body, settings.max_body).await;
        let (response, result) = match taken {
            Ok(answer) => answer,
            Err(refused) => refused.answer(name),
        };
        self.metrics.webhook(name, result);
        response
    }

    async fn take<S, B>(
        &self,
        name: &str,
        source: &HookSource,
        instance: Option<&str>,
        request: &Request,
        body: S,
        max_body: usize,
    ) -> Result<Answer, Refused>
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        if !matches!(request.method, Method::POST | Method::PUT) {
            return Err(Refused::Method);
        }
        let body = body::read(&request.headers, body, max_body).await.map_err(Refused::Body)?;
        let Some(event) = source::read(source.kind, name, instance, &body, clock::now()).map_err(Refused::Unusable)?
        else {
            return Ok((accepted(None, false), "foreign"));
        };
        let payload = String::from_utf8_lossy(&body).into_owned();
        let line = event.instance.clone();
        let accepted_as = self.store.accept(event, payload, self.routing.load_full()).await.map_err(Refused::Store)?;
        self.delivery.wake_for(&accepted_as.sinks);
        self.note(name, &line, &accepted_as);
        let result = if accepted_as.duplicate { "duplicate" } else { "accepted" };
        Ok((accepted(Some(accepted_as.event), accepted_as.duplicate), result))
    }

    /// Takes what was found by asking a gateway, on the way that webhooks go.
    pub(crate) async fn found(&self, event: Event) -> Result<Accepted, StoreError> {
        let (source, instance, reason) = (event.source.clone(), event.instance.clone(), event.reason.as_str());
        let accepted = self.accept_found(event, self.routing.load_full()).await?;
        if accepted.event > 0 {
            let Accepted { event, incident, change, owed, .. } = &accepted;
            tracing::info!(name: "found", source, instance, event, incident, change, owed, reason, "found by asking the gateway; no webhook came");
            self.note_unrouted(&source, &instance, &accepted);
        }
        Ok(accepted)
    }

    /// Takes what is amiss with linedown itself, or over, on the same way.
    pub(crate) async fn found_of_itself(&self, event: Event, routing: Arc<Routing>) -> Result<(), StoreError> {
        let (instance, reason, why) = (event.instance.clone(), event.reason.as_str(), event.error.clone());
        let begins = event.kind == EventKind::Disconnected;
        let accepted = self.accept_found(event, routing).await?;
        let Accepted { event, incident, owed, unrouted, .. } = &accepted;
        match (begins, *event > 0) {
            (_, false) => {}
            (true, _) => {
                tracing::warn!(name: "own-trouble", reason, instance, incident, owed, why, "a trouble of linedown's own");
            }
            (false, _) => {
                tracing::info!(name: "own-trouble-over", reason, instance, incident, owed, "a trouble of linedown's own is over");
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

    /// The same answer for a wrong source and a wrong secret: a guesser learns nothing.
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

/// The source whose secret the address holds, and the instance if it names one. Every source's secret is
/// compared, in constant time, whatever the name says.
fn find<'s>(settings: &'s HookSettings, address: &'s str) -> Option<(&'s str, &'s HookSource, Option<String>)> {
    let mut parts = address.trim_end_matches('/').split('/');
    let (name, secret) = (decode(parts.next()?)?, decode(parts.next()?)?);
    let instance = match parts.next() {
        Some(part) if part.len() <= INSTANCE => Some(decode(part)?),
        Some(_) => return None,
        None => None,
    };
    if parts.next().is_some() {
        return None;
    }
    let guess: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let mut found = None;
    for (source_name, source) in &settings.sources {
        let same_name = Choice::from(u8::from(*source_name == name));
        if bool::from(same_name & source.digest.ct_eq(&guess)) {
            found = Some((source_name.as_str(), source));
        }
    }
    found.map(|(name, source)| (name, source, instance))
}

fn decode(part: &str) -> Option<String> {
    percent_encoding::percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Why a webhook with the right secret is not accepted.
enum Refused {
    Method,
    Body(BodyError),
    Unusable(Unusable),
    Store(StoreError),
}

impl Refused {
    fn answer(&self, source: &str) -> Answer {
        let (status, words, result) = match self {
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent with POST or PUT".to_owned(), "wrong-method")
            }
            Self::Body(error) => (body_status(error), error.to_string(), "bad-body"),
            Self::Unusable(error @ Unusable::NoType) => {
                (StatusCode::UNPROCESSABLE_ENTITY, error.to_string(), "no-type")
            }
            Self::Unusable(error) => (StatusCode::BAD_REQUEST, error.to_string(), "not-json"),
            Self::Store(error) => {
                let words = format!("cannot store the webhook now: {error}; send it again");
                (StatusCode::SERVICE_UNAVAILABLE, words, "cannot-store")
            }
        };
        tracing::warn!(name: "webhook-refused", source, status = status.as_u16(), why = words, "webhook refused");
        let response = refusal(status, &words);
        let response = match self {
            Self::Method => with_header(response, ALLOW, HeaderValue::from_static("POST, PUT")),
            Self::Store(_) => with_retry_after(response, store::RETRY_AFTER),
            _ => response,
        };
        (response, result)
    }
}

fn body_status(error: &BodyError) -> StatusCode {
    match error {
        BodyError::NotJson | BodyError::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        BodyError::Transfer => StatusCode::NOT_IMPLEMENTED,
        BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken => StatusCode::BAD_REQUEST,
    }
}

fn accepted(event: Option<i64>, duplicate: bool) -> Response<String> {
    // What is none of ours is not kept, so it has no number.
    let id = event.map_or_else(|| "dropped".to_owned(), |event| event.to_string());
    super::json(StatusCode::OK, &json!({ "id": id, "duplicate": duplicate }))
}

fn refusal(status: StatusCode, words: &str) -> Response<String> {
    super::json(status, &json!({ "error": words }))
}

fn with_retry_after(response: Response<String>, wait: Duration) -> Response<String> {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let value = HeaderValue::from_str(&format!("{seconds:.0}")).unwrap_or(HeaderValue::from_static("60"));
    with_header(response, RETRY_AFTER, value)
}

fn with_header(mut response: Response<String>, name: warp::http::HeaderName, value: HeaderValue) -> Response<String> {
    response.headers_mut().insert(name, value);
    response
}
