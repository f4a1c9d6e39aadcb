//! What a person sends again: made due, as if it were owed from now on.

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Refused, Retried};
use super::candidate::SENT_AGAIN;
use super::{AT_ONCE, row, settle};
use crate::clock::from_millis;
use crate::rule::Routing;
use crate::rule::timing::is_held_back;

/// The notifications that were given up, of one sink or of all.
pub(super) fn dead(connection: &Connection, sink: Option<&str>) -> rusqlite::Result<Vec<i64>> {
    let of_sink = sink.map_or("?1 IS NULL", |_| "sink = ?1");
    let query = format!("SELECT id FROM notification INDEXED BY notification_dead WHERE state = 'dead' AND {of_sink}");
    connection.prepare_cached(&query)?.query_map([sink], |row| row.get(0))?.collect()
}

/// Makes some due again, and what goes out with them, until what that changes is [`AT_ONCE`]. Answers how many of the
/// `ids` were looked at by then: in their order, so that what was lost comes before what tells of that.
pub(super) fn retry(
    connection: &Connection,
    ids: &[i64],
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<(usize, Retried)> {
    let mut retried = Retried::default();
    let (mut looked_at, mut withdrawn) = (0, 0);
    for id in ids {
        if retried.notifications.len() + withdrawn >= usize::from(AT_ONCE) {
            break;
        }
        looked_at += 1;
        if retried.notifications.contains(id) {
            continue;
        }
        let Some(wanted) = Wanted::of(connection, *id)? else {
            retried.refused.insert(*id, Refused::Unknown);
            continue;
        };
        let found = wanted.found(connection, routing)?;
        if let Some(why) = wanted.refused(found.as_deref(), routing, now) {
            retried.refused.insert(*id, why);
            continue;
        }
        if let Some(found) = found {
            retried.notifications.extend(address(connection, &wanted, &found, now)?);
        }
        withdrawn += again(connection, *id, now, routing, &mut retried)?;
    }
    Ok((looked_at, retried))
}

/// A notification that a person wants to be sent again.
struct Wanted {
    id: i64,
    incident: Incident,
    state: String,
    kind: Kind,
    sink: String,
    recipient: String,
    held_by: Option<String>,
    due_at: Timestamp,
    detail: Option<String>,
    /// It, or another part of the message that it went out in.
    in_flight: bool,
}

impl Wanted {
    fn of(connection: &Connection, id: i64) -> rusqlite::Result<Option<Self>> {
        let query = format!(
            "SELECT {}, state, kind, sink, recipient, held_by, due_at, detail, leased OR EXISTS ( \
                 SELECT 1 FROM notification AS part WHERE part.batch = notification.batch AND part.leased = 1) \
             FROM notification JOIN incident ON incident.id = incident WHERE notification.id = ?",
            row::INCIDENT
        );
        connection.prepare_cached(&query)?.query_row([id], |row| Self::read(row, id)).optional()
    }

    fn read(row: &Row<'_>, id: i64) -> rusqlite::Result<Self> {
        let first = row::INCIDENT_COLUMNS;
        Ok(Self {
            id,
            incident: row::incident(row, 0)?,
            state: row::text(row, first)?,
            kind: row::kind(row, first + 1)?,
            sink: row::text(row, first + 2)?,
            recipient: row::text(row, first + 3)?,
            held_by: row::text_or_null(row, first + 4)?,
            due_at: from_millis(row.get(first + 5)?),
            detail: row::text_or_null(row, first + 6)?,
            in_flight: row.get(first + 7)?,
        })
    }

    /// If it is for what is no address: who has one by now, and is not told by a message of their own.
    fn found(&self, connection: &Connection, routing: &Routing) -> rusqlite::Result<Option<Vec<String>>> {
        let Self { incident, sink, recipient, .. } = self;
        let Some(recipients) = routing.found_since(sink, recipient, incident) else { return Ok(None) };
        let query = "SELECT EXISTS (SELECT 1 FROM notification WHERE incident = ? AND sink = ? AND recipient = ?)";
        let mut is_told = connection.prepare_cached(query)?;
        let mut found = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            if !is_told.query_row(params![incident.id, sink, recipient], |row| row.get(0))? {
                found.push(recipient);
            }
        }
        Ok(Some(found))
    }

    /// Why it is not sent again, if it is not; `found` is whom it goes to instead of what is no address.
    fn refused(&self, found: Option<&[String]>, routing: &Routing, now: Timestamp) -> Option<Refused> {
        let Self { incident, sink, kind, .. } = self;
        let taken = incident.acknowledged.as_ref().filter(|_| incident.closed_at.is_none());
        let held_by = self.held_by.as_ref().filter(|by| self.due_at > now && is_held_back(by));
        match (self.state.as_str(), taken, held_by) {
            ("delivered", ..) => Some(Refused::Delivered),
            ("withdrawn", ..) => Some(Refused::Withdrawn(self.detail.clone().unwrap_or_default())),
            _ if self.in_flight => Some(Refused::InFlight),
            (_, Some(taken), _) if matches!(kind, Kind::Reminder | Kind::Escalation) => {
                Some(Refused::Taken(taken.by.clone()))
            }
            (_, _, Some(by)) => Some(Refused::HeldBack(by.clone())),
            _ if !routing.sinks.contains_key(sink) => Some(Refused::Gone(sink.clone())),
            _ if found.is_some_and(<[_]>::is_empty) => Some(Refused::Nobody(sink.clone())),
            _ => None,
        }
    }
}

/// What is for no address goes to whom it is for by now, and so does what its incident owes there besides: whoever is the
/// first gets what is there, the others the same message. Answers the numbers of what is new.
fn address(
    connection: &Connection,
    wanted: &Wanted,
    recipients: &[String],
    now: Timestamp,
) -> rusqlite::Result<Vec<i64>> {
    let Some((first, others)) = recipients.split_first() else { return Ok(Vec::new()) };
    // Nobody got the message that it was part of, and the other lines may have other addresses.
    let update = "UPDATE notification SET recipient = ?1, batch = NULL WHERE incident = ?2 AND sink = ?3 \
                  AND recipient = ?4 AND leased = 0 AND (state = 'dead' OR state = 'pending')";
    connection.prepare_cached(update)?.execute(params![first, wanted.incident.id, wanted.sink, wanted.recipient])?;
    let copy = "INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, lost, created_at, owed_at, \
                due_at, grouping, class, since) SELECT incident, rule, sink, ?1, kind, wants_resolved, lost, ?2, ?2, ?2, \
                grouping, class, since FROM notification WHERE id = ?3";
    let mut copy = connection.prepare_cached(copy)?;
    others.iter().map(|other| copy.insert(params![other, now.as_millisecond(), wanted.id])).collect()
}

/// What goes out again for the sake of one: itself, or all that is left of the message that it went out in, which keeps
/// its name. Nobody is asked for once more who takes an outage that somebody has taken.
const AGAIN: &str = "WITH message (id) AS ( \
        SELECT ?2 UNION SELECT part.id FROM notification AS one JOIN notification AS part ON part.batch = one.batch \
        WHERE one.id = ?2 \
    ) UPDATE notification SET state = 'pending', owed_at = ?1, due_at = ?1, held_by = NULL, settled_at = NULL \
    WHERE id IN message AND state IN ('dead', 'pending') \
    AND NOT (kind IN ('reminder', 'escalation') AND EXISTS (SELECT 1 FROM incident \
        WHERE incident.id = incident AND acknowledged_at IS NOT NULL AND closed_at IS NULL)) RETURNING id, sink";

/// Makes it due, and withdraws what was to tell that it was lost. Answers how many that are.
fn again(
    connection: &Connection,
    id: i64,
    now: Timestamp,
    routing: &Routing,
    retried: &mut Retried,
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(AGAIN)?;
    let mut rows = statement.query(params![now.as_millisecond(), id])?;
    let mut message = Vec::new();
    while let Some(row) = rows.next()? {
        message.push(row.get(0)?);
        retried.sinks.insert(row::text(row, 1)?);
    }
    let mut withdrawn = 0;
    for part in &message {
        for notice in notices(connection, *part)? {
            withdrawn += 1;
            retried.sinks.append(&mut settle::withdraw(connection, notice, SENT_AGAIN, now, routing)?);
            retried.notifications.remove(&notice);
        }
    }
    retried.notifications.extend(message);
    Ok(withdrawn)
}

/// What tells that one was lost, or that this could not be told, and so on, and has arrived nowhere yet.
fn notices(connection: &Connection, lost: i64) -> rusqlite::Result<Vec<i64>> {
    let query = "WITH RECURSIVE notice (id) AS (SELECT id FROM notification WHERE lost = ? UNION \
                     SELECT notification.id FROM notice JOIN notification ON notification.lost = notice.id) \
                 SELECT id FROM notice CROSS JOIN notification USING (id) \
                 WHERE (state = 'pending' AND leased = 0) OR state = 'dead'";
    connection.prepare_cached(query)?.query_map([lost], |row| row.get(0))?.collect()
}
