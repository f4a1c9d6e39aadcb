//! Corrects what was written while the clock was behind, once it is set ahead again: what was to wait for a while would
//! wait for too short a time. Quiet hours end by the clock on the wall.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::row::Columns;
use crate::clock::later;
use crate::rule::wait::Wait;

/// A clock that was behind.
#[derive(Clone, Copy)]
pub(super) struct Behind {
    /// Since when, by that clock.
    pub(super) since: Timestamp,
    /// When it was set ahead, by that clock.
    pub(super) until: Timestamp,
    /// By how much it was set ahead.
    pub(super) by: Duration,
}

impl Behind {
    /// The times and the duration, as the store keeps them.
    fn millis(self) -> [i64; 3] {
        let ahead = later(self.until, self.by).as_millisecond();
        [self.since.as_millisecond(), self.until.as_millisecond(), ahead - self.until.as_millisecond()]
    }
}

/// The notifications that were written while the clock was behind, and waited for a while when it was set ahead.
pub(super) fn waiting(connection: &Connection, behind: Behind) -> rusqlite::Result<Vec<i64>> {
    let query = "SELECT id, held_by FROM notification WHERE state = 'pending' AND leased = 0 \
                 AND created_at BETWEEN ?1 AND ?2 AND due_at > ?2 AND held_by IS NOT NULL";
    let [since, until, _] = behind.millis();
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([since, until])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let mut row = Columns::of(row);
        let (id, held_by) = (row.get::<i64>()?, row.wait()?);
        ids.extend(held_by.filter(Wait::is_for_a_while).map(|_| id));
    }
    Ok(ids)
}

/// Lets these wait for as long as they were to.
pub(super) fn put_off(connection: &Connection, ids: &[i64], behind: Behind) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET created_at = created_at + ?4, due_at = due_at + ?4, owed_at = owed_at + ?4 \
                  WHERE id = ?1 AND state = 'pending' AND leased = 0 AND created_at BETWEEN ?2 AND ?3 AND due_at > ?3";
    let mut statement = connection.prepare_cached(update)?;
    let [since, until, by] = behind.millis();
    ids.iter().try_for_each(|id| statement.execute(params![id, since, until, by]).map(|_| ()))
}

/// Lets silences that began at once, and went on, last for as long as they were to.
pub(super) fn prolong_silences(connection: &Connection, behind: Behind) -> rusqlite::Result<()> {
    let update = "UPDATE silence SET starts_at = starts_at + ?3, ends_at = ends_at + ?3, made_at = made_at + ?3 \
                  WHERE ends_at > ?2 AND made_at BETWEEN ?1 AND ?2 AND starts_at <= made_at";
    connection.prepare_cached(update)?.execute(behind.millis()).map(|_| ())
}
