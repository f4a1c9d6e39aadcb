//! The local API on a Unix socket, through which the commands ask a running daemon.

mod ack;
mod retry;
mod silences;
mod socket;
mod trial;

use std::convert::Infallible;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use serde_json::json;
use warp::body::BodyDeserializeError;
use warp::http::{HeaderValue, Response, StatusCode};
use warp::reject::{InvalidQuery, LengthRequired, MethodNotAllowed, PayloadTooLarge};
use warp::{Filter, Rejection, Reply};

use super::hook::Hook;
use crate::delivery::{Delivery, SharedRouting};
use crate::store::view::{DeliveryQuery, MOST};
use crate::store::{Store, StoreError};

pub use ack::{AckAnswer, AckRequest};
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
    /// Knows whether the store can be written to.
    pub hook: Arc<Hook>,
    /// Answers questions, and is changed by requests.
    pub store: Arc<dyn Store>,
    /// Its workers are woken when something becomes due.
    pub delivery: Arc<Delivery>,
    /// Has the sinks that `send-test` tries.
    pub routing: Arc<SharedRouting>,
    /// The store's file.
    pub store_path: PathBuf,
    /// Whether the last reload failed, so that `routing` is that of the former config.
    pub reload_failed: Arc<AtomicBool>,
}

/// The query for outages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IncidentQuery {
    /// Only those that are not over.
    pub open: bool,
    /// At most this many.
    pub limit: Option<usize>,
}

/// The query for stored webhooks, for a replay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PastQuery {
    /// Received at this time or later.
    pub since: jiff::Timestamp,
    /// With a number higher than this.
    pub after: i64,
}

/// Which file the daemon has its store in, so that a command can tell whether it is the daemon of its config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreAnswer {
    /// The number of its device.
    pub device: u64,
    /// Its number on that device.
    pub inode: u64,
}

impl StoreAnswer {
    /// Which file is at this path; none if there is none, or if this process may not look.
    pub fn at(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

/// All requests of the local API.
pub fn routes(local: Arc<Local>) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    let hook = Arc::clone(&local.hook);
    let with = warp::any().map(move || Arc::clone(&local));
    let incidents =
        warp::path!("incidents").and(warp::get()).and(warp::query::<IncidentQuery>()).and(with.clone()).then(
            |query: IncidentQuery, local: Arc<Local>| async move {
                let found = local.store.incidents(query.open, query.limit.unwrap_or(MOST)).await;
                answer(found)
            },
        );
    let incident = warp::path!("incidents" / i64).and(warp::get()).and(with.clone()).then(
        |id: i64, local: Arc<Local>| async move {
            match local.store.incident(id).await {
                Ok(None) => {
                    refused(StatusCode::NOT_FOUND, &format!("there is no incident {id}"), "see `linedown incidents`")
                }
                found => answer(found.map(|mut story| {
                    let rows = story.iter_mut().flat_map(|story| &mut story.deliveries);
                    local.delivery.say_what_they_wait_for(rows);
                    story
                })),
            }
        },
    );
    let deliveries =
        warp::path!("deliveries").and(warp::get()).and(warp::query::<DeliveryQuery>()).and(with.clone()).then(
            |query: DeliveryQuery, local: Arc<Local>| async move {
                answer(local.store.deliveries(query).await.map(|mut rows| {
                    local.delivery.say_what_they_wait_for(&mut rows);
                    rows
                }))
            },
        );
    let past =
        warp::path!("past").and(warp::get()).and(warp::query::<PastQuery>()).and(with.clone()).then(
            |query: PastQuery, local: Arc<Local>| async move {
                answer(local.store.past(query.since, query.after, MOST).await)
            },
        );
    let body = warp::body::content_length_limit(LARGEST);
    let retry =
        warp::path!("retry").and(warp::post()).and(body).and(warp::body::json()).and(with.clone()).then(retry::retry);
    let ack =
        warp::path!("ack").and(warp::post()).and(body).and(warp::body::json()).and(with.clone()).then(ack::acknowledge);
    let silences = warp::path!("silences").and(warp::get()).and(warp::query::<SilenceQuery>()).and(with.clone()).then(
        |query: SilenceQuery, local: Arc<Local>| async move { answer(local.store.silences(query.ended_after).await) },
    );
    let silence = warp::path!("silences")
        .and(warp::post())
        .and(body)
        .and(warp::body::json())
        .and(with.clone())
        .then(silences::add);
    let expire = warp::path!("silences" / i64 / "expire").and(warp::post()).and(with.clone()).then(silences::end);
    let trial = warp::path!("send-test")
        .and(warp::post())
        .and(body)
        .and(warp::body::json())
        .and(with.clone())
        .then(trial::send_test);
    let store = warp::path!("store")
        .and(warp::get())
        .and(with.clone())
        .then(|local: Arc<Local>| async move { answer(Ok(StoreAnswer::at(&local.store_path))) });
    let silences = silences.or(silence).unify().or(expire).unify();
    let asked = incidents.or(incident).unify().or(store).unify().or(deliveries).unify().or(past).unify();
    let all = asked.or(retry).unify().or(ack).unify().or(silences).unify().or(trial).unify();
    all.recover(not_understood).unify().map(move |response| with_warning(response, &hook))
}

/// The answer, with a header that warns if the store cannot be written to: what it says may then be incomplete.
fn with_warning(mut response: Response<String>, hook: &Hook) -> Response<String> {
    let since = hook.readiness.not_writing_since().and_then(|since| HeaderValue::try_from(since.to_string()).ok());
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
