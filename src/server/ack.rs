//! The page behind the acknowledge link in a message. GET shows a button, so that programs which follow links in mails
//! acknowledge nothing; POST acknowledges. Both say so if there is nothing left to acknowledge.

use std::net::IpAddr;
use std::sync::Arc;

use linedown_sinks::{Incident, Language};
use warp::http::{Method, Response, StatusCode};

use super::over;
use super::page::{Page, Press, Saying};
use crate::clock;
use crate::link::Purpose;
use crate::reception::Reception;
use crate::store::view::Delivery;
use crate::store::{Acknowledgement, StoreError};

/// Answers a request to `/ack/{token}`.
pub(super) async fn answer(
    reception: Arc<Reception>,
    token: String,
    method: Method,
    peer: Option<IpAddr>,
) -> Response<String> {
    let now = clock::now();
    let unknown = reception.routing.load().language;
    let delivery = match reception.store.linked(Purpose::Acknowledge, &token, now).await {
        Ok(Some(delivery)) => delivery,
        Ok(None) => return Page::new(unknown, StatusCode::NOT_FOUND, Saying::NoLinkToAcknowledge).answer(),
        Err(error) => return Page::unavailable(unknown, &error),
    };
    let language = reception.routing.load().language(&delivery.sink);
    let line = match reception.store.outage(delivery.incident).await {
        Ok(Some(incident)) => linedown_sinks::name_of(&incident, language),
        Ok(None) => return Page::new(language, StatusCode::NOT_FOUND, Saying::Forgotten).answer(),
        Err(error) => return Page::unavailable(language, &error),
    };
    if matches!(method, Method::GET | Method::HEAD) {
        return ask(&reception, &delivery, &line, language)
            .await
            .unwrap_or_else(|error| Page::unavailable(language, &error));
    }
    if method != Method::POST {
        return Page::wrong_method(language, "GET, HEAD, POST");
    }
    let by = if delivery.recipient.is_empty() { delivery.sink.clone() } else { delivery.recipient.clone() };
    let from = peer.map_or_else(|| "the link".to_owned(), |peer| format!("the link, opened at {peer}"));
    match reception.store.acknowledge(delivery.incident, &by, &from, now).await {
        Ok(outcome) => {
            if let Acknowledgement::Done(sinks) = &outcome {
                tracing::info!(name: "acknowledged", incident = delivery.incident, by, from, "acknowledged");
                reception.delivery.wake(sinks);
            }
            match told(&reception, &outcome, delivery.incident, &line).await {
                Ok((status, saying)) => Page::new(language, status, saying).answer(),
                Err(error) => Page::unavailable(language, &error),
            }
        }
        Err(error) => Page::unavailable(language, &error),
    }
}

/// Asks whether the reader is on it. If that cannot be acknowledged any more, says what pressing the button would say.
async fn ask(
    reception: &Reception,
    delivery: &Delivery,
    line: &str,
    language: Language,
) -> Result<Response<String>, StoreError> {
    let outcome = match reception.store.outage(delivery.incident).await? {
        None => Acknowledgement::Unknown,
        Some(incident) if incident.closed_at.is_some() => Acknowledgement::Over,
        Some(Incident { acknowledged: Some(taken), .. }) => Acknowledgement::Already(taken.by),
        Some(_) => {
            let saying = Saying::AreYouOnIt { line, incident: delivery.incident };
            let page = Page::new(language, StatusCode::OK, saying);
            return Ok(Page { press: Some(Press::Acknowledge), ..page }.answer());
        }
    };
    let (status, saying) = told(reception, &outcome, delivery.incident, line).await?;
    Ok(Page::new(language, status, saying).answer())
}

async fn told<'s>(
    reception: &Reception,
    outcome: &'s Acknowledgement,
    incident: i64,
    line: &'s str,
) -> Result<(StatusCode, Saying<'s>), StoreError> {
    Ok(match outcome {
        Acknowledgement::Done(_) => (StatusCode::OK, Saying::Yours { line }),
        Acknowledgement::Already(by) => (StatusCode::OK, Saying::Taken { by }),
        Acknowledgement::Over => match reception.store.outage(incident).await? {
            Some(incident) => (StatusCode::OK, over::saying(reception, &incident, line).await?),
            None => (StatusCode::NOT_FOUND, Saying::Forgotten),
        },
        Acknowledgement::Unknown => (StatusCode::NOT_FOUND, Saying::Forgotten),
    })
}
