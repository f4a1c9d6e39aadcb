//! The durable state. It applies what `incident` and `rule` decide, and decides nothing itself.
//!
//! The invariants: an event is answered only after the commit that holds it, its incident and every
//! notification it owes; a notification is `pending` until an attempt's outcome makes it `delivered` or `dead`;
//! what a dead one's fallback is owed is written in the transaction that makes it dead.

mod sqlite;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use linedown_sinks::{FailureKind, Kind, Notification, Reason};

pub use sqlite::Sqlite;

use crate::link::Purpose;
use crate::rule::Routing;
use crate::source::Event;
use view::{Delivery, DeliveryQuery, Incident, IncidentStory, Past, SilenceRow};

/// The durable state of one daemon.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes an event, what it changes and whom that concerns; returns once that is on disk. Answers
    /// [`StoreError::Busy`] at once when too many are waiting.
    async fn accept(&self, event: Event, payload: String, routing: Arc<Routing>) -> Result<Accepted, StoreError>;

    /// The instances of a source that have an open incident of a reason, of all outages together if the reason is one;
    /// all of them, or those among some.
    async fn open_lines(
        &self,
        source: &str,
        reason: Reason,
        among: Option<Vec<String>>,
    ) -> Result<BTreeSet<String>, StoreError>;

    /// The sources that have an open incident of what is no outage.
    async fn noticed(&self) -> Result<BTreeSet<String>, StoreError>;

    /// How many lines of each source are down.
    async fn down(&self) -> Result<BTreeMap<String, u32>, StoreError>;

    /// Hands out what is due for a sink, oldest first, what belongs together as one message. What is held back is
    /// put off instead. What is leased is not handed out again until it is settled, or the daemon started anew.
    async fn lease(
        &self,
        sink: &str,
        limit: usize,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<Leased, StoreError>;

    /// Records how an attempt ended, with everything that is owed because of it.
    async fn settle(&self, settlement: Settlement, routing: Arc<Routing>) -> Result<Settled, StoreError>;

    /// Gives up on what was owed to a sink before `owed_before`, untried.
    async fn give_up(
        &self,
        sink: &str,
        owed_before: Timestamp,
        why: &str,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<Settled, StoreError>;

    /// Makes notifications due again, as if they were owed from now on, and with each what is left of the message that it
    /// went out in; in steps that keep no webhook waiting. What was to tell that they were lost is withdrawn, and for
    /// what was for no address one is looked for anew.
    async fn retry(&self, which: Which, now: Timestamp, routing: Arc<Routing>) -> Result<Retried, StoreError>;

    /// Somebody takes an incident, from somewhere: both in words.
    async fn acknowledge(
        &self,
        incident: i64,
        by: &str,
        from: &str,
        now: Timestamp,
    ) -> Result<Acknowledgement, StoreError>;

    /// The notification that a link in a message belongs to, if the link is ours and still good.
    async fn linked(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Option<Delivery>, StoreError>;

    /// Keeps a silence; answers its number.
    async fn add_silence(&self, silence: SilenceRow) -> Result<i64, StoreError>;

    /// Silences that end or ended after a moment, the latest first.
    async fn silences(&self, ended_after: Timestamp) -> Result<Vec<SilenceRow>, StoreError>;

    /// Ends a silence, and frees what it held back in steps that keep no webhook waiting; answers the sinks that have
    /// something to do now, or nothing if it was over or never there.
    async fn end_silence(&self, id: i64, now: Timestamp) -> Result<Option<BTreeSet<String>>, StoreError>;

    /// The config is another one: what quiet hours hold back is held back as it says, in steps that keep no webhook
    /// waiting. Answers the sinks that have something to do then.
    async fn hold_again(&self, now: Timestamp, routing: Arc<Routing>) -> Result<BTreeSet<String>, StoreError>;

    /// The reminders that are the last of an outage that goes on, because the rule or the sink has left the config.
    async fn last_reminders(&self, routing: Arc<Routing>) -> Result<LastReminders, StoreError>;

    /// The sinks that something is owed to.
    async fn owing(&self) -> Result<BTreeSet<String>, StoreError>;

    /// How many lines are down, and how much is owed by now.
    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError>;

    /// What is counted by asking: open incidents, and what is owed by now.
    async fn figures(&self, now: Timestamp) -> Result<Figures, StoreError>;

    /// How large it is, and how much room is left.
    async fn room(&self) -> Result<Room, StoreError>;

    /// Forgets up to `limit` each of what was over before a moment: incidents, what belongs to none, earlier repetitions of
    /// what goes on, and silences; and of what holds no longer by now. With the last of a line goes the line.
    async fn prune(&self, now: Timestamp, over_before: Timestamp, limit: u32) -> Result<Forgotten, StoreError>;

    /// The clock was set back: of what it wrote before, up to `limit` notifications that wait are due by so much earlier,
    /// and as many lines were heard by now. Answers how many of all.
    async fn set_back(&self, now: Timestamp, limit: u32) -> Result<usize, StoreError>;

    /// Waits until it turns out not to read as it was written. Only a new start mends that.
    async fn met_damage(&self);

    /// Whether it can write now.
    async fn writable(&self) -> Result<(), StoreError>;

    /// Outages, the latest first.
    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>, StoreError>;

    /// One outage with everything about it.
    async fn incident(&self, id: i64) -> Result<Option<IncidentStory>, StoreError>;

    /// One outage, without what came of it.
    async fn outage(&self, id: i64) -> Result<Option<linedown_sinks::Incident>, StoreError>;

    /// Webhooks received since a moment, in the order they came, after the one of that number; and what was found by
    /// asking, but no trouble of linedown's own.
    async fn past(&self, since: Timestamp, after: i64, limit: usize) -> Result<Vec<Past>, StoreError>;

    /// Notifications, the latest first.
    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<Delivery>, StoreError>;
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event's number; of a repeated one, the first one's; 0 of one that was found by asking, is no news, and was
    /// not kept.
    pub event: i64,
    /// Whether the same webhook had been accepted before.
    pub duplicate: bool,
    /// The incident it belongs to.
    pub incident: Option<i64>,
    /// What it changed, for the log.
    pub change: &'static str,
    /// How many notifications it made owed.
    pub owed: usize,
    /// Whether no rule had anything to say about it.
    pub unrouted: bool,
    /// The sinks that have something to do, each from when on.
    pub sinks: BTreeMap<String, Timestamp>,
}

impl Accepted {
    /// Of an event that changes nothing.
    fn unchanged(event: i64, change: &'static str) -> Self {
        Self { event, duplicate: false, incident: None, change, owed: 0, unrouted: false, sinks: BTreeMap::new() }
    }
}

/// What a worker has in its hands.
#[derive(Debug, Default)]
pub struct Leased {
    /// To be delivered, each settled exactly once.
    pub due: Vec<Due>,
    /// When the sink's next one is due, if more are waiting.
    pub next: Option<Timestamp>,
}

/// One notification to be delivered now.
#[derive(Debug)]
pub struct Due {
    /// What to deliver.
    pub notification: Notification,
    /// The notifications that are settled by it: itself, or the parts of a digest.
    pub covers: Vec<i64>,
    /// From when on patience counts.
    pub owed_at: Timestamp,
    /// Which try it is since then, from 1.
    pub tries: u32,
}

/// How an attempt ended, and whose.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Whose attempt: one notification, or the parts of a digest.
    pub notifications: Vec<i64>,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The far side took it, saying this.
    Delivered(String),
    /// It failed, and will be tried again.
    Again {
        /// What sort of failure.
        kind: FailureKind,
        /// In words.
        why: String,
        /// When to try next.
        due_at: Timestamp,
    },
    /// It failed, and is given up.
    Dead {
        /// What sort of failure.
        kind: FailureKind,
        /// In words.
        why: String,
    },
}

/// What a settlement led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many notifications are given up.
    pub dead: usize,
    /// How many of those nobody else will be told of.
    pub untold: usize,
    /// The sinks that have something to do now.
    pub sinks: BTreeSet<String>,
}

impl Settled {
    pub(crate) fn add(&mut self, mut other: Self) {
        self.dead += other.dead;
        self.untold += other.untold;
        self.sinks.append(&mut other.sinks);
    }
}

/// How things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Open incidents.
    pub down: u32,
    /// Notifications that are owed by now: what is held or comes later does not count.
    pub pending: u32,
}

/// What is counted by asking the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Open incidents by reason; a reason without any may be missing.
    pub open: BTreeMap<Reason, u32>,
    /// What is owed by now, by sink and kind.
    pub overdue: Vec<Overdue>,
}

/// Notifications of one sink and kind that are owed and were not delivered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The sink.
    pub sink: String,
    /// The kind.
    pub kind: Kind,
    /// How many.
    pub count: u32,
    /// Since when the oldest is owed.
    pub since: Timestamp,
}

/// How large the store is, and how much room is left where it is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Its files.
    pub size: u64,
    /// What it may still take of its file system.
    pub free: u64,
    /// The whole file system.
    pub capacity: u64,
}

/// What a step of forgetting did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many incidents, webhooks and silences.
    pub old: usize,
    /// Whether there may be more to forget.
    pub more: bool,
}

/// What came of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// It is noted; these sinks tell those who knew of the outage.
    Done(BTreeSet<String>),
    /// Somebody took it before.
    Already(String),
    /// The line is back.
    Over,
    /// There is no such incident.
    Unknown,
}

/// Which notifications to send again.
#[derive(Clone, Debug)]
pub enum Which {
    /// These, dead or waiting.
    These(Vec<i64>),
    /// All dead ones, or those of one sink.
    Dead {
        /// The sink.
        sink: Option<String>,
    },
}

/// By rule and sink, the incidents that are reminded of for the last time, each with its recipient.
pub type LastReminders = BTreeMap<(String, String), BTreeSet<(i64, String)>>;

/// What will be sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// The notifications, also those that go out with one that was asked for.
    pub notifications: BTreeSet<i64>,
    /// Their sinks.
    pub sinks: BTreeSet<String>,
    /// Those that were asked for and are not, and why.
    pub refused: BTreeMap<i64, Refused>,
    /// How many of those that were asked for are left as they are, because the store failed.
    pub left: usize,
}

/// Why a notification is not sent again. In words, what to do is part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of that number.
    #[error("there is no such notification; `linedown deliveries` lists them")]
    Unknown,
    /// It has arrived.
    #[error("it has been delivered already")]
    Delivered,
    /// It need not be sent, and why.
    #[error("it was withdrawn: {0}")]
    Withdrawn(String),
    /// It, or the message that it is part of, is in a worker's hands.
    #[error("it is being sent right now")]
    InFlight,
    /// It asks for somebody who takes the outage, and this one has.
    #[error("{0} has taken the outage that it is about")]
    Taken(String),
    /// A silence or quiet hours hold it back: they would at once again.
    #[error("it is held back by {0}, and sent when that ends")]
    HeldBack(String),
    /// Its sink has left the config.
    #[error("the config has no sink {0:?} any more; put it back, reload, and try again")]
    Gone(String),
    /// It is for what is no address, and there is no other.
    #[error(
        "it has no recipient; correct the line's label that `to` of the sink {0:?} names, or add a fixed address to \
         `to`, reload, and try again"
    )]
    Nobody(String),
    /// It is for what is no address, and whoever it is for by now needs it no more: it is withdrawn, and why.
    #[error("it is withdrawn now: {0}")]
    Told(&'static str),
}

impl Refused {
    /// Whether somebody who asks for all dead letters wants to hear of it: it is one still, or was one until now.
    pub fn concerns_the_dead(&self) -> bool {
        matches!(self, Self::InFlight | Self::Taken(_) | Self::Gone(_) | Self::Nobody(_) | Self::Told(_))
    }
}

impl Retried {
    fn add(&mut self, mut other: Self) {
        self.notifications.append(&mut other.notifications);
        self.sinks.append(&mut other.sinks);
        self.refused.append(&mut other.refused);
    }
}

/// Why the store cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many requests are waiting.
    #[error("too many webhooks are waiting to be written")]
    Busy,
    /// No room on the disk.
    #[error("no space left for the store")]
    Full,
    /// The writer is gone.
    #[error("the store is closed")]
    Closed,
    /// Somebody else has it open.
    #[error("the store {0} is in use by another linedown")]
    InUse(String),
    /// It was written by a later version.
    #[error("the store has format {found}, this linedown knows up to {known}")]
    TooNew {
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file cannot be opened.
    #[error("cannot open the store {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It does not read as it was written.
    #[error("the store is damaged")]
    Damaged,
    /// The database failed. Why is part of its words: people ask for it wherever they meet it.
    #[error("the store failed: {0}")]
    Failed(rusqlite::Error),
}

/// How long a sender shall wait before it tries again.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
