//! What a sink is asked to deliver: the facts of one notification, ready to be put into words.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Reason;

/// One message owed to one recipient of one sink.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notification {
    /// The number an operator sees and types; negative if no store keeps it.
    pub id: i64,
    /// The random name of the store that numbered it; with `id` it makes [`Notification::key`].
    pub store: String,
    /// Why the message is sent.
    pub kind: Kind,
    /// Whom the sink shall address; empty where the sink itself is the address (a channel, a stream).
    pub recipient: String,
    /// The rule that owes it; none for a test message.
    pub rule: Option<String>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// When it became owed.
    pub created_at: Timestamp,
    /// When this try began; the "now" of its texts.
    pub at: Timestamp,
    /// What the last try failed with, if there was one: why the reader hears late.
    pub last_failure: Option<String>,
    /// What held it back before it was first tried, if anything did: another reason why the reader hears late.
    pub held_back: Option<HeldBack>,
    /// The outage it is about; of a digest, the first of its items.
    pub incident: Incident,
    /// For [`Kind::Undelivered`]: what somebody else was to be told and was not.
    pub undelivered: Option<Undelivered>,
    /// For [`Kind::Digest`]: everything it is about, what is no reminder first, then the worst first,
    /// [`Notification::incident`] included.
    pub items: Vec<Item>,
    /// For [`Kind::Flapping`] and [`Kind::Steady`], also of a lost one: how often the line came and went.
    pub flapping: Option<Flapping>,
    /// Where the reader can say "mine"; none where nothing is to be acknowledged, or no address is configured.
    pub acknowledge_url: Option<String>,
    /// Where the reader can connect the line again with its phone; none where that needs no login, or the gateway
    /// cannot be asked for one.
    pub reconnect_url: Option<String>,
    /// How the line stands by the gateway's word, asked when this try began; none if it was not, or did not answer.
    pub standing: Option<Standing>,
}

impl Notification {
    /// The first try of a message that is made at that moment, to nobody yet; of no store and no rule.
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

    /// Whether it asks somebody to do something about the line.
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

    /// A name no other notification of any linedown has; the same over all attempts, so that a copy is
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
    /// The line is down. If the incident is closed by the time it is sent, it says both.
    Down,
    /// The line was down already, and it is worse than was thought.
    Worse,
    /// The line is back.
    Resolved,
    /// The line is still down, some time later.
    Reminder,
    /// The line is still down and nobody has said "mine": the next one is told.
    Escalation,
    /// Somebody said "mine": those who were told need not act.
    Acknowledged,
    /// The line comes and goes: single outages are not told any more until it is steady.
    Flapping,
    /// A line that flapped has been up, or down, for a while: the tally.
    Steady,
    /// Several outages of one group in one message.
    Digest,
    /// Another sink gave up on a message; this one tells somebody.
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

    /// As stored, shown and matched.
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

/// One outage of one instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// The number an operator sees and types; 0 if no store keeps it.
    pub id: i64,
    /// The configured source that reported it.
    pub source: String,
    /// The line.
    pub instance: Instance,
    /// Why it is down, as far as the gateway told.
    pub reason: Reason,
    /// The gateway's own words, untrusted.
    pub error: Option<String>,
    /// Since when the line is down.
    pub opened_at: Timestamp,
    /// Since when it is back, or is not watched any more; none while it is down.
    pub closed_at: Option<Timestamp>,
    /// Who said "mine", if somebody did.
    pub acknowledged: Option<Acknowledged>,
    /// Whether it was found by asking the gateway: no webhook came.
    pub found: bool,
    /// Of what is no outage and is closed: nobody looks after it any more, and it may be so still.
    pub unwatched: bool,
    /// Of an outage that is over: the next one of the line, if it goes on when the message is made.
    pub again: Option<Again>,
}

/// The line is down again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// The number of the outage that goes on.
    pub incident: i64,
    /// Why, as far as the gateway told.
    pub reason: Reason,
    /// Since when.
    pub opened_at: Timestamp,
}

impl Incident {
    /// An outage that goes on, of which no more is known; in no store.
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

/// Somebody said "mine".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acknowledged {
    /// Who: the name a person gave, or the recipient whose link was used.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// One part of a digest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// The number of the notification that the digest delivers.
    pub notification: i64,
    /// Why it would have been sent alone.
    pub kind: Kind,
    /// The outage.
    pub incident: Incident,
    /// As [`Notification::flapping`].
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

/// How a line stands, by its gateway's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Whether it is connected.
    pub connected: bool,
    /// The gateway's own words, untrusted.
    pub said: Option<String>,
}

/// A line that comes and goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flapping {
    /// When the first of the outages began.
    pub since: Timestamp,
    /// How many there were.
    pub outages: u32,
    /// How long it was down altogether, in seconds.
    pub downtime: u64,
    /// When the latest of them began, in order.
    pub times: Vec<Timestamp>,
    /// How long it must not change to be taken for steady, in seconds, as the rule has it by now.
    pub steady_for: Option<u64>,
}

/// One line at a source, with what the inventory knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// The gateway's identifier.
    pub id: String,
    /// The inventory's name for it.
    pub name: Option<String>,
    /// Digits, as the gateway sent them. Show it through [`Instance::masked_phone`] only.
    #[serde(skip)]
    pub phone: Option<String>,
    /// The inventory's labels.
    pub labels: BTreeMap<String, String>,
}

impl Instance {
    /// What to call the line: its name, or else its identifier.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// The phone with all but its first four and last four digits hidden: `5544*****9999`. Shorter numbers
    /// show the last two only.
    pub fn masked_phone(&self) -> Option<String> {
        self.phone.as_deref().map(mask)
    }
}

/// Hides the middle of a phone number.
fn mask(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().collect();
    let (head, tail) = if digits.len() >= 10 { (4, 4) } else { (0, 2.min(digits.len() / 2)) };
    let shown = |index: usize| index < head || index >= digits.len() - tail;
    digits.iter().enumerate().map(|(index, digit)| if shown(index) { *digit } else { '*' }).collect()
}

/// A message that another sink gave up on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undelivered {
    /// Its number.
    pub notification: i64,
    /// What it was to say.
    pub kind: Kind,
    /// The sink that gave up.
    pub sink: String,
    /// Whom it was for; empty where the sink itself is the address.
    pub recipient: String,
    /// Why it was given up, in words.
    pub why: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The sinks that were to tell somebody of it, and gave that up in their turn.
    pub untold: Vec<String>,
    /// How many recipients besides the reader were told of the outage with the reason that it has now. (What only goes
    /// to our own output is not counted: perhaps nobody reads it.)
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
