//! What people look at: the queries behind listings, status and metrics.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::view::{Attempt, Counts, Delivery, Event, Incident, IncidentStory, MOST};
use super::super::{Figures, Overdue, Tally};
use super::row::{self, Columns, OUTAGE};
use crate::clock::from_millis;

/// The query for the sinks of all that is pending. (To make them distinct here, or to count below, SQLite would read each
/// notification in full instead of the index.)
pub(super) const OWING: &str = "SELECT sink FROM pending";

pub(super) fn owing(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    connection.prepare_cached(OWING)?.query_map([], |row| row::text(row, 0))?.collect()
}

/// The query for what is owed by ?1.
pub(super) const OVERDUE: &str = "SELECT 1 FROM pending WHERE owed_at <= ?1";

pub(super) fn tally(connection: &Connection, now: Timestamp) -> rusqlite::Result<Tally> {
    let query = format!("SELECT count(*) FROM incident WHERE closed_at IS NULL AND {OUTAGE}");
    let down = connection.prepare_cached(&query)?.query_row([], |row| row.get(0))?;
    let mut pending = connection.prepare_cached(OVERDUE)?;
    let pending = pending.query_map([now.as_millisecond()], |_| Ok(()))?.collect::<rusqlite::Result<Vec<()>>>()?;
    Ok(Tally { down, pending: u32::try_from(pending.len()).unwrap_or(u32::MAX) })
}

pub(super) fn open_lines(
    connection: &Connection,
    key: &str,
    among: Option<Vec<String>>,
) -> rusqlite::Result<BTreeSet<String>> {
    let Some(among) = among else {
        let query = "SELECT instance FROM line WHERE source = ? AND incident IS NOT NULL";
        return connection.prepare_cached(query)?.query_map([key], |row| row::text(row, 0))?.collect();
    };
    let query = "SELECT EXISTS (SELECT 1 FROM line WHERE source = ? AND instance = ? AND incident IS NOT NULL)";
    let mut statement = connection.prepare_cached(query)?;
    let mut open = BTreeSet::new();
    for instance in among {
        if statement.query_row([key, &instance], |row| row.get(0))? {
            open.insert(instance);
        }
    }
    Ok(open)
}

pub(super) fn noticed(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let query = format!("SELECT DISTINCT source FROM incident WHERE closed_at IS NULL AND NOT ({OUTAGE})");
    connection.prepare_cached(&query)?.query_map([], |row| row::text(row, 0))?.collect()
}

pub(super) fn down(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u32>> {
    let query = format!("SELECT source, count(*) FROM incident WHERE closed_at IS NULL AND {OUTAGE} GROUP BY source");
    connection.prepare_cached(&query)?.query_map([], |row| Ok((row::text(row, 0)?, row.get(1)?)))?.collect()
}

pub(super) fn figures(connection: &Connection, now: Timestamp) -> rusqlite::Result<Figures> {
    let query = "SELECT reason, count(*) FROM incident WHERE closed_at IS NULL GROUP BY reason";
    let mut open = BTreeMap::new();
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // Several words may be read as the same reason.
        *open.entry(row::reason(row, 0)?).or_default() += row.get::<_, u32>(1)?;
    }
    let query = "SELECT sink, kind, count(*), min(owed_at) FROM pending WHERE owed_at <= ?1 GROUP BY sink, kind";
    let overdue = |row: &Row<'_>| {
        let since = from_millis(row.get(3)?);
        Ok(Overdue { sink: row::text(row, 0)?, kind: row::kind(row, 1)?, count: row.get(2)?, since })
    };
    let overdue =
        connection.prepare_cached(query)?.query_map([now.as_millisecond()], overdue)?.collect::<Result<_, _>>()?;
    Ok(Figures { open, overdue })
}

pub(super) fn incidents(connection: &Connection, open_only: bool, limit: usize) -> rusqlite::Result<Vec<Incident>> {
    connection.prepare_cached(&latest(open_only))?.query_map([bounded(limit)], incident_row)?.collect()
}

/// The latest of the incidents with these numbers, which are a list in JSON.
pub(super) fn incidents_among(
    connection: &Connection,
    numbers: &str,
    open_only: bool,
    limit: usize,
) -> rusqlite::Result<Vec<Incident>> {
    let query = format!(
        "{} WHERE id IN (SELECT value FROM json_each(?1)) AND (closed_at IS NULL OR NOT ?2) ORDER BY id DESC LIMIT ?3",
        incident_columns()
    );
    let values = params![numbers, open_only, bounded(limit)];
    connection.prepare_cached(&query)?.query_map(values, incident_row)?.collect()
}

/// The query for the latest incidents. (Without the hint, SQLite would rather scan all than sort the few that are
/// open.)
fn latest(open_only: bool) -> String {
    let open =
        "id IN (SELECT id FROM incident INDEXED BY incident_open WHERE closed_at IS NULL ORDER BY id DESC LIMIT ?1)";
    let filter = if open_only { open } else { "true" };
    format!("{} WHERE {filter} ORDER BY id DESC LIMIT ?1", incident_columns())
}

/// One incident, without the attempts of its deliveries.
pub(super) fn incident(connection: &Connection, id: i64) -> rusqlite::Result<Option<IncidentStory>> {
    let query = format!("{} WHERE id = ?", incident_columns());
    let Some(incident) = connection.prepare_cached(&query)?.query_row([id], incident_row).optional()? else {
        return Ok(None);
    };
    let query = format!("SELECT {EVENT} FROM event WHERE incident = ? ORDER BY id LIMIT ?");
    let events = connection
        .prepare_cached(&query)?
        .query_map(params![id, bounded(MOST)], event_row)?
        .collect::<Result<_, _>>()?;
    let query = format!(
        "SELECT {DELIVERY} FROM notification JOIN incident ON incident.id = incident WHERE incident = ? \
         ORDER BY notification.id LIMIT ?"
    );
    let deliveries = connection
        .prepare_cached(&query)?
        .query_map(params![id, bounded(MOST)], delivery_row)?
        .collect::<Result<_, _>>()?;
    Ok(Some(IncidentStory { incident, events, deliveries }))
}

/// One notification, without its attempts.
pub(super) fn delivery(connection: &Connection, id: i64) -> rusqlite::Result<Option<Delivery>> {
    let query = format!(
        "SELECT {DELIVERY} FROM notification JOIN incident ON incident.id = incident WHERE notification.id = ?"
    );
    connection.prepare_cached(&query)?.query_row([id], delivery_row).optional()
}

/// The last hundred attempts of a notification, in order.
pub(super) fn attempts(connection: &Connection, notification: i64) -> rusqlite::Result<Vec<Attempt>> {
    let query = format!("SELECT {ATTEMPT} FROM attempt WHERE notification = ? ORDER BY number DESC LIMIT 100");
    let mut attempts: Vec<Attempt> =
        connection.prepare_cached(&query)?.query_map([notification], attempt_row)?.collect::<Result<_, _>>()?;
    attempts.reverse();
    Ok(attempts)
}

/// A limit for SQL. One more than is shown tells that there are more.
pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.min(MOST + 1)).unwrap_or(i64::MAX)
}

/// The query for incidents, up to its `WHERE`.
fn incident_columns() -> String {
    let count =
        |state| format!("(SELECT count(*) FROM notification WHERE incident = incident.id AND state = '{state}')");
    let [pending, delivered, dead, withdrawn] = ["pending", "delivered", "dead", "withdrawn"].map(count);
    let incident = row::INCIDENT;
    format!("SELECT {incident}, {pending}, {delivered}, {dead}, {withdrawn}, acknowledged_from FROM incident")
}

fn incident_row(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let mut row = Columns::of(row);
    let incident = row.incident()?;
    Ok(Incident {
        id: incident.id,
        source: incident.source,
        phone: incident.instance.masked_phone(),
        instance: incident.instance.id,
        name: incident.instance.name,
        labels: incident.instance.labels,
        reason: incident.reason,
        error: incident.error,
        opened_at: incident.opened_at,
        closed_at: incident.closed_at,
        acknowledged_by: incident.acknowledged.as_ref().map(|acknowledged| acknowledged.by.clone()),
        acknowledged_at: incident.acknowledged.map(|acknowledged| acknowledged.at),
        notifications: Counts { pending: row.get()?, delivered: row.get()?, dead: row.get()?, withdrawn: row.get()? },
        acknowledged_from: row.text_or_null()?,
        found: incident.found,
        unwatched: incident.unwatched,
    })
}

const EVENT: &str = "id, kind, reason, error, at, received_at, change, asked_at IS NOT NULL";

fn event_row(row: &Row<'_>) -> rusqlite::Result<Event> {
    let mut row = Columns::of(row);
    Ok(Event {
        id: row.get()?,
        kind: row.event_kind()?,
        reason: row.reason()?,
        error: row.text_or_null()?,
        at: row.time()?,
        received_at: row.time()?,
        change: row.text()?,
        found: row.get()?,
    })
}

/// The columns of a notification, for [`delivery_row`].
pub(super) const DELIVERY: &str = "state, notification.id, incident, incident.instance, incident.name, rule, \
    sink, recipient, kind, leased, created_at, due_at, settled_at, detail, lost, attempts, held_by, batch, owed_at";

pub(super) fn delivery_row(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let mut row = Columns::of(row);
    let state = row.text()?;
    let is_pending = state == "pending";
    Ok(Delivery {
        id: row.get()?,
        incident: row.get()?,
        instance: row.text()?,
        name: row.text_or_null()?,
        rule: row.text()?,
        sink: row.text()?,
        recipient: row.text()?,
        kind: row.text()?,
        state,
        in_flight: row.get::<bool>()? && is_pending,
        created_at: row.time()?,
        due_at: Some(row.time()?).filter(|_| is_pending),
        settled_at: row.time_or_null()?,
        detail: row.text_or_null()?,
        lost: row.get()?,
        tries: row.get()?,
        held_by: row.text_or_null()?,
        batch: row.get()?,
        owed_at: row.time()?,
        waits_for: None,
        attempts: None,
    })
}

const ATTEMPT: &str = "number, started_at, ended_at, outcome, detail";

fn attempt_row(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let mut row = Columns::of(row);
    Ok(Attempt {
        number: row.get()?,
        started_at: row.time()?,
        ended_at: row.time_or_null()?,
        outcome: row.text_or_null()?,
        detail: row.text_or_null()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_few_that_are_open_are_found_without_a_look_at_all() {
        let store = Connection::open_in_memory().unwrap();
        store.execute_batch(include_str!("../schema.sql")).unwrap();
        let plan = |open_only| -> Vec<String> {
            let mut statement = store.prepare(&format!("EXPLAIN QUERY PLAN {}", latest(open_only))).unwrap();
            let steps = statement.query_map([10], |row| row.get(3)).unwrap();
            steps.collect::<rusqlite::Result<_>>().unwrap()
        };
        assert!(plan(false).contains(&"SCAN incident".to_owned()), "{:?}", plan(false));
        assert!(!plan(true).contains(&"SCAN incident".to_owned()), "{:?}", plan(true));
    }
}
