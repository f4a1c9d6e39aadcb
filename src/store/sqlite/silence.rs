//! Silences: how people make, list and end them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use linedown_sinks::Problem;
use rusqlite::{Connection, Row, params};

use super::super::view::{MOST, SilenceRow};
use super::look::bounded;
use super::{AT_ONCE, row};
use crate::clock::from_millis;
use crate::rule::matcher::Matcher;
use crate::rule::timing::Silence;
use crate::rule::wait::Wait;

/// The matchers of silences. Each is parsed once, because that takes far longer than to write a webhook.
#[derive(Default)]
pub(super) struct Silences(Mutex<BTreeMap<i64, Understood>>);

/// A silence's text and its matcher; `None` if the text is not understood.
struct Understood {
    text: Box<[u8]>,
    matcher: Option<Arc<Matcher>>,
}

impl Silences {
    /// Returns the silences that are in force. Their matchers are kept until the next call.
    pub(super) fn in_force(&self, connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<Silence>> {
        let query = "SELECT id, matcher, starts_at, ends_at FROM silence WHERE ends_at > ?1 AND starts_at <= ?1";
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = mem::take(&mut *known);
        let mut silences = Vec::new();
        let mut statement = connection.prepare_cached(query)?;
        let mut rows = statement.query([now.as_millisecond()])?;
        while let Some(row) = rows.next()? {
            let (id, text) = (row.get(0)?, row.get_ref(1)?.as_bytes()?);
            // If a silence was rolled back after it was read, another may have its number now.
            let understood = match before.remove(&id).filter(|known| *known.text == *text) {
                Some(known) => known,
                None => Understood { text: text.into(), matcher: understood(text).ok().map(Arc::new) },
            };
            let (starts_at, ends_at) = (from_millis(row.get(2)?), from_millis(row.get(3)?));
            let matcher = understood.matcher.clone();
            silences.extend(matcher.map(|matcher| Silence { id, matcher, starts_at, ends_at }));
            known.insert(id, understood);
        }
        Ok(silences)
    }
}

/// Parses what a silence matches. If a part is not understood (a later version may have written it), the whole holds
/// nothing back.
fn understood(text: &[u8]) -> Result<Matcher, Problem> {
    Matcher::whole(&serde_json::from_slice(text).unwrap_or_default())
}

/// Warns of each silence, in force or to come, that is not understood.
pub(super) fn warn_of_what_is_not_understood(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT id, matcher FROM silence WHERE ends_at > ?")?;
    let mut rows = statement.query([now.as_millisecond()])?;
    while let Some(row) = rows.next()? {
        if let Err(Problem { path, what, .. }) = understood(row.get_ref(1)?.as_bytes()?) {
            let (silence, why) = (row.get::<_, i64>(0)?, format!("{path}: {what}"));
            tracing::warn!(silence, why, "a silence is not understood and holds nothing back; create it again");
        }
    }
    Ok(())
}

pub(super) fn make(connection: &Connection, silence: &SilenceRow) -> rusqlite::Result<i64> {
    let insert =
        "INSERT INTO silence (matcher, starts_at, ends_at, comment, made_by, made_at) VALUES (?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(insert)?.insert(params![
        silence.matcher.to_string(),
        silence.starts_at.as_millisecond(),
        silence.ends_at.as_millisecond(),
        silence.comment,
        silence.made_by,
        silence.made_at.as_millisecond(),
    ])
}

pub(super) fn list(connection: &Connection, ended_after: Timestamp) -> rusqlite::Result<Vec<SilenceRow>> {
    let query = "SELECT id, matcher, starts_at, ends_at, comment, made_by, made_at FROM silence \
                 WHERE ends_at > ? ORDER BY id DESC LIMIT ?";
    let read = |row: &Row<'_>| {
        Ok(SilenceRow {
            id: row.get(0)?,
            matcher: serde_json::from_str(&row::text(row, 1)?).unwrap_or_default(),
            starts_at: from_millis(row.get(2)?),
            ends_at: from_millis(row.get(3)?),
            comment: row::text(row, 4)?,
            made_by: row::text(row, 5)?,
            made_at: from_millis(row.get(6)?),
        })
    };
    connection.prepare_cached(query)?.query_map(params![ended_after.as_millisecond(), bounded(MOST)], read)?.collect()
}

/// Ends a silence now and frees the first part of what it held back. Returns the sinks that have something to do;
/// `None` if no such silence is in force or to come, and none that has ended still holds something back: freeing may
/// have been cut short.
pub(super) fn end(connection: &Connection, id: i64, now: Timestamp) -> rusqlite::Result<Option<BTreeSet<String>>> {
    let end = "UPDATE silence SET ends_at = ?2, starts_at = min(starts_at, ?2) WHERE id = ?1 AND ends_at > ?2";
    let ended = connection.prepare_cached(end)?.execute([id, now.as_millisecond()])? > 0;
    let sinks = free(connection, id, now)?;
    Ok(Some(sinks).filter(|sinks| ended || !sinks.is_empty()))
}

/// Makes due what an ended silence held back, at most [`AT_ONCE`]. `held_by` stays until the next attempt, which
/// records it. Returns the sinks that have something to do; none once nothing is left.
pub(super) fn free(connection: &Connection, id: i64, now: Timestamp) -> rusqlite::Result<BTreeSet<String>> {
    let free = "UPDATE notification SET due_at = ?1, owed_at = ?1 WHERE id IN \
                (SELECT id FROM notification WHERE state = 'pending' AND leased = 0 AND held_by = ?2 AND due_at > ?1 LIMIT ?3) \
                RETURNING sink";
    let values = params![now.as_millisecond(), Wait::Silence(id), AT_ONCE];
    connection.prepare_cached(free)?.query_map(values, |row| row::text(row, 0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_understood_once_and_anew_when_another_has_its_number() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../schema.sql")).unwrap();
        let silences = Silences::default();
        let matchers = || {
            let in_force = silences.in_force(&connection, from_millis(1000)).unwrap();
            in_force.into_iter().map(|silence| silence.matcher).collect::<Vec<_>>()
        };
        let write = |text: &str| {
            let silence = "INSERT OR REPLACE INTO silence (id, matcher, starts_at, ends_at, comment, made_by, made_at) \
                           VALUES (1, ?, 0, 2000, '', '', 0)";
            connection.execute(silence, [text]).unwrap();
        };
        write(r#"{"instance":"a*"}"#);
        let first = matchers();
        assert!(Arc::ptr_eq(&first[0], &matchers()[0]));
        write(r#"{"instance":"b*"}"#);
        let second = matchers();
        assert!(!Arc::ptr_eq(&first[0], &second[0]));
        assert_eq!(second.len(), 1);
    }
}
