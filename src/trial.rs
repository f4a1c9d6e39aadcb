//! One real, marked test message through one sink.

use jiff::Timestamp;
use linedown_sinks::{Failure, FailureKind, Incident, Instance, Kind, Notification, Reason, Settings};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

/// What became of a test message to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whom it was for; empty where the sink itself is the address.
    pub recipient: String,
    /// Whether the far side took it.
    pub delivered: bool,
    /// What the far side said, or what went wrong.
    pub said: String,
    /// What sort of failure it was, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
}

impl Outcome {
    fn failed(recipient: String, kind: FailureKind, said: String) -> Self {
        Self { recipient, delivered: false, said, failure: Some(kind) }
    }
}

/// Sends a test message to every recipient of the sink. The test is about no line, so recipients that come from
/// a line's labels are left out.
pub async fn send(settings: &dyn Settings, now: Timestamp) -> Vec<Outcome> {
    let sink = match settings.build() {
        Ok(sink) => sink,
        Err(error) => {
            return vec![Outcome::failed(String::new(), FailureKind::Refused, error.to_string())];
        }
    };
    let mut outcomes = Vec::new();
    for recipient in settings.recipients(&incident(now)) {
        let within = settings.limits().timeout;
        let notification = notification(recipient.clone(), now);
        let result = timeout(within, sink.deliver(&notification)).await.unwrap_or_else(|_| {
            Err(Failure::new(FailureKind::TimedOut, format!("no answer within {} s", within.as_secs())))
        });
        outcomes.push(match result {
            Ok(receipt) => Outcome { recipient, delivered: true, said: receipt.0, failure: None },
            Err(failure) => Outcome::failed(recipient, failure.kind, failure.to_string()),
        });
    }
    outcomes
}

fn notification(recipient: String, now: Timestamp) -> Notification {
    // Each test is a message of its own for whoever sorts out copies.
    let store = format!("test.{}", now.as_millisecond());
    Notification { store, recipient, ..Notification::about(incident(now), Kind::Test, now) }
}

fn incident(now: Timestamp) -> Incident {
    let instance =
        Instance { id: "test".to_owned(), name: None, phone: None, labels: std::collections::BTreeMap::new() };
    Incident::of("test", instance, Reason::Other, now)
}
