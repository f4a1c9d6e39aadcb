//! Listings that no index serves: they search in steps, so that other readers have a turn in between.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::super::view::{Delivery, DeliveryQuery, Past};
use super::look::{DELIVERY, bounded, delivery_row};
use super::row::Columns;
use crate::source;
use crate::trouble;

/// The table of all notifications.
const ALL: &str = "notification";

/// How many rows a step searches.
const LOOKED_THROUGH: u32 = 20_000;

/// What a step found, and the row after which the next step goes on; `None` if this was the last.
pub(super) struct Looked<T> {
    pub(super) found: Vec<T>,
    pub(super) last: Option<i64>,
}

/// Webhooks received since a moment: one step, from a row on. (A binary search would not do: after the clock was set
/// back, times are out of order.)
pub(super) fn past(
    connection: &Connection,
    since: Timestamp,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Looked<Past>> {
    let step = "SELECT max(id) FROM (SELECT id FROM event WHERE id > ? ORDER BY id LIMIT ?)";
    let last: Option<i64> =
        connection.prepare_cached(step)?.query_row(params![after, LOOKED_THROUGH], |row| row.get(0))?;
    let query = format!(
        "SELECT {PAST} FROM event LEFT JOIN incident ON incident.id = event.incident \
         WHERE event.id > ?1 AND event.id <= ?5 AND event.received_at >= ?2 AND event.source <> ?4 \
         ORDER BY event.id LIMIT ?3"
    );
    let values = params![after, since.as_millisecond(), bounded(limit), trouble::SOURCE, last.unwrap_or(after)];
    let found = connection.prepare_cached(&query)?.query_map(values, past_row)?.collect::<rusqlite::Result<_>>()?;
    Ok(Looked { found, last })
}

/// Notifications, the latest first: one step back from a row. Pending and dead ones have an index and take one step.
pub(super) fn deliveries(
    connection: &Connection,
    query: &DeliveryQuery,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Looked<Delivery>> {
    // Without the hint, SQLite would rather scan all than sort what is rare.
    let (table, state) = match query.state.as_deref() {
        None => (ALL, "true"),
        Some("pending") => ("pending AS notification", "true"),
        Some("dead") => ("notification INDEXED BY notification_dead", "state = 'dead'"),
        Some("delivered") => (ALL, "state = 'delivered'"),
        Some("withdrawn") => (ALL, "state = 'withdrawn'"),
        Some(_) => return Ok(Looked { found: Vec::new(), last: None }),
    };
    let step = "SELECT min(id) FROM (SELECT id FROM notification WHERE id < ? ORDER BY id DESC LIMIT ?)";
    let last: Option<i64> = if table == ALL {
        connection.prepare_cached(step)?.query_row(params![before, LOOKED_THROUGH], |row| row.get(0))?
    } else {
        None
    };
    let sink = query.sink.as_ref().map_or("?1 IS NULL", |_| "sink = ?1");
    let statement = format!(
        "SELECT {DELIVERY} FROM {table} JOIN incident ON incident.id = incident \
         WHERE {state} AND {sink} AND notification.id < ?3 AND notification.id >= ?4 ORDER BY notification.id DESC LIMIT ?2"
    );
    let values = params![query.sink, bounded(limit), before, last.unwrap_or(i64::MIN)];
    let found = connection.prepare_cached(&statement)?.query_map(values, delivery_row)?.collect::<Result<_, _>>()?;
    Ok(Looked { found, last })
}

const PAST: &str = "event.change IN ('opened', 'missed'), incident.acknowledged_by, incident.acknowledged_at, \
    event.stamp, event.received_at, event.id, event.source, event.instance, event.kind, event.reason, incident.phone, \
    event.error, event.at, event.asked_at, event.incident";

fn past_row(row: &Row<'_>) -> rusqlite::Result<Past> {
    let mut row = Columns::of(row);
    let (opened, acknowledged): (bool, _) = (row.get()?, row.acknowledged()?);
    let (stamp, received_at) = (row.get()?, row.time()?);
    Ok(Past {
        id: row.get()?,
        event: source::Event {
            source: row.text()?,
            instance: row.text()?,
            kind: row.event_kind()?,
            reason: row.reason()?,
            phone: row.text_or_null()?,
            error: row.text_or_null()?,
            at: row.time()?,
            gateway_at: source::believed(stamp, received_at),
            stamp,
            received_at,
            asked_at: row.time_or_null()?,
        },
        incident: row.get()?,
        acknowledged: acknowledged.filter(|_| opened),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    /// Three steps and a bit of rows, of which the first and the last are wanted.
    #[test]
    fn what_has_no_index_is_looked_through_in_steps() {
        let store = Connection::open_in_memory().unwrap();
        store.execute_batch(include_str!("../schema.sql")).unwrap();
        let rows = 3 * LOOKED_THROUGH + 5;
        let numbers = format!("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {rows})");
        let wanted = format!("n = 1 OR n = {rows}");
        store
            .execute_batch(&format!(
                "INSERT INTO incident (id, source, instance, labels, reason, opened_at) VALUES (1, 'z', 'A', '{{}}', 'other', 0); \
                 INSERT INTO event (source, instance, kind, reason, at, received_at, change, payload) \
                    {numbers} SELECT 'z', 'A', 'connected', 'other', 0, 9 * ({wanted}), 'nothing', '' FROM n; \
                 INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, state, created_at, owed_at, \
                    due_at, grouping, class) {numbers} SELECT 1, '', iif({wanted}, 'b', 'a'), '', 'down', 0, 'delivered', 0, 0, \
                    0, '', '' FROM n;"
            ))
            .unwrap();
        let (mut after, mut steps) = (0, Vec::new());
        loop {
            let Looked { found, last } = past(&store, from_millis(9), after, 10).unwrap();
            let Some(last) = last else { break };
            steps.push(found.len());
            after = last;
        }
        assert_eq!(steps, [1, 0, 0, 1]);
        let query = DeliveryQuery { sink: Some("b".into()), ..DeliveryQuery::default() };
        let (mut before, mut steps) = (i64::MAX, Vec::new());
        loop {
            let Looked { found, last } = deliveries(&store, &query, before, 10).unwrap();
            let Some(last) = last else { break };
            steps.push(found.len());
            before = last;
        }
        assert_eq!(steps, [1, 0, 0, 1]);
    }
}
