//! Listings that no index serves: they search in steps, so that other readers have a turn in between.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::super::view::{Delivery, DeliveryQuery, Past};
use super::look::{DELIVERY, bounded, delivery_row};
use super::row::Columns;
use crate::source;
use crate::trouble;

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

/// The numbers of a line's incidents, the latest first: one step back from a row. (An index of lines would make each
/// webhook write a page more.)
pub(super) fn of_line(connection: &Connection, line: &str, before: i64) -> rusqlite::Result<Looked<i64>> {
    let step = "SELECT min(id) FROM (SELECT id FROM incident WHERE id < ? ORDER BY id DESC LIMIT ?)";
    let last: Option<i64> =
        connection.prepare_cached(step)?.query_row(params![before, LOOKED_THROUGH], |row| row.get(0))?;
    let query = "SELECT id FROM incident WHERE id < ?1 AND id >= ?2 AND (instance = ?3 OR name = ?3) ORDER BY id DESC";
    let values = params![before, last.unwrap_or(before), line];
    let found = connection.prepare_cached(query)?.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Looked { found, last })
}

/// Notifications, the latest first: one step back from a row. Pending and dead ones, and those of one line's incidents
/// (their numbers are `among`, as JSON), have an index and take one step.
pub(super) fn deliveries(
    connection: &Connection,
    query: &DeliveryQuery,
    among: Option<&str>,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Looked<Delivery>> {
    let Some(statement) = statement(query, among.is_some()) else {
        return Ok(Looked { found: Vec::new(), last: None });
    };
    let step = "SELECT min(id) FROM (SELECT id FROM notification WHERE id < ? ORDER BY id DESC LIMIT ?)";
    let last: Option<i64> = if among.is_none() && is_searched(query.state.as_deref()) {
        connection.prepare_cached(step)?.query_row(params![before, LOOKED_THROUGH], |row| row.get(0))?
    } else {
        None
    };
    let values = params![query.sink, bounded(limit), before, last.unwrap_or(i64::MIN), among];
    let found = connection.prepare_cached(&statement)?.query_map(values, delivery_row)?.collect::<Result<_, _>>()?;
    Ok(Looked { found, last })
}

/// Whether no index serves notifications of this state.
fn is_searched(state: Option<&str>) -> bool {
    !matches!(state, Some("pending" | "dead"))
}

/// The query for notifications; none if there is no such state.
fn statement(query: &DeliveryQuery, is_among: bool) -> Option<String> {
    let state = match query.state.as_deref() {
        None | Some("pending") => "true",
        Some("dead") => "state = 'dead'",
        Some("delivered") => "state = 'delivered'",
        Some("withdrawn") => "state = 'withdrawn'",
        Some(_) => return None,
    };
    // Without the hints, SQLite would rather scan all than sort what is rare.
    let table = match query.state.as_deref() {
        Some("pending") => "pending AS notification",
        _ if is_among => "notification INDEXED BY notification_incident",
        Some("dead") => "notification INDEXED BY notification_dead",
        _ => "notification",
    };
    let sink = query.sink.as_ref().map_or("?1 IS NULL", |_| "sink = ?1");
    let among = if is_among { "incident IN (SELECT value FROM json_each(?5))" } else { "?5 IS NULL" };
    Some(format!(
        "SELECT {DELIVERY} FROM {table} CROSS JOIN incident ON incident.id = incident WHERE {state} AND {sink} AND {among} \
         AND notification.id < ?3 AND notification.id >= ?4 ORDER BY notification.id DESC LIMIT ?2"
    ))
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
            let Looked { found, last } = deliveries(&store, &query, None, before, 10).unwrap();
            let Some(last) = last else { break };
            steps.push(found.len());
            before = last;
        }
        assert_eq!(steps, [1, 0, 0, 1]);
    }

    /// Three steps and a bit of outages, of which one line has the first and the last, the first under its name of then.
    #[test]
    fn the_outages_of_one_line_are_searched_for_in_steps_and_their_notifications_have_an_index() {
        let store = Connection::open_in_memory().unwrap();
        store.execute_batch(include_str!("../schema.sql")).unwrap();
        let rows = 3 * LOOKED_THROUGH + 5;
        store
            .execute_batch(&format!(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {rows}) \
                 INSERT INTO incident (source, instance, name, labels, reason, opened_at) \
                 SELECT 'z', iif(n = {rows}, 'A', 'B'), iif(n = 1, 'A', NULL), '{{}}', 'other', 0 FROM n; \
                 INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, state, created_at, owed_at, \
                    due_at, grouping, class) SELECT id, '', 'a', '', 'down', 0, 'delivered', 0, 0, 0, '', '' FROM incident;"
            ))
            .unwrap();
        let (mut before, mut steps) = (i64::MAX, Vec::new());
        loop {
            let Looked { found, last } = of_line(&store, "A", before).unwrap();
            let Some(last) = last else { break };
            steps.push(found);
            before = last;
        }
        assert_eq!(steps, [vec![i64::from(rows)], vec![], vec![], vec![1]]);

        for state in [None, Some("pending"), Some("dead"), Some("delivered"), Some("withdrawn")] {
            let query = DeliveryQuery { state: state.map(str::to_owned), ..DeliveryQuery::default() };
            let plan = format!("EXPLAIN QUERY PLAN {}", statement(&query, true).unwrap());
            let mut plan = store.prepare(&plan).unwrap();
            let read = |row: &Row<'_>| row.get::<_, String>(3);
            let plan: Vec<_> =
                plan.query_map(params![None::<&str>, 1, 1, 1, "[]"], read).unwrap().map(Result::unwrap).collect();
            let is_scan = |step: &String| step.starts_with("SCAN notification") || step.starts_with("SCAN incident");
            assert!(!plan.iter().any(is_scan), "{state:?}: {plan:?}");
            let Looked { found, last } =
                deliveries(&store, &query, Some(&format!("[1, {rows}]")), i64::MAX, 10).unwrap();
            let expected = if matches!(state, None | Some("delivered")) { vec![i64::from(rows), 1] } else { vec![] };
            assert_eq!((found.iter().map(|row| row.incident).collect(), last), (expected, None), "{state:?}");
        }
    }
}
