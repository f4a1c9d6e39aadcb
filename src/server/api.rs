//! The local API on a Unix socket, through which the commands ask a running daemon.

mod ack;
mod questions;
mod retry;
mod silences;
mod socket;
mod trial;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde_json::json;
use warp::body::BodyDeserializeError;
use warp::http::{HeaderValue, Response, StatusCode};
use warp::reject::{InvalidQuery, LengthRequired, MethodNotAllowed, PayloadTooLarge};
use warp::{Filter, Rejection, Reply};

use crate::reception::Reception;
use crate::store::StoreError;

pub use ack::{AckAnswer, AckRequest};
pub use questions::{IncidentQuery, PastQuery, StoreAnswer};
pub use retry::{RetryAnswer, RetryRequest};
pub use silences::{SilenceAnswer, SilenceQuery};
pub use socket::{socket, sockets};
pub use trial::{TrialAnswer, TrialRequest};

/// Most bytes of a request.
const LARGEST: u64 = 1024 * 1024;

/// The header of every answer while the store cannot be written to: since when, by RFC 3339.
pub const NOT_WRITING_SINCE: &str = "linedown-store-not-writing-since";

/// The parts of the daemon that requests act on.
pub struct Local {
    /// Its store answers questions and is changed by requests, its routing has the sinks that `send-test` tries.
    pub reception: Arc<Reception>,
    /// The store's file.
    pub store_path: PathBuf,
    /// Whether the last reload failed, so that the routing is that of the former config.
    pub reload_failed: Arc<AtomicBool>,
}

/// All requests of the local API.
pub fn routes(local: Arc<Local>) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    use warp::{get, path, query};
    let reception = Arc::clone(&local.reception);
    let with = warp::any().map(move || Arc::clone(&local));
    let incidents = path!("incidents").and(get()).and(query()).and(with.clone()).then(questions::incidents);
    let incident = path!("incidents" / i64).and(get()).and(with.clone()).then(questions::incident);
    let deliveries = path!("deliveries").and(get()).and(query()).and(with.clone()).then(questions::deliveries);
    let history = path!("past").and(get()).and(query()).and(with.clone()).then(questions::past);
    let store = path!("store").and(get()).and(with.clone()).then(questions::store);
    let silences = path!("silences").and(get()).and(query()).and(with.clone()).then(silences::list);

    let change = warp::post().and(warp::body::content_length_limit(LARGEST));
    let retry = path!("retry").and(change).and(warp::body::json()).and(with.clone()).then(retry::retry);
    let ack = path!("ack").and(change).and(warp::body::json()).and(with.clone()).then(ack::acknowledge);
    let silence = path!("silences").and(change).and(warp::body::json()).and(with.clone()).then(silences::add);
    let expire = path!("silences" / i64 / "expire").and(warp::post()).and(with.clone()).then(silences::end);
    let trial = path!("send-test").and(change).and(warp::body::json()).and(with.clone()).then(trial::send_test);

    let asked = incidents.or(incident).unify().or(store).unify().or(deliveries).unify().or(history).unify();
    let silences = silences.or(silence).unify().or(expire).unify();
    let all = asked.or(retry).unify().or(ack).unify().or(silences).unify().or(trial).unify();
    all.recover(not_understood).unify().map(move |response| with_warning(response, &reception))
}

/// The answer, with a header that warns if the store cannot be written to: what it says may then be incomplete.
fn with_warning(mut response: Response<String>, reception: &Reception) -> Response<String> {
    let since = reception.readiness.not_writing_since().and_then(|since| HeaderValue::try_from(since.to_string()).ok());
    if let Some(since) = since {
        response.headers_mut().insert(NOT_WRITING_SINCE, since);
    }
    response
}

/// The answer to a request that no route accepted.
async fn not_understood(why: Rejection) -> Result<Response<String>, Infallible> {
    let (status, words) = if let Some(wrong) = why.find::<BodyDeserializeError>() {
        (StatusCode::BAD_REQUEST, wrong.to_string())
    } else if let Some(wrong) = why.find::<InvalidQuery>() {
        (StatusCode::BAD_REQUEST, wrong.to_string())
    } else if let Some(wrong) = why.find::<PayloadTooLarge>() {
        (StatusCode::PAYLOAD_TOO_LARGE, wrong.to_string())
    } else if let Some(wrong) = why.find::<LengthRequired>() {
        (StatusCode::LENGTH_REQUIRED, wrong.to_string())
    } else if let Some(wrong) = why.find::<MethodNotAllowed>() {
        (StatusCode::METHOD_NOT_ALLOWED, wrong.to_string())
    } else {
        (StatusCode::NOT_FOUND, "no such request".to_owned())
    };
    Ok(super::json(status, &json!({ "error": words })))
}

fn answer<T: Serialize>(result: Result<T, StoreError>) -> Response<String> {
    let unavailable = |words: String, hint| refused(StatusCode::SERVICE_UNAVAILABLE, &words, hint);
    match result.map(serde_json::to_value) {
        Ok(Ok(body)) => super::json(StatusCode::OK, &body),
        Ok(Err(error)) => unavailable(error.to_string(), "this is a bug in linedown"),
        Err(error @ StoreError::Full) => unavailable(error.to_string(), "make room on the disk of the store (df -h)"),
        Err(error) => {
            unavailable(error.to_string(), "try again; if it still fails, see the log: journalctl -u linedown -n 50")
        }
    }
}

/// An error, with a hint on what to do.
fn refused(status: StatusCode, words: &str, hint: &str) -> Response<String> {
    super::json(status, &json!({ "error": words, "hint": hint }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_the_store_failed_is_told() {
        let failed = answer::<()>(Err(StoreError::Failed(rusqlite::Error::ExecuteReturnedResults)));
        assert!(failed.body().contains(&rusqlite::Error::ExecuteReturnedResults.to_string()), "{failed:?}");
    }
}
