//! What a sink delivers: the facts of one notification, from which its texts are made.

mod incident;
mod instance;
mod kind;

use jiff::Timestamp;
use serde::Serialize;

pub use incident::{Acknowledged, Again, Besides, Incident, Standing};
pub use instance::Instance;
pub use kind::Kind;

/// One message owed to one recipient of one sink.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notification {
    /// The number that an operator sees and types; 0 or negative if no store keeps it.
    pub id: i64,
    /// The random name of the store that numbered it; with `id` it makes [`Notification::key`].
    pub store: String,
    /// Why the message is sent.
    pub kind: Kind,
    /// Whom the sink sends it to; empty where the sink itself is the address (a channel, a stream).
    pub recipient: String,
    /// The rule that owes it; none for a test message.
    pub rule: Option<String>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// When it became owed.
    pub created_at: Timestamp,
    /// When this attempt began; the "now" of its texts.
    pub at: Timestamp,
    /// What the last attempt failed with, if there was one: why the message comes late.
    pub last_failure: Option<String>,
    /// What held it back before it was first tried, if anything did: another reason why the message comes late.
    pub held_back: Option<HeldBack>,
    /// The incident it is about; for a digest, that of its first item.
    pub incident: Incident,
    /// For [`Kind::Undelivered`]: the message that another sink gave up.
    pub undelivered: Option<Undelivered>,
    /// For [`Kind::Digest`]: everything it is about, [`Notification::incident`] included. What is over comes last, and
    /// reminders come after news; within each of these groups, the worst comes first.
    pub items: Vec<Item>,
    /// For [`Kind::Flapping`] and [`Kind::Steady`], also of a lost one: how often the line came and went.
    pub flapping: Option<Flapping>,
    /// The page on which the reader can acknowledge; none if there is nothing to acknowledge, or no address is
    /// configured.
    pub acknowledge_url: Option<String>,
    /// The page on which the reader can connect the line again with its phone; none if that needs no login, or the
    /// gateway cannot be asked for one.
    pub reconnect_url: Option<String>,
    /// Whether the gateway says that the line is connected, asked when this attempt began; none if it was not asked or
    /// did not answer.
    pub standing: Option<Standing>,
}

impl Notification {
    /// The first attempt of a notification made at `at`, with no recipient, store or rule yet.
    pub fn about(incident: Incident, kind: Kind, at: Timestamp) -> Self {
        Self {
            id: 0,
            store: String::new(),
            kind,
            recipient: String::new(),
            rule: None,
            attempt: 1,
            created_at: at,
            at,
            last_failure: None,
            held_back: None,
            incident,
            undelivered: None,
            items: Vec::new(),
            flapping: None,
            acknowledge_url: None,
            reconnect_url: None,
            standing: None,
        }
    }

    /// Whether it asks the reader to do something about the line.
    pub fn asks_to_act(&self) -> bool {
        // A notice of a loss asks for what the lost message asked for.
        let asks = match self.undelivered.as_ref().map_or(self.kind, |lost| lost.kind) {
            Kind::Down
            | Kind::Worse
            | Kind::Reminder
            | Kind::Escalation
            | Kind::Flapping
            | Kind::Steady
            | Kind::Undelivered => true,
            Kind::Digest | Kind::Test => return false,
            Kind::Resolved | Kind::Acknowledged => false,
        };
        asks && self.incident.closed_at.is_none() || self.incident.first_news().is_some()
    }

    /// A name that no other notification of any linedown has. It is the same on every attempt, so that a copy is
    /// recognisable.
    pub fn key(&self) -> String {
        format!("{}.{}", self.id, self.store)
    }

    /// A name shared by all notifications of one incident.
    pub fn thread(&self) -> String {
        format!("incident.{}.{}", self.incident.id, self.store)
    }
}

/// One part of a digest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// The number of the notification that the digest delivers.
    pub notification: i64,
    /// The kind that it would have been if sent alone.
    pub kind: Kind,
    /// The incident it is about.
    pub incident: Incident,
    /// See [`Notification::flapping`].
    pub flapping: Option<Flapping>,
    /// As [`Notification::undelivered`].
    pub undelivered: Option<Undelivered>,
}

/// What held a message back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    /// What sort of thing.
    pub by: Holder,
    /// The number of the silence, the name of the quiet hours, or the length of the hold as the config writes it.
    pub name: String,
    /// When that ended; none if it is not known any more.
    pub until: Option<Timestamp>,
}

/// What can hold a message back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// The rule's hold.
    Hold,
    /// A silence.
    Silence,
    /// Quiet hours.
    QuietHours,
}

impl Holder {
    /// As templates see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Silence => "silence",
            Self::QuietHours => "quiet-hours",
        }
    }
}

/// The outages of a line that comes and goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flapping {
    /// When the first of the outages began.
    pub since: Timestamp,
    /// How many there were.
    pub outages: u32,
    /// How long the line was down altogether, in seconds.
    pub downtime: u64,
    /// When the latest of them began, in order.
    pub times: Vec<Timestamp>,
    /// How long the line must not change to count as steady, in seconds, by the rule as it is now.
    pub steady_for: Option<u64>,
}

/// What stands between the failure of a message and why that was the last try.
pub const GIVEN_UP: &str = " (given up";

/// A message that another sink gave up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undelivered {
    /// Its number.
    pub notification: i64,
    /// Its kind.
    pub kind: Kind,
    /// The sink that gave up.
    pub sink: String,
    /// The recipient it was for; empty where the sink itself is the address.
    pub recipient: String,
    /// Why it was given up, in words. Behind [`GIVEN_UP`] stands why trying went on no longer.
    pub why: String,
    /// How many attempts there were.
    pub attempts: u32,
    /// Who was to hear about it instead, and was not told either: recipients, or sinks that are themselves the address.
    pub untold: Vec<String>,
    /// How many recipients besides the reader and the one it was for were told of the outage with the reason that it has
    /// now. (What only goes to our own output is not counted: perhaps nobody reads it.)
    pub others_told: u32,
    /// How many others have not been told that yet, but are being told it at this moment, by a first attempt.
    pub others_being_told: u32,
}
