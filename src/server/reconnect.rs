//! The page behind the link "connect this line again". It shows the live QR code and renews it before it expires, as
//! often as the gateway allows, and then a button. Nothing is stored, and without a valid link there is no page.

use std::sync::Arc;

use base64::Engine;
use linedown_sinks::{Incident, Language};
use warp::http::{Method, Response, StatusCode};

use super::hook::Hook;
use super::over;
use super::page::{Page, Press, Saying};
use crate::clock;
use crate::gateway::asking::Gateways;
use crate::gateway::{QrCode, Standing};
use crate::link::Purpose;
use crate::reception::Reception;
use crate::store::StoreError;

/// How long a code is shown, in seconds. It lives for 20.
const RENEWED: u64 = 15;
/// How many codes are shown before the reader must ask for more, as Z-API demands.
const CODES: u64 = 3;

/// Answers a request to `/reconnect/{token}`. `code` is the number of the requested code, from 1; none for the first
/// visit.
pub(super) async fn answer(hook: Arc<Hook>, token: String, method: Method, code: Option<u64>) -> Response<String> {
    let unknown = hook.reception.routing.load().language;
    if !matches!(method, Method::GET | Method::HEAD) {
        return Page::wrong_method(unknown, "GET, HEAD");
    }
    let (incident, language) = match look_up(&hook.reception, &token).await {
        Ok(Some(found)) => found,
        Ok(None) => return Page::new(unknown, StatusCode::NOT_FOUND, Saying::NoLinkToReconnect).answer(),
        Err(error) => return Page::unavailable(unknown, &error),
    };
    let line = incident.instance.title();
    let page = |status, saying| Page::new(language, status, saying);
    if incident.closed_at.is_some() {
        return match over::saying(&hook.reception, &incident, line).await {
            Ok(saying) => page(StatusCode::OK, saying).answer(),
            Err(error) => Page::unavailable(language, &error),
        };
    }
    // Programs that only follow links, such as mail filters, are shown no code.
    let Some(code) = code.filter(|code| *code > 0 && method == Method::GET) else {
        return Page { press: Some(Press::ShowCode), ..page(StatusCode::OK, Saying::Prepare { line }) }.answer();
    };
    let gateways = hook.gateways.load_full();
    if !gateways.can_ask(&incident.source, &incident.instance.id) {
        return page(StatusCode::NOT_FOUND, Saying::NoToken { line }).answer();
    }
    show(&gateways, &incident, language, code).await
}

/// Shows the code with this number, from 1; after the last one a button for more.
async fn show(gateways: &Gateways, incident: &Incident, language: Language, code: u64) -> Response<String> {
    let (source, instance, line) = (&incident.source, &incident.instance.id, incident.instance.title());
    let page = |status, saying| Page::new(language, status, saying);
    if code > CODES {
        // Somebody may have read the last code just before it expired.
        let saying = match gateways.standing_for_page(source, instance).await {
            Some(Standing::Up) => return page(StatusCode::OK, Saying::Connected { line }).answer(),
            Some(Standing::Down { .. }) => Saying::RanOut { line, of: CODES },
            None => Saying::RanOutUnsure { line, of: CODES },
        };
        return Page { press: Some(Press::ShowCode), ..page(StatusCode::OK, saying) }.answer();
    }
    match gateways.qr_code(source, instance).await {
        Some((Ok(QrCode::Connected), _)) => page(StatusCode::OK, Saying::Connected { line }).answer(),
        Some((Ok(QrCode::Png(image)), age)) => {
            let image = base64::engine::general_purpose::STANDARD.encode(image);
            let next = Some((RENEWED.saturating_sub(age.as_secs()), format!("?code={}", code + 1)));
            let page = page(StatusCode::OK, Saying::Code { line, number: code, of: CODES });
            Page { image: Some(&image), next, ..page }.answer()
        }
        Some((Err(failure), _)) => {
            tracing::warn!(source, instance, %failure, "no QR code for the page");
            let page = page(StatusCode::BAD_GATEWAY, Saying::NoCode { line });
            Page { detail: Some(failure.to_string()), press: Some(Press::ShowCode), ..page }.answer()
        }
        None => page(StatusCode::NOT_FOUND, Saying::NoToken { line }).answer(),
    }
}

/// The incident that a link is about, and the language of the message that it was in.
async fn look_up(reception: &Reception, token: &str) -> Result<Option<(Incident, Language)>, StoreError> {
    let Some(delivery) = reception.store.linked(Purpose::Reconnect, token, clock::now()).await? else {
        return Ok(None);
    };
    let language = reception.routing.load().language(&delivery.sink);
    Ok(reception.store.outage(delivery.incident).await?.map(|incident| (incident, language)))
}
