//! Sends notifications again because a person asked for it: they are made due, as if they were owed from now on.

mod again;
mod later;
mod moot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::view::Later;
use super::super::{Pauses, Refused, Retried, StoreError};
use super::owe::Basis;
use super::row::{self, Columns};
use super::silence::Silences;
use super::writer::Writer;
use super::{AT_ONCE, notification};
use crate::rule::wait::Wait;
use crate::rule::{Instead, Routing};
use again::{again, withdraw_notices};

/// The dead notifications of one sink, or of all.
pub(super) fn dead(connection: &Connection, sink: Option<&str>) -> rusqlite::Result<Vec<i64>> {
    let of_sink = sink.map_or("?1 IS NULL", |_| "sink = ?1");
    let query = format!("SELECT id FROM notification INDEXED BY notification_dead WHERE state = 'dead' AND {of_sink}");
    connection.prepare_cached(&query)?.query_map([sink], |row| row.get(0))?.collect()
}

/// What a person asked for.
pub(super) struct Request {
    /// The numbers of all notifications, over all steps.
    pub(super) all: BTreeSet<i64>,
    /// Whether the person gave these numbers.
    pub(super) is_by_number: bool,
    pub(super) pauses: Pauses,
}

impl Request {
    /// Whether a person asked for this one by its number.
    fn names(&self, id: i64) -> bool {
        self.is_by_number && self.all.contains(&id)
    }
}

/// Makes notifications due again, in steps that keep no webhook waiting. If the store fails after some were done, the
/// others are left as they were.
pub(super) async fn in_steps(
    writer: &Writer,
    request: Request,
    silences: &Arc<Silences>,
    now: Timestamp,
    routing: &Arc<Routing>,
) -> Result<Retried, StoreError> {
    let (mut rest, all) = (request.all.clone(), request.all.len());
    let request = Arc::new(request);
    let mut retried = Retried::default();
    while !rest.is_empty() {
        let ids: Vec<i64> = rest.iter().copied().take(AT_ONCE.into()).collect();
        let (these, routing, request) = (ids.clone(), Arc::clone(routing), Arc::clone(&request));
        let silences = Arc::clone(silences);
        let work = move |connection: &Connection| {
            step(connection, &these, &request, &Basis { routing: &routing, silences: &silences, now })
        };
        match writer.write(work).await {
            Ok((looked_at, done)) => {
                let done_with = ids[..looked_at].iter().chain(&done.notifications).chain(done.refused.keys());
                done_with.for_each(|id| _ = rest.remove(id));
                retried.add(done);
            }
            // The sinks of the steps that are done must still be woken, also if these only withdrew.
            Err(error) if rest.len() < all => {
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
    request: &Request,
    basis: &Basis<'_>,
) -> rusqlite::Result<(usize, Retried)> {
    let Basis { routing, now, .. } = *basis;
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
        withdrawn += wanted.send_again(connection, request, basis, &mut retried)?;
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

    /// Makes it due again, with what goes out in the same message, unless it is refused. Returns how many are withdrawn.
    fn send_again(
        &self,
        connection: &Connection,
        request: &Request,
        basis: &Basis<'_>,
        retried: &mut Retried,
    ) -> rusqlite::Result<usize> {
        let Basis { routing, now, .. } = *basis;
        let addressees = self.addressees(connection, routing)?;
        if let Some(why) = self.refused(&addressees, routing, now) {
            return self.refuse(connection, why, request, basis, retried);
        }
        let mut withdrawn = 0;
        if request.is_by_number {
            let others = moot::others(connection, self.id, request)?;
            withdrawn += moot::withdraw(connection, &others, now, routing, request, retried)?;
        }
        let copies = match addressees {
            Addressees::Instead(recipients) => address(connection, self, &recipients, now)?,
            _ => Vec::new(),
        };
        let due_at = request.pauses.get(&self.sink).map_or(now, |until| now.max(*until));
        let (message, notices) = again(connection, self.id, due_at, now, routing, request, retried)?;
        for message in copies.chunks(1).chain([message.as_slice()]) {
            let later =
                if due_at > now { BTreeMap::new() } else { later::put_off(connection, &self.sink, message, basis)? };
            if later.is_empty() {
                retried.through.insert(self.sink.clone());
            }
            retried.later.extend(later);
        }
        retried.notifications.extend(copies.into_iter().chain(message));
        Ok(withdrawn + notices)
    }

    /// Notes why it is not sent again, and withdraws it if it need not be. Returns how many are withdrawn.
    fn refuse(
        &self,
        connection: &Connection,
        why: Refused,
        request: &Request,
        basis: &Basis<'_>,
        retried: &mut Retried,
    ) -> rusqlite::Result<usize> {
        let withdrawn = match &why {
            Refused::Told(why) => self.withdraw(connection, why, basis.now, basis.routing, request, retried)?,
            Refused::HeldBack(by) => {
                retried.later.insert(self.id, Later { until: self.due_at, by: Some(by.clone()) });
                0
            }
            _ => 0,
        };
        retried.refused.insert(self.id, why);
        Ok(withdrawn)
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
