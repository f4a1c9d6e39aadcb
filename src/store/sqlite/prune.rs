//! Forgets what is over and old; and what holds only for a while, once that has passed.
//!
//! The incident, the event and the notification with the largest number are kept, whatever their age: the next one's
//! number follows from it, and no number is given twice.

use std::collections::BTreeSet;

use jiff::Timestamp;
use linedown_sinks::Reason;
use rusqlite::{Connection, Row, params};

use super::super::Forgotten;
use super::{line, row};

/// Old webhooks that belong to no incident.
const LOOSE: &str = "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE incident IS NULL AND received_at < ? \
                         AND id < (SELECT max(id) FROM event) LIMIT ?) \
                     RETURNING source, instance, reason";

/// Incidents that ended long ago, if all their notifications are settled.
const OVER: &str = "DELETE FROM incident WHERE id IN (SELECT id FROM incident WHERE closed_at < ? AND NOT EXISTS ( \
                        SELECT 1 FROM notification WHERE incident = incident.id AND state = 'pending' \
                    ) AND id < (SELECT max(id) FROM incident) \
                    AND id IS NOT (SELECT incident FROM event ORDER BY id DESC LIMIT 1) \
                    AND id IS NOT (SELECT incident FROM notification ORDER BY id DESC LIMIT 1) \
                    LIMIT ?) RETURNING source, instance, reason";

/// Old reports that an open outage goes on: a gateway may repeat them for ever. Old ones are among the outage's first
/// events, so only those are looked at.
const REPEATED: &str = "DELETE FROM event WHERE id IN (SELECT event.id FROM incident JOIN event ON event.id IN \
                            (SELECT first.id FROM event AS first WHERE first.incident = incident.id ORDER BY first.id LIMIT ?2) \
                        WHERE incident.closed_at IS NULL AND incident.opened_at < ?1 \
                        AND event.change = 'repeated' AND event.received_at < ?1 \
                        AND event.id < (SELECT max(id) FROM event) LIMIT ?2)";

const SILENCES: &str = "DELETE FROM silence WHERE id IN (SELECT id FROM silence WHERE ends_at < ? LIMIT ?)";

/// Group windows and spells of flapping that have ended.
const PASSED: [&str; 2] = [
    "DELETE FROM gathering WHERE (sink, recipient, grouping, class) IN \
     (SELECT sink, recipient, grouping, class FROM gathering WHERE until <= ? LIMIT ?)",
    "DELETE FROM flapping WHERE (source, instance, rule) IN \
     (SELECT source, instance, rule FROM flapping WHERE until <= ? LIMIT ?)",
];

/// Forgets up to `limit` rows of each sort.
pub(super) fn prune(
    connection: &Connection,
    now: Timestamp,
    over_before: Timestamp,
    limit: u32,
) -> rusqlite::Result<Forgotten> {
    let (now, over_before) = (now.as_millisecond(), over_before.as_millisecond());
    let mut old = 0;
    let mut lines = BTreeSet::new();
    for statement in [LOOSE, OVER] {
        let mut statement = connection.prepare_cached(statement)?;
        for line in statement.query_map(params![over_before, limit], line_of)? {
            lines.insert(line?);
            old += 1;
        }
    }
    for (source, instance, reason) in &lines {
        forget_line(connection, &line::key(source, *reason), instance)?;
        forget_line(connection, source, instance)?;
    }
    for statement in [REPEATED, SILENCES] {
        old += connection.prepare_cached(statement)?.execute(params![over_before, limit])?;
    }
    let mut passed = 0;
    for statement in PASSED {
        passed += connection.prepare_cached(statement)?.execute(params![now, limit])?;
    }
    Ok(Forgotten { old, more: old + passed > 0 })
}

fn line_of(row: &Row<'_>) -> rusqlite::Result<(String, String, Reason)> {
    Ok((row::text(row, 0)?, row::text(row, 1)?, row::reason(row, 2)?))
}

/// Forgets a line of which nothing else is left.
fn forget_line(connection: &Connection, key: &str, instance: &str) -> rusqlite::Result<()> {
    let forget = "DELETE FROM line WHERE source = ? AND instance = ? AND incident IS NULL \
                  AND NOT EXISTS (SELECT 1 FROM incident WHERE id = last_incident) \
                  AND NOT EXISTS (SELECT 1 FROM event WHERE id = last_event)";
    connection.prepare_cached(forget)?.execute([key, instance])?;
    Ok(())
}
