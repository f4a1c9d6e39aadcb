//! Corrects what was written before the clock was set back: its times lie in the future, and what is pending, or counts
//! from them, would wait until the clock is that late again.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::Corrected;
use super::notification;
use super::owe::begun;
use super::row::{self, Columns};
use crate::clock::{between, from_millis, later};
use crate::rule::Routing;
use crate::rule::wait::Wait;

/// Lines that were last heard of in the future, as many as are corrected at once.
const AHEAD: &str = "(source, instance) IN (SELECT source, instance FROM line WHERE heard_at > ?1 LIMIT ?2)";

/// Corrects these notifications or, if there are none, up to `limit` items of the first other sort of which any is left;
/// it does nothing once nothing is left. The routing says for how long something may be gathered, and when reminders come.
///
/// The beginnings of outages and of spells of flapping are left as written: this clock may be the wrong one, and right
/// again in a minute. Reminders of such an outage count from its first message ([`super::owe::begun`]).
pub(super) fn set_back(
    connection: &Connection,
    now: Timestamp,
    ahead: &[i64],
    limit: u32,
    routing: &Routing,
) -> rusqlite::Result<Corrected> {
    if !ahead.is_empty() {
        return hasten(connection, ahead, now, routing);
    }
    let gathered = later(now, routing.longest_interval()).as_millisecond();
    let millis = now.as_millisecond();
    let lines = hear_now(connection, millis, limit)?;
    if lines.more() {
        return Ok(lines);
    }
    match begin_silences(connection, millis, limit)? {
        0 => Ok(Corrected { freed: free(connection, (millis, gathered), limit)?, ..Corrected::default() }),
        silences => Ok(Corrected { ahead: silences, ..Corrected::default() }),
    }
}

/// Makes lines that were last heard of in the future be heard of now: otherwise every answer of a gateway would count as
/// older than the latest webhook until the clock is that late again. If they flap, they do so for no longer than they
/// would have.
fn hear_now(connection: &Connection, now: i64, limit: u32) -> rusqlite::Result<Corrected> {
    let query = "SELECT max(heard_at) FROM (SELECT heard_at FROM line WHERE heard_at > ? LIMIT ?)";
    let latest: Option<i64> = connection.prepare_cached(query)?.query_row(params![now, limit], |row| row.get(0))?;
    let Some(latest) = latest else { return Ok(Corrected::default()) };
    let flap = format!(
        "UPDATE flapping SET until = max(until - ( \
             SELECT heard_at FROM line WHERE source = flapping.source AND instance = flapping.instance \
         ) + ?1, ?1) WHERE until > ?1 AND {AHEAD}"
    );
    connection.prepare_cached(&flap)?.execute(params![now, limit])?;
    let heard = format!("UPDATE line SET heard_at = ?1 WHERE {AHEAD}");
    let lines = connection.prepare_cached(&heard)?.execute(params![now, limit])?;
    Ok(Corrected { ahead: lines, by: between(from_millis(now), from_millis(latest)), ..Corrected::default() })
}

/// The latest sign of life of a notification: its creation or an attempt.
const LATEST: &str = "max(created_at, coalesce((SELECT max(max(started_at, coalesce(ended_at, 0))) FROM attempt \
                      WHERE notification = notification.id), 0))";

/// The notifications whose latest sign of life lies in the future: the pending ones, and those that are settled, but about
/// an outage that goes on. They are looked for once: a step that looked for its own would pass over all before them.
pub(super) fn ahead(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<i64>> {
    let query = format!(
        "SELECT id FROM ( \
             SELECT id, created_at FROM pending UNION ALL \
             SELECT notification.id, created_at FROM incident CROSS JOIN notification ON incident = incident.id \
             WHERE closed_at IS NULL AND state <> 'pending' \
         ) AS notification WHERE {LATEST} > ?"
    );
    connection.prepare_cached(&query)?.query_map([now.as_millisecond()], |row| row.get(0))?.collect()
}

/// Makes those of these that are pending due earlier, each by as much as its latest sign of life lies in the future; and
/// lets those that are settled have been settled now: steps of escalations and reminders count from them.
fn hasten(connection: &Connection, ids: &[i64], now: Timestamp, routing: &Routing) -> rusqlite::Result<Corrected> {
    let query = format!("SELECT {LATEST} FROM notification WHERE id = ?");
    let mut latest_of = connection.prepare_cached(&query)?;
    // No time is moved to before now: what is due stays due.
    let update = "UPDATE notification SET created_at = min(created_at, ?2), settled_at = min(settled_at, ?2), \
                  due_at = CASE WHEN due_at > ?2 THEN max(due_at - ?3, ?2) ELSE due_at END, \
                  owed_at = CASE WHEN owed_at > ?2 THEN max(owed_at - ?3, ?2) ELSE owed_at END WHERE id = ?1";
    let mut notification = connection.prepare_cached(update)?;
    let update =
        "UPDATE attempt SET started_at = min(started_at, ?2), ended_at = min(ended_at, ?2) WHERE notification = ?1";
    let mut attempts = connection.prepare_cached(update)?;
    let (mut corrected, millis) = (Corrected::default(), now.as_millisecond());
    for id in ids {
        let latest: Option<i64> = latest_of.query_row([id], |row| row.get(0)).optional()?;
        let Some(latest) = latest.filter(|latest| *latest > millis) else { continue };
        notification.execute([*id, millis, latest.saturating_sub(millis)])?;
        attempts.execute([*id, millis])?;
        keep_apart(connection, *id, now, routing)?;
        corrected.add(Corrected { ahead: 1, freed: 0, by: between(now, from_millis(latest)) });
    }
    Ok(corrected)
}

/// Lets a pending reminder come at the next of the times that reminders of its outage have now. It was made due earlier
/// by another time than they count from: without this, the one that follows it would come right after it.
fn keep_apart(connection: &Connection, id: i64, now: Timestamp, routing: &Routing) -> rusqlite::Result<()> {
    let query = format!(
        "SELECT {}, {} FROM notification JOIN incident ON incident.id = notification.incident \
         WHERE notification.id = ? AND state = 'pending' AND held_by = ?",
        notification::OWED,
        row::INCIDENT
    );
    let read = |row: &Row<'_>| {
        let mut row = Columns::of(row);
        Ok((notification::owed(&mut row)?, row.incident()?))
    };
    let waiting = connection.prepare_cached(&query)?.query_row(params![id, Wait::Reminder], read).optional()?;
    let Some((reminder, incident)) = waiting.filter(|(reminder, _)| reminder.due_at > now) else { return Ok(()) };
    let incident = begun(connection, incident, now)?;
    let just_before = from_millis(reminder.due_at.as_millisecond() - 1);
    if let Some(next) = routing.reminder(&reminder, &incident, just_before) {
        let update = "UPDATE notification SET due_at = ?2, owed_at = ?2 WHERE id = ?1";
        connection.prepare_cached(update)?.execute([id, next.due_at.as_millisecond()])?;
    }
    Ok(())
}

/// Makes due what was gathered or put off untried, if it waits for longer than anything is gathered: it has no sign of
/// life, and a lease decides anew.
fn free(connection: &Connection, (now, gathered): (i64, i64), limit: u32) -> rusqlite::Result<usize> {
    let free = "UPDATE notification SET due_at = ?1, owed_at = min(owed_at, ?1) WHERE id IN (SELECT id FROM notification \
                WHERE state = 'pending' AND leased = 0 AND attempts = 0 AND held_by IS NULL AND due_at > ?2 LIMIT ?3)";
    connection.prepare_cached(free)?.execute(params![now, gathered, limit])
}

/// Lets silences that were in force as soon as somebody made them begin now, and last for as long as they were to.
/// Those that were made for a later time stay.
fn begin_silences(connection: &Connection, now: i64, limit: u32) -> rusqlite::Result<usize> {
    let begin = "UPDATE silence SET starts_at = starts_at - (made_at - ?1), ends_at = ends_at - (made_at - ?1), \
                 made_at = ?1 WHERE id IN ( \
                     SELECT id FROM silence WHERE ends_at > ?1 AND made_at > ?1 AND starts_at <= made_at LIMIT ?2)";
    connection.prepare_cached(begin)?.execute(params![now, limit])
}
