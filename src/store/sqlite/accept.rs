//! One event, in one transaction: the event, what it changes, and whom that concerns.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind, Reason};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::Accepted;
use super::gathering::Group;
use super::{flapping, people, row, silence};
use crate::clock::from_millis;
use crate::incident::{Change, Line, Open};
use crate::rule::flapping::Planned;
use crate::rule::timing::held;
use crate::rule::{Owed, Routing, class};
use crate::source::Event;

pub(super) fn accept(
    connection: &Connection,
    event: &Event,
    payload: &str,
    routing: &Routing,
) -> rusqlite::Result<Accepted> {
    let known = known(connection, event)?;
    if let Some((first, incident)) = seen_before(connection, event, &known)? {
        return Ok(Accepted { duplicate: true, incident, ..Accepted::unchanged(first, "duplicate") });
    }
    let Known { line, .. } = &known;
    let change = line.step(event);
    if event.asked_at.is_some() && change == Change::Nothing {
        // It is not kept, or the store would grow with every answer.
        return Ok(Accepted::unchanged(0, name(change)));
    }
    let incident = apply(connection, event, &known, change, routing)?;
    let id = record(connection, event, payload, change, incident.as_ref().map(|incident| incident.id))?;
    remember(connection, event, &known, change, (id, incident.as_ref()))?;
    let owed = match (&incident, change) {
        (Some(incident), Change::Opened | Change::Missed { .. }) => routing.owed(incident),
        (Some(incident), Change::Worsened | Change::Closed { .. }) => {
            changed(connection, incident, matches!(change, Change::Worsened).then_some(routing), event.received_at)?
        }
        _ => Vec::new(),
    };
    let unrouted = matches!(change, Change::Opened | Change::Missed { .. }) && owed.is_empty();
    let owed = match &incident {
        Some(incident) => owe(connection, (incident, known.last_incident), change, owed, routing, event.received_at)?,
        None => Vec::new(),
    };
    Ok(Accepted {
        event: id,
        duplicate: false,
        incident: incident.map(|incident| incident.id),
        change: name(change),
        owed: owed.len(),
        unrouted,
        sinks: earliest(owed),
    })
}

/// From when on each sink has something to do.
fn earliest(owed: Vec<(Timestamp, String)>) -> BTreeMap<String, Timestamp> {
    let mut sinks = BTreeMap::new();
    for (due_at, sink) in owed {
        let first = sinks.entry(sink).or_insert(due_at);
        *first = due_at.min(*first);
    }
    sinks
}

/// Under what an event's line stands: what is no outage of it has a line of its own. No source's name has a `#`.
pub(super) fn key(source: &str, reason: Reason) -> Cow<'_, str> {
    if reason.is_outage() { source.into() } else { format!("{source}#{}", reason.as_str()).into() }
}

/// Writes down what is owed; answers when what of it is not withdrawn at once is due, and for which sink.
fn owe(
    connection: &Connection,
    (incident, last): (&Incident, Option<i64>),
    change: Change,
    owed: Vec<Owed>,
    routing: &Routing,
    now: Timestamp,
) -> rusqlite::Result<Vec<(Timestamp, String)>> {
    let is_new = matches!(change, Change::Opened | Change::Missed { .. });
    let planned = match change {
        // A line with its first outage does not flap.
        _ if last.is_none() => owed.into_iter().map(Planned::Owed).collect(),
        Change::Closed { .. } => owed.into_iter().map(Planned::Owed).collect(),
        _ => flapping::plan(connection, incident, owed, last.filter(|_| is_new), routing, now)?,
    };
    let mut left = Vec::with_capacity(planned.len());
    for planned in planned {
        let (owed, why) = match planned {
            Planned::Quiet(owed) => (owed, Some(KEPT_QUIET)),
            Planned::Owed(owed) => {
                let nothing = came_to_nothing(&owed, incident);
                (owed, nothing.then_some(BACK_IN_TIME))
            }
        };
        let until = if why.is_none() { gathered_until(connection, &owed, incident, routing, now)? } else { None };
        let id = row::owe_gathered(connection, incident.id, &owed, None, until, now)?;
        match why {
            Some(why) => row::withdraw(connection, id, why, now)?,
            None => left.push((until.unwrap_or(owed.due_at), owed.sink)),
        }
    }
    if last.is_some() && (is_new || matches!(change, Change::Worsened | Change::Closed { .. })) {
        flapping::extend(connection, incident, routing, now)?;
    }
    Ok(left)
}

/// Until when something that is owed now is gathered with others, if its group's window is open: the lease would only
/// put it off until then. (What is held back is left to the lease, which says by what.)
fn gathered_until(
    connection: &Connection,
    owed: &Owed,
    incident: &Incident,
    routing: &Routing,
    now: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    let Some(rule) = routing.rule(&owed.rule).filter(|_| owed.due_at <= now) else { return Ok(None) };
    let Owed { sink, recipient, group, kind, .. } = owed;
    let group = Group { sink, recipient, grouping: group, class: class(*kind).as_str() };
    let Some(until) = group.open_until(connection, rule.group_interval, now)? else { return Ok(None) };
    let silences = silence::in_force(connection, now)?;
    Ok(held(*kind, incident, Some(rule), &silences, &routing.quiet, now).is_none().then_some(until))
}

/// What is withdrawn for this is told in the tally of a line that flaps.
const KEPT_QUIET: &str = "the line is flapping: this outage is told in the tally";

/// What is withdrawn for this was to be told only of a line that is still down.
const BACK_IN_TIME: &str = "the line was back before it was due";

/// Whether an outage that is heard of when it is over already was over before it was to be told.
fn came_to_nothing(owed: &Owed, incident: &Incident) -> bool {
    owed.kind != Kind::Steady
        && owed.held_by.is_some()
        && incident.closed_at.is_some_and(|closed_at| closed_at < owed.due_at)
}

fn name(change: Change) -> &'static str {
    match change {
        Change::Opened => "opened",
        Change::Missed { .. } => "missed",
        Change::Worsened => "worsened",
        Change::Repeated => "repeated",
        Change::Closed { .. } => "closed",
        Change::Nothing => "nothing",
    }
}

/// How long the copies of a webhook may be apart whose time value cannot be believed.
const COPIES: Duration = Duration::from_hours(1);

/// The same webhook, if it came before: same source, instance, kind and time value. A time that cannot be believed
/// may come from a clock that stands still; such a webhook is the same only if it came just now, or nothing else was
/// heard of the line since, or else a later outage would be taken for a copy of the last one.
fn seen_before(connection: &Connection, event: &Event, known: &Known) -> rusqlite::Result<Option<(i64, Option<i64>)>> {
    let Some(stamp) = event.stamp.filter(|stamp| Some(*stamp) <= known.newest_stamp) else { return Ok(None) };
    let query = "SELECT id, incident FROM event \
                 WHERE source = ?1 AND instance = ?2 AND kind = ?3 AND stamp = ?4 \
                 AND (?5 OR received_at > ?6 OR id = ?7) ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(query)?;
    let believed = event.gateway_at.is_some();
    let just_now = event.received_at.checked_sub(COPIES).unwrap_or(Timestamp::MIN).as_millisecond();
    let (kind, last) = (event.kind.as_str(), known.last_event);
    let same = params![event.source, event.instance, kind, stamp, believed, just_now, last];
    statement.query_row(same, |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// What is known of an event's line before it.
#[derive(Default)]
struct Known {
    /// Whether nothing is.
    is_new: bool,
    line: Line,
    /// Its latest incident.
    last_incident: Option<i64>,
    /// Its latest event.
    last_event: Option<i64>,
    /// The gateway's largest time value so far.
    newest_stamp: Option<i64>,
}

fn known(connection: &Connection, event: &Event) -> rusqlite::Result<Known> {
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
        let line = Line { open, down_at: time(3)?, up_at: time(4)?, heard_at: time(5)? };
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
    Ok(known.unwrap_or_else(|| Known { is_new: true, ..Known::default() }))
}

/// Makes the change to the incident; answers the incident as it is then.
fn apply(
    connection: &Connection,
    event: &Event,
    known: &Known,
    change: Change,
    routing: &Routing,
) -> rusqlite::Result<Option<Incident>> {
    let open = known.line.open.as_ref().map(|open| open.incident);
    let last = known.last_incident;
    let id = match (change, open) {
        (Change::Opened, _) => return insert(connection, event, last, None, routing).map(Some),
        (Change::Missed { closed_at }, _) => {
            return insert(connection, event, last, Some(closed_at), routing).map(Some);
        }
        (Change::Nothing, _) | (_, None) => return Ok(None),
        (Change::Worsened, Some(id)) => {
            let update = "UPDATE incident SET reason = ?, error = ?, phone = coalesce(phone, ?) WHERE id = ?";
            let values = params![event.reason.as_str(), event.error, event.phone, id];
            connection.prepare_cached(update)?.execute(values)?;
            id
        }
        (Change::Closed { closed_at }, Some(id)) => {
            withdraw(connection, id, closed_at.min(event.received_at), event.received_at)?;
            let update = "UPDATE incident SET closed_at = ?, phone = coalesce(phone, ?) WHERE id = ?";
            connection.prepare_cached(update)?.execute(params![closed_at.as_millisecond(), event.phone, id])?;
            id
        }
        (Change::Repeated, Some(id)) => id,
    };
    row::incident_by_id(connection, id).map(Some)
}

fn insert(
    connection: &Connection,
    event: &Event,
    previous: Option<i64>,
    closed_at: Option<Timestamp>,
    routing: &Routing,
) -> rusqlite::Result<Incident> {
    let instance = routing.instance(&event.instance, event.phone.clone());
    let labels = serde_json::to_string(&instance.labels)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let insert = "INSERT INTO incident (source, instance, name, phone, labels, reason, error, opened_at, closed_at, found, previous, heard_at) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let id = connection.prepare_cached(insert)?.insert(params![
        event.source,
        event.instance,
        instance.name,
        instance.phone,
        labels,
        event.reason.as_str(),
        event.error,
        event.at.as_millisecond(),
        closed_at.map(Timestamp::as_millisecond),
        event.asked_at.is_some(),
        previous,
        event.received_at.as_millisecond(),
    ])?;
    Ok(Incident {
        id,
        source: event.source.clone(),
        instance,
        reason: event.reason,
        error: event.error.clone(),
        opened_at: event.at,
        closed_at,
        acknowledged: None,
        found: event.asked_at.is_some(),
    })
}

/// What is known of the line from now on.
fn remember(
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
    let (down_at, up_at) = line.clocks_after(event);
    let heard_at = if event.asked_at.is_none() { Some(event.received_at) } else { line.heard_at };
    // (An upsert would have SQLite keep a copy of each page that it changes, to take back the one statement.)
    let write = if known.is_new {
        "INSERT INTO line (source, instance, incident, down_at, up_at, last_incident, last_event, heard_at, newest_stamp) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    } else {
        "UPDATE line SET incident = ?3, down_at = ?4, up_at = ?5, last_incident = ?6, last_event = ?7, heard_at = ?8, \
         newest_stamp = ?9 WHERE source = ?1 AND instance = ?2"
    };
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millisecond);
    let key = key(&event.source, event.reason);
    connection.prepare_cached(write)?.execute(params![
        key,
        event.instance,
        open,
        millis(down_at),
        millis(up_at),
        incident.map(|incident| incident.id).max(*last_incident),
        id,
        millis(heard_at),
        event.stamp.max(*newest_stamp),
    ])?;
    if key != event.source {
        // What was heard of a line besides outages came after the latest of those as well.
        let update = "UPDATE line SET last_event = ?3 WHERE source = ?1 AND instance = ?2";
        connection.prepare_cached(update)?.execute(params![event.source, event.instance, id])?;
    }
    Ok(())
}

fn record(
    connection: &Connection,
    event: &Event,
    payload: &str,
    change: Change,
    incident: Option<i64>,
) -> rusqlite::Result<i64> {
    let insert = "INSERT INTO event (source, instance, kind, reason, error, stamp, at, received_at, incident, change, payload, asked_at) \
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(insert)?.insert(params![
        event.source,
        event.instance,
        event.kind.as_str(),
        event.reason.as_str(),
        event.error,
        event.stamp,
        event.at.as_millisecond(),
        event.received_at.as_millisecond(),
        incident,
        name(change),
        payload,
        event.asked_at.map(Timestamp::as_millisecond),
    ])
}

/// What was to be sent later than the line was `back` need not be any more. What was due by then, or was tried, is
/// still owed.
fn withdraw(connection: &Connection, incident: i64, back: Timestamp, now: Timestamp) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET state = 'withdrawn', settled_at = ?2, detail = ?3 \
                  WHERE incident = ?1 AND state = 'pending' AND leased = 0 AND attempts = 0 \
                  AND kind NOT IN ('flapping', 'steady') AND (kind = 'reminder' OR (held_by IS NOT NULL AND due_at > ?4))";
    let values = params![incident, now.as_millisecond(), BACK_IN_TIME, back.as_millisecond()];
    connection.prepare_cached(update)?.execute(values)?;
    Ok(())
}

/// Somebody who waits out a hold hears earlier if another rule wants them to.
fn hasten(connection: &Connection, incident: i64, owed: &Owed, now: Timestamp) -> rusqlite::Result<()> {
    // (`+`: not by the index of what is due for the sink, which may be very much.)
    let update = "UPDATE notification SET due_at = ?4, owed_at = ?4, held_by = ?5 \
                  WHERE incident = ?1 AND +sink = ?2 AND recipient = ?3 AND state = 'pending' AND leased = 0 \
                  AND kind = 'down' AND attempts = 0 AND held_by IS NOT NULL AND due_at > ?4";
    let due_at = owed.due_at.max(now);
    let held_by = owed.held_by.as_ref().filter(|_| due_at > now);
    let values = params![incident, owed.sink, owed.recipient, due_at.as_millisecond(), held_by];
    connection.prepare_cached(update)?.execute(values)?;
    Ok(())
}

/// Who must hear of a change to an incident that some know of already. Whoever still waits for a message hears
/// it from that one, or when that one is settled; whom a worse reason concerns for the first time (`routing`) is
/// told like of a new incident.
fn changed(
    connection: &Connection,
    incident: &Incident,
    routing: Option<&Routing>,
    now: Timestamp,
) -> rusqlite::Result<Vec<Owed>> {
    let people = people::of(connection, incident.id)?;
    let mut owed = Vec::new();
    for new in routing.map(|routing| routing.owed(incident)).unwrap_or_default() {
        if new.kind == Kind::Escalation {
            if incident.acknowledged.is_none() && !people::has_owed(connection, incident.id, &new.rule)? {
                owed.push(new);
            }
            continue;
        }
        hasten(connection, incident.id, &new, now)?;
        let person = people.get(&(new.sink.clone(), new.recipient.clone()));
        if person.is_none_or(|person| !person.concerned) {
            owed.push(new);
        }
    }
    for ((sink, recipient), person) in people {
        if let Some(kind) = person.news(row::state(incident)) {
            owed.push(person.owed(sink, recipient, kind));
        }
    }
    Ok(owed)
}
