//! What a change to an incident makes owed, and which of that is withdrawn at once because it need not be sent.

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};
use rusqlite::Connection;

use super::gathering::Group;
use super::lack::{Occasion, lacking};
use super::notification::{self, back_in_time};
use super::people::{self, People};
use super::silence::Silences;
use super::{flapping, row};
use crate::clock::from_millis;
use crate::incident::Change;
use crate::rule::flapping::Planned;
use crate::rule::timing::Silence;
use crate::rule::{Owed, Routing, class};

/// What decides about notifications that are owed: the config, the silences, the time.
pub(super) struct Basis<'t> {
    pub(super) routing: &'t Routing,
    pub(super) silences: &'t Silences,
    pub(super) now: Timestamp,
}

/// Writes down what is owed; `last` is the latest incident of the line before the event. Returns when each notification
/// that is not withdrawn at once is due, and for which sink.
pub(super) fn owe(
    connection: &Connection,
    (incident, last): (&Incident, Option<i64>),
    change: Change,
    owed: Vec<Owed>,
    basis: &Basis<'_>,
) -> rusqlite::Result<Vec<(Timestamp, String)>> {
    let Basis { routing, now, .. } = *basis;
    let is_new = matches!(change, Change::Opened | Change::Missed { .. });
    let planned = match change {
        // A line in its first outage does not flap.
        _ if last.is_none() => owed.into_iter().map(Planned::Owed).collect(),
        Change::Closed { .. } => owed.into_iter().map(Planned::Owed).collect(),
        _ => flapping::plan(connection, incident, owed, last.filter(|_| is_new), routing, now)?,
    };
    let mut left = Vec::with_capacity(planned.len());
    let mut silences = None;
    for planned in planned {
        let (owed, why) = match planned {
            Planned::Quiet(owed) => (owed, Some(KEPT_QUIET.to_owned())),
            Planned::Owed(owed) => {
                let why =
                    came_to_nothing(&owed, incident).then(|| back_in_time(owed.held_by.as_ref(), incident.reason));
                (owed, why)
            }
        };
        if let Some(why) = why {
            notification::add_withdrawn(connection, incident.id, &owed, &why, now)?;
            continue;
        }
        let owed = match gathered_until(connection, &owed, incident, basis, &mut silences)? {
            Some(until) => Owed { due_at: until, held_by: None, ..owed },
            None => owed,
        };
        notification::add(connection, incident.id, &owed, None, now)?;
        left.push((owed.due_at, owed.sink));
    }
    if last.is_some() && (is_new || matches!(change, Change::Worsened | Change::Closed { .. })) {
        flapping::extend(connection, incident, routing, now)?;
    }
    Ok(left)
}

/// If a notification is owed now and its group's window is open: until when it is gathered with others. The lease would
/// only put it off until then. (What is held back is left to the lease, which says by what.) `silences` is read when it
/// is first needed.
fn gathered_until(
    connection: &Connection,
    owed: &Owed,
    incident: &Incident,
    basis: &Basis<'_>,
    silences: &mut Option<Vec<Silence>>,
) -> rusqlite::Result<Option<Timestamp>> {
    let Basis { routing, now, .. } = *basis;
    let Some(rule) = routing.rule(&owed.rule).filter(|_| owed.due_at <= now) else { return Ok(None) };
    let Owed { sink, recipient, group, kind, .. } = owed;
    let group = Group { sink, recipient, grouping: group, class: class(*kind).as_str() };
    let Some(until) = group.open_until(connection, rule.group_interval, now)? else { return Ok(None) };
    let silences = match silences {
        Some(silences) => silences,
        None => silences.insert(basis.silences.in_force(connection, now)?),
    };
    let held = routing.held(*kind, (sink, Some(&rule.name)), incident, silences, now);
    Ok(held.is_none().then_some(until))
}

/// Returns who must hear of a change to an incident that some know of already. A recipient for whom a message is still
/// pending hears it from that message, or when that one is settled. A recipient whom a worse reason concerns for the
/// first time is told as of a new incident.
pub(super) fn changed(
    connection: &Connection,
    incident: &Incident,
    change: Change,
    basis: &Basis<'_>,
) -> rusqlite::Result<Vec<Owed>> {
    let incident = &begun(connection, incident.clone(), basis.now)?;
    let people = people::of(connection, incident.id)?;
    let mut owed = match change {
        Change::Worsened => lacking(connection, incident, &people, Occasion::Worse, (basis.routing, basis.now))?,
        _ => Vec::new(),
    };
    owed.extend(news(connection, incident, people, basis)?);
    Ok(owed)
}

/// Returns what those who know of an incident must hear now. Echoes are written down as withdrawn.
fn news(
    connection: &Connection,
    incident: &Incident,
    people: People,
    basis: &Basis<'_>,
) -> rusqlite::Result<Vec<Owed>> {
    let Basis { routing, now, .. } = *basis;
    let news = people.into_iter().filter_map(|((sink, recipient), person)| {
        let kind = person.news(row::state(incident))?;
        Some(routing.by_most_urgent(person.owed(sink, recipient, kind), incident))
    });
    let (news, echoes) = routing.without_echoes(&news.collect::<Vec<_>>());
    for echo in echoes {
        notification::add_withdrawn(connection, incident.id, &echo, HEARD_OTHERWISE, now)?;
    }
    Ok(news)
}

/// The incident with a beginning no later than now. If the clock was set back since, it may have begun later than now;
/// what it makes owed then counts from its first message, whose times are [corrected](super::set_back), or else from now.
pub(super) fn begun(connection: &Connection, mut incident: Incident, now: Timestamp) -> rusqlite::Result<Incident> {
    if incident.opened_at > now {
        let query = "SELECT min(created_at) FROM notification WHERE incident = ?";
        let first: Option<i64> = connection.prepare_cached(query)?.query_row([incident.id], |row| row.get(0))?;
        incident.opened_at = first.map_or(now, from_millis).min(now);
    }
    Ok(incident)
}

/// The states that an incident had before it got worse just now: at its beginning, and each earlier time that it got
/// worse.
pub(super) fn as_it_was(connection: &Connection, incident: &Incident) -> rusqlite::Result<Vec<Incident>> {
    let query = "SELECT reason, error FROM event WHERE incident = ? AND (change = 'opened' OR change = 'worsened') \
                 ORDER BY id";
    let mut statement = connection.prepare_cached(query)?;
    let states = statement.query_map([incident.id], |row| {
        Ok(Incident { reason: row::reason(row, 0)?, error: row::text_or_null(row, 1)?, ..incident.clone() })
    });
    let mut states: Vec<Incident> = states?.collect::<rusqlite::Result<_>>()?;
    states.pop();
    Ok(states)
}

/// Whether something was to wait, but the outage was over before then: it was first heard of when it had ended.
fn came_to_nothing(owed: &Owed, incident: &Incident) -> bool {
    owed.kind != Kind::Steady
        && owed.held_by.is_some()
        && incident.closed_at.is_some_and(|closed_at| closed_at < owed.due_at)
}

/// Why news is withdrawn that was owed to a sink that has left the config.
const HEARD_OTHERWISE: &str = "the sink is no longer in the config, and the sink that stands in for it is notified of \
                               this itself";

/// Why news of a single outage of a flapping line is withdrawn.
const KEPT_QUIET: &str = "the line is flapping: the summary covers this outage";
