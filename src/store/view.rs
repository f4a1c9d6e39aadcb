//! What the store shows to people: the rows of `linedown incidents`, `incident` and `deliveries`, as JSON on the local
//! API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use linedown_sinks::{Acknowledged, Reason};
use serde::{Deserialize, Serialize};

use crate::source::{self, EventKind};

/// Most rows a listing shows.
pub const MOST: usize = 10_000;

/// One incident.
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
    /// The worst reason reported.
    pub reason: Reason,
    /// The gateway's own words.
    pub error: Option<String>,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when; none while it goes on.
    pub closed_at: Option<Timestamp>,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// Where they did so, in words.
    pub acknowledged_from: Option<String>,
    /// When they did so.
    pub acknowledged_at: Option<Timestamp>,
    /// How many notifications it has, by state.
    pub notifications: Counts,
    /// Whether it was found by asking the gateway: no webhook came.
    #[serde(default)]
    pub found: bool,
    /// Whether a closed incident that is no outage was closed because linedown stopped watching it: it may still be
    /// true.
    #[serde(default)]
    pub unwatched: bool,
}

/// Notifications by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not sent yet.
    pub pending: u32,
    /// Delivered.
    pub delivered: u32,
    /// Given up.
    pub dead: u32,
    /// No longer needed.
    pub withdrawn: u32,
}

/// One incident with everything about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentStory {
    /// The incident.
    pub incident: Incident,
    /// Its webhooks, in the order they came.
    pub events: Vec<Event>,
    /// Its notifications, in the order they became owed.
    pub deliveries: Vec<Delivery>,
}

/// One webhook, or what asking the gateway found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: i64,
    /// Up or down.
    pub kind: EventKind,
    /// The reason it reported.
    pub reason: Reason,
    /// The gateway's own words.
    pub error: Option<String>,
    /// When it happened.
    pub at: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// What it changed, such as `opened` or `closed`.
    pub change: String,
    /// Whether it was found by asking the gateway: no webhook came.
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
    /// Who is to get it at the sink; empty where the sink itself is the address.
    pub recipient: String,
    /// Its kind, such as `down` or `reminder`.
    pub kind: String,
    /// `pending`, `delivered`, `dead` or `withdrawn`.
    pub state: String,
    /// Whether it is in a worker's hands just now.
    pub in_flight: bool,
    /// When it was written; a reminder is written before it is owed.
    pub created_at: Timestamp,
    /// When it is to be sent, or was; if a person sent it again, the time of that retry.
    pub owed_at: Timestamp,
    /// When it is tried next, while it is pending.
    pub due_at: Option<Timestamp>,
    /// What it waits for until then, in words.
    pub held_by: Option<String>,
    /// If it went out in one message with others, the first notification of that message.
    pub batch: Option<i64>,
    /// When it was delivered, given up or withdrawn.
    pub settled_at: Option<Timestamp>,
    /// The receipt, or the last failure.
    pub detail: Option<String>,
    /// The notification that was given up, if this one tells of that.
    pub lost: Option<i64>,
    /// What it waits for at its sink, if it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// The attempts, in order; `None` where they were not looked up, as in long listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<Attempt>>,
    /// How many tries there were.
    pub tries: u32,
}

/// What a notification that is due waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsFor {
    /// Why its sink does not get it now.
    pub reason: WaitReason,
    /// Since when the sink has been failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The sink's, or the recipient's, latest failure, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When the sink, or the notification, may be tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Why a sink does not get a notification now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitReason {
    /// The sink fails, and is probed with one notification at a time.
    Failing,
    /// The sink asked for a pause.
    Paused,
    /// The sink's limits: others come first.
    Turn,
    /// Its recipient fails, and is sent one notification at a time.
    Recipient,
}

/// What a notification that a person has sent again waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// Until when.
    pub until: Timestamp,
    /// What holds it back, in words; none if it waits for its group.
    pub by: Option<String>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it is in progress, or if the daemon ended first.
    pub ended_at: Option<Timestamp>,
    /// `delivered`, a kind of failure, or `interrupted` by the daemon's end; `None` while it is in progress.
    pub outcome: Option<String>,
    /// The receipt or the failure, as what kind of message it was sent if not as its own, and what held it back before.
    pub detail: Option<String>,
}

/// A silence: matchers, and a period in which what they match is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceRow {
    /// Its number; ignored when a silence is added.
    pub id: i64,
    /// What it holds back, as in a rule's `match`.
    pub matcher: serde_json::Value,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// The reason given for it.
    pub comment: String,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    pub made_at: Timestamp,
}

/// A webhook as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub id: i64,
    /// What it reported, with the phone number that its incident has.
    pub event: source::Event,
    /// The outage it belongs to.
    pub incident: Option<i64>,
    /// If it opened an incident that somebody acknowledged: who did, and when.
    pub acknowledged: Option<Acknowledged>,
}

/// Which notifications to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryQuery {
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those of this sink.
    pub sink: Option<String>,
    /// Only those about this line, given by its instance, or by the name that it had when the incident began.
    pub line: Option<String>,
    /// At most this many; never more than [`MOST`] + 1.
    pub limit: Option<usize>,
}
