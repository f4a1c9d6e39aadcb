//! What the store shows to people: rows of `incidents`, `incident` and `deliveries`, as JSON on the local API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::source;

/// Most rows a listing shows.
pub const MOST: usize = 10_000;

/// One outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// Its source.
    pub source: String,
    /// Its line.
    pub instance: String,
    /// The line's name.
    pub name: Option<String>,
    /// The line's masked phone.
    pub phone: Option<String>,
    /// The line's labels.
    pub labels: BTreeMap<String, String>,
    /// Why, by the worst report.
    pub reason: String,
    /// The gateway's words.
    pub error: Option<String>,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when; none while it goes on.
    pub closed_at: Option<Timestamp>,
    /// Who said "mine".
    pub acknowledged_by: Option<String>,
    /// From where, in words.
    pub acknowledged_from: Option<String>,
    /// When.
    pub acknowledged_at: Option<Timestamp>,
    /// How many notifications it owed, by state.
    pub notifications: Counts,
    /// Whether it was found by asking the gateway: no webhook came.
    #[serde(default)]
    pub found: bool,
    /// Of what is no outage and is closed: nobody looks after it any more, and it may be so still.
    #[serde(default)]
    pub unwatched: bool,
}

/// Notifications by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not yet.
    pub pending: u32,
    /// Told.
    pub delivered: u32,
    /// Given up.
    pub dead: u32,
    /// Not needed any more before they were due.
    pub withdrawn: u32,
}

/// One outage with everything about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentStory {
    /// The outage.
    pub incident: Incident,
    /// Its webhooks, in the order they came.
    pub events: Vec<Event>,
    /// Its notifications, in the order they became owed.
    pub deliveries: Vec<Delivery>,
}

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: i64,
    /// Up or down.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// The gateway's words.
    pub error: Option<String>,
    /// When it happened.
    pub at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// What it changed.
    pub change: String,
    /// Whether it is no webhook, but what asking the gateway found.
    #[serde(default)]
    pub found: bool,
}

/// One notification and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// Its incident.
    pub incident: i64,
    /// The line of that incident.
    pub instance: String,
    /// The line's name.
    pub name: Option<String>,
    /// The rule that owes it.
    pub rule: String,
    /// Its sink.
    pub sink: String,
    /// Whom there; empty where the sink itself is the address.
    pub recipient: String,
    /// Why it is sent.
    pub kind: String,
    /// `pending`, `delivered`, `dead` or `withdrawn`.
    pub state: String,
    /// Whether it is in a worker's hands just now.
    pub in_flight: bool,
    /// When it was written down: a reminder is before it is owed.
    pub created_at: Timestamp,
    /// When it is to be sent, or was; of what a person has sent again, since then.
    pub owed_at: Timestamp,
    /// When it is tried next, while it is pending.
    pub due_at: Option<Timestamp>,
    /// What it waits for until then.
    pub held_by: Option<String>,
    /// The first notification of the message it went out in with others.
    pub batch: Option<i64>,
    /// When it was delivered, given up or withdrawn.
    pub settled_at: Option<Timestamp>,
    /// The receipt, or the last failure.
    pub detail: Option<String>,
    /// The notification that was given up, if this one tells of that.
    pub lost: Option<i64>,
    /// The tries, in order; none where they were not looked for, as in long listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<Attempt>>,
    /// How many tries there were.
    pub tries: u32,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it is under way.
    pub ended_at: Option<Timestamp>,
    /// `delivered`, a kind of failure, or `interrupted` by the daemon's end; none while it is under way.
    pub outcome: Option<String>,
    /// What the far side said.
    pub detail: Option<String>,
}

/// Matchers and a period in which nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceRow {
    /// Its number; of a new one, anything.
    pub id: i64,
    /// What it holds back, as in a rule's `match`.
    pub matcher: serde_json::Value,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Why.
    pub comment: String,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
}

/// A webhook as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub id: i64,
    /// What it reported; the phone is its outage's.
    pub event: source::Event,
    /// The outage it belongs to.
    pub incident: Option<i64>,
    /// If it began an outage that somebody took: who and when.
    pub acknowledged: Option<(String, Timestamp)>,
}

/// Which notifications to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryQuery {
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those of this sink.
    pub sink: Option<String>,
    /// At most so many; [`MOST`] and one more at the outside.
    pub limit: Option<usize>,
}
