//! Group windows, kept in rows: until when what follows a group's message is gathered.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::AT_ONCE;
use super::row::Columns;
use crate::clock::{from_millis, later};
use crate::rule::{Routing, class};

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

/// If a notification that was given up opened a window that is still open: closes it, since its recipient was told nothing
/// that makes others less urgent. What was gathered until then is due now. Returns the sink, if there is any.
pub(super) fn close(
    connection: &Connection,
    id: i64,
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<Option<String>> {
    let query = "SELECT sink, recipient, grouping, class, kind, rule, started_at FROM notification \
                 JOIN attempt ON attempt.notification = id AND number = 1 WHERE id = ?";
    let read = |row: &Row<'_>| {
        let mut row = Columns::of(row);
        let group = (row.text()?, row.text()?, row.text()?, row.text()?);
        let (kind, rule) = (row.kind()?, row.text()?);
        Ok((group, later(row.time()?, routing.interval(Some(&rule), class(kind))).as_millisecond()))
    };
    let opened = connection.prepare_cached(query)?.query_row([id], read).optional()?;
    let Some(((sink, recipient, grouping, class), until)) = opened else { return Ok(None) };
    let close = "DELETE FROM gathering WHERE sink = ? AND recipient = ? AND grouping = ? AND class = ? AND until = ?";
    if connection.prepare_cached(close)?.execute(params![sink, recipient, grouping, class, until])? == 0 {
        return Ok(None);
    }
    let free = "UPDATE notification SET due_at = ?6, owed_at = ?6 WHERE id IN (SELECT id FROM notification \
                WHERE sink = ?1 AND recipient = ?2 AND grouping = ?3 AND class = ?4 AND due_at = ?5 AND due_at > ?6 \
                AND state = 'pending' AND leased = 0 AND attempts = 0 AND held_by IS NULL LIMIT ?7)";
    let values = params![sink, recipient, grouping, class, until, now.as_millisecond(), AT_ONCE];
    let freed = connection.prepare_cached(free)?.execute(values)?;
    Ok((freed > 0).then_some(sink))
}
