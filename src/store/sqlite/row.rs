//! Turns rows into the types of the domain. Whatever text a row holds is read: otherwise one row would stop its line,
//! its sink and each list that it is in. A word that this version does not know, as after a downgrade, is read as the
//! most general one. Bytes that are not UTF-8, as a flipped bit leaves them, are read as U+FFFD. (`STRICT` ensures the
//! type of each value.)

use linedown_sinks::{Acknowledged, Incident, Instance, Kind, Reason};
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, Row};

use crate::clock::from_millis;
use crate::rule::State;
use crate::rule::wait::Wait;
use crate::source::EventKind;

/// The columns of an incident, for [`incident`].
pub(super) const INCIDENT: &str = "incident.id, incident.source, incident.instance, incident.name, incident.phone, incident.labels, \
     incident.reason, incident.error, incident.opened_at, incident.closed_at, incident.acknowledged_by, incident.acknowledged_at, incident.found, \
     CASE WHEN incident.found AND incident.closed_at IS NOT NULL \
     THEN EXISTS (SELECT 1 FROM event WHERE event.incident = incident.id AND event.kind = 'unwatched') ELSE 0 END";
/// How many columns these are.
pub(super) const INCIDENT_COLUMNS: usize = 14;

/// Whether an incident is an outage, as [`Reason::is_outage`] says.
pub(super) const OUTAGE: &str = "reason NOT IN ('not-in-inventory', 'expiring', 'webhook-drift', 'gateway-unreachable', \
     'certificate-expiring', 'disk-nearly-full', 'sink-failing', 'store-not-writing')";

/// Puts [`OUTAGE`] into statements in place of `{OUTAGE}`.
pub(super) fn with_outage(statements: &str) -> String {
    statements.replace("{OUTAGE}", OUTAGE)
}

/// Reads an incident from [`INCIDENT`]'s columns, which begin at `first`.
pub(super) fn incident(row: &Row<'_>, first: usize) -> rusqlite::Result<Incident> {
    Ok(Incident {
        id: row.get(first)?,
        source: text(row, first + 1)?,
        instance: Instance {
            id: text(row, first + 2)?,
            name: text_or_null(row, first + 3)?,
            phone: text_or_null(row, first + 4)?,
            labels: word(row, first + 5, |text| serde_json::from_str(text).ok())?.unwrap_or_default(),
        },
        reason: reason(row, first + 6)?,
        error: text_or_null(row, first + 7)?,
        opened_at: from_millis(row.get(first + 8)?),
        closed_at: row.get::<_, Option<i64>>(first + 9)?.map(from_millis),
        acknowledged: acknowledged(row, first + 10)?,
        found: row.get(first + 12)?,
        unwatched: row.get(first + 13)?,
        again: None,
    })
}

fn acknowledged(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Acknowledged>> {
    let by = text_or_null(row, first)?;
    let at: Option<i64> = row.get(first + 1)?;
    Ok(by.zip(at).map(|(by, at)| Acknowledged { by, at: from_millis(at) }))
}

/// An incident by its number.
pub(super) fn incident_by_id(connection: &Connection, id: i64) -> rusqlite::Result<Incident> {
    let query = format!("SELECT {INCIDENT} FROM incident WHERE id = ?");
    connection.prepare_cached(&query)?.query_row([id], |row| incident(row, 0))
}

/// A text from a column.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(owned(row.get_ref(column)?.as_bytes()?))
}

/// A text from a column that may be empty.
pub(super) fn text_or_null(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(row.get_ref(column)?.as_bytes_or_null()?.map(owned))
}

fn owned(bytes: &[u8]) -> String {
    // (To check that it is UTF-8 takes less time than to look for something to replace.)
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
}

/// What a column's text means, if it is known.
fn word<T>(row: &Row<'_>, column: usize, read: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<Option<T>> {
    Ok(str::from_utf8(row.get_ref(column)?.as_bytes()?).ok().and_then(read))
}

/// A notification's kind from a column.
pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Kind> {
    Ok(word(row, column, Kind::parse)?.unwrap_or(Kind::Down))
}

/// A reason from a column.
pub(super) fn reason(row: &Row<'_>, column: usize) -> rusqlite::Result<Reason> {
    Ok(word(row, column, Reason::parse)?.unwrap_or(Reason::Other))
}

/// An event's kind from a column. If it is not known, the line counts as down.
pub(super) fn event_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<EventKind> {
    Ok(word(row, column, EventKind::parse)?.unwrap_or(EventKind::Disconnected))
}

/// What a notification waits for, from a column.
pub(super) fn wait(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Wait>> {
    Ok(text_or_null(row, column)?.map(Wait::read))
}

impl ToSql for Wait {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// The state that an attempt told, from two columns; `None` before the first attempt.
pub(super) fn told(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<State>> {
    if row.get_ref(column)?.as_bytes_or_null()?.is_none() {
        return Ok(None);
    }
    Ok(Some(State { reason: reason(row, column)?, closed: row.get(column + 1)? }))
}

/// The state that an incident is in.
pub(super) fn state(incident: &Incident) -> State {
    State { reason: incident.reason, closed: incident.closed_at.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outage_is_stands_in_two_places() {
        for reason in Reason::ALL {
            assert_eq!(OUTAGE.contains(&format!("'{}'", reason.as_str())), !reason.is_outage(), "{reason:?}");
        }
    }
}
