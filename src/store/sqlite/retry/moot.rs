//! Of the dead notifications that a person sends again, withdraws those that need not be sent any more.

use jiff::Timestamp;
use linedown_sinks::Kind;
use rusqlite::{Connection, params};

use super::super::super::{Refused, Retried};
use super::super::candidate::{Candidate, has_been_told};
use super::super::{notification, row};
use super::again::withdraw_notices;
use super::{Request, Wanted};
use crate::rule::Routing;

/// Why a message is withdrawn that another one replaces.
const SAID_BY_ANOTHER: &str = "another notification that is sent again tells the same recipient the same";

/// Why a notice of a loss is withdrawn with what was lost, which says itself why. (What its recipient knows, the reader
/// of the notice need not know.)
const NOT_SENT_AGAIN: &str = "the lost notification need not be sent any more";

/// Withdraws the dead ones among `ids` that need not be sent any more, with the notices that they were lost. Returns how
/// many are withdrawn.
pub(super) fn withdraw(
    connection: &Connection,
    ids: &[i64],
    now: Timestamp,
    routing: &Routing,
    request: &Request,
    retried: &mut Retried,
) -> rusqlite::Result<usize> {
    let mut withdrawn = 0;
    for id in ids {
        let Some(wanted) = Wanted::of(connection, *id)? else { continue };
        let Some(why) = wanted.why_moot(connection, now, routing, request)? else { continue };
        notification::withdraw(connection, *id, why, now)?;
        withdrawn += 1 + withdraw_notices(connection, *id, NOT_SENT_AGAIN, now, routing, request, retried)?;
        retried.refused.insert(*id, Refused::Moot(why));
    }
    Ok(withdrawn)
}

/// The dead ones that were in one message with a notification and that nobody asked for.
pub(super) fn others(connection: &Connection, id: i64, request: &Request) -> rusqlite::Result<Vec<i64>> {
    let query = "SELECT part.id FROM notification AS one JOIN notification AS part ON part.batch = one.batch \
                 WHERE one.id = ? AND part.state = 'dead'";
    let mut statement = connection.prepare_cached(query)?;
    let parts = statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    Ok(parts.into_iter().filter(|part| !request.all.contains(part)).collect())
}

/// Why a notification need not be sent any more, whatever else is sent again. One that was asked for by its number is sent
/// although its recipient has heard of the outage otherwise.
fn why_moot_alone(
    connection: &Connection,
    id: i64,
    now: Timestamp,
    request: &Request,
) -> rusqlite::Result<Option<&'static str>> {
    match Candidate::by_id(connection, id, now)?.why_moot(connection)? {
        None if !request.names(id) => has_been_told(connection, id),
        why => Ok(why),
    }
}

impl Wanted {
    /// If it is dead and would be sent again: why it need not be.
    fn why_moot(
        &self,
        connection: &Connection,
        now: Timestamp,
        routing: &Routing,
        request: &Request,
    ) -> rusqlite::Result<Option<&'static str>> {
        if self.state != "dead" || !self.is_sent(connection, now, routing)? {
            return Ok(None);
        }
        if let Some(why) = why_moot_alone(connection, self.id, now, request)? {
            return Ok(Some(why));
        }
        if !self.may_be_said_by_another() {
            return Ok(None);
        }
        let query = "SELECT id, kind FROM notification WHERE incident = ?1 AND sink = ?2 AND recipient = ?3 AND id <> ?4 \
                     AND (state = 'dead' OR state = 'pending')";
        let mut statement = connection.prepare_cached(query)?;
        let mut others = statement.query(params![self.incident.id, self.sink, self.recipient, self.id])?;
        while let Some(other) = others.next()? {
            let (id, kind) = (other.get(0)?, row::kind(other, 1)?);
            if request.all.contains(&id)
                && self.is_said_by(id, kind)
                && let Some(other) = Self::of(connection, id)?
                && other.is_sent(connection, now, routing)?
                && why_moot_alone(connection, id, now, request)?.is_none()
            {
                return Ok(Some(SAID_BY_ANOTHER));
            }
        }
        Ok(None)
    }

    fn is_sent(&self, connection: &Connection, now: Timestamp, routing: &Routing) -> rusqlite::Result<bool> {
        let addressees = self.addressees(connection, routing)?;
        Ok(self.refused(&addressees, routing, now).is_none())
    }

    fn is_over(&self) -> bool {
        self.incident.closed_at.is_some()
    }

    fn may_be_said_by_another(&self) -> bool {
        urgency(self.kind).is_some()
    }

    /// Whether another one about the same outage, sent now, would tell the recipient everything that this one would: all of
    /// them tell how the outage is by then. While it goes on, that is the more urgent one, or the later of two alike; and
    /// once it is over the message that it was, or else the latest.
    fn is_said_by(&self, id: i64, kind: Kind) -> bool {
        let is_later = id > self.id;
        let (Some(one), Some(other)) = (urgency(self.kind), urgency(kind)) else { return false };
        match kind {
            Kind::Down => self.kind != Kind::Down || is_later,
            _ if self.is_over() => is_later && self.kind != Kind::Down,
            _ => other > one || (other == one && is_later),
        }
    }
}

/// How much a message of this kind is preferred to others about the same outage, if it is about a single one. Those that
/// follow the first one say that the outage is over if it is.
fn urgency(kind: Kind) -> Option<u8> {
    match kind {
        Kind::Down => Some(5),
        Kind::Worse => Some(4),
        Kind::Escalation => Some(3),
        Kind::Reminder => Some(2),
        Kind::Acknowledged => Some(1),
        Kind::Resolved => Some(0),
        Kind::Flapping | Kind::Steady | Kind::Digest | Kind::Undelivered | Kind::Test => None,
    }
}
