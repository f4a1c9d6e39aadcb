//! Adds notifications when they are owed, and withdraws them when they need not be sent any more.

use jiff::Timestamp;
use linedown_sinks::{Kind, Reason};
use rusqlite::{Connection, params};

use super::row::{self, Columns};
use crate::rule::wait::Wait;
use crate::rule::{Owed, class};

/// `chain`: the notification ?1; if it is a notice of a loss, the one that was lost; and so on, down to the first of
/// them, which has the least number and tells of no loss. (`CROSS JOIN` fixes the order, or SQLite might scan the whole
/// table.)
pub(super) const CHAIN: &str = "WITH RECURSIVE chain (id) AS (SELECT ?1 UNION \
    SELECT lost FROM chain CROSS JOIN notification USING (id) WHERE lost IS NOT NULL)";

/// The columns of a notification that say what is owed, for [`owed`].
pub(super) const OWED: &str = "rule, sink, recipient, kind, wants_resolved, grouping, due_at, held_by, since";

pub(super) fn owed(row: &mut Columns<'_, '_>) -> rusqlite::Result<Owed> {
    Ok(Owed {
        rule: row.text()?,
        sink: row.text()?,
        recipient: row.text()?,
        kind: row.kind()?,
        resolved: row.get()?,
        group: row.text()?,
        due_at: row.time()?,
        held_by: row.wait()?,
        since: row.time_or_null()?,
    })
}

/// Adds a notification that is owed from now on and returns its number. If it tells of a loss, `lost` is what was given
/// up.
pub(super) fn add(
    connection: &Connection,
    incident: i64,
    owed: &Owed,
    lost: Option<i64>,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let insert = "INSERT INTO notification \
                  (incident, rule, sink, recipient, kind, wants_resolved, lost, created_at, owed_at, due_at, held_by, grouping, class, since, held_before) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13, ?14)";
    let due_at = owed.due_at.max(now);
    let held_by = owed.held_by.as_ref().filter(|_| due_at > now);
    // A step that is due already may have to wait for the first message.
    let step = owed.held_by.as_ref().filter(|_| due_at <= now && owed.kind == Kind::Escalation);
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
        step,
    ])
}

/// Adds a notification that need not be sent, and withdraws it at once.
pub(super) fn add_withdrawn(
    connection: &Connection,
    incident: i64,
    owed: &Owed,
    why: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let id = add(connection, incident, owed, None, now)?;
    withdraw(connection, id, why, now)
}

/// Withdraws one notification.
pub(super) fn withdraw(connection: &Connection, id: i64, why: &str, now: Timestamp) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET state = 'withdrawn', settled_at = ?2, detail = ?3 WHERE id = ?1";
    connection.prepare_cached(update)?.execute(params![id, now.as_millisecond(), why])?;
    Ok(())
}

/// Withdraws every untried reminder of an incident that was over at `back`, and what else was to be sent later than
/// that. What was due by then, or has been tried, is still owed; and so is the tally of a line that flaps.
pub(super) fn withdraw_over(
    connection: &Connection,
    incident: i64,
    back: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let query = "SELECT id, held_by, (SELECT reason FROM incident WHERE id = incident) FROM notification \
                 WHERE incident = ? AND state = 'pending' AND leased = 0 AND attempts = 0 \
                 AND kind NOT IN ('flapping', 'steady') AND (kind = 'reminder' OR (held_by IS NOT NULL AND due_at > ?))";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([incident, back.as_millisecond()])?;
    let mut over = Vec::new();
    while let Some(row) = rows.next()? {
        over.push((row.get(0)?, row::wait(row, 1)?, row::reason(row, 2)?));
    }
    for (id, held_by, reason) in over {
        withdraw(connection, id, &back_in_time(held_by.as_ref(), reason), now)?;
    }
    Ok(())
}

/// Withdraws the reminders and escalations of an incident that somebody has taken.
pub(super) fn withdraw_taken(connection: &Connection, incident: i64, by: &str, now: Timestamp) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET state = 'withdrawn', settled_at = ?2, detail = ?3 \
                  WHERE incident = ?1 AND state = 'pending' AND leased = 0 AND kind IN ('reminder', 'escalation')";
    let values = params![incident, now.as_millisecond(), format!("acknowledged by {by}")];
    connection.prepare_cached(update)?.execute(values)?;
    Ok(())
}

/// Why a notification is withdrawn that was to be sent only if the line was still down; `held_by` is what it waited
/// for, and `reason` that of its incident.
pub(super) fn back_in_time(held_by: Option<&Wait>, reason: Reason) -> String {
    let over = if reason.is_outage() { "the line was back" } else { "the incident was closed" };
    match held_by {
        Some(by) if by.holds_back() => format!("{by} held it until {over}"),
        Some(by @ Wait::Hold(_)) => format!("{over} within the {by}"),
        Some(by @ (Wait::Step(_) | Wait::StepAfterFlapping { .. })) => format!("{over} before the {by} was due"),
        _ => format!("{over} before it was sent"),
    }
}
