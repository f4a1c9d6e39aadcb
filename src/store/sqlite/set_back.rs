//! What was written by a clock that has been set back since: its times lie in the future, and what waits would wait
//! until the clock is that late again.

use jiff::Timestamp;
use rusqlite::{Connection, params};

/// The lines that were heard in the future, as many as are looked at in one go.
const AHEAD: &str = "(source, instance) IN (SELECT source, instance FROM line WHERE heard_at > ?1 LIMIT ?2)";

/// Makes up to `limit` notifications that wait due by so much earlier as their latest sign of life lies in the
/// future, and has as many lines that were heard in the future be heard now: if they flap, they do so for no longer than
/// they would have. Answers how many of all. When an outage began, or the first of those of a line that flaps, is left
/// as it was written: this clock may be the wrong one, and right again in a minute.
pub(super) fn set_back(connection: &Connection, now: Timestamp, limit: u32) -> rusqlite::Result<usize> {
    let now = now.as_millisecond();
    let flap = format!(
        "UPDATE flapping SET until = max(until - ( \
             SELECT heard_at FROM line WHERE source = flapping.source AND instance = flapping.instance \
         ) + ?1, ?1) WHERE until > ?1 AND {AHEAD}"
    );
    connection.prepare_cached(&flap)?.execute(params![now, limit])?;
    // What was heard later than a gateway was asked would overtake its answers until then.
    let heard = format!("UPDATE line SET heard_at = ?1 WHERE {AHEAD}");
    let heard = connection.prepare_cached(&heard)?.execute(params![now, limit])?;
    let query = "SELECT id, max(created_at, coalesce((SELECT max(max(started_at, coalesce(ended_at, 0))) FROM attempt \
                 WHERE notification = notification.id), 0)) AS latest \
                 FROM notification WHERE state = 'pending' AND latest > ? LIMIT ?";
    let mut statement = connection.prepare_cached(query)?;
    let found: Vec<(i64, i64)> = statement
        .query_map(params![now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, latest) in &found {
        // From the store's own times nothing is taken back beyond now: what is due is due.
        let update = "UPDATE notification SET created_at = min(created_at, ?2), \
                      due_at = CASE WHEN due_at > ?2 THEN max(due_at - ?3, ?2) ELSE due_at END, \
                      owed_at = CASE WHEN owed_at > ?2 THEN max(owed_at - ?3, ?2) ELSE owed_at END WHERE id = ?1";
        connection.prepare_cached(update)?.execute(params![id, now, latest.saturating_sub(now)])?;
        let update =
            "UPDATE attempt SET started_at = min(started_at, ?2), ended_at = min(ended_at, ?2) WHERE notification = ?1";
        connection.prepare_cached(update)?.execute([*id, now])?;
    }
    Ok(heard + found.len())
}
