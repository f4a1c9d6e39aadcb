//! Accepts one event in one transaction: the event, what it changes, and the notifications it owes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use linedown_sinks::Incident;
use rusqlite::{Connection, params};

use super::super::Accepted;
use super::line::{Known, known, remember, seen_before};
use super::owe::{Basis, changed, owe};
use super::waiting::hasten;
use super::{notification, row};
use crate::incident::Change;
use crate::rule::Routing;
use crate::source::Event;

pub(super) fn accept(
    connection: &Connection,
    event: &Event,
    payload: &str,
    basis: &Basis<'_>,
) -> rusqlite::Result<Accepted> {
    let routing = basis.routing;
    let known = known(connection, event)?;
    if let Some((first, incident)) = seen_before(connection, event, &known)? {
        return Ok(Accepted { duplicate: true, incident, ..Accepted::unchanged(first, "duplicate") });
    }
    let Known { line, .. } = &known;
    let change = line.step(event);
    if event.asked_at.is_some() && change == Change::Nothing {
        // Such an answer of a gateway is not kept, or the store would grow with every one.
        return Ok(Accepted::unchanged(0, name(change)));
    }
    let incident = apply(connection, event, &known, change, routing)?;
    let id = record(connection, event, payload, change, incident.as_ref().map(|incident| incident.id))?;
    remember(connection, event, &known, change, (id, incident.as_ref()))?;
    let sooner = match &incident {
        Some(incident) if change == Change::Worsened => hasten(connection, incident, None, basis)?,
        _ => Vec::new(),
    };
    let owed = match (&incident, change) {
        (Some(incident), Change::Opened | Change::Missed { .. }) => routing.owed(incident),
        (Some(incident), Change::Worsened | Change::Closed { .. }) => changed(connection, incident, change, basis)?,
        _ => Vec::new(),
    };
    let unrouted = matches!(change, Change::Opened | Change::Missed { .. }) && owed.is_empty();
    let owed = match &incident {
        Some(incident) => owe(connection, (incident, known.last_incident), change, owed, basis)?,
        None => Vec::new(),
    };
    Ok(Accepted {
        event: id,
        duplicate: false,
        incident: incident.map(|incident| incident.id),
        change: name(change),
        owed: owed.len(),
        unrouted,
        sinks: earliest(owed.into_iter().chain(sooner)),
    })
}

/// When each sink first has something to do.
fn earliest(owed: impl Iterator<Item = (Timestamp, String)>) -> BTreeMap<String, Timestamp> {
    let mut sinks = BTreeMap::new();
    for (due_at, sink) in owed {
        let first = sinks.entry(sink).or_insert(due_at);
        *first = due_at.min(*first);
    }
    sinks
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

/// Makes the change to the incident and returns the incident as it is then; `None` if the event belongs to none.
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
        (Change::Repeated, None) => match last {
            Some(id) => id,
            None => return Ok(None),
        },
        (Change::Nothing, _) | (_, None) => return Ok(None),
        (Change::Worsened, Some(id)) => {
            let update = "UPDATE incident SET reason = ?, error = ?, phone = coalesce(phone, ?) WHERE id = ?";
            let values = params![event.reason.as_str(), event.error, event.phone, id];
            connection.prepare_cached(update)?.execute(values)?;
            id
        }
        (Change::Closed { closed_at }, Some(id)) => {
            notification::withdraw_over(connection, id, closed_at.min(event.received_at), event.received_at)?;
            let update = "UPDATE incident SET closed_at = ?, phone = coalesce(phone, ?) WHERE id = ?";
            connection.prepare_cached(update)?.execute(params![closed_at.as_millisecond(), event.phone, id])?;
            id
        }
        (Change::Repeated, Some(id)) => id,
    };
    row::incident_by_id(connection, id).map(Some)
}

/// Writes a new incident; it has a `closed_at` if it is over already.
fn insert(
    connection: &Connection,
    event: &Event,
    previous: Option<i64>,
    closed_at: Option<Timestamp>,
    routing: &Routing,
) -> rusqlite::Result<Incident> {
    let instance = routing.instance(&event.source, &event.instance, event.phone.clone());
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
        unwatched: false,
        again: None,
    })
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
