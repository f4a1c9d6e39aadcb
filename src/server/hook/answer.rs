//! The answers to webhooks.

use std::time::Duration;

use serde_json::json;
use warp::http::header::{ALLOW, HeaderName, RETRY_AFTER};
use warp::http::{HeaderValue, Response, StatusCode};

use super::super::body::BodyError;
use super::super::json as json_answer;
use crate::source::Unusable;
use crate::store::{self, StoreError};

/// An answer.
pub(super) struct Answer {
    pub(super) response: Response<String>,
    /// What it is counted as.
    pub(super) result: &'static str,
}

/// Why a webhook with the right secret is refused.
pub(super) enum Refused {
    /// The address has further parts after the instance.
    Address,
    Method,
    Body(BodyError),
    Unusable(Unusable),
    Store(StoreError),
}

impl Refused {
    pub(super) fn answer(&self, source: &str) -> Answer {
        let (status, words, result) = match self {
            Self::Address => {
                let words = "no such webhook address; it ends with the instance, if it names one";
                (StatusCode::NOT_FOUND, words.to_owned(), "wrong-address")
            }
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent with POST or PUT".to_owned(), "wrong-method")
            }
            Self::Body(error) => (body_status(error), error.to_string(), "bad-body"),
            Self::Unusable(error @ Unusable::NoType) => {
                (StatusCode::UNPROCESSABLE_ENTITY, error.to_string(), "no-type")
            }
            Self::Unusable(error) => {
                let words = format!("{error}; send the gateway's webhook body as it is");
                (StatusCode::BAD_REQUEST, words, "not-json")
            }
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
        Answer { response, result }
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

/// The answer to a webhook that is stored.
pub(super) fn accepted(event: i64, duplicate: bool) -> Answer {
    let response = json_answer(StatusCode::OK, &json!({ "id": event.to_string(), "duplicate": duplicate }));
    Answer { response, result: if duplicate { "duplicate" } else { "accepted" } }
}

/// The answer to a webhook of a foreign type, which is not stored and has no number.
pub(super) fn dropped() -> Answer {
    let response = json_answer(StatusCode::OK, &json!({ "id": "dropped", "duplicate": false }));
    Answer { response, result: "foreign" }
}

pub(super) fn refusal(status: StatusCode, words: &str) -> Response<String> {
    json_answer(status, &json!({ "error": words }))
}

/// Adds `Retry-After` in whole seconds, rounded up, at least 1.
pub(super) fn with_retry_after(response: Response<String>, wait: Duration) -> Response<String> {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let value = HeaderValue::from_str(&format!("{seconds:.0}")).unwrap_or(HeaderValue::from_static("60"));
    with_header(response, RETRY_AFTER, value)
}

fn with_header(mut response: Response<String>, name: HeaderName, value: HeaderValue) -> Response<String> {
    response.headers_mut().insert(name, value);
    response
}
