//! What was written by a clock that has been set back since: its times lie in the future, and what waits would wait
//! until the clock is that late again.

use jiff::Timestamp;
use rusqlite::{Connection, params};

/// Makes up to `limit` notifications that wait due by so much earlier as their latest sign of life lies in the
/// future, and has as many lines that were heard and outages that began in the future do so now. Answers how many of all.
pub(super) fn set_back(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let now = now.as_millisecond();
    let flapping = "UPDATE flapping SET until = until - (since - ?1), since = ?1 WHERE since > ?1";
    connection.prepare_cached(flapping)?.execute([now])?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // What was heard later than a gateway was asked would overtake its answers until then.
    let heard = "UPDATE line SET heard_at = ?1 WHERE (source, instance) IN \
                 (SELECT source, instance FROM line WHERE heard_at > ?1 LIMIT ?2)";
    // Reminders count from there.
    let began = "UPDATE incident SET opened_at = ?1 WHERE id IN \
                 (SELECT id FROM incident WHERE closed_at IS NULL AND opened_at > ?1 LIMIT ?2)";
    let mut changed = 0;
    for update in [heard, began] {
        changed += connection.prepare_cached(update)?.execute([now, limit])?;
    }
    let query = "SELECT id, max(created_at, coalesce((SELECT max(max(started_at, coalesce(ended_at, 0))) FROM attempt \
                 WHERE notification = notification.id), 0)) AS latest \
                 FROM notification WHERE state = 'pending' AND latest > ? LIMIT ?";
    let mut statement = connection.prepare_cached(query)?;
    let found: Vec<(i64, i64)> =
        statement.query_map([now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
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
    Ok(changed + found.len())
}
