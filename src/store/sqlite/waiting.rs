//! Pending notifications that are looked at again, because their line got worse or the config changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::LastReminders;
use super::notification;
use super::owe::{Basis, begun};
use super::row::{self, Columns};
use crate::rule::wait::{QUIET_HOURS, Wait};
use crate::rule::{Owed, Routing};

/// One pending notification.
struct Waiting {
    id: i64,
    /// Whether it has been tried or is in hand: rules then no longer say when it is tried, but they do say for how long it
    /// is held back.
    tried: bool,
    owed: Owed,
}

impl Waiting {
    /// The columns of one, for [`Waiting::read`].
    fn columns() -> String {
        format!("notification.id, leased OR attempts > 0, {}", notification::OWED)
    }

    fn read(row: &mut Columns<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get()?, tried: row.get()?, owed: notification::owed(row)? })
    }

    /// Writes down what it becomes: `owed`. Returns when it is due and for which sink, if that time has changed.
    fn becomes(self, connection: &Connection, owed: Owed) -> rusqlite::Result<Option<(Timestamp, String)>> {
        let Self { id, tried, owed: before } = self;
        let is_fixed = tried && !before.held_by.as_ref().is_some_and(Wait::holds_back);
        let (due_at, held_by) = if is_fixed { (before.due_at, &before.held_by) } else { (owed.due_at, &owed.held_by) };
        // Patience does not run while something is held back. (A step goes on saying what step it is.)
        let update = "UPDATE notification SET rule = ?2, wants_resolved = ?3, grouping = ?4, due_at = ?5, \
                      owed_at = CASE WHEN held_by IS NULL THEN min(owed_at, ?5) ELSE ?5 END, held_by = ?6, \
                      held_before = CASE WHEN ?6 IS NULL AND kind <> 'escalation' THEN coalesce(held_by, held_before) ELSE held_before END WHERE id = ?1";
        let values = params![id, owed.rule, owed.resolved, owed.group, due_at.as_millisecond(), held_by];
        connection.prepare_cached(update)?.execute(values)?;
        Ok((due_at != before.due_at).then_some((due_at, owed.sink)))
    }
}

/// After an incident got worse, or the rules changed: what is pending, or what of a kind, goes by the rules that are more
/// urgent now, and is due no later. Returns what is due at another time, with its sink.
pub(super) fn hasten(
    connection: &Connection,
    incident: &Incident,
    only: Option<Kind>,
    basis: &Basis<'_>,
) -> rusqlite::Result<Vec<(Timestamp, String)>> {
    let Basis { routing, now, .. } = *basis;
    let incident = &begun(connection, incident.clone(), now)?;
    let query = format!(
        "SELECT {} FROM notification WHERE incident = ?1 AND state = 'pending' AND kind = coalesce(?2, kind)",
        Waiting::columns()
    );
    let mut statement = connection.prepare_cached(&query)?;
    let waiting: Vec<Waiting> = statement
        .query_map(params![incident.id, only.map(Kind::as_str)], |row| Waiting::read(&mut Columns::of(row)))?
        .collect::<rusqlite::Result<_>>()?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let silences = basis.silences.in_force(connection, now)?;
    let mut due = Vec::new();
    for waiting in waiting {
        let owed = routing.sooner(waiting.owed.clone(), incident, &silences, now);
        if owed != waiting.owed {
            due.extend(waiting.becomes(connection, owed)?);
        }
    }
    Ok(due)
}

/// The notifications that quiet hours hold back.
pub(super) fn in_quiet_hours(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let query = "SELECT id FROM notification WHERE state = 'pending' AND leased = 0 AND held_by LIKE ? || ' %'";
    connection.prepare_cached(query)?.query_map([QUIET_HOURS], |row| row.get(0))?.collect()
}

/// Holds some of what is held back for as long as this config says, if at all. Returns the sinks that have something to
/// do.
pub(super) fn hold_again(
    connection: &Connection,
    ids: &[i64],
    basis: &Basis<'_>,
) -> rusqlite::Result<BTreeSet<String>> {
    let Basis { routing, now, .. } = *basis;
    let query = format!(
        "SELECT {}, {} FROM notification JOIN incident ON incident.id = notification.incident \
         WHERE notification.id = ? AND state = 'pending' AND leased = 0",
        Waiting::columns(),
        row::INCIDENT
    );
    let mut statement = connection.prepare_cached(&query)?;
    let silences = basis.silences.in_force(connection, now)?;
    let mut sinks = BTreeSet::new();
    for id in ids {
        let read = |row: &Row<'_>| {
            let mut row = Columns::of(row);
            Ok((Waiting::read(&mut row)?, row.incident()?))
        };
        let Some((waiting, incident)) = statement.query_row([id], read).optional()? else { continue };
        let owed = routing.held_again(waiting.owed.clone(), &incident, &silences, now);
        if owed != waiting.owed {
            sinks.extend(waiting.becomes(connection, owed)?.map(|(_, sink)| sink));
        }
    }
    Ok(sinks)
}

/// The pending reminders that no other will follow although the outage goes on, because the rule or the sink has left
/// the config, and nobody else is reminded instead.
pub(super) fn last_reminders(connection: &Connection, routing: &Routing) -> rusqlite::Result<LastReminders> {
    let query = format!(
        "SELECT {}, {} FROM pending AS notification JOIN incident ON incident.id = notification.incident \
         WHERE kind = 'reminder'",
        notification::OWED,
        row::INCIDENT
    );
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query([])?;
    let mut last = LastReminders::new();
    while let Some(row) = rows.next()? {
        let mut row = Columns::of(row);
        let owed = notification::owed(&mut row)?;
        if routing.rule(&owed.rule).is_some() && routing.sinks.contains_key(&owed.sink) {
            continue;
        }
        let incident = row.incident()?;
        let is_passed_on = !routing.names(Kind::Reminder, (&owed.sink, &owed.recipient), &incident)
            && routing.reminds_somebody(&incident, owed.due_at);
        if !is_passed_on && routing.reminder(&owed, &incident, owed.due_at).is_none() {
            last.entry((owed.rule, owed.sink)).or_default().insert((incident.id, owed.recipient));
        }
    }
    Ok(last)
}
