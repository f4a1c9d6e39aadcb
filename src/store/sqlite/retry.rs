//! What a person sends again: made due, as if it were owed from now on.

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Refused, Retried};
use super::candidate::SENT_AGAIN;
use super::{AT_ONCE, notification, row, settle};
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
        if let Some(why) = wanted.refused(found.as_ref(), routing, now) {
            if let Refused::Told(why) = why {
                withdrawn += wanted.withdraw(connection, why, now, routing, &mut retried)?;
            }
            retried.refused.insert(*id, why);
            continue;
        }
        if let Some(found) = found {
            retried.notifications.extend(address(connection, &wanted, &found.recipients, now)?);
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

    /// If it is for what is no address: whom it is for by now, but for those who were told by a message of their own, or
    /// wait for one.
    fn found(&self, connection: &Connection, routing: &Routing) -> rusqlite::Result<Option<Untold>> {
        let Self { incident, sink, recipient, kind, .. } = self;
        let Some(found) = routing.found_since(sink, recipient, incident) else { return Ok(None) };
        let query = "SELECT EXISTS (SELECT 1 FROM notification WHERE incident = ? AND sink = ? AND recipient = ? \
                     AND (state = 'delivered' OR state = 'pending'))";
        let mut is_told = connection.prepare_cached(query)?;
        // That something was lost, no other message says.
        let is_alone = *kind == Kind::Undelivered;
        let others_are_told = !found.recipients.is_empty() && !found.somebody_has_none && !is_alone;
        let mut recipients = Vec::with_capacity(found.recipients.len());
        for recipient in found.recipients {
            if is_alone || !is_told.query_row(params![incident.id, sink, recipient], |row| row.get(0))? {
                recipients.push(recipient);
            }
        }
        Ok(Some(Untold { recipients, others_are_told }))
    }

    /// It, and what its incident owes to what is no address besides, need not be sent to anybody any more; nor need it be
    /// told that it was lost. Answers how many are withdrawn.
    fn withdraw(
        &self,
        connection: &Connection,
        why: &str,
        now: Timestamp,
        routing: &Routing,
        retried: &mut Retried,
    ) -> rusqlite::Result<usize> {
        let query = "SELECT id FROM notification WHERE id = ?1 OR (incident = ?2 AND sink = ?3 AND recipient = ?4 \
                     AND state = 'pending' AND leased = 0 AND lost IS NULL)";
        let mut statement = connection.prepare_cached(query)?;
        let values = params![self.id, self.incident.id, self.sink, self.recipient];
        let ids: Vec<i64> = statement.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for id in &ids {
            notification::withdraw(connection, *id, why, now)?;
        }
        Ok(ids.len() + withdraw_notices(connection, self.id, why, now, routing, retried)?)
    }

    /// Why it is not sent again, if it is not; `found` is whom it is for instead of what is no address.
    fn refused(&self, found: Option<&Untold>, routing: &Routing, now: Timestamp) -> Option<Refused> {
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
            _ => match found? {
                Untold { recipients, .. } if !recipients.is_empty() => None,
                Untold { others_are_told: true, .. } => Some(Refused::Told(HAVE_THEIR_OWN)),
                Untold { .. } => Some(Refused::Nobody(sink.clone())),
            },
        }
    }
}

/// Whom something goes to that was for what is no address.
struct Untold {
    recipients: Vec<String>,
    /// If these are none: whether it is for nobody but those who are told.
    others_are_told: bool,
}

/// Why something need not be sent to whom it is for by now.
const HAVE_THEIR_OWN: &str = "everybody it is meant for now has a message of their own";

/// What is for no address goes to whom it is for by now, and so does what waits of its incident besides: whoever is the
/// first gets what is there, the others the same message, which counts as tried if it was, so that nothing holds it back
/// again. What else was given up is not sent with it. Answers the numbers of what is new.
fn address(
    connection: &Connection,
    wanted: &Wanted,
    recipients: &[String],
    now: Timestamp,
) -> rusqlite::Result<Vec<i64>> {
    let Some((first, others)) = recipients.split_first() else { return Ok(Vec::new()) };
    // Nobody got the message that it was part of, and the other lines may have other addresses.
    let update = "UPDATE notification SET recipient = ?1, batch = NULL WHERE incident = ?2 AND sink = ?3 \
                  AND recipient = ?4 AND leased = 0 AND (id = ?5 OR state = 'pending')";
    let values = params![first, wanted.incident.id, wanted.sink, wanted.recipient, wanted.id];
    connection.prepare_cached(update)?.execute(values)?;
    let copy = "INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, lost, created_at, owed_at, \
                due_at, grouping, class, since, attempts) SELECT incident, rule, sink, ?1, kind, wants_resolved, lost, ?2, ?2, ?2, \
                grouping, class, since, attempts FROM notification WHERE id = ?3";
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
        withdrawn += withdraw_notices(connection, *part, SENT_AGAIN, now, routing, retried)?;
    }
    retried.notifications.extend(message);
    Ok(withdrawn)
}

/// It need not be told any more that one was lost. Answers how many were to tell that.
fn withdraw_notices(
    connection: &Connection,
    lost: i64,
    why: &str,
    now: Timestamp,
    routing: &Routing,
    retried: &mut Retried,
) -> rusqlite::Result<usize> {
    let notices = notices(connection, lost)?;
    for notice in &notices {
        retried.sinks.append(&mut settle::withdraw(connection, *notice, why, now, routing)?);
        retried.notifications.remove(notice);
    }
    Ok(notices.len())
}

/// What tells that one was lost, or that this could not be told, and so on, and has arrived nowhere yet.
fn notices(connection: &Connection, lost: i64) -> rusqlite::Result<Vec<i64>> {
    let query = "WITH RECURSIVE notice (id) AS (SELECT id FROM notification WHERE lost = ? UNION \
                     SELECT notification.id FROM notice JOIN notification ON notification.lost = notice.id) \
                 SELECT id FROM notice CROSS JOIN notification USING (id) \
                 WHERE (state = 'pending' AND leased = 0) OR state = 'dead'";
    connection.prepare_cached(query)?.query_map([lost], |row| row.get(0))?.collect()
}
