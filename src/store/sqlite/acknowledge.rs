//! Somebody takes an incident: its reminders and escalations are withdrawn, and those who know of it are told.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::Acknowledgement;
use super::{notification, people, row};

pub(super) fn acknowledge(
    connection: &Connection,
    incident: i64,
    by: &str,
    from: &str,
    now: Timestamp,
) -> rusqlite::Result<Acknowledgement> {
    let Some(known) = row::incident_by_id(connection, incident).optional()? else {
        return Ok(Acknowledgement::Unknown);
    };
    if known.closed_at.is_some() {
        return Ok(Acknowledgement::Over);
    }
    if let Some(earlier) = known.acknowledged {
        return Ok(Acknowledgement::Already(earlier.by));
    }
    let update = "UPDATE incident SET acknowledged_by = ?, acknowledged_from = ?, acknowledged_at = ? WHERE id = ?";
    connection.prepare_cached(update)?.execute(params![by, from, now.as_millisecond(), incident])?;
    notification::withdraw_taken(connection, incident, by, now)?;
    let mut sinks = BTreeSet::new();
    for owed in people::who_know(connection, incident)? {
        notification::add(connection, incident, &owed, None, now)?;
        sinks.insert(owed.sink);
    }
    Ok(Acknowledgement::Done(sinks))
}
