//! The SQLite store: in WAL mode, with one thread that writes and one connection that reads. What others rely on is
//! answered only after it is synced (`synchronous = FULL`).

mod accept;
mod acknowledge;
mod candidate;
mod damage;
mod delay;
mod flapping;
mod foreign;
mod gathering;
mod job;
mod lack;
mod late_step;
mod lease;
mod line;
mod listing;
mod log;
mod look;
mod mending;
mod notification;
mod opening;
mod owe;
mod people;
mod place;
mod prune;
mod retry;
mod room;
mod row;
mod scribe;
mod set_ahead;
mod set_back;
mod settle;
mod silence;
mod soundness;
mod start;
mod takeover;
mod waiting;
mod writer;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use linedown_sinks::Reason;
use rusqlite::{Connection, OptionalExtension};

use super::view::{Delivery, DeliveryQuery, Incident, IncidentStory, Later, MOST, Past, SilenceRow};
use super::{
    Accepted, Acknowledgement, Corrected, Figures, Forgotten, LastReminders, Leased, Pauses, RecipientPauses, Retried,
    Room, Settled, Settlement, Store, StoreError, Tally, Which,
};
use crate::link::{self, Purpose};
use crate::rule::Routing;
use crate::source::Event;
use damage::Damage;
use job::failure;
use lease::Lessor;
use opening::Identity;
use owe::Basis;
use set_ahead::Behind;
use silence::Silences;
use writer::Writer;

/// Most notifications given up or made due in one transaction: a webhook waits for no more than that. (A message with
/// more parts is still retried whole.)
const AT_ONCE: u16 = 1000;

/// Most notifications whose attempts are read before other requests get a turn: with a hundred attempts each, as many
/// rows as a list looks through.
const READ_AT_ONCE: usize = 200;

/// The embedded store, in one file (and SQLite's `-wal` and `-shm` beside it).
pub struct Sqlite {
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    identity: Arc<Identity>,
    silences: Arc<Silences>,
    damage: Damage,
    path: PathBuf,
    /// Held as long as the store is open: two daemons on one store would send the same notifications.
    _lock: Option<File>,
}

impl Sqlite {
    /// Reads from the store, away from the runtime's threads.
    async fn read<T, F>(&self, look: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let reader = Arc::clone(&self.reader);
        let looked = tokio::task::spawn_blocking(move || {
            // A panic while another reader held the lock does a read-only connection no harm.
            look(&reader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let looked = looked.await.map_err(|_| StoreError::Closed)?;
        looked.inspect_err(|error| self.damage.look_at(error)).map_err(failure)
    }

    /// Brings these in line with a config, so many in one transaction. Returns the sinks that have something to do. None
    /// of it need be synced at once: the next start does it again.
    async fn bring_in_line(
        &self,
        ids: &[i64],
        at_once: usize,
        step: fn(&Connection, &[i64], &Basis<'_>) -> rusqlite::Result<BTreeSet<String>>,
        (now, routing): (Timestamp, Arc<Routing>),
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut sinks = BTreeSet::new();
        for ids in ids.chunks(at_once) {
            let (ids, routing, silences) = (ids.to_vec(), Arc::clone(&routing), Arc::clone(&self.silences));
            let work = move |connection: &Connection| {
                step(connection, &ids, &Basis { routing: &routing, silences: &silences, now })
            };
            sinks.append(&mut self.writer.note(work).await?);
        }
        Ok(sinks)
    }

    /// The numbers of a line's incidents, as a list in JSON.
    async fn numbers_of(&self, line: String) -> Result<String, StoreError> {
        let (line, mut before, mut found) = (Arc::<str>::from(line), i64::MAX, Vec::new());
        loop {
            let line = Arc::clone(&line);
            let step = self.read(move |connection| listing::of_line(connection, &line, before)).await?;
            found.extend(step.found.iter().map(i64::to_string));
            match step.last {
                Some(last) => before = last,
                None => return Ok(format!("[{}]", found.join(","))),
            }
        }
    }
}

/// The path of a file beside the store: the store's own path with `end` appended.
fn beside(database: &Path, end: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(end);
    PathBuf::from(path)
}

#[async_trait]
impl Store for Sqlite {
    async fn accept(&self, event: Event, payload: String, routing: Arc<Routing>) -> Result<Accepted, StoreError> {
        let silences = Arc::clone(&self.silences);
        let work = move |connection: &Connection| {
            let basis = Basis { routing: &routing, silences: &silences, now: event.received_at };
            accept::accept(connection, &event, &payload, &basis)
        };
        self.writer.write_or_refuse(work).await
    }

    async fn open_lines(
        &self,
        source: &str,
        reason: Reason,
        among: Option<Vec<String>>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let key = line::key(source, reason).into_owned();
        self.read(move |connection| look::open_lines(connection, &key, among)).await
    }

    async fn noticed(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read(look::noticed).await
    }

    async fn down(&self) -> Result<BTreeMap<String, u32>, StoreError> {
        self.read(look::down).await
    }

    async fn lease(
        &self,
        sink: &str,
        limit: usize,
        pauses: RecipientPauses,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<Leased, StoreError> {
        let (sink, identity, silences) = (sink.to_owned(), Arc::clone(&self.identity), Arc::clone(&self.silences));
        let work = move |connection: &Connection| {
            let Identity { name: store, link_key } = &*identity;
            let (routing, silences, pauses, woken) = (&*routing, &*silences, &pauses, RefCell::default());
            let lessor = Lessor { store, link_key, routing, silences, pauses, now, woken };
            lessor.lease(connection, &sink, limit)
        };
        self.writer.note(work).await
    }

    async fn settle(&self, settlement: Settlement, routing: Arc<Routing>) -> Result<Settled, StoreError> {
        self.writer.note(move |connection| settle::settle(connection, &settlement, &routing)).await
    }

    async fn give_up(
        &self,
        sink: &str,
        owed_before: Timestamp,
        why: &str,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<Settled, StoreError> {
        let (sink, why) = (sink.to_owned(), why.to_owned());
        let ids = self.read(move |connection| settle::owed_since(connection, &sink, owed_before)).await?;
        if ids.is_empty() {
            return Ok(Settled::default());
        }
        let work = move |connection: &Connection| settle::give_up(connection, &ids, owed_before, &why, now, &routing);
        self.writer.write(work).await
    }

    async fn retry(
        &self,
        which: Which,
        now: Timestamp,
        routing: Arc<Routing>,
        pauses: Pauses,
    ) -> Result<Retried, StoreError> {
        let (ids, is_by_number) = match which {
            Which::These(ids) => (ids, true),
            Which::Dead { sink } => {
                (self.read(move |connection| retry::dead(connection, sink.as_deref())).await?, false)
            }
        };
        let request = retry::Request { all: ids.into_iter().collect(), is_by_number, pauses };
        let retried = retry::in_steps(&self.writer, request, &self.silences, now, &routing).await?;
        Ok(if is_by_number { retried } else { retried.of_the_dead() })
    }

    async fn acknowledge(
        &self,
        incident: i64,
        by: &str,
        from: &str,
        now: Timestamp,
    ) -> Result<Acknowledgement, StoreError> {
        let (by, from) = (by.to_owned(), from.to_owned());
        self.writer.write(move |connection| acknowledge::acknowledge(connection, incident, &by, &from, now)).await
    }

    async fn linked(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        let Some(id) = link::read(purpose, token, &self.identity.link_key, now) else { return Ok(None) };
        self.read(move |connection| look::delivery(connection, id)).await
    }

    async fn add_silence(&self, silence: SilenceRow) -> Result<i64, StoreError> {
        self.writer.write(move |connection| silence::make(connection, &silence)).await
    }

    async fn silences(&self, ended_after: Timestamp) -> Result<Vec<SilenceRow>, StoreError> {
        self.read(move |connection| silence::list(connection, ended_after)).await
    }

    async fn end_silence(&self, id: i64, now: Timestamp) -> Result<Option<BTreeSet<String>>, StoreError> {
        let ended = self.writer.write(move |connection| silence::end(connection, id, now)).await?;
        let Some(mut sinks) = ended else { return Ok(None) };
        // If this is cut short, the rest is freed when the silence was to end, or when it is ended once more.
        let mut freed = !sinks.is_empty();
        while freed {
            let mut more = self.writer.write(move |connection| silence::free(connection, id, now)).await?;
            freed = !more.is_empty();
            sinks.append(&mut more);
        }
        Ok(Some(sinks))
    }

    async fn hold_again(&self, now: Timestamp, routing: Arc<Routing>) -> Result<BTreeSet<String>, StoreError> {
        let held = self.read(waiting::in_quiet_hours).await?;
        self.bring_in_line(&held, AT_ONCE.into(), waiting::hold_again, (now, routing)).await
    }

    async fn keep_up(&self, now: Timestamp, routing: Arc<Routing>) -> Result<BTreeSet<String>, StoreError> {
        let open = self.read(lack::open).await?;
        self.bring_in_line(&open, lack::LOOKED_AT_AT_ONCE, lack::keep_up, (now, routing)).await
    }

    async fn last_reminders(&self, routing: Arc<Routing>) -> Result<LastReminders, StoreError> {
        self.read(move |connection| waiting::last_reminders(connection, &routing)).await
    }

    async fn owing(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read(look::owing).await
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        self.read(move |connection| look::tally(connection, now)).await
    }

    async fn figures(&self, now: Timestamp) -> Result<Figures, StoreError> {
        self.read(move |connection| look::figures(connection, now)).await
    }

    async fn was_damaged(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let path = self.path.clone();
        self.read(move |connection| damage::lost(connection, &path)).await
    }

    async fn room(&self) -> Result<Room, StoreError> {
        let path = self.path.clone();
        let looked = tokio::task::spawn_blocking(move || room::look(&path));
        looked.await.map_err(|_| StoreError::Closed)?
    }

    async fn late_steps(
        &self,
        steps: Vec<(i64, String)>,
        now: Timestamp,
        routing: Arc<Routing>,
    ) -> Result<BTreeMap<i64, Later>, StoreError> {
        self.read(move |connection| late_step::look(connection, &steps, now, &routing)).await
    }

    async fn prune(&self, now: Timestamp, over_before: Timestamp, limit: u32) -> Result<Forgotten, StoreError> {
        self.writer.write(move |connection| prune::prune(connection, now, over_before, limit)).await
    }

    async fn ahead(&self, now: Timestamp) -> Result<Vec<i64>, StoreError> {
        self.read(move |connection| set_back::ahead(connection, now)).await
    }

    async fn set_back(
        &self,
        now: Timestamp,
        ahead: Vec<i64>,
        limit: u32,
        routing: Arc<Routing>,
    ) -> Result<Corrected, StoreError> {
        self.writer.write(move |connection| set_back::set_back(connection, now, &ahead, limit, &routing)).await
    }

    async fn set_ahead(&self, since: Timestamp, until: Timestamp, by: Duration) -> Result<usize, StoreError> {
        let behind = Behind { since, until, by };
        let waiting = self.read(move |connection| set_ahead::waiting(connection, behind)).await?;
        for step in waiting.chunks(AT_ONCE.into()) {
            let step = step.to_vec();
            self.writer.write(move |connection| set_ahead::put_off(connection, &step, behind)).await?;
        }
        self.writer.write(move |connection| set_ahead::prolong_silences(connection, behind)).await?;
        Ok(waiting.len())
    }

    async fn met_damage(&self) {
        self.damage.met().await;
    }

    async fn writable(&self) -> Result<(), StoreError> {
        self.writer.write(move |connection| connection.execute(scribe::TOUCH, []).map(|_| ())).await
    }

    async fn incidents(&self, open_only: bool, limit: usize) -> Result<Vec<Incident>, StoreError> {
        self.read(move |connection| look::incidents(connection, open_only, limit)).await
    }

    async fn incidents_of(&self, line: String, open_only: bool, limit: usize) -> Result<Vec<Incident>, StoreError> {
        let numbers = self.numbers_of(line).await?;
        self.read(move |connection| look::incidents_among(connection, &numbers, open_only, limit)).await
    }

    async fn incident(&self, id: i64) -> Result<Option<IncidentStory>, StoreError> {
        let Some(mut story) = self.read(move |connection| look::incident(connection, id)).await? else {
            return Ok(None);
        };
        for deliveries in story.deliveries.chunks_mut(READ_AT_ONCE) {
            let ids: Vec<i64> = deliveries.iter().map(|delivery| delivery.id).collect();
            let look =
                move |connection: &Connection| ids.into_iter().map(|id| look::attempts(connection, id)).collect();
            let attempts: Vec<_> = self.read(look).await?;
            for (delivery, attempts) in deliveries.iter_mut().zip(attempts) {
                delivery.attempts = Some(attempts);
            }
        }
        Ok(Some(story))
    }

    async fn outage(&self, id: i64) -> Result<Option<linedown_sinks::Incident>, StoreError> {
        self.read(move |connection| row::incident_by_id(connection, id).optional()).await
    }

    async fn past(&self, since: Timestamp, after: i64, limit: usize) -> Result<Vec<Past>, StoreError> {
        let mut after = after;
        loop {
            let step = self.read(move |connection| listing::past(connection, since, after, limit)).await?;
            match step.last {
                Some(last) if step.found.is_empty() => after = last,
                _ => return Ok(step.found),
            }
        }
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        let among = match &query.line {
            Some(line) => Some(self.numbers_of(line.clone()).await?),
            None => None,
        };
        let (query, mut before, mut found) = (Arc::new((query, among)), i64::MAX, Vec::new());
        loop {
            let limit = query.0.limit.unwrap_or(MOST).min(MOST + 1) - found.len();
            let query = Arc::clone(&query);
            let look = move |connection: &Connection| {
                listing::deliveries(connection, &query.0, query.1.as_deref(), before, limit)
            };
            let step = self.read(look).await?;
            let is_full = step.found.len() == limit;
            found.extend(step.found);
            match step.last {
                Some(last) if !is_full => before = last,
                _ => return Ok(found),
            }
        }
    }
}

#[cfg(test)]
mod tests;
