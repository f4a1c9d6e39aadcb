//! Turns rows into the types of the domain. Whatever text a row holds is read: otherwise one row would stop its line,
//! its sink and each list that it is in. A word that this version does not know, as after a downgrade, is read as the
//! most general one. Bytes that are not UTF-8, as a flipped bit leaves them, are read as U+FFFD. (`STRICT` ensures the
//! type of each value.)

use std::collections::BTreeMap;

use jiff::Timestamp;
use linedown_sinks::{Acknowledged, Incident, Instance, Kind, Reason};
use rusqlite::types::{FromSql, ToSql, ToSqlOutput};
use rusqlite::{Connection, Row};

use crate::clock::from_millis;
use crate::rule::State;
use crate::rule::wait::Wait;
use crate::source::EventKind;

/// Reads a row's columns one after the other, in the order in which the query lists them. Each reader stands below its
/// list of columns and reads them in the same order, so no column needs a number.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Columns<'r, 's> {
    pub(super) fn of(row: &'r Row<'s>) -> Self {
        Self { row, next: 0 }
    }

    /// Reads the next columns, as many as `count`, with something that is told where they begin.
    fn read<T>(
        &mut self,
        count: usize,
        read: impl FnOnce(&'r Row<'s>, usize) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let first = self.next;
        self.next += count;
        read(self.row, first)
    }

    pub(super) fn get<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.read(1, |row, column| row.get(column))
    }

    pub(super) fn bytes(&mut self) -> rusqlite::Result<&'r [u8]> {
        self.read(1, |row, column| Ok(row.get_ref(column)?.as_bytes()?))
    }

    pub(super) fn text(&mut self) -> rusqlite::Result<String> {
        self.read(1, text)
    }

    pub(super) fn text_or_null(&mut self) -> rusqlite::Result<Option<String>> {
        self.read(1, text_or_null)
    }

    pub(super) fn time(&mut self) -> rusqlite::Result<Timestamp> {
        Ok(from_millis(self.get()?))
    }

    pub(super) fn time_or_null(&mut self) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>()?.map(from_millis))
    }

    pub(super) fn kind(&mut self) -> rusqlite::Result<Kind> {
        self.read(1, kind)
    }

    pub(super) fn reason(&mut self) -> rusqlite::Result<Reason> {
        self.read(1, reason)
    }

    pub(super) fn event_kind(&mut self) -> rusqlite::Result<EventKind> {
        self.read(1, event_kind)
    }

    pub(super) fn wait(&mut self) -> rusqlite::Result<Option<Wait>> {
        self.read(1, wait)
    }

    /// The state that an attempt told, from two columns; `None` before the first attempt.
    pub(super) fn told(&mut self) -> rusqlite::Result<Option<State>> {
        self.read(2, |row, column| {
            if row.get_ref(column)?.as_bytes_or_null()?.is_none() {
                return Ok(None);
            }
            Ok(Some(State { reason: reason(row, column)?, closed: row.get(column + 1)? }))
        })
    }

    /// An incident, from the columns [`INCIDENT`].
    pub(super) fn incident(&mut self) -> rusqlite::Result<Incident> {
        Ok(Incident {
            id: self.get()?,
            source: self.text()?,
            instance: Instance {
                id: self.text()?,
                name: self.text_or_null()?,
                phone: self.text_or_null()?,
                labels: self.read(1, labels)?,
            },
            reason: self.reason()?,
            error: self.text_or_null()?,
            opened_at: self.time()?,
            closed_at: self.time_or_null()?,
            acknowledged: self.acknowledged()?,
            found: self.get()?,
            unwatched: self.get()?,
            again: None,
        })
    }

    pub(super) fn acknowledged(&mut self) -> rusqlite::Result<Option<Acknowledged>> {
        let (by, at) = (self.text_or_null()?, self.time_or_null()?);
        Ok(by.zip(at).map(|(by, at)| Acknowledged { by, at }))
    }
}

/// The columns of an incident, for [`Columns::incident`].
pub(super) const INCIDENT: &str = "incident.id, incident.source, incident.instance, incident.name, incident.phone, incident.labels, \
     incident.reason, incident.error, incident.opened_at, incident.closed_at, incident.acknowledged_by, incident.acknowledged_at, incident.found, \
     CASE WHEN incident.found AND incident.closed_at IS NOT NULL \
     THEN EXISTS (SELECT 1 FROM event WHERE event.incident = incident.id AND event.kind = 'unwatched') ELSE 0 END";

/// Whether an incident is an outage, as [`Reason::is_outage`] says.
pub(super) const OUTAGE: &str = "reason NOT IN ('not-in-inventory', 'expiring', 'webhook-drift', 'gateway-unreachable', \
     'certificate-expiring', 'disk-nearly-full', 'sink-failing', 'store-damaged', 'store-not-writing')";

/// Puts [`OUTAGE`] into statements in place of `{OUTAGE}`.
pub(super) fn with_outage(statements: &str) -> String {
    statements.replace("{OUTAGE}", OUTAGE)
}

/// An incident by its number.
pub(super) fn incident_by_id(connection: &Connection, id: i64) -> rusqlite::Result<Incident> {
    let query = format!("SELECT {INCIDENT} FROM incident WHERE id = ?");
    connection.prepare_cached(&query)?.query_row([id], |row| Columns::of(row).incident())
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

/// A line's labels from a column.
fn labels(row: &Row<'_>, column: usize) -> rusqlite::Result<BTreeMap<String, String>> {
    Ok(word(row, column, |text| serde_json::from_str(text).ok())?.unwrap_or_default())
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
