//! The local API on a Unix socket, through which the commands ask a running daemon.

mod retry;

use std::convert::Infallible;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use linedown_sinks::Problem;
use serde::{Deserialize, Serialize};
use serde_json::json;
use warp::body::BodyDeserializeError;
use warp::http::{HeaderValue, Response, StatusCode};
use warp::reject::{InvalidQuery, LengthRequired, MethodNotAllowed, PayloadTooLarge};
use warp::{Filter, Rejection, Reply};

use super::hook::Hook;
use crate::clock;
use crate::config::{Config, Whereabouts};
use crate::delivery::{Delivery, SharedRouting};
use crate::rule::matcher::Matcher;
use crate::store::view::{DeliveryQuery, MOST, SilenceRow};
use crate::store::{Acknowledgement, Store, StoreError};
use crate::trial;

pub use retry::{RetryAnswer, RetryRequest};

/// Most bytes of a request.
const LARGEST: u64 = 1024 * 1024;

/// The header of every answer while the store cannot be written to: since when, by RFC 3339.
pub const NOT_WRITING_SINCE: &str = "linedown-store-not-writing-since";

/// The name of the socket in the runtime directory.
const SOCKET: &str = "linedown.sock";
/// The runtime directory of the service.
const RUNTIME_DIRECTORY: &str = "/run/linedown";

/// The socket on which the daemon listens for commands: the configured one, or one in its runtime directory, or beside
/// its store.
pub fn socket(config: &Config) -> PathBuf {
    config.server.api.clone().unwrap_or_else(|| by_itself(&config.store.path))
}

/// The sockets at which a command looks for the daemon, in order.
pub fn sockets(Whereabouts { api, store, .. }: &Whereabouts) -> Vec<PathBuf> {
    if let Some(path) = api {
        return vec![path.clone()];
    }
    let mut sockets = vec![beside(store), by_itself(store), PathBuf::from(RUNTIME_DIRECTORY).join(SOCKET)];
    sockets.dedup();
    sockets
}

/// The socket of a daemon without `server.api`.
fn by_itself(store: &Path) -> PathBuf {
    match std::env::var_os("RUNTIME_DIRECTORY") {
        Some(folder) => PathBuf::from(folder).join(SOCKET),
        None => beside(store),
    }
}

fn beside(store: &Path) -> PathBuf {
    store.with_extension("sock")
}

/// The parts of the daemon that requests act on.
pub struct Local {
    /// Knows whether the store can be written to.
    pub hook: Arc<Hook>,
    /// Answers questions, and is changed by requests.
    pub store: Arc<dyn Store>,
    /// Its workers are woken when something becomes due, and hear that a test arrived.
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

/// Acknowledges an incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AckRequest {
    /// The incident's number.
    pub incident: i64,
    /// The name of the person who is on it.
    pub by: String,
}

/// The result of an [`AckRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AckAnswer {
    /// The incident's number.
    pub incident: i64,
    /// Whether the person has it now, by this request or an earlier one.
    pub acknowledged: bool,
    /// The result in words.
    pub said: String,
}

/// The query for stored webhooks, for a replay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PastQuery {
    /// Received at this time or later.
    pub since: jiff::Timestamp,
    /// With a number higher than this.
    pub after: i64,
}

/// The query for silences.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SilenceQuery {
    /// Only those that end, or ended, after this time.
    pub ended_after: jiff::Timestamp,
}

/// The silence that was created or ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SilenceAnswer {
    /// Its number.
    pub id: i64,
}

/// Which sink to try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrialRequest {
    /// Its name.
    pub sink: String,
    /// The line of the inventory that the test is about, if any.
    #[serde(default)]
    pub instance: Option<String>,
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

/// The result of a [`TrialRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrialAnswer {
    /// One for each recipient.
    pub results: Vec<trial::Outcome>,
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
        warp::path!("ack").and(warp::post()).and(body).and(warp::body::json()).and(with.clone()).then(acknowledge);
    let silences = warp::path!("silences").and(warp::get()).and(warp::query::<SilenceQuery>()).and(with.clone()).then(
        |query: SilenceQuery, local: Arc<Local>| async move { answer(local.store.silences(query.ended_after).await) },
    );
    let silence =
        warp::path!("silences").and(warp::post()).and(body).and(warp::body::json()).and(with.clone()).then(silence);
    let expire = warp::path!("silences" / i64 / "expire").and(warp::post()).and(with.clone()).then(end_silence);
    let trial =
        warp::path!("send-test").and(warp::post()).and(body).and(warp::body::json()).and(with.clone()).then(send_test);
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

async fn acknowledge(request: AckRequest, local: Arc<Local>) -> Response<String> {
    let outcome = local.store.acknowledge(request.incident, &request.by, "the command line", clock::now()).await;
    if let Ok(Acknowledgement::Done(sinks)) = &outcome {
        tracing::info!(name: "acknowledged", incident = request.incident, by = request.by, from = "command", "acknowledged");
        local.delivery.wake(sinks);
    }
    answer(outcome.map(|outcome| {
        let said = match &outcome {
            Acknowledgement::Done(_) => {
                "it is yours: reminders and escalation stop, and those who were told are informed".to_owned()
            }
            Acknowledgement::Already(by) if *by == request.by => "it is yours already".to_owned(),
            Acknowledgement::Already(by) => format!("{by} has taken it already"),
            Acknowledgement::Over => "it is over".to_owned(),
            Acknowledgement::Unknown => "there is no such incident".to_owned(),
        };
        let acknowledged = match outcome {
            Acknowledgement::Done(_) => true,
            Acknowledgement::Already(by) => by == request.by,
            Acknowledgement::Over | Acknowledgement::Unknown => false,
        };
        AckAnswer { incident: request.incident, acknowledged, said }
    }))
}

async fn silence(silence: SilenceRow, local: Arc<Local>) -> Response<String> {
    if let Err(Problem { path, what, .. }) = Matcher::whole(&silence.matcher) {
        let words = format!("the running daemon does not understand what to silence: {path}: {what}");
        let hint = "if linedown was upgraded, the daemon is the old one: systemctl restart linedown";
        return refused(StatusCode::BAD_REQUEST, &words, hint);
    }
    answer(local.store.add_silence(silence).await.map(|id| SilenceAnswer { id }))
}

async fn end_silence(id: i64, local: Arc<Local>) -> Response<String> {
    match local.store.end_silence(id, clock::now()).await {
        Ok(None) => {
            let words = format!("there is no silence {id} in force or to come");
            refused(StatusCode::NOT_FOUND, &words, "see `linedown silence list`")
        }
        Ok(Some(sinks)) => {
            local.delivery.wake(&sinks);
            answer(Ok(SilenceAnswer { id }))
        }
        Err(error) => answer::<SilenceAnswer>(Err(error)),
    }
}

async fn send_test(TrialRequest { sink, instance }: TrialRequest, local: Arc<Local>) -> Response<String> {
    let routing = local.routing.load_full();
    let Some(target) = routing.sinks.get(&sink) else {
        return unknown_to(&local, &format!("sink {sink:?}"));
    };
    let line = match instance.map(|id| (trial::line(&routing, &id), id)) {
        Some((None, id)) => return unknown_to(&local, &format!("instance {id:?}")),
        Some((line, _)) => line,
        None => None,
    };
    let results = trial::send(target.settings.as_ref(), line, clock::now()).await;
    for trial::Outcome { recipient, .. } in results.iter().filter(|outcome| outcome.delivered) {
        local.delivery.reached(&sink, recipient);
    }
    answer(Ok(TrialAnswer { results }))
}

/// The answer for something that a command found in the config and this daemon does not know.
fn unknown_to(local: &Local, what: &str) -> Response<String> {
    let hint = if local.reload_failed.load(Ordering::Relaxed) {
        "its last reload failed, so the former config is in force; the log says why: journalctl -u linedown -n 50"
    } else {
        "reload it if you have just added it: systemctl reload linedown"
    };
    refused(StatusCode::NOT_FOUND, &format!("the running daemon has no {what}"), hint)
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
