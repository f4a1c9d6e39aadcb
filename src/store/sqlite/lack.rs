//! What the rules in force say of an outage, compared with what its people were told and what is pending for them: who lacks
//! the bad news, a reminder or a step of an escalation.

use std::collections::BTreeSet;

use jiff::Timestamp;
use linedown_sinks::{FailureKind, Incident, Kind};
use rusqlite::{Connection, OptionalExtension, params};

use super::delay::{NO_SUCH_STEP, NOT_NAMED};
use super::notification;
use super::owe::{Basis, as_it_was, begun};
use super::people::{self, People, Person, Standing};
use super::row::{self, Columns};
use super::settle::is_reminded;
use super::waiting::hasten;
use crate::rule::step::{Had, lacking_steps};
use crate::rule::{Owed, Routing};

/// Most open incidents looked at in one transaction: a webhook waits for no more than that.
pub(super) const LOOKED_AT_AT_ONCE: usize = 100;

/// What has happened that somebody may lack something now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The reason got worse: it may concern others.
    Worse,
    /// The config no longer names somebody, so those whom it names instead are told.
    Dropped,
    /// There may be another config. Whom it only adds is told of later outages only.
    Config,
}

/// Returns what an incident's people lack.
pub(super) fn lacking(
    connection: &Connection,
    incident: &Incident,
    people: &People,
    occasion: Occasion,
    (routing, now): (&Routing, Timestamp),
) -> rusqlite::Result<Vec<Owed>> {
    let (steps, news): (Vec<Owed>, Vec<Owed>) =
        routing.owed(incident).into_iter().partition(|owed| owed.kind == Kind::Escalation);
    let mut lacking = Vec::new();
    for owed in news {
        let person = people.get(&(owed.sink.clone(), owed.recipient.clone()));
        let knows = person.is_some_and(Person::knows);
        let standing = person.map_or(Standing::Untouched, |person| person.standing);
        lacking.extend(match (standing, occasion) {
            // They are reminded after the message that they hear it from.
            (Standing::OnItsWay, _) | (Standing::Untouched, Occasion::Config) => None,
            (Standing::Untouched | Standing::GivenUp, Occasion::Worse) => Some(owed),
            (Standing::Untouched, Occasion::Dropped) => Some(owed).filter(|_| !knows),
            _ if person.is_some_and(|person| person.news(row::state(incident)).is_some())
                || is_reminded(connection, incident.id, &owed)?
                || was_refused(connection, incident.id, &owed, routing)? =>
            {
                None
            }
            (Standing::GivenUp, Occasion::Dropped) => Some(owed).filter(|_| !knows),
            (Standing::GivenUp | Standing::Told, _) => routing.reminder(&owed, incident, now),
        });
    }
    if incident.acknowledged.is_none() && routing.escalates() {
        // What the rules wanted for a milder reason, they still want.
        let before = as_it_was(connection, incident)?;
        let before = before.iter().flat_map(|before| routing.owed(before)).filter(|owed| owed.kind == Kind::Escalation);
        let wanted: Vec<Owed> = steps.into_iter().chain(before).collect();
        let had = if wanted.is_empty() { Vec::new() } else { steps_had(connection, incident.id)? };
        lacking.extend(lacking_steps(wanted, &had));
    }
    Ok(lacking)
}

/// Returns what is owed to those whom the config names for an outage only since it changed: that the line is down, and
/// their steps of escalations. Also to those whom it named before, if nothing has reached them and no reminder will; but
/// not to an address that was refused: it would be refused again.
/// Nothing if the outage is over or somebody has taken it.
pub(super) fn newly_named(
    connection: &Connection,
    incident: &Incident,
    routing: &Routing,
    now: Timestamp,
) -> rusqlite::Result<Vec<Owed>> {
    if incident.closed_at.is_some() || incident.acknowledged.is_some() {
        return Ok(Vec::new());
    }
    let people = people::of(connection, incident.id)?;
    let incident = begun(connection, routing.as_of_now(incident), now)?;
    lacking(connection, &incident, &people, Occasion::Dropped, (routing, now))
}

/// Whether an address refused a message about an incident, and no message that reminders follow has reached it since.
fn was_refused(connection: &Connection, incident: i64, owed: &Owed, routing: &Routing) -> rusqlite::Result<bool> {
    if !routing.is_address(&owed.sink, &owed.recipient) {
        return Ok(false);
    }
    let query = "SELECT coalesce(max(iif(state = 'dead', id, 0)) > max(iif(state = 'delivered', id, 0)), 0) FROM notification \
                 WHERE incident = ? AND sink = ? AND recipient = ? AND ((state = 'dead' AND detail GLOB ?) \
                     OR (state = 'delivered' AND kind IN ('down', 'worse', 'reminder', 'steady')))";
    let values = params![incident, owed.sink, owed.recipient, format!("{}:*", FailureKind::Refused.as_str())];
    connection.prepare_cached(query)?.query_row(values, |row| row.get(0))
}

/// The steps of an incident's escalation that were or are owed, whatever became of them; without those that the config did
/// not want any more when they were due.
fn steps_had(connection: &Connection, incident: i64) -> rusqlite::Result<Vec<Had>> {
    let query = "SELECT sink, recipient, held_by, held_before, state = 'pending' AND attempts = 0 \
                 FROM notification WHERE incident = ? AND kind = 'escalation' \
                 AND (state <> 'withdrawn' OR (detail IS NOT ? AND detail IS NOT ?))";
    let mut statement = connection.prepare_cached(query)?;
    let had = statement.query_map(params![incident, NOT_NAMED, NO_SUCH_STEP], |row| {
        let mut row = Columns::of(row);
        let (sink, recipient, waited_for) = (row.text()?, row.text()?, [row.wait()?, row.wait()?]);
        Ok(Had { sink, recipient, waited_for, is_pending: row.get()? })
    });
    had?.collect()
}

/// The open incidents that nobody has taken.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let query = "SELECT id FROM incident INDEXED BY incident_open WHERE closed_at IS NULL AND acknowledged_at IS NULL";
    connection.prepare_cached(query)?.query_map([], |row| row.get(0))?.collect()
}

/// Brings the reminders and the steps of some incidents in line with the rules in force: reminders come no later than these
/// say, and whoever lacks any gets it. Returns the sinks that have something to do.
pub(super) fn keep_up(
    connection: &Connection,
    incidents: &[i64],
    basis: &Basis<'_>,
) -> rusqlite::Result<BTreeSet<String>> {
    let Basis { routing, now, .. } = *basis;
    let mut sinks = BTreeSet::new();
    for id in incidents {
        let Some(incident) = row::incident_by_id(connection, *id).optional()? else { continue };
        let people = people::of(connection, *id)?;
        // Without that, it has been told to nobody, or its line flaps and a tally will tell of it.
        let is_told = people.values().any(|person| person.standing > Standing::Untouched);
        if !is_told || incident.closed_at.is_some() || incident.acknowledged.is_some() {
            continue;
        }
        let incident = begun(connection, routing.as_of_now(&incident), now)?;
        sinks.extend(hasten(connection, &incident, Some(Kind::Reminder), basis)?.into_iter().map(|(_, sink)| sink));
        for owed in lacking(connection, &incident, &people, Occasion::Config, (routing, now))? {
            notification::add(connection, incident.id, &owed, None, now)?;
            sinks.insert(owed.sink);
        }
    }
    Ok(sinks)
}
