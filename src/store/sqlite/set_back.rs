//! Corrects what was written before the clock was set back: its times lie in the future, and what is pending would wait
//! until the clock is that late again.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::clock::later;
use crate::rule::Routing;

/// Lines that were last heard of in the future, as many as are corrected at once.
const AHEAD: &str = "(source, instance) IN (SELECT source, instance FROM line WHERE heard_at > ?1 LIMIT ?2)";

/// Makes up to `limit` pending notifications due earlier, each by as much as its latest sign of life (its creation or
/// an attempt) lies in the future, and makes up to `limit` lines that were last heard of in the future be heard of now;
/// if these flap, they do so for no longer than they would have. What was gathered or put off untried has no such sign: up
/// to `limit` of those that wait for longer than anything is gathered are due now, and a lease decides anew. Returns the
/// number of all.
///
/// The beginnings of outages and of spells of flapping are left as written: this clock may be the wrong one, and right
/// again in a minute.
pub(super) fn set_back(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
    routing: &Routing,
) -> rusqlite::Result<usize> {
    let latest = later(now, routing.longest_interval()).as_millisecond();
    let now = now.as_millisecond();
    let flap = format!(
        "UPDATE flapping SET until = max(until - ( \
             SELECT heard_at FROM line WHERE source = flapping.source AND instance = flapping.instance \
         ) + ?1, ?1) WHERE until > ?1 AND {AHEAD}"
    );
    connection.prepare_cached(&flap)?.execute(params![now, limit])?;
    // Otherwise every answer of a gateway would count as older than the latest webhook until the clock is that late
    // again.
    let heard = format!("UPDATE line SET heard_at = ?1 WHERE {AHEAD}");
    let heard = connection.prepare_cached(&heard)?.execute(params![now, limit])?;
    let query = "SELECT id, max(created_at, coalesce((SELECT max(max(started_at, coalesce(ended_at, 0))) FROM attempt \
                 WHERE notification = notification.id), 0)) AS latest \
                 FROM pending AS notification WHERE latest > ? LIMIT ?";
    let mut statement = connection.prepare_cached(query)?;
    let found: Vec<(i64, i64)> = statement
        .query_map(params![now, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, latest) in &found {
        // No time is moved to before now: what is due stays due.
        let update = "UPDATE notification SET created_at = min(created_at, ?2), \
                      due_at = CASE WHEN due_at > ?2 THEN max(due_at - ?3, ?2) ELSE due_at END, \
                      owed_at = CASE WHEN owed_at > ?2 THEN max(owed_at - ?3, ?2) ELSE owed_at END WHERE id = ?1";
        connection.prepare_cached(update)?.execute(params![id, now, latest.saturating_sub(now)])?;
        let update =
            "UPDATE attempt SET started_at = min(started_at, ?2), ended_at = min(ended_at, ?2) WHERE notification = ?1";
        connection.prepare_cached(update)?.execute([*id, now])?;
    }
    let free = "UPDATE notification SET due_at = ?1, owed_at = min(owed_at, ?1) WHERE id IN (SELECT id FROM notification \
                WHERE state = 'pending' AND leased = 0 AND attempts = 0 AND held_by IS NULL AND due_at > ?2 LIMIT ?3)";
    let freed = connection.prepare_cached(free)?.execute(params![now, latest, limit])?;
    Ok(heard + found.len() + freed)
}
