//! Sends one real test message, marked as such, through one sink.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Failure, FailureKind, Incident, Instance, Kind, Notification, Reason, Settings};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::delivery::deliver;
use crate::rule::Routing;

/// The source of a test that is about no line, or about one that may be of any source.
const NO_SOURCE: &str = "test";

/// The time for all test messages, however long the sink may take otherwise: a person waits for them.
const PATIENCE: Duration = Duration::from_mins(2);

/// Said of a recipient for whom no time is left.
const NOT_TRIED: &str = "not tried: the recipients before took two minutes";

/// What became of a test message to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its recipient; empty where the sink itself is the address.
    pub recipient: String,
    /// Whether the far side took it.
    pub delivered: bool,
    /// What the far side said, or what went wrong.
    pub said: String,
    /// What sort of failure it was, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
    /// What a person can do about it, if the sink knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Outcome {
    fn failed(recipient: String, failure: &Failure) -> Self {
        let (said, kind) = (failure.described(), failure.kind);
        Self { recipient, delivered: false, said, failure: Some(kind), advice: failure.advice.map(str::to_owned) }
    }
}

/// The line of a test: one of the inventory, with its source if that is known. None if the inventory has no such line.
pub fn line(routing: &Routing, id: &str) -> Option<Incident> {
    let entry = routing.inventory.iter().find(|entry| entry.id == id)?;
    let source = entry.source.unwrap_or(NO_SOURCE);
    Some(Incident::of(source, routing.instance(source, id, None), Reason::Other, Timestamp::UNIX_EPOCH))
}

/// Sends a test message to every recipient of the sink, and returns what became of each. Without a `line` ([`line()`]), the
/// test is about none, so recipients that come from a line's labels are left out.
pub async fn send(settings: &dyn Settings, line: Option<Incident>, now: Timestamp) -> Vec<Outcome> {
    let incident = Incident { opened_at: now, ..line.unwrap_or_else(|| no_line(now)) };
    let sink = match settings.build() {
        Ok(sink) => sink,
        Err(error) => {
            let said = error.to_string();
            let (recipient, failure) = (String::new(), Some(FailureKind::Refused));
            return vec![Outcome { recipient, delivered: false, said, failure, advice: None }];
        }
    };
    let mut outcomes = Vec::new();
    let until = Instant::now() + PATIENCE;
    for (number, recipient) in settings.recipients(&incident).into_iter().enumerate() {
        // A store's name of its own, so that no receiver that drops copies takes one test for another.
        let store = format!("test.{}.{number}", now.as_millisecond());
        let notification = Notification {
            store,
            recipient: recipient.clone(),
            ..Notification::about(incident.clone(), Kind::Test, now)
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            outcomes.push(Outcome::failed(recipient, &Failure::new(FailureKind::TimedOut, NOT_TRIED)));
            continue;
        }
        outcomes.push(match deliver(sink.as_ref(), &notification, settings.limits().timeout.min(left)).await {
            Ok(receipt) => Outcome { recipient, delivered: true, said: receipt.0, failure: None, advice: None },
            Err(failure) => Outcome::failed(recipient, &failure),
        });
    }
    outcomes
}

fn no_line(now: Timestamp) -> Incident {
    Incident::of(NO_SOURCE, Instance::of("test"), Reason::Other, now)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use linedown_sinks::{BuildError, Limits, Receipt, Sink};

    use super::*;

    /// Somebody else's sink: it panics for one recipient and never answers the other.
    struct Odd;

    #[async_trait::async_trait]
    impl Sink for Odd {
        async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
            assert_eq!(notification.recipient, "ana", "not for her");
            std::future::pending().await
        }
    }

    impl Settings for Odd {
        fn recipients(&self, _incident: &Incident) -> Vec<String> {
            ["bia", "ana", "ana", "ana", "ana", "ana"].map(str::to_owned).to_vec()
        }

        fn preview(&self, _notification: &Notification) -> String {
            String::new()
        }

        fn limits(&self) -> Limits {
            Limits { timeout: Duration::from_secs(30), ..Limits::default() }
        }

        fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
            Ok(Arc::new(Self))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_crashes_or_hangs_has_an_outcome_too() {
        let outcomes = send(&Odd, None, crate::clock::from_millis(0)).await;
        let said: Vec<_> = outcomes.iter().map(|outcome| (outcome.recipient.as_str(), outcome.said.as_str())).collect();
        assert!(said[0].0 == "bia" && said[0].1.contains("crashed"), "{said:?}");
        assert!(said[1].0 == "ana" && said[1].1.contains("no answer within 30 s"), "{said:?}");
        let last = said[5].1;
        assert!(said[4].1.contains("no answer within 30 s") && last.contains("not tried"), "{said:?}");
        assert!(outcomes.iter().all(|outcome| !outcome.delivered));
    }
}
