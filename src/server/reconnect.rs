//! The page behind the link "connect this line again": the live QR code, renewed as it dies, for as long as the gateway
//! wants it asked for; then a button. Nothing is stored, and without a good link there is no page.

use std::sync::Arc;

use base64::Engine;
use warp::http::{Method, Response, StatusCode};

use super::hook::Hook;
use super::page::Page;
use crate::clock;
use crate::gateway::QrCode;
use crate::link::Purpose;

/// How old a code becomes on the page, in seconds: it lives for 20.
const RENEWED: u64 = 15;
/// How many codes are shown without somebody asking for more; Z-API wants it so.
const CODES: u64 = 3;

/// Answers a request to `/reconnect/{token}`, with the number of the code that is asked for, from 1.
pub(super) async fn answer(hook: Arc<Hook>, token: String, method: Method, code: Option<u64>) -> Response<String> {
    if !matches!(method, Method::GET | Method::HEAD) {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "Not so", "Open the link in a browser.");
    }
    let incident = match hook.store.linked(Purpose::Reconnect, &token, clock::now()).await {
        Ok(Some(delivery)) => hook.store.incident(delivery.incident).await,
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let incident = match incident {
        Ok(Some(story)) => story.incident,
        Ok(None) => {
            let words = "This link is not good, or not any more. The next reminder brings a new one.";
            return refused(StatusCode::NOT_FOUND, "No such link", words);
        }
        Err(error) => {
            let words = format!("It cannot be looked up: {error}. Try again in a moment.");
            return refused(StatusCode::SERVICE_UNAVAILABLE, "Not just now", &words);
        }
    };
    let title = incident.name.as_deref().unwrap_or(&incident.instance);
    if incident.closed_at.is_some() {
        return connected(title);
    }
    // What only looks at links, as mail filters do, is shown no code.
    let Some(code) = code.filter(|code| (1..=CODES).contains(code) && method == Method::GET) else {
        return ask(title);
    };
    let gateways = hook.gateways.load_full();
    match gateways.qr_code(&incident.source, &incident.instance).await {
        Some((Ok(QrCode::Connected), _)) => connected(title),
        Some((Ok(QrCode::Png(image)), age)) => show(title, &image, code, age.as_secs()),
        Some((Err(failure), _)) => {
            tracing::warn!(source = incident.source, instance = incident.instance, %failure, "no QR code for the page");
            let words = format!("The gateway gives no code for {title}: {failure}");
            Page { status: StatusCode::BAD_GATEWAY, heading: "No code", words: &words, below: BUTTON, next: None }
                .answer()
        }
        None => {
            let words = format!("The gateway cannot be asked about {title} any more: its token is not in the config.");
            refused(StatusCode::NOT_FOUND, "No code", &words)
        }
    }
}

const BUTTON: &str = "<form><input type=\"hidden\" name=\"code\" value=\"1\"><button>Show the code</button></form>";

fn ask(title: &str) -> Response<String> {
    let words = format!(
        "Take the phone of {title} and open WhatsApp on it: Linked devices, Link a device. Then let this page show the \
         code, and read it with the phone. A code is good for some seconds only; the page renews it."
    );
    Page { heading: "Connect the line again", words: &words, below: BUTTON, ..Page::default() }.answer()
}

fn show(title: &str, image: &[u8], code: u64, age: u64) -> Response<String> {
    let words = format!("WhatsApp on the phone of {title}: Linked devices, Link a device. Code {code} of {CODES}.");
    let image = base64::engine::general_purpose::STANDARD.encode(image);
    let below = format!("<img alt=\"QR code\" src=\"data:image/png;base64,{image}\">");
    let next = if code < CODES { format!("?code={}", code + 1) } else { "?".to_owned() };
    let next = Some((RENEWED.saturating_sub(age), next.as_str()));
    Page { heading: "Read this code", words: &words, below: &below, next, ..Page::default() }.answer()
}

fn connected(title: &str) -> Response<String> {
    let words = format!("{title} is connected to WhatsApp. There is nothing more to do.");
    Page { heading: "Connected", words: &words, ..Page::default() }.answer()
}

fn refused(status: StatusCode, heading: &str, words: &str) -> Response<String> {
    Page { status, heading, words, ..Page::default() }.answer()
}
