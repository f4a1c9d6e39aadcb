//! The page behind the link in a message: GET shows one button, so that whatever follows links in mails acknowledges
//! nothing; POST does it.

use std::net::IpAddr;
use std::sync::Arc;

use linedown_sinks::Language;
use warp::http::{Method, Response, StatusCode};

use super::hook::Hook;
use super::page::{Page, Press, Saying};
use crate::clock;
use crate::link::Purpose;
use crate::store::view::Delivery;
use crate::store::{Acknowledgement, StoreError};

/// Answers a request to `/ack/{token}`.
pub(super) async fn answer(hook: Arc<Hook>, token: String, method: Method, peer: Option<IpAddr>) -> Response<String> {
    let now = clock::now();
    let unknown = hook.routing.load().language;
    let delivery = match hook.store.linked(Purpose::Acknowledge, &token, now).await {
        Ok(Some(delivery)) => delivery,
        Ok(None) => return Page::new(unknown, StatusCode::NOT_FOUND, Saying::NoLinkToAcknowledge).answer(),
        Err(error) => return unavailable(unknown, &error),
    };
    let language = hook.routing.load().language(&delivery.sink);
    if matches!(method, Method::GET | Method::HEAD) {
        let saying = Saying::AreYouOnIt { line: line(&delivery), incident: delivery.incident };
        return Page { press: Some(Press::Acknowledge), ..Page::new(language, StatusCode::OK, saying) }.answer();
    }
    if method != Method::POST {
        return Page::wrong_method(language, "GET, HEAD, POST");
    }
    let by = if delivery.recipient.is_empty() { delivery.sink.clone() } else { delivery.recipient.clone() };
    let from = peer.map_or_else(|| "the link".to_owned(), |peer| format!("the link, opened at {peer}"));
    match hook.store.acknowledge(delivery.incident, &by, &from, now).await {
        Ok(outcome) => {
            if let Acknowledgement::Done(sinks) = &outcome {
                tracing::info!(name: "acknowledged", incident = delivery.incident, by, from, "acknowledged");
                hook.delivery.wake(sinks);
            }
            let (status, saying) = told(&outcome, line(&delivery));
            Page::new(language, status, saying).answer()
        }
        Err(error) => unavailable(language, &error),
    }
}

fn told<'s>(outcome: &'s Acknowledgement, line: &'s str) -> (StatusCode, Saying<'s>) {
    match outcome {
        Acknowledgement::Done(_) => (StatusCode::OK, Saying::Yours { line }),
        Acknowledgement::Already(by) => (StatusCode::OK, Saying::Taken { by }),
        Acknowledgement::Over => (StatusCode::OK, Saying::Over { line }),
        Acknowledgement::Unknown => (StatusCode::NOT_FOUND, Saying::Forgotten),
    }
}

fn line(delivery: &Delivery) -> &str {
    delivery.name.as_deref().unwrap_or(&delivery.instance)
}

fn unavailable(language: Language, error: &StoreError) -> Response<String> {
    let page = Page::new(language, StatusCode::SERVICE_UNAVAILABLE, Saying::NotNow);
    Page { detail: Some(error.to_string()), ..page }.answer()
}
