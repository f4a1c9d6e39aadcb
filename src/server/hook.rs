//! Accepts webhooks: finds the source, reads the payload, and answers 200 once the event is on disk.

mod address;
mod answer;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use ipnet::IpNet;
use parking_lot::Mutex;
use warp::http::{HeaderMap, Method, Response, StatusCode};

use self::address::Addressee;
use self::answer::{Answer, Refused, accepted, dropped, refusal, with_retry_after};
use super::body;
use super::guard::Guard;
use super::proxy;
use crate::clock;
use crate::gateway::asking::SharedGateways;
use crate::reception::Reception;
use crate::source;
use crate::store::Accepted;

pub use self::address::HookSource;

/// Everything that the handling of webhooks needs.
pub struct Hook {
    /// Swapped on reload.
    pub settings: arc_swap::ArcSwap<HookSettings>,
    /// Takes in the events.
    pub reception: Arc<Reception>,
    /// The clients of the gateways' APIs. Swapped on reload.
    pub gateways: Arc<SharedGateways>,
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
    /// The address at the other end of the connection, or the one that a proxy names for it; none if that names nobody.
    pub peer: Option<IpAddr>,
}

impl Hook {
    /// Assembles the parts.
    pub fn new(settings: HookSettings, reception: Arc<Reception>, gateways: Arc<SharedGateways>) -> Self {
        let settings = arc_swap::ArcSwap::from_pointee(settings);
        Self { settings, reception, gateways, guard: Mutex::default() }
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
    pub async fn answer(
        &self,
        request: Request,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    ) -> Response<String> {
        let settings = self.settings.load_full();
        let Some(addressee) = address::find(&settings.sources, &request.address) else {
            let sender = |peer| proxy::sender(peer, &request.headers, &settings.trusted_proxies);
            return self.wrong_address(request.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), sender));
        };
        let Answer { response, result } = match self.take(&addressee, &request, body, settings.max_body).await {
            Ok(answer) => answer,
            Err(refused) => refused.answer(addressee.name),
        };
        self.reception.metrics.webhook(addressee.name, result);
        response
    }

    async fn take(
        &self,
        addressee: &Addressee<'_>,
        request: &Request,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
        max_body: usize,
    ) -> Result<Answer, Refused> {
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
            return Ok(dropped());
        };
        let payload = String::from_utf8_lossy(&body).into_owned();
        if event.instance == source::UNKNOWN {
            tracing::warn!(
                source = name,
                "a webhook names neither instance nor phone, so linedown cannot tell such lines apart; append the \
                 instance to the address registered at the gateway"
            );
        }
        let Accepted { event, duplicate, .. } = self.reception.webhook(event, payload).await.map_err(Refused::Store)?;
        Ok(accepted(event, duplicate))
    }

    /// The answer is the same for a wrong source and for a wrong secret, so that a guesser learns nothing.
    fn wrong_address(&self, peer: IpAddr) -> Response<String> {
        let wait = self.guard.lock().wrong(peer, clock::now());
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
        self.reception.metrics.webhook("", result);
        response
    }
}
