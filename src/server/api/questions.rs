//! The requests that change nothing.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::http::{Response, StatusCode};

use super::{Local, answer, refused};
use crate::store::view::{DeliveryQuery, MOST};

/// The query for outages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IncidentQuery {
    /// Only those that are not over.
    pub open: bool,
    /// Only those of this line, given by its instance, or by the name that it had when the incident began.
    pub line: Option<String>,
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

pub(super) async fn incidents(query: IncidentQuery, local: Arc<Local>) -> Response<String> {
    let (store, limit) = (&local.reception.store, query.limit.unwrap_or(MOST));
    answer(match query.line {
        Some(line) => store.incidents_of(line, query.open, limit).await,
        None => store.incidents(query.open, limit).await,
    })
}

pub(super) async fn incident(id: i64, local: Arc<Local>) -> Response<String> {
    match local.reception.store.incident(id).await {
        Ok(None) => refused(StatusCode::NOT_FOUND, &format!("there is no incident {id}"), "see `linedown incidents`"),
        Ok(Some(mut story)) => {
            let said = local.reception.delivery.say_what_they_wait_for(&mut story.deliveries).await;
            answer(said.map(|()| story))
        }
        Err(error) => answer::<()>(Err(error)),
    }
}

pub(super) async fn deliveries(query: DeliveryQuery, local: Arc<Local>) -> Response<String> {
    match local.reception.store.deliveries(query).await {
        Ok(mut rows) => {
            let said = local.reception.delivery.say_what_they_wait_for(&mut rows).await;
            answer(said.map(|()| rows))
        }
        failed => answer(failed),
    }
}

pub(super) async fn past(query: PastQuery, local: Arc<Local>) -> Response<String> {
    answer(local.reception.store.past(query.since, query.after, MOST).await)
}

pub(super) async fn store(local: Arc<Local>) -> Response<String> {
    answer(Ok(StoreAnswer::at(&local.store_path)))
}
