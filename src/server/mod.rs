//! The HTTP server, built on warp: webhooks, health, metrics, the pages behind links, and the local API.

mod ack;
pub mod api;
mod body;
mod connections;
mod exposition;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub mod guard;
pub mod hook;
pub mod listener;
mod over;
mod page;
mod proxies;
mod proxy;
mod reconnect;
mod scrape;

use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use warp::http::header::{ALLOW, CONTENT_TYPE};
use warp::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use warp::{Filter, Rejection, Reply};

use crate::reception::Reception;
use hook::{Hook, Request};
use scrape::Scrape;

/// The address that a request came from. The listener attaches it to each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// All requests that the port for webhooks accepts. Those for which a gateway is asked are answered on the threads of
/// `askers`: what the gateway sends must not keep webhooks waiting.
pub fn routes(hook: Arc<Hook>, askers: Handle) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    let nothing = warp::any().map(|| {
        let words = "nothing here; webhooks go to /hooks/{source}/{secret}";
        json(StatusCode::NOT_FOUND, &serde_json::json!({ "error": words }))
    });
    webhooks(Arc::clone(&hook))
        .or(pages(Arc::clone(&hook), askers))
        .unify()
        .or(lookups(hook))
        .unify()
        .or(nothing)
        .unify()
}

fn webhooks(hook: Arc<Hook>) -> impl Filter<Extract = (Response<String>,), Error = Rejection> + Clone {
    warp::path("hooks")
        .and(warp::path::tail())
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Peer>())
        .and(warp::body::stream())
        .then(move |tail: warp::path::Tail, method: Method, headers: HeaderMap, peer: Option<Peer>, body| {
            let hook = Arc::clone(&hook);
            let (address, peer) = (tail.as_str().to_owned(), peer.map(|peer| peer.0));
            async move { hook.answer(Request { address, method, headers, peer }, body).await }
        })
}

/// The pages behind the links in messages.
fn pages(hook: Arc<Hook>, askers: Handle) -> impl Filter<Extract = (Response<String>,), Error = Rejection> + Clone {
    let acknowledge = {
        let hook = Arc::clone(&hook);
        warp::path("ack")
            .and(warp::path::tail())
            .and(warp::method())
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional::<Peer>())
            .then(move |tail, method, headers: HeaderMap, peer: Option<Peer>| {
                let peer = peer.map(|peer| hook.sender(peer.0, &headers));
                ack::answer(Arc::clone(&hook.reception), token(&tail), method, peer)
            })
    };
    let code = warp::query::raw().or(warp::any().map(String::new)).unify();
    let reconnect = warp::path("reconnect").and(warp::path::tail()).and(warp::method()).and(code).then(
        move |tail, method, query: String| {
            let code = query.strip_prefix("code=").and_then(|code| code.parse().ok());
            on(askers.clone(), reconnect::answer(Arc::clone(&hook), token(&tail), method, code))
        },
    );
    acknowledge.or(reconnect).unify()
}

/// Health and metrics.
fn lookups(hook: Arc<Hook>) -> impl Filter<Extract = (Response<String>,), Error = Rejection> + Clone {
    let reception = Arc::clone(&hook.reception);
    let scrape = Arc::new(Scrape::new(Arc::clone(&reception)));
    let may_look = warp::ext::optional::<Peer>()
        .and(warp::header::headers_cloned())
        .map(move |peer: Option<Peer>, headers: HeaderMap| hook.may_look(peer.map(|peer| peer.0), &headers));
    let at = |name: &'static str| warp::path(name).and(warp::path::end());
    let healthy = at("healthz").map(|| json(StatusCode::OK, &serde_json::json!({ "status": "alive" })));
    let ready = at("readyz").and(may_look.clone()).then(move |may_look| ready(Arc::clone(&reception), may_look));
    // Others find nothing there.
    let permitted = |may_look| async move { if may_look { Ok(()) } else { Err(warp::reject::not_found()) } };
    let at_metrics = at("metrics").and(may_look).and_then(permitted).untuple_one();
    let accept = warp::header::optional("accept");
    let metrics = at_metrics.clone().and(accept).then(move |accept| metrics(Arc::clone(&scrape), accept));
    let looked_at = (warp::get().or(warp::head()).unify()).and(healthy.or(ready).unify().or(metrics).unify());
    let otherwise = at("healthz").or(at("readyz")).unify().or(at_metrics).unify().map(only_looked_at);
    looked_at.or(otherwise).unify()
}

/// Does something on the threads of a runtime. It ends when this is dropped.
async fn on<T: Send + 'static>(runtime: Handle, work: impl Future<Output = T> + Send + 'static) -> T {
    let mut tasks = JoinSet::new();
    tasks.spawn_on(work, &runtime);
    match tasks.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime ends, and so does this program.
        _ => pending().await,
    }
}

/// The token of a link: all that follows. As a parameter of the path, warp would log it.
fn token(tail: &warp::path::Tail) -> String {
    tail.as_str().trim_end_matches('/').to_owned()
}

/// Answers whether webhooks can be accepted, and why not to those who may know.
async fn ready(reception: Arc<Reception>, may_look: bool) -> Response<String> {
    let error = match reception.readiness.not_ready().await {
        None => return json(StatusCode::OK, &serde_json::json!({ "status": "ready" })),
        Some(reason) if may_look => reason.to_string(),
        Some(_) => "not ready".to_owned(),
    };
    json(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({ "error": error }))
}

/// Answers with the metrics, in the format that is asked for.
async fn metrics(scrape: Arc<Scrape>, accept: Option<String>) -> Response<String> {
    let figures = scrape.open_metrics().await;
    if exposition::wants_open_metrics(accept.as_deref()) {
        typed(StatusCode::OK, exposition::OPEN_METRICS, figures)
    } else {
        typed(StatusCode::OK, exposition::PLAIN, exposition::plain(&figures))
    }
}

/// Answers requests with a method other than GET and HEAD.
fn only_looked_at() -> Response<String> {
    let body = serde_json::json!({ "error": "only GET and HEAD are allowed here" });
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, &body);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// A JSON answer.
fn json(status: StatusCode, body: &serde_json::Value) -> Response<String> {
    typed(status, "application/json", body.to_string())
}

fn typed(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
