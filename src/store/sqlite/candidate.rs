//! A notification that is due, as the lease reads it.

use std::sync::LazyLock;

use jiff::Timestamp;
use linedown_sinks::{Notification, Undelivered};
use rusqlite::{Connection, OptionalExtension, Row};

use super::gathering::Group;
use super::row;
use crate::clock::from_millis;
use crate::rule::{Knows, kind_when_sent};

/// One row that is due.
pub(super) struct Candidate {
    pub(super) notification: Notification,
    pub(super) lost: Option<i64>,
    pub(super) owed_at: Timestamp,
    pub(super) grouping: String,
    pub(super) class: String,
    pub(super) batch: Option<i64>,
    /// Of one about a line that flaps: when the first of the outages began.
    pub(super) since: Option<Timestamp>,
    /// Or else the line is back, and they know.
    pub(super) has_something_to_say: bool,
}

impl Candidate {
    /// Reads a row of [`columns`], for a try that begins now.
    pub(super) fn read(row: &Row<'_>, store: &str, now: Timestamp) -> rusqlite::Result<Self> {
        let incident = row::incident(row, 0)?;
        let first = row::INCIDENT_COLUMNS;
        let owed = row::kind(row, first + 1)?;
        let knows = match row.get(first + 12)? {
            0 => Knows::Nothing,
            1 => Knows::Outage,
            _ => Knows::End,
        };
        let kind = kind_when_sent(owed, row::state(&incident), row.get(first + 11)?, knows);
        let owed_at = from_millis(row.get(first + 6)?);
        let notification = Notification {
            id: row.get(first)?,
            store: store.to_owned(),
            recipient: row::text(row, first + 2)?,
            rule: Some(row::text(row, first + 3)?),
            attempt: row.get::<_, u32>(first + 4)? + 1,
            created_at: from_millis(row.get(first + 14)?),
            last_failure: row::text_or_null(row, first + 5)?,
            ..Notification::about(incident, kind.unwrap_or(owed), now)
        };
        Ok(Self {
            notification,
            owed_at,
            lost: row.get(first + 7)?,
            grouping: row::text(row, first + 8)?,
            class: row::text(row, first + 9)?,
            batch: row.get(first + 10)?,
            since: row.get::<_, Option<i64>>(first + 13)?.map(from_millis),
            has_something_to_say: kind.is_some(),
        })
    }

    pub(super) fn group<'g>(&'g self, sink: &'g str) -> Group<'g> {
        Group { sink, recipient: &self.notification.recipient, grouping: &self.grouping, class: &self.class }
    }
}

/// What the recipient was told by other messages, or is being told: nothing, of the outage, of its end.
const KNOWS: &str = "(SELECT coalesce(max(1 + (other.told_closed = 1)), 0) FROM notification AS other \
    WHERE closed_at IS NOT NULL AND other.incident = notification.incident AND other.sink = notification.sink \
    AND other.recipient = notification.recipient AND other.id <> notification.id AND other.kind <> 'flapping' \
    AND (other.state = 'delivered' OR (other.leased = 1 AND other.told_closed = 1)))";

/// When it was to be sent: what a person has sent again has been late since it was first tried.
const PROMISED: &str = "coalesce((SELECT min(owed_at, started_at) FROM attempt WHERE attempt.notification = notification.id AND number = 1), owed_at)";

/// The first that is due.
pub(super) static OLDEST: LazyLock<String> = LazyLock::new(|| {
    let due = "sink = ? AND state = 'pending' AND leased = 0 AND due_at <= ?";
    format!("{} WHERE {due} ORDER BY due_at, notification.id LIMIT 1", columns())
});

/// Of every candidate, whichever are asked for.
pub(super) fn columns() -> String {
    format!(
        "SELECT {}, notification.id, kind, recipient, rule, attempts, detail, owed_at, lost, grouping, class, batch, \
         wants_resolved, {KNOWS}, since, {PROMISED} FROM notification JOIN incident ON incident.id = notification.incident",
        row::INCIDENT
    )
}

/// Whether a notification that was given up has been delivered since: a person had it sent again.
pub(super) fn has_arrived(connection: &Connection, lost: Option<i64>) -> rusqlite::Result<bool> {
    let Some(lost) = lost else { return Ok(false) };
    let query = "SELECT state = 'delivered' FROM notification WHERE id = ?";
    Ok(connection.prepare_cached(query)?.query_row([lost], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// What the recipient of a lost message would have been told, and why not.
pub(super) fn undelivered(connection: &Connection, lost: Option<i64>) -> rusqlite::Result<Option<Undelivered>> {
    let Some(lost) = lost else { return Ok(None) };
    let query = "SELECT id, kind, sink, recipient, detail, attempts FROM notification WHERE id = ?";
    let read = |row: &Row<'_>| {
        Ok(Undelivered {
            notification: row.get(0)?,
            kind: row::kind(row, 1)?,
            sink: row::text(row, 2)?,
            recipient: row::text(row, 3)?,
            why: row::text_or_null(row, 4)?.unwrap_or_default(),
            attempts: row.get(5)?,
        })
    };
    connection.prepare_cached(query)?.query_row([lost], read).optional()
}
