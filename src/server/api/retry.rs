//! The request to send notifications again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::http::Response;

use super::{Local, answer};
use crate::clock;
use crate::store::view::{Later, WaitsFor};
use crate::store::{Retried, Which};

/// Which notifications to send again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryRequest {
    /// The notifications with these numbers.
    pub ids: Vec<i64>,
    /// All dead ones.
    pub dead: bool,
    /// Only dead ones of this sink.
    pub sink: Option<String>,
}

/// The result of a [`RetryRequest`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RetryAnswer {
    /// The numbers of the notifications that are sent again.
    pub notifications: BTreeSet<i64>,
    /// Those that are not, with the reason in words.
    #[serde(default)]
    pub refused: BTreeMap<i64, String>,
    /// Those of them that are withdrawn by this request, because they need not be sent any more.
    #[serde(default)]
    pub withdrawn: BTreeSet<i64>,
    /// What the notifications that are sent again wait for, by sink. A sink that fails is tried at once.
    #[serde(default)]
    pub waits_for: BTreeMap<String, WaitsFor>,
    /// What notifications wait for that are sent again, but not now, or that are held back already.
    #[serde(default)]
    pub later: BTreeMap<i64, Later>,
    /// How many more are not, because the store failed.
    #[serde(default)]
    pub left: usize,
}

pub(super) async fn retry(request: RetryRequest, local: Arc<Local>) -> Response<String> {
    let which = if request.dead { Which::Dead { sink: request.sink } } else { Which::These(request.ids) };
    let pauses = local.reception.delivery.pauses();
    let retried = local.reception.store.retry(which, clock::now(), local.reception.routing.load_full(), pauses).await;
    let retried = retried.map(|retried| {
        let waits_for = local.reception.delivery.what_a_retry_waits_for(&retried.through);
        local.reception.delivery.try_now(&retried.through);
        local.reception.delivery.wake(&retried.sinks);
        said(retried, waits_for)
    });
    answer(retried)
}

fn said(
    Retried { notifications, refused, later, left, .. }: Retried,
    waits_for: BTreeMap<String, WaitsFor>,
) -> RetryAnswer {
    let withdrawn = refused.iter().filter(|(_, why)| why.withdraws()).map(|(id, _)| *id).collect();
    let refused = refused.into_iter().map(|(id, why)| (id, why.to_string())).collect();
    RetryAnswer { notifications, refused, withdrawn, waits_for, later, left }
}
