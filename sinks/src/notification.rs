//! What a sink delivers: the facts of one notification, from which its texts are made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Reason;
use crate::texts::is_visible;

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
            Kind::Resolved | Kind::Acknowledged | Kind::Digest | Kind::Test => false,
        };
        asks && self.incident.closed_at.is_none()
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

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The line is down. If the incident is closed by the time this is sent, the message says both.
    Down,
    /// The line was down already; its reason has turned out to be worse.
    Worse,
    /// The line is back.
    Resolved,
    /// The line is still down, some time later.
    Reminder,
    /// The line is still down and nobody has acknowledged: the next person is told.
    Escalation,
    /// Somebody has acknowledged: the others who were told need not act.
    Acknowledged,
    /// The line comes and goes: single outages are not reported until it is steady.
    Flapping,
    /// A line that flapped has now been up, or down, for a while: the tally.
    Steady,
    /// Several notifications of one group in one message.
    Digest,
    /// Another sink gave up a message; this one tells somebody so.
    Undelivered,
    /// Somebody asked for a test message.
    Test,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Down,
        Self::Worse,
        Self::Resolved,
        Self::Reminder,
        Self::Escalation,
        Self::Acknowledged,
        Self::Flapping,
        Self::Steady,
        Self::Digest,
        Self::Undelivered,
        Self::Test,
    ];

    /// The name by which it is stored, shown and matched.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Worse => "worse",
            Self::Resolved => "resolved",
            Self::Reminder => "reminder",
            Self::Escalation => "escalation",
            Self::Acknowledged => "acknowledged",
            Self::Flapping => "flapping",
            Self::Steady => "steady",
            Self::Digest => "digest",
            Self::Undelivered => "undelivered",
            Self::Test => "test",
        }
    }

    /// The inverse of [`Kind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One outage of one instance, or another trouble that is no outage ([`Reason::is_outage`]).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// The number that an operator sees and types; 0 if no store keeps it.
    pub id: i64,
    /// The configured source that reported it.
    pub source: String,
    /// The line.
    pub instance: Instance,
    /// Why the line is down, as far as the gateway said.
    pub reason: Reason,
    /// The gateway's own words, untrusted.
    pub error: Option<String>,
    /// When the line went down.
    pub opened_at: Timestamp,
    /// When the line came back, or when linedown stopped watching it; none while it is down.
    pub closed_at: Option<Timestamp>,
    /// Who acknowledged, if somebody did.
    pub acknowledged: Option<Acknowledged>,
    /// Whether linedown found it by asking the gateway: no webhook came.
    pub found: bool,
    /// For a closed incident that is no outage: linedown does not watch it any more, and the trouble may still exist.
    pub unwatched: bool,
    /// For an outage that is over: the line's next outage, if that is in progress when the message is made.
    pub again: Option<Again>,
}

/// A later outage of the same line, still in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// The number of that outage.
    pub incident: i64,
    /// Why, as far as the gateway said.
    pub reason: Reason,
    /// When it began.
    pub opened_at: Timestamp,
}

impl Incident {
    /// An incident in progress of which nothing more is known, and that no store keeps.
    pub fn of(source: impl Into<String>, instance: Instance, reason: Reason, opened_at: Timestamp) -> Self {
        Self {
            id: 0,
            source: source.into(),
            instance,
            reason,
            error: None,
            opened_at,
            closed_at: None,
            acknowledged: None,
            found: false,
            unwatched: false,
            again: None,
        }
    }
}

/// Who acknowledged an incident, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acknowledged {
    /// The name that the person gave, or the recipient whose link was used.
    pub by: String,
    /// When.
    pub at: Timestamp,
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

/// The state of a line, as its gateway says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Whether it is connected.
    pub connected: bool,
    /// The gateway's own words, untrusted.
    pub said: Option<String>,
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

/// One line at a source, with what the inventory says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// The gateway's identifier.
    pub id: String,
    /// The inventory's name for it.
    pub name: Option<String>,
    /// The phone number: digits, as the gateway sent them. Show it only through [`Instance::masked_phone`].
    #[serde(skip)]
    pub phone: Option<String>,
    /// The inventory's labels.
    pub labels: BTreeMap<String, String>,
}

impl Instance {
    /// What to call the line: its name if it has something visible, otherwise its identifier.
    pub fn title(&self) -> &str {
        self.name.as_deref().filter(|name| is_visible(name)).unwrap_or(&self.id)
    }

    /// The phone number with all but its first four and last four digits hidden: `5544*****9999`. A number of fewer
    /// than ten digits shows at most its last two.
    pub fn masked_phone(&self) -> Option<String> {
        self.phone.as_deref().map(mask)
    }
}

/// Hides the middle of a phone number.
fn mask(phone: &str) -> String {
    let digits = phone.chars().count();
    let (head, tail) = if digits >= 10 { (4, 4) } else { (0, 2.min(digits / 2)) };
    let shown = |index: usize| index < head || index >= digits - tail;
    phone.chars().enumerate().map(|(index, digit)| if shown(index) { digit } else { '*' }).collect()
}

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
    /// Why it was given up, in words.
    pub why: String,
    /// How many attempts there were.
    pub attempts: u32,
    /// The sinks that were to tell somebody about it, and gave up in their turn.
    pub untold: Vec<String>,
    /// How many recipients besides the reader and the one it was for were told of the outage with the reason that it has
    /// now. (What only goes to our own output is not counted: perhaps nobody reads it.)
    pub others_told: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_masked() {
        assert_eq!(mask("5544999999999"), "5544*****9999");
        assert_eq!(mask("12345"), "***45");
        assert_eq!(mask("1"), "*");
        assert_eq!(mask(""), "");
    }

    #[test]
    fn names_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
