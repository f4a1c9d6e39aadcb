//! The request to send a test message.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use warp::http::{Response, StatusCode};

use super::{Local, answer, refused};
use crate::{clock, trial};

/// Which sink to try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrialRequest {
    /// Its name.
    pub sink: String,
    /// The line of the inventory that the test is about, if any.
    #[serde(default)]
    pub instance: Option<String>,
}

/// The result of a [`TrialRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrialAnswer {
    /// One for each recipient.
    pub results: Vec<trial::Outcome>,
}

pub(super) async fn send_test(TrialRequest { sink, instance }: TrialRequest, local: Arc<Local>) -> Response<String> {
    let routing = local.reception.routing.load_full();
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
        local.reception.delivery.reached(&sink, recipient);
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
