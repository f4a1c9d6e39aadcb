//! What a config would have sent of what really happened: stored webhooks, replayed on simulated time.
//!
//! The deciding code is the daemon's own, over a store in memory. Every sink takes what it gets at once. The clock
//! jumps from one webhook, acknowledgement or due time to the next, so a year costs no waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use linedown_sinks::{Acknowledged, Kind, Notification};
use serde::Serialize;

use crate::rule::Routing;
use crate::store::view::{Past, SilenceRow};
use crate::store::{
    Accepted, Acknowledgement, Leased, Outcome, RecipientPauses, Settlement, Sqlite, Store, StoreError,
};

/// Most messages leased at once.
const AT_ONCE: usize = 256;

/// What really happened.
#[derive(Debug, Default)]
pub struct History {
    /// Webhooks in the order they came.
    pub events: Vec<Past>,
    /// Silences that were in force during that time.
    pub silences: Vec<SilenceRow>,
}

/// A message that would have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// By which rule.
    pub rule: String,
    /// Through which sink.
    pub sink: String,
    /// Its recipient there; empty where the sink itself is the address.
    pub recipient: String,
    /// Of which kind.
    pub kind: Kind,
    /// About which outages.
    pub incidents: BTreeSet<i64>,
}

/// One outage, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// The number of the incident that it really was.
    pub incident: Option<i64>,
    /// The line.
    pub instance: String,
    /// Its name in the inventory.
    pub name: Option<String>,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when, if it ended.
    pub closed_at: Option<Timestamp>,
}

/// What a config makes of a history. Outages have the same numbers under every config.
#[derive(Debug, Default)]
pub struct Lived {
    /// The messages, in the order they would have been sent.
    pub sent: Vec<Sent>,
    /// The outages, by number.
    pub outages: BTreeMap<i64, Outage>,
    /// The outages that nobody has heard of yet, but somebody will: gathered, held, silenced, or in quiet hours.
    pub waiting: BTreeSet<i64>,
}

impl Lived {
    /// The outages that somebody would have heard of.
    pub fn told(&self) -> BTreeSet<i64> {
        self.sent.iter().flat_map(|sent| sent.incidents.iter().copied()).collect()
    }

    /// Those, and the outages that somebody will hear of.
    pub fn heard(&self) -> BTreeSet<i64> {
        &self.told() | &self.waiting
    }
}

/// Replays a history up to a moment, by the rules of a config.
pub async fn live(history: &History, routing: Arc<Routing>, until: Timestamp) -> Result<Lived, StoreError> {
    let store = Sqlite::in_memory()?;
    for silence in &history.silences {
        store.add_silence(silence.clone()).await?;
    }
    let sinks = routing.sinks.keys().map(|sink| (sink.clone(), None)).collect();
    let mut life = Life { store, routing, due: sinks, taken: BTreeMap::new(), lived: Lived::default() };
    for past in &history.events {
        // If the clock was set back, a webhook's time may lie after `until`, or before that of the one before it:
        // timers run up to `until` at most.
        life.pass(past.event.received_at.min(until)).await?;
        life.accept(past).await?;
    }
    life.pass(until).await?;
    life.find_waiting().await?;
    Ok(life.lived)
}

struct Life {
    store: Sqlite,
    routing: Arc<Routing>,
    /// When each sink has something to do next; `None` if nothing is pending.
    due: BTreeMap<String, Option<Timestamp>>,
    /// When an outage is taken, which one, and by whom.
    taken: BTreeMap<(Timestamp, i64), String>,
    lived: Lived,
}

impl Life {
    async fn accept(&mut self, past: &Past) -> Result<(), StoreError> {
        let at = past.event.received_at;
        let accepted = self.store.accept(past.event.clone(), String::new(), Arc::clone(&self.routing)).await?;
        self.note(past, &accepted);
        if let (Some(Acknowledged { by, at }), Some(incident)) = (&past.acknowledged, accepted.incident) {
            self.taken.insert((*at, incident), by.clone());
        }
        self.wake(accepted.sinks.into_keys().collect(), at);
        self.send(at).await
    }

    /// Keeps what becomes of an outage, for people to see.
    fn note(&mut self, past: &Past, accepted: &Accepted) {
        let Some(incident) = accepted.incident.filter(|_| !accepted.duplicate) else { return };
        let event = &past.event;
        let opened = self.lived.outages.entry(incident).or_insert_with(|| Outage {
            incident: past.incident,
            instance: event.instance.clone(),
            name: self.routing.instance(&event.source, &event.instance, None).name,
            opened_at: event.at,
            closed_at: None,
        });
        if matches!(accepted.change, "closed" | "missed") {
            opened.closed_at = Some(event.at);
        }
    }

    /// Lets time pass up to a moment, with everything that is due on the way.
    async fn pass(&mut self, until: Timestamp) -> Result<(), StoreError> {
        loop {
            let due = self.due.values().flatten().min().copied();
            let taken = self.taken.keys().next().copied();
            match (due, taken) {
                (due, Some((at, incident))) if at <= until && due.is_none_or(|due| at <= due) => {
                    let by = self.taken.remove(&(at, incident)).unwrap_or_default();
                    let taken = self.store.acknowledge(incident, &by, "", at).await?;
                    if let Acknowledgement::Done(sinks) = taken {
                        self.wake(sinks, at);
                    }
                    self.send(at).await?;
                }
                (Some(at), _) if at <= until => self.send(at).await?,
                _ => return Ok(()),
            }
        }
    }

    /// Finds the outages that nobody has heard of yet, but somebody will.
    async fn find_waiting(&mut self) -> Result<(), StoreError> {
        let told = self.lived.told();
        for id in self.lived.outages.keys().filter(|id| !told.contains(id)) {
            let story = self.store.incident(*id).await?;
            if story.is_some_and(|story| story.incident.notifications.pending > 0) {
                self.lived.waiting.insert(*id);
            }
        }
        Ok(())
    }

    fn wake(&mut self, sinks: BTreeSet<String>, at: Timestamp) {
        for sink in sinks {
            let due = self.due.entry(sink).or_default();
            *due = Some(due.map_or(at, |due| due.min(at)));
        }
    }

    /// Sends what is due now, until nothing is left.
    async fn send(&mut self, now: Timestamp) -> Result<(), StoreError> {
        while let Some(sink) = self.due.iter().find(|(_, due)| due.is_some_and(|due| due <= now)) {
            let sink = sink.0.clone();
            let routing = Arc::clone(&self.routing);
            let Leased { due, next, sinks } =
                self.store.lease(&sink, AT_ONCE, RecipientPauses::new(), now, routing).await?;
            let full = due.len() == AT_ONCE;
            let mut woken = sinks;
            for due in due {
                let outcome = Outcome::Delivered(String::new());
                let settlement = Settlement { notifications: due.covers, at: now, outcome };
                woken.append(&mut self.store.settle(settlement, Arc::clone(&self.routing)).await?.sinks);
                self.lived.sent.push(sent(&sink, due.notification));
            }
            // After a full lease, more may be due now.
            self.due.insert(sink.clone(), if full { Some(now) } else { next });
            self.wake(woken, now);
        }
        Ok(())
    }
}

fn sent(sink: &str, notification: Notification) -> Sent {
    let incidents = match notification.kind {
        Kind::Digest => notification.items.iter().map(|item| item.incident.id).collect(),
        _ => BTreeSet::from([notification.incident.id]),
    };
    Sent {
        at: notification.at,
        rule: notification.rule.unwrap_or_default(),
        sink: sink.to_owned(),
        recipient: notification.recipient,
        kind: notification.kind,
        incidents,
    }
}

#[cfg(test)]
mod tests;
