//! Notifications are written down when they are owed, and withdrawn when they need not be sent any more.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::rule::{Owed, class};

/// Writes one down that is owed from now on; `lost` is the one that was given up, if it tells of that. Answers its number.
pub(super) fn add(
    connection: &Connection,
    incident: i64,
    owed: &Owed,
    lost: Option<i64>,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let insert = "INSERT INTO notification \
                  (incident, rule, sink, recipient, kind, wants_resolved, lost, created_at, owed_at, due_at, held_by, grouping, class, since) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13)";
    let due_at = owed.due_at.max(now);
    let held_by = owed.held_by.as_ref().filter(|_| due_at > now);
    connection.prepare_cached(insert)?.insert(params![
        incident,
        owed.rule,
        owed.sink,
        owed.recipient,
        owed.kind.as_str(),
        owed.resolved,
        lost,
        now.as_millisecond(),
        due_at.as_millisecond(),
        held_by,
        owed.group,
        class(owed.kind).as_str(),
        owed.since.map(Timestamp::as_millisecond),
    ])
}

/// One of them.
pub(super) fn withdraw(connection: &Connection, id: i64, why: &str, now: Timestamp) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET state = 'withdrawn', settled_at = ?2, detail = ?3 WHERE id = ?1";
    connection.prepare_cached(update)?.execute(params![id, now.as_millisecond(), why])?;
    Ok(())
}

/// What was to be sent later than an incident was over: since when it is. What was due by then, or was tried, is still
/// owed.
pub(super) fn withdraw_over(
    connection: &Connection,
    incident: i64,
    back: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET state = 'withdrawn', settled_at = ?2, detail = ?3 \
                  WHERE incident = ?1 AND state = 'pending' AND leased = 0 AND attempts = 0 \
                  AND kind NOT IN ('flapping', 'steady') AND (kind = 'reminder' OR (held_by IS NOT NULL AND due_at > ?4))";
    let values = params![incident, now.as_millisecond(), BACK_IN_TIME, back.as_millisecond()];
    connection.prepare_cached(update)?.execute(values)?;
    Ok(())
}

/// What was to ask for somebody who takes an incident, now that somebody has.
pub(super) fn withdraw_taken(connection: &Connection, incident: i64, by: &str, now: Timestamp) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET state = 'withdrawn', settled_at = ?2, detail = ?3 \
                  WHERE incident = ?1 AND state = 'pending' AND leased = 0 AND kind IN ('reminder', 'escalation')";
    let values = params![incident, now.as_millisecond(), format!("acknowledged by {by}")];
    connection.prepare_cached(update)?.execute(values)?;
    Ok(())
}

/// What is withdrawn for this was to be told only of a line that is still down.
pub(super) const BACK_IN_TIME: &str = "the line was back before it was due";
