//! What is known of an event's line before the event, and what is written down for the next one.

use std::borrow::Cow;

use jiff::Timestamp;
use linedown_sinks::{Again, Besides, Incident, Reason};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;
use crate::clock::from_millis;
use crate::incident::{Change, Line, Open};
use crate::source::Event;

/// The key of an event's line among the rows of `line`. A reason that is no outage has a row of its own, beside the
/// line's. No source's name contains a `#`.
pub(super) fn key(source: &str, reason: Reason) -> Cow<'_, str> {
    if reason.is_outage() { source.into() } else { format!("{source}#{}", reason.as_str()).into() }
}

/// What is known of an event's line before it.
#[derive(Default)]
pub(super) struct Known {
    /// Whether nothing is known of it.
    pub(super) is_new: bool,
    pub(super) line: Line,
    /// Its latest incident.
    pub(super) last_incident: Option<i64>,
    /// Its latest event.
    pub(super) last_event: Option<i64>,
    /// The gateway's largest time value so far.
    pub(super) newest_stamp: Option<i64>,
}

/// Reads what is known of an event's line; its latest outage only if the event is belated.
pub(super) fn known(connection: &Connection, event: &Event) -> rusqlite::Result<Known> {
    let query = "SELECT line.incident, incident.opened_at, incident.reason, down_at, up_at, line.heard_at, \
                 last_incident, last_event, newest_stamp \
                 FROM line LEFT JOIN incident ON incident.id = line.incident \
                 WHERE line.source = ? AND line.instance = ?";
    let read = |row: &Row<'_>| {
        let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(from_millis));
        let open = match row.get(0)? {
            Some(incident) => {
                let opened_at = from_millis(row.get(1)?);
                Some(Open { incident, opened_at, reason: row::reason(row, 2)? })
            }
            None => None,
        };
        let line = Line { open, down_at: time(3)?, up_at: time(4)?, heard_at: time(5)?, last: None };
        Ok(Known {
            is_new: false,
            line,
            last_incident: row.get(6)?,
            last_event: row.get(7)?,
            newest_stamp: row.get(8)?,
        })
    };
    let mut statement = connection.prepare_cached(query)?;
    let known = statement.query_row([&*key(&event.source, event.reason), &event.instance], read).optional()?;
    let mut known = known.unwrap_or_else(|| Known { is_new: true, ..Known::default() });
    if let Some(last) = known.last_incident.filter(|_| known.line.is_belated(event)) {
        known.line.last = over(connection, last)?;
    }
    Ok(known)
}

/// When an outage began and when it ended, if it is over.
fn over(connection: &Connection, incident: i64) -> rusqlite::Result<Option<(Timestamp, Timestamp)>> {
    let query = "SELECT opened_at, closed_at FROM incident WHERE id = ? AND closed_at IS NOT NULL";
    let read = |row: &Row<'_>| Ok((from_millis(row.get(0)?), from_millis(row.get(1)?)));
    connection.prepare_cached(query)?.query_row([incident], read).optional()
}

/// The outage that an incident's line is in now, with what a recipient is told of it besides; and, if what was to tell
/// them was given up, the number of that notification.
pub(super) fn again(
    connection: &Connection,
    incident: &Incident,
    (sink, recipient): (&str, &str),
    now: Timestamp,
) -> rusqlite::Result<Option<(Again, Option<i64>)>> {
    let query = "SELECT incident.id, incident.reason, incident.opened_at, \
                 EXISTS (SELECT 1 FROM notification WHERE incident = line.incident AND sink = ?3 AND recipient = ?4 \
                     AND (state = 'delivered' OR (state = 'pending' AND (held_by IS NULL OR due_at <= ?5)))), \
                 (SELECT max(id) FROM notification WHERE incident = line.incident AND sink = ?3 AND recipient = ?4 \
                     AND state = 'dead' AND incident.acknowledged_at IS NULL) \
                 FROM line JOIN incident ON incident.id = line.incident WHERE line.source = ?1 AND line.instance = ?2";
    let read = |row: &Row<'_>| {
        let (is_told, given_up): (bool, Option<i64>) = (row.get(3)?, row.get(4)?);
        let given_up = given_up.filter(|_| !is_told);
        let besides = match given_up {
            _ if is_told => Besides::Told,
            Some(_) => Besides::GivenUp,
            None => Besides::Nothing,
        };
        let (reason, opened_at) = (row::reason(row, 1)?, from_millis(row.get(2)?));
        Ok((Again { incident: row.get(0)?, reason, opened_at, besides }, given_up))
    };
    let values = params![incident.source, incident.instance.id, sink, recipient, now.as_millisecond()];
    connection.prepare_cached(query)?.query_row(values, read).optional()
}

/// Writes down what is known of the line after the event.
pub(super) fn remember(
    connection: &Connection,
    event: &Event,
    known: &Known,
    change: Change,
    (id, incident): (i64, Option<&Incident>),
) -> rusqlite::Result<()> {
    let Known { line, last_incident, newest_stamp, .. } = known;
    let open = match change {
        Change::Opened => incident.map(|incident| incident.id),
        Change::Closed { .. } | Change::Missed { .. } => None,
        Change::Worsened | Change::Repeated | Change::Nothing => line.open.as_ref().map(|open| open.incident),
    };
    // A late report of an outage before the last one does not make that one the last.
    let last = match (change, line.last) {
        (Change::Missed { closed_at }, Some((from, _))) if closed_at <= from => *last_incident,
        _ => incident.map(|incident| incident.id).max(*last_incident),
    };
    let (down_at, up_at) = line.clocks_after(event);
    let heard_at = if event.asked_at.is_none() { Some(event.received_at) } else { line.heard_at };
    // (For an upsert, SQLite would keep a copy of each page that it changes, to be able to undo the one statement.)
    let write = if known.is_new {
        "INSERT INTO line (source, instance, incident, down_at, up_at, last_incident, last_event, heard_at, newest_stamp) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    } else {
        "UPDATE line SET incident = ?3, down_at = ?4, up_at = ?5, last_incident = ?6, last_event = ?7, heard_at = ?8, \
         newest_stamp = ?9 WHERE source = ?1 AND instance = ?2"
    };
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millisecond);
    connection.prepare_cached(write)?.execute(params![
        key(&event.source, event.reason),
        event.instance,
        open,
        millis(down_at),
        millis(up_at),
        last,
        id,
        millis(heard_at),
        event.stamp.max(*newest_stamp),
    ])?;
    Ok(())
}

/// Finds the same webhook, if it came before, and returns its number and its incident: same source, instance, kind,
/// reason, words and time value.
///
/// A time that cannot be believed may come from a clock that stands still. Such a webhook is the same only if nothing
/// else was heard of the line since, by webhook or by asking; otherwise a later outage would be taken for a copy of the
/// last one. Nor is it the same if the line came back within the one second that the time value stands for.
pub(super) fn seen_before(
    connection: &Connection,
    event: &Event,
    known: &Known,
) -> rusqlite::Result<Option<(i64, Option<i64>)>> {
    let Some(stamp) = event.stamp.filter(|stamp| Some(*stamp) <= known.newest_stamp) else { return Ok(None) };
    if known.line.may_be_down_again(event) {
        return Ok(None);
    }
    let query = "SELECT id, incident FROM event \
                 WHERE source = ?1 AND instance = ?2 AND kind = ?3 AND reason = ?4 AND error IS ?5 AND stamp = ?6 \
                 AND id >= ?7 ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(query)?;
    let since = if event.gateway_at.is_some() { 0 } else { known.last_event.unwrap_or(i64::MAX) };
    let (kind, reason) = (event.kind.as_str(), event.reason.as_str());
    let same = params![event.source, event.instance, kind, reason, event.error, stamp, since];
    statement.query_row(same, |row| Ok((row.get(0)?, row.get(1)?))).optional()
}
