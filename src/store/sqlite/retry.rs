//! Sends notifications again because a person asked for it: they are made due, as if they were owed from now on.

mod moot;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Pauses, Refused, Retried, StoreError, given_up};
use super::candidate::SENT_AGAIN;
use super::row::{self, Columns};
use super::writer::Writer;
use super::{AT_ONCE, notification, settle};
use crate::rule::wait::Wait;
use crate::rule::{Instead, Routing};

/// The dead notifications of one sink, or of all.
pub(super) fn dead(connection: &Connection, sink: Option<&str>) -> rusqlite::Result<Vec<i64>> {
    let of_sink = sink.map_or("?1 IS NULL", |_| "sink = ?1");
    let query = format!("SELECT id FROM notification INDEXED BY notification_dead WHERE state = 'dead' AND {of_sink}");
    connection.prepare_cached(&query)?.query_map([sink], |row| row.get(0))?.collect()
}

/// What a person asked for.
struct Request {
    /// The numbers of all notifications, over all steps.
    all: BTreeSet<i64>,
    pauses: Pauses,
}

/// Makes notifications due again, in steps that keep no webhook waiting. If the store fails after some were done, the
/// others are left as they were.
pub(super) async fn in_steps(
    writer: &Writer,
    ids: Vec<i64>,
    pauses: Pauses,
    now: Timestamp,
    routing: &Arc<Routing>,
) -> Result<Retried, StoreError> {
    let mut rest = BTreeSet::from_iter(ids);
    let request = Arc::new(Request { all: rest.clone(), pauses });
    let mut retried = Retried::default();
    while !rest.is_empty() {
        let ids: Vec<i64> = rest.iter().copied().take(AT_ONCE.into()).collect();
        let (these, routing, request) = (ids.clone(), Arc::clone(routing), Arc::clone(&request));
        match writer.write(move |connection| step(connection, &these, now, &routing, &request)).await {
            Ok((looked_at, done)) => {
                let done_with = ids[..looked_at].iter().chain(&done.notifications).chain(done.refused.keys());
                done_with.for_each(|id| _ = rest.remove(id));
                retried.add(done);
            }
            // The sinks of the steps that are done must still be woken.
            Err(error) if !retried.notifications.is_empty() => {
                retried.left = rest.len();
                tracing::error!(error = %error, left = retried.left, "cannot send all of these notifications again; the rest is left as it is");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(retried)
}

/// Makes notifications due again, with what goes out in the same message, until [`AT_ONCE`] have changed. Returns how
/// many of `ids` were looked at: in their order, so that a lost notification comes before the notices of its loss.
fn step(
    connection: &Connection,
    ids: &[i64],
    now: Timestamp,
    routing: &Routing,
    request: &Request,
) -> rusqlite::Result<(usize, Retried)> {
    let mut retried = Retried::default();
    let mut withdrawn = moot::withdraw(connection, ids, now, routing, request, &mut retried)?;
    let mut looked_at = 0;
    for id in ids {
        if retried.notifications.len() + withdrawn >= usize::from(AT_ONCE) {
            break;
        }
        looked_at += 1;
        if retried.notifications.contains(id) || retried.refused.contains_key(id) {
            continue;
        }
        let Some(wanted) = Wanted::of(connection, *id)? else {
            retried.refused.insert(*id, Refused::Unknown);
            continue;
        };
        let addressees = wanted.addressees(connection, routing)?;
        if let Some(why) = wanted.refused(&addressees, routing, now) {
            if let Refused::Told(why) = why {
                withdrawn += wanted.withdraw(connection, why, now, routing, request, &mut retried)?;
            }
            retried.refused.insert(*id, why);
            continue;
        }
        if let Addressees::Instead(recipients) = addressees {
            retried.notifications.extend(address(connection, &wanted, &recipients, now)?);
        }
        retried.through.insert(wanted.sink.clone());
        let due_at = request.pauses.get(&wanted.sink).map_or(now, |until| now.max(*until));
        withdrawn += again(connection, *id, due_at, now, routing, request, &mut retried)?;
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
    held_by: Option<Wait>,
    due_at: Timestamp,
    detail: Option<String>,
    /// Whether it, or another part of the message that it went out in, is in a worker's hands.
    in_flight: bool,
}

impl Wanted {
    fn of(connection: &Connection, id: i64) -> rusqlite::Result<Option<Self>> {
        let query = format!(
            "SELECT notification.id, {}, state, kind, sink, recipient, held_by, due_at, detail, leased OR EXISTS ( \
                 SELECT 1 FROM notification AS part WHERE part.batch = notification.batch AND part.leased = 1) \
             FROM notification JOIN incident ON incident.id = incident WHERE notification.id = ?",
            row::INCIDENT
        );
        connection.prepare_cached(&query)?.query_row([id], Self::read).optional()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut row = Columns::of(row);
        Ok(Self {
            id: row.get()?,
            incident: row.incident()?,
            state: row.text()?,
            kind: row.kind()?,
            sink: row.text()?,
            recipient: row.text()?,
            held_by: row.wait()?,
            due_at: row.time()?,
            detail: row.text_or_null()?,
            in_flight: row.get()?,
        })
    }

    /// Who is to get it. If its recipient is no usable address: those it is for as the config now says, without those
    /// who were told by a message of their own or have one pending.
    fn addressees(&self, connection: &Connection, routing: &Routing) -> rusqlite::Result<Addressees> {
        let Self { incident, sink, recipient, kind, .. } = self;
        let Some(instead) = routing.instead_of(recipient, sink, incident) else { return Ok(Addressees::Unchanged) };
        let Instead { recipients, somebody_has_none } = instead;
        let all_can_be_reached = !recipients.is_empty() && !somebody_has_none;
        let query = "SELECT EXISTS (SELECT 1 FROM notification WHERE incident = ? AND sink = ? AND recipient = ? \
                     AND (state = 'delivered' OR state = 'pending'))";
        let mut has_own = connection.prepare_cached(query)?;
        // No other message says that something was lost.
        let is_alone = *kind == Kind::Undelivered;
        let mut untold = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            if is_alone || !has_own.query_row(params![incident.id, sink, recipient], |row| row.get(0))? {
                untold.push(recipient);
            }
        }
        Ok(match untold.is_empty() {
            false => Addressees::Instead(untold),
            true if all_can_be_reached => Addressees::HaveTheirOwn,
            true => Addressees::Nobody,
        })
    }

    /// Withdraws it and what else its incident owes to the same unusable address, because it need not be sent to
    /// anybody any more; and the notices that it was lost. Returns how many are withdrawn.
    fn withdraw(
        &self,
        connection: &Connection,
        why: &'static str,
        now: Timestamp,
        routing: &Routing,
        request: &Request,
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
        Ok(ids.len() + withdraw_notices(connection, self.id, why, now, routing, request, retried)?)
    }

    /// Why it is not sent again, or `None` if it is.
    fn refused(&self, addressees: &Addressees, routing: &Routing, now: Timestamp) -> Option<Refused> {
        let Self { incident, sink, kind, .. } = self;
        let taken = incident.acknowledged.as_ref().filter(|_| incident.closed_at.is_none());
        let held_by = self.held_by.as_ref().filter(|by| self.due_at > now && by.holds_back());
        match (self.state.as_str(), taken, held_by) {
            ("delivered", ..) => Some(Refused::Delivered),
            ("withdrawn", ..) => Some(Refused::Withdrawn(self.detail.clone().unwrap_or_default())),
            _ if self.in_flight => Some(Refused::InFlight),
            (_, Some(taken), _) if matches!(kind, Kind::Reminder | Kind::Escalation) => {
                Some(Refused::Taken(taken.by.clone()))
            }
            (_, _, Some(by)) => Some(Refused::HeldBack(by.to_string())),
            _ if !routing.sinks.contains_key(sink) => Some(Refused::Gone(sink.clone())),
            _ => match addressees {
                Addressees::Unchanged | Addressees::Instead(_) => None,
                Addressees::HaveTheirOwn => Some(Refused::Told(HAVE_THEIR_OWN)),
                Addressees::Nobody => Some(Refused::Nobody(sink.clone())),
            },
        }
    }
}

/// Who is to get a message that is sent again.
enum Addressees {
    /// Its recipient.
    Unchanged,
    /// These, because its recipient is no usable address.
    Instead(Vec<String>),
    /// Its recipient is no usable address, and everybody it is for has a message of their own.
    HaveTheirOwn,
    /// Its recipient is no usable address, and somebody it is for has none, or nobody is known.
    Nobody,
}

/// Why a message is withdrawn that everybody has heard otherwise.
const HAVE_THEIR_OWN: &str = "everybody it is meant for now has a message of their own";

/// Sends a message whose recipient is no usable address to `recipients` instead, with what else is pending for that
/// address about the same incident. The first recipient gets the existing rows; each other gets a copy of the message
/// with its count of attempts, so that it is not gathered with others if it was tried. What else was given up is not sent
/// with it. Returns the numbers of the copies.
fn address(
    connection: &Connection,
    wanted: &Wanted,
    recipients: &[String],
    now: Timestamp,
) -> rusqlite::Result<Vec<i64>> {
    let Some((first, others)) = recipients.split_first() else { return Ok(Vec::new()) };
    // Nobody got the message that it was part of, and the other lines in that message may now have other addresses.
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

/// Makes a notification due again, or all that is left of the message that it went out in, which keeps its name.
/// Reminders and escalations of an outage that somebody has taken are left out: they ask for somebody to take it. The
/// last failure stays, without why it was given up.
const AGAIN: &str = "WITH message (id) AS ( \
        SELECT ?2 UNION SELECT part.id FROM notification AS one JOIN notification AS part ON part.batch = one.batch \
        WHERE one.id = ?2 \
    ) UPDATE notification SET state = 'pending', owed_at = ?1, due_at = ?1, held_by = NULL, settled_at = NULL, \
        detail = iif(instr(detail, ?3), substr(detail, 1, instr(detail, ?3) - 1), detail) \
    WHERE id IN message AND state IN ('dead', 'pending') \
    AND NOT (kind IN ('reminder', 'escalation') AND EXISTS (SELECT 1 FROM incident \
        WHERE incident.id = incident AND acknowledged_at IS NOT NULL AND closed_at IS NULL)) RETURNING id, sink";

/// Makes it due at a time and withdraws the notices that it was lost. Returns how many are withdrawn.
fn again(
    connection: &Connection,
    id: i64,
    due_at: Timestamp,
    now: Timestamp,
    routing: &Routing,
    request: &Request,
    retried: &mut Retried,
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(AGAIN)?;
    let mut rows = statement.query(params![due_at.as_millisecond(), id, given_up::MARK])?;
    let mut message = Vec::new();
    while let Some(row) = rows.next()? {
        message.push(row.get(0)?);
        retried.sinks.insert(row::text(row, 1)?);
    }
    let mut withdrawn = 0;
    for part in &message {
        withdrawn += withdraw_notices(connection, *part, SENT_AGAIN, now, routing, request, retried)?;
    }
    retried.notifications.extend(message);
    Ok(withdrawn)
}

/// Withdraws the notices that a notification was lost, which answers those that were requested. Returns how many there
/// were.
fn withdraw_notices(
    connection: &Connection,
    lost: i64,
    why: &'static str,
    now: Timestamp,
    routing: &Routing,
    request: &Request,
    retried: &mut Retried,
) -> rusqlite::Result<usize> {
    let notices = notices(connection, lost)?;
    for notice in &notices {
        retried.sinks.append(&mut settle::withdraw(connection, *notice, why, now, routing)?);
        retried.notifications.remove(notice);
        if request.all.contains(notice) {
            retried.refused.insert(*notice, Refused::Moot(why));
        }
    }
    Ok(notices.len())
}

/// The notices that a notification was lost, that such a notice was lost, and so on, as far as they can be withdrawn:
/// not the delivered ones, nor those in hand.
fn notices(connection: &Connection, lost: i64) -> rusqlite::Result<Vec<i64>> {
    let query = "WITH RECURSIVE notice (id) AS (SELECT id FROM notification WHERE lost = ? UNION \
                     SELECT notification.id FROM notice JOIN notification ON notification.lost = notice.id) \
                 SELECT id FROM notice CROSS JOIN notification USING (id) \
                 WHERE (state = 'pending' AND leased = 0) OR state = 'dead'";
    connection.prepare_cached(query)?.query_map([lost], |row| row.get(0))?.collect()
}
