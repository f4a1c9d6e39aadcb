//! The page behind the link in a message: GET shows one button, so that whatever follows links in mails acknowledges
//! nothing; POST does it.

use std::net::IpAddr;
use std::sync::Arc;

use warp::http::{Method, Response, StatusCode};

use super::hook::Hook;
use super::page::Page;
use crate::clock;
use crate::link::Purpose;
use crate::store::view::Delivery;
use crate::store::{Acknowledgement, StoreError};

/// Answers a request to `/ack/{token}`.
pub(super) async fn answer(hook: Arc<Hook>, token: String, method: Method, peer: Option<IpAddr>) -> Response<String> {
    let now = clock::now();
    let delivery = match hook.store.linked(Purpose::Acknowledge, &token, now).await {
        Ok(Some(delivery)) => delivery,
        Ok(None) => {
            let words = "This link is not good, or not any more. Take the incident with linedown ack.";
            return page(StatusCode::NOT_FOUND, "No such link", words, false);
        }
        Err(error) => return unavailable(&error),
    };
    if matches!(method, Method::GET | Method::HEAD) {
        let words = format!(
            "{} is down: incident {}. Shall reminders and escalation stop because you are on it?",
            title(&delivery),
            delivery.incident
        );
        return page(StatusCode::OK, "Are you on it?", &words, true);
    }
    if method != Method::POST {
        return page(
            StatusCode::METHOD_NOT_ALLOWED,
            "Not so",
            "Open the link in a browser and press the button.",
            false,
        );
    }
    let by = if delivery.recipient.is_empty() { delivery.sink.clone() } else { delivery.recipient.clone() };
    let from = peer.map_or_else(|| "the link".to_owned(), |peer| format!("the link, opened at {peer}"));
    match hook.store.acknowledge(delivery.incident, &by, &from, now).await {
        Ok(outcome) => {
            if let Acknowledgement::Done(sinks) = &outcome {
                tracing::info!(name: "acknowledged", incident = delivery.incident, by, from, "acknowledged");
                hook.delivery.wake(sinks);
            }
            told(&outcome, &delivery)
        }
        Err(error) => unavailable(&error),
    }
}

fn told(outcome: &Acknowledgement, delivery: &Delivery) -> Response<String> {
    let title = title(delivery);
    match outcome {
        Acknowledgement::Done(_) => page(
            StatusCode::OK,
            "It is yours",
            &format!("{title}: reminders and escalation stop; the others are told."),
            false,
        ),
        Acknowledgement::Already(by) => page(StatusCode::OK, "Taken already", &format!("{by} is on it."), false),
        Acknowledgement::Over => {
            page(StatusCode::OK, "It is over", &format!("{title} is back; there is nothing to do."), false)
        }
        Acknowledgement::Unknown => {
            page(StatusCode::NOT_FOUND, "Forgotten", "There is no such incident any more.", false)
        }
    }
}

fn title(delivery: &Delivery) -> &str {
    delivery.name.as_deref().unwrap_or(&delivery.instance)
}

fn unavailable(error: &StoreError) -> Response<String> {
    let words = format!("It could not be noted: {error}. Try again in a moment.");
    page(StatusCode::SERVICE_UNAVAILABLE, "Not just now", &words, false)
}

fn page(status: StatusCode, heading: &str, words: &str, button: bool) -> Response<String> {
    let below = if button { "<form method=\"post\"><button>I am on it</button></form>" } else { "" };
    Page { status, heading, words, below, next: None }.answer()
}
