//! Group windows, kept in rows: until when what follows a group's message is gathered.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::{from_millis, later};

/// A group: notifications to one recipient that may go out in one message, because of what they have in common.
pub(super) struct Group<'g> {
    pub(super) sink: &'g str,
    pub(super) recipient: &'g str,
    pub(super) grouping: &'g str,
    pub(super) class: &'g str,
}

impl Group<'_> {
    /// Returns until when the group is gathered, if its window is open.
    pub(super) fn open_until(
        &self,
        connection: &Connection,
        interval: Duration,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Timestamp>> {
        if interval.is_zero() {
            return Ok(None);
        }
        // A window that ends later than one opened now would was opened before the clock was set back.
        let query = "SELECT until FROM gathering WHERE sink = ? AND recipient = ? AND grouping = ? AND class = ? \
                     AND until > ? AND until <= ?";
        let (Self { sink, recipient, grouping, class }, latest) = (self, later(now, interval).as_millisecond());
        let values = params![sink, recipient, grouping, class, now.as_millisecond(), latest];
        let until = connection.prepare_cached(query)?.query_row(values, |row| row.get(0)).optional()?;
        Ok(until.map(from_millis))
    }

    /// Opens the group's window.
    pub(super) fn open(&self, connection: &Connection, interval: Duration, now: Timestamp) -> rusqlite::Result<()> {
        let open = "INSERT INTO gathering (sink, recipient, grouping, class, until) VALUES (?1, ?2, ?3, ?4, ?5) \
                    ON CONFLICT (sink, recipient, grouping, class) DO UPDATE SET until = ?5";
        let (Self { sink, recipient, grouping, class }, until) = (self, later(now, interval).as_millisecond());
        connection.prepare_cached(open)?.execute(params![sink, recipient, grouping, class, until])?;
        Ok(())
    }
}
