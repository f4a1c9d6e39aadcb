//! Of the dead notifications that a person sends again, withdraws those that need not be sent any more.

use std::collections::BTreeSet;

use jiff::Timestamp;
use linedown_sinks::Kind;
use rusqlite::{Connection, params};

use super::super::super::{Refused, Retried};
use super::super::candidate::Candidate;
use super::super::{notification, row};
use super::{Request, Wanted, withdraw_notices};
use crate::rule::Routing;

/// Why a message is withdrawn that another one replaces.
const SAID_BY_ANOTHER: &str = "another notification that is sent again tells the same recipient the same";

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
        let Some(why) = wanted.why_moot(connection, now, routing, &request.all)? else { continue };
        notification::withdraw(connection, *id, why, now)?;
        withdrawn += 1 + withdraw_notices(connection, *id, why, now, routing, request, retried)?;
        retried.refused.insert(*id, Refused::Moot(why));
    }
    Ok(withdrawn)
}

impl Wanted {
    /// If it is dead and would be sent again: why it need not be.
    fn why_moot(
        &self,
        connection: &Connection,
        now: Timestamp,
        routing: &Routing,
        all: &BTreeSet<i64>,
    ) -> rusqlite::Result<Option<&'static str>> {
        if self.state != "dead" || !self.is_sent(connection, now, routing)? {
            return Ok(None);
        }
        if let Some(why) = Candidate::by_id(connection, self.id, now)?.why_moot(connection)? {
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
            if all.contains(&id)
                && self.is_said_by(id, kind)
                && let Some(other) = Self::of(connection, id)?
                && other.is_sent(connection, now, routing)?
                && Candidate::by_id(connection, id, now)?.why_moot(connection)?.is_none()
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
        self.kind == Kind::Reminder || (self.is_over() && follows(self.kind))
    }

    /// Whether another one about the same outage, sent now, would tell the recipient everything that this one would: of
    /// reminders the latest does; and of an outage that is over the message that it was, or else the latest.
    fn is_said_by(&self, id: i64, kind: Kind) -> bool {
        let is_later = id > self.id;
        match (kind, self.kind) {
            (Kind::Reminder, Kind::Reminder) => is_later,
            _ if !self.is_over() => false,
            (Kind::Down, of) => follows(of),
            (kind, of) => is_later && follows(kind) && follows(of),
        }
    }
}

/// Whether a message of this kind follows the first one about an outage, and says that it is over if it is.
fn follows(kind: Kind) -> bool {
    matches!(kind, Kind::Worse | Kind::Reminder | Kind::Escalation | Kind::Acknowledged | Kind::Resolved)
}
