//! The request to acknowledge an incident.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::http::Response;

use super::{Local, answer};
use crate::clock;
use crate::store::Acknowledgement;

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

pub(super) async fn acknowledge(request: AckRequest, local: Arc<Local>) -> Response<String> {
    let outcome =
        local.reception.store.acknowledge(request.incident, &request.by, "the command line", clock::now()).await;
    if let Ok(Acknowledgement::Done(sinks)) = &outcome {
        tracing::info!(name: "acknowledged", incident = request.incident, by = request.by, from = "command", "acknowledged");
        local.reception.delivery.wake(sinks);
    }
    answer(outcome.map(|outcome| {
        let (acknowledged, said) = match outcome {
            Acknowledgement::Done(_) => {
                (true, "it is yours: reminders and escalation stop, and those who were told are informed".to_owned())
            }
            Acknowledgement::Already(by) if by == request.by => (true, "it is yours already".to_owned()),
            Acknowledgement::Already(by) => (false, format!("{by} has taken it already")),
            Acknowledgement::Over => (false, "it is over".to_owned()),
            Acknowledgement::Unknown => (false, "there is no such incident".to_owned()),
        };
        AckAnswer { incident: request.incident, acknowledged, said }
    }))
}
