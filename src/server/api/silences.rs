//! The requests about silences.

use std::sync::Arc;

use linedown_sinks::Problem;
use serde::{Deserialize, Serialize};
use warp::http::{Response, StatusCode};

use super::{Local, answer, refused};
use crate::clock;
use crate::rule::matcher::Matcher;
use crate::store::view::SilenceRow;

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

pub(super) async fn list(query: SilenceQuery, local: Arc<Local>) -> Response<String> {
    answer(local.reception.store.silences(query.ended_after).await)
}

pub(super) async fn add(silence: SilenceRow, local: Arc<Local>) -> Response<String> {
    if let Err(Problem { path, what, .. }) = Matcher::whole(&silence.matcher) {
        let words = format!("the running daemon does not understand what to silence: {path}: {what}");
        let hint = "if linedown was upgraded, the daemon is the old one: systemctl restart linedown";
        return refused(StatusCode::BAD_REQUEST, &words, hint);
    }
    answer(local.reception.store.add_silence(silence).await.map(|id| SilenceAnswer { id }))
}

pub(super) async fn end(id: i64, local: Arc<Local>) -> Response<String> {
    match local.reception.store.end_silence(id, clock::now()).await {
        Ok(None) => {
            let words = format!("there is no silence {id} in force or to come");
            refused(StatusCode::NOT_FOUND, &words, "see `linedown silence list`")
        }
        Ok(Some(sinks)) => {
            local.reception.delivery.wake(&sinks);
            answer(Ok(SilenceAnswer { id }))
        }
        Err(error) => {
            // A part may have been done.
            local.reception.delivery.wake_all();
            answer::<SilenceAnswer>(Err(error))
        }
    }
}
