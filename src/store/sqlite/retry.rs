//! What a person sends again: made due, as if it were owed from now on.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::super::Retried;
use super::{AT_ONCE, row};
use crate::rule::timing::{QUIET_HOURS, SILENCE};

/// The notifications that were given up, of one sink or of all.
pub(super) fn dead(connection: &Connection, sink: Option<&str>) -> rusqlite::Result<Vec<i64>> {
    let of_sink = sink.map_or("?1 IS NULL", |_| "sink = ?1");
    let query = format!("SELECT id FROM notification INDEXED BY notification_dead WHERE state = 'dead' AND {of_sink}");
    connection.prepare_cached(&query)?.query_map([sink], |row| row.get(0))?.collect()
}

/// What goes out again for the sake of one that is dead or waits: itself, or all that is left of the message that it went
/// out in, which keeps its name. Nothing while that is on its way, or while a silence or quiet hours hold it back: they
/// would at once again. And nobody is asked for once more who takes an outage that somebody has taken.
const AGAIN: &str = "WITH message (id) AS ( \
        SELECT ?2 UNION SELECT part.id FROM notification AS one JOIN notification AS part ON part.batch = one.batch \
        WHERE one.id = ?2 \
    ) UPDATE notification SET state = 'pending', owed_at = ?1, due_at = ?1, held_by = NULL, settled_at = NULL \
    WHERE id IN message AND state IN ('dead', 'pending') \
    AND NOT (kind IN ('reminder', 'escalation') AND EXISTS (SELECT 1 FROM incident \
        WHERE incident.id = incident AND acknowledged_at IS NOT NULL AND closed_at IS NULL)) \
    AND ?2 IN (SELECT id FROM notification WHERE id = ?2 AND state IN ('dead', 'pending') \
        AND (held_by IS NULL OR (held_by NOT LIKE ?3 || ' %' AND held_by NOT LIKE ?4 || ' %'))) \
    AND NOT EXISTS (SELECT 1 FROM notification WHERE id IN message AND leased = 1) RETURNING id, sink";

/// Makes some due again, and what goes out with them, until those are [`AT_ONCE`]. Answers how many of the `ids` were
/// looked at by then.
pub(super) fn retry(connection: &Connection, ids: &[i64], now: Timestamp) -> rusqlite::Result<(usize, Retried)> {
    let mut statement = connection.prepare_cached(AGAIN)?;
    let mut retried = Retried::default();
    let mut looked_at = 0;
    for id in ids {
        if retried.notifications.len() >= usize::from(AT_ONCE) {
            break;
        }
        looked_at += 1;
        if retried.notifications.contains(id) {
            continue;
        }
        let mut rows = statement.query(params![now.as_millisecond(), id, SILENCE, QUIET_HOURS])?;
        while let Some(row) = rows.next()? {
            retried.notifications.insert(row.get(0)?);
            retried.sinks.insert(row::text(row, 1)?);
        }
    }
    Ok((looked_at, retried))
}
