//! The store: everything that must survive a restart. It applies what `incident` and `rule` decide, and decides nothing
//! itself.
//!
//! Its invariants:
//! - An event is answered only after the commit that holds the event, its incident and every notification it owes.
//! - A notification is `pending` until it is `delivered`, `dead` (given up) or `withdrawn` (no longer needed). Only a
//!   person's retry makes a dead one pending again.
//! - What the fallback of a dead notification is owed is written in the transaction that makes it dead.

mod attempt;
mod error;
mod figures;
pub mod given_up;
mod retry;
mod sqlite;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use linedown_sinks::Reason;

pub use attempt::{Due, Leased, Outcome, RecipientPause, RecipientPauses, Settled, Settlement};
pub use error::StoreError;
pub use figures::{Figures, Overdue, Room, Tally};
pub use retry::{Refused, Retried, Which};
pub use sqlite::Sqlite;

use crate::link::Purpose;
use crate::rule::Routing;
use crate::source::Event;
use view::{Delivery, DeliveryQuery, Incident, IncidentStory, Later, Past, SilenceRow};

/// The durable state of one daemon.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes an event, what it changes and the notifications it owes, and returns once that is on disk. Fails with
    /// [`StoreError::Busy`] at once if too many requests are already waiting.
    async fn accept(&self, event: Event, payload: String, routing: Arc<Routing>) -> Result<Accepted, StoreError>;

    /// Returns the instances of a source that have an open incident of `reason`: all of them, or those in `among`. If
    /// the reason is an outage, an open outage of any reason counts.
    async fn open_lines(
        &self,
        source: &str,
        reason: Reason,
        among: Option<Vec<String>>,
    ) -> Result<BTreeSet<String>, StoreError>;

    /// Returns the sources that have an open incident that is not an outage.
    async fn noticed(&self) -> Result<BTreeSet<String>, StoreError>;

    /// Returns how many lines of each source are down.
    async fn down(&self) -> Result<BTreeMap<String, u32>, StoreError>;

    /// Hands out what is due for a sink, oldest first, at most `limit` messages; notifications that belong together
    /// come as one message. What a silence, quiet hours, an open group window or a recipient in `pauses` holds back is
    /// put off instead. A leased notification is not handed out again until it is settled or the daemon restarts.
    async fn lease(
        &self,
        sink: &str,
        limit: usize,
        pauses: RecipientPauses,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<Leased, StoreError>;

    /// Records how an attempt ended, with everything that is owed because of it.
    async fn settle(&self, settlement: Settlement, routing: Arc<Routing>) -> Result<Settled, StoreError>;

    /// Gives up, untried, what has been owed to a sink since `owed_before` or earlier. A call gives up a limited
    /// number; the rest is left for the next call.
    async fn give_up(
        &self,
        sink: &str,
        owed_before: Timestamp,
        why: &str,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<Settled, StoreError>;

    /// Makes notifications due again, as if they were owed from now on, each with what is left of the message that it
    /// went out in. Works in steps that keep no webhook waiting. The notices that these were lost are withdrawn. If a
    /// recipient is no usable address, the recipients are looked up in the config again. Dead ones that need not be sent
    /// any more are withdrawn, also if another one that is sent again tells their recipient the same; and so are those
    /// whose recipient was told of the outage since, unless they are asked for by number. What a silence, quiet hours or an
    /// open group window hold back is put off at once.
    async fn retry(
        &self,
        which: Which,
        now: Timestamp,
        routing: Arc<Routing>,
        pauses: Pauses,
    ) -> Result<Retried, StoreError>;

    /// Records that a person takes an incident: `by` whom and `from` where, in words.
    async fn acknowledge(
        &self,
        incident: i64,
        by: &str,
        from: &str,
        now: Timestamp,
    ) -> Result<Acknowledgement, StoreError>;

    /// Returns the notification that a link's token belongs to, if this store signed it and it has not expired.
    async fn linked(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Option<Delivery>, StoreError>;

    /// Adds a silence and returns its number.
    async fn add_silence(&self, silence: SilenceRow) -> Result<i64, StoreError>;

    /// Returns the silences that end, or ended, after a moment, the latest first.
    async fn silences(&self, ended_after: Timestamp) -> Result<Vec<SilenceRow>, StoreError>;

    /// Ends a silence and frees what it held back, in steps that keep no webhook waiting. Returns the sinks that have
    /// something to do now, or `None` if the silence was already over or never existed.
    async fn end_silence(&self, id: i64, now: Timestamp) -> Result<Option<BTreeSet<String>>, StoreError>;

    /// Applies a changed config to what quiet hours hold back, in steps that keep no webhook waiting. Returns the sinks
    /// that have something to do because of it.
    async fn hold_again(&self, now: Timestamp, routing: Arc<Routing>) -> Result<BTreeSet<String>, StoreError>;

    /// Applies a config that may have changed to the reminders and the escalations of open outages that nobody has taken, in
    /// steps that keep no webhook waiting. Returns the sinks that have something to do because of it.
    async fn keep_up(&self, now: Timestamp, routing: Arc<Routing>) -> Result<BTreeSet<String>, StoreError>;

    /// Returns the pending reminders that no other will follow although the outage goes on, because the rule or the
    /// sink has left the config.
    async fn last_reminders(&self, routing: Arc<Routing>) -> Result<LastReminders, StoreError>;

    /// Returns, of pending steps of escalations that were not tried yet, given with their sinks, those that wait for the
    /// first message: until when, as far as is known now. That may be later than they are due.
    async fn late_steps(
        &self,
        steps: Vec<(i64, String)>,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<BTreeMap<i64, Later>, StoreError>;

    /// Returns the sinks that have pending notifications.
    async fn owing(&self) -> Result<BTreeSet<String>, StoreError>;

    /// Counts the lines that are down and the notifications that are owed by now.
    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError>;

    /// Counts open incidents by reason, and notifications owed by now by sink and kind.
    async fn figures(&self, now: Timestamp) -> Result<Figures, StoreError>;

    /// Returns the damaged stores before this one that are still kept, by their names, and what was lost of each.
    async fn was_damaged(&self) -> Result<BTreeMap<String, String>, StoreError>;

    /// Returns how large the store is, and how much room its file system has left.
    async fn room(&self) -> Result<Room, StoreError>;

    /// Forgets, up to `limit` of each sort: incidents, webhooks without an incident, repeated reports of an open outage
    /// and silences from before `over_before`; and group windows and spells of flapping that have ended by `now`. A
    /// line is forgotten with the last of its rows. The latest incident and the latest webhook are kept until others
    /// come.
    async fn prune(&self, now: Timestamp, over_before: Timestamp, limit: u32) -> Result<Forgotten, StoreError>;

    /// The notifications whose latest sign of life lies in the future, and which are pending or about an open incident.
    async fn ahead(&self, now: Timestamp) -> Result<Vec<i64>, StoreError>;

    /// One step of correcting what was written before the clock was set back. Of these notifications, which are
    /// [ahead](Store::ahead), the pending ones become due earlier by as much as they lie in the future, and the settled
    /// ones count as settled now. If there are none, up to `limit` lines count as heard of now; or, if none is left,
    /// silences that were in force begin now; or notifications that would wait untried for longer than anything is
    /// gathered are due now.
    async fn set_back(
        &self,
        now: Timestamp,
        ahead: Vec<i64>,
        limit: u32,
        routing: Arc<Routing>,
    ) -> Result<Corrected, StoreError>;

    /// After a clock that was behind `since` then was set ahead by `by` when it showed `until`: what was written
    /// meanwhile, or [corrected](Store::set_back), waits for as long as it was to. Returns the number of notifications.
    async fn set_ahead(&self, since: Timestamp, until: Timestamp, by: Duration) -> Result<usize, StoreError>;

    /// Waits until the store turns out to be damaged. Only a restart repairs that.
    async fn met_damage(&self);

    /// Checks that the store can write now, by a small write that is synced.
    async fn writable(&self) -> Result<(), StoreError>;

    /// Returns incidents, the latest first.
    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>, StoreError>;

    /// Returns the incidents of one line, the latest first. The line is given by its instance, or by the name that it
    /// had when an incident began.
    async fn incidents_of(&self, line: String, open_only: bool, limit: usize) -> Result<Vec<Incident>, StoreError>;

    /// Returns one incident with everything about it.
    async fn incident(&self, id: i64) -> Result<Option<IncidentStory>, StoreError>;

    /// Returns one incident, without its webhooks and notifications.
    async fn outage(&self, id: i64) -> Result<Option<linedown_sinks::Incident>, StoreError>;

    /// Returns webhooks received since a moment, in the order they came, after the one numbered `after`. What was found
    /// by asking a gateway is included; linedown's own troubles are not.
    async fn past(&self, since: Timestamp, after: i64, limit: usize) -> Result<Vec<Past>, StoreError>;

    /// Returns notifications, the latest first.
    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<Delivery>, StoreError>;
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event's number; that of the first one if this is a duplicate; 0 if it was found by asking and is no news,
    /// since such an event is not kept.
    pub event: i64,
    /// Whether the same webhook had been accepted before.
    pub duplicate: bool,
    /// The incident it belongs to.
    pub incident: Option<i64>,
    /// What it changed, for the log.
    pub change: &'static str,
    /// How many notifications it made owed, without those that were withdrawn at once.
    pub owed: usize,
    /// Whether it is a new incident that no rule notifies anybody of.
    pub unrouted: bool,
    /// The sinks that have something to do because of it, each with the time of the first.
    pub sinks: BTreeMap<String, Timestamp>,
}

impl Accepted {
    /// The answer to an event that changes nothing.
    fn unchanged(event: i64, change: &'static str) -> Self {
        Self { event, duplicate: false, incident: None, change, owed: 0, unrouted: false, sinks: BTreeMap::new() }
    }
}

/// What one step of forgetting did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many incidents, webhooks and silences were forgotten.
    pub old: usize,
    /// Whether there may be more to forget.
    pub more: bool,
}

/// What one step of correcting did after the clock was set back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrected {
    /// How many lines, notifications and silences had times in the future.
    pub ahead: usize,
    /// How many others waited for longer than anything is gathered now, and are due. (The clock may have been right: a
    /// config may gather for less time than the one before.)
    pub freed: usize,
    /// How far in the future the latest of the times of lines and notifications lay.
    pub by: Duration,
}

impl Corrected {
    /// Whether it did anything, so that there may be more to do.
    pub fn more(self) -> bool {
        self.ahead + self.freed > 0
    }

    /// Adds what another step did.
    pub fn add(&mut self, other: Self) {
        self.ahead += other.ahead;
        self.freed += other.freed;
        self.by = self.by.max(other.by);
    }
}

/// The result of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// It is recorded; these sinks tell those who know of the incident.
    Done(BTreeSet<String>),
    /// This person took it before.
    Already(String),
    /// The incident is over.
    Over,
    /// There is no such incident.
    Unknown,
}

/// Sinks that asked for a pause, each with its end: what a person sends again is due then.
pub type Pauses = BTreeMap<String, Timestamp>;

/// Incidents, each with its recipient, whose pending reminder is the last one; by rule and sink.
pub type LastReminders = BTreeMap<(String, String), BTreeSet<(i64, String)>>;

/// How long a sender is asked to wait before it tries again.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
