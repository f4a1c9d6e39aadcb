//! What each recipient knows of an incident, and what they must hear now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};
use rusqlite::{Connection, Params, params};

use super::row::Columns;
use crate::rule::{Owed, Routing, State, Target, news};

/// What one recipient knows of an incident.
pub(super) struct Person {
    rule: String,
    group: String,
    wants_resolved: bool,
    /// What became of the messages to them.
    pub(super) standing: Standing,
    /// They know that the line flaps: a tally will tell them of this outage's end.
    flaps: bool,
    /// What delivered messages told, taken together.
    told: Option<State>,
    /// What they heard besides, when somebody took it. For a recipient who is told in a tally, that alone is no news of
    /// this outage.
    heard: Option<State>,
    /// What messages would have told that were given up: the same is not told to them again.
    given_up: Option<State>,
    /// Whether a message to them was given up or is still being tried.
    pub(super) missed: bool,
}

/// What became of the messages to a recipient: of several, what says most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// They were owed nothing but reminders and escalations that are still ahead.
    Untouched,
    /// What they were owed was given up: nothing has reached them.
    GivenUp,
    /// They were told of this outage, or a notice is on its way to them that somebody else was not told.
    Told,
    /// A message is on its way to them: they hear what changed from it, or when it is settled. (A notice that somebody else
    /// was not told may wait for a minute, and says that above all; but while it is being tried, it tells the end.)
    OnItsWay,
}

impl Person {
    /// What they must hear, now that the incident is in the state `now`.
    pub(super) fn news(&self, now: State) -> Option<Kind> {
        let told = together(Some(self.told.filter(|_| !self.waits())?), self.heard)?;
        news(together(Some(told), self.given_up).unwrap_or(told), now, self.wants_resolved)
    }

    /// Whether they know of it, and no message is on its way to them.
    pub(super) fn knows(&self) -> bool {
        (self.told.is_some() || self.flaps) && !self.waits()
    }

    fn waits(&self) -> bool {
        self.standing == Standing::OnItsWay
    }

    /// A message of this kind to them, due now.
    pub(super) fn owed(self, sink: String, recipient: String, kind: Kind) -> Owed {
        Owed {
            rule: self.rule,
            sink,
            recipient,
            kind,
            resolved: self.wants_resolved,
            group: self.group,
            due_at: Timestamp::MIN,
            held_by: None,
            since: None,
        }
    }
}

/// Combines two states that somebody was told: the worse reason, and over if either was.
fn together(one: Option<State>, other: Option<State>) -> Option<State> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(State { reason: one.reason.max(other.reason), closed: one.closed || other.closed })
}

/// Recipients, by their sink and their address there.
pub(super) type People = BTreeMap<(String, String), Person>;

/// Everybody who was ever owed a message about an incident.
pub(super) fn of(connection: &Connection, incident: i64) -> rusqlite::Result<People> {
    read(connection, "", params![incident])
}

/// One recipient who was ever owed a message about an incident.
pub(super) fn one(
    connection: &Connection,
    incident: i64,
    sink: &str,
    recipient: &str,
) -> rusqlite::Result<Option<Person>> {
    let values = params![incident, sink, recipient];
    Ok(read(connection, "AND sink = ?2 AND recipient = ?3", values)?.into_values().next())
}

/// What to send when somebody has taken an incident: a message to each of those who know of it and wait for nothing.
pub(super) fn who_know(connection: &Connection, incident: i64) -> rusqlite::Result<Vec<Owed>> {
    let people = of(connection, incident)?.into_iter().filter(|(_, person)| person.knows());
    Ok(people.map(|((sink, recipient), person)| person.owed(sink, recipient, Kind::Acknowledged)).collect())
}

/// How many recipients but these two, the reader and the one who was lost, were told of an incident with the reason that
/// it has now; and how many others are being told, by a first attempt that is under way or, at the reader's sink, due.
/// (Perhaps nobody reads what only goes to our own output.)
pub(super) fn others_told(
    connection: &Connection,
    incident: &Incident,
    but: [(&str, &str); 2],
    routing: &Routing,
    now: Timestamp,
) -> rusqlite::Result<(u32, u32)> {
    let query = "SELECT sink, count(DISTINCT iif(state = 'delivered', recipient, NULL)), count(DISTINCT recipient) \
                 FROM notification WHERE incident = ?1 AND (told_reason = ?2 AND \
                     (state = 'delivered' OR (leased = 1 AND attempts = 1)) \
                     OR state = 'pending' AND attempts = 0 AND sink = ?3 AND due_at <= ?7) \
                 AND NOT (sink = ?3 AND recipient = ?4) AND NOT (sink = ?5 AND recipient = ?6) GROUP BY sink";
    let mut statement = connection.prepare_cached(query)?;
    let [(reader, by), (lost, to)] = but;
    let values = params![incident.id, incident.reason.as_str(), reader, by, lost, to, now.as_millisecond()];
    let mut rows = statement.query(values)?;
    let (mut told, mut being_told) = (0, 0);
    while let Some(row) = rows.next()? {
        let mut row = Columns::of(row);
        let (sink, told_there, all_there): (_, u32, u32) = (row.text()?, row.get()?, row.get()?);
        if !routing.sinks.get(&sink).is_some_and(Target::is_own_output) {
            told += told_there;
            being_told += all_there - told_there;
        }
    }
    Ok((told, being_told))
}

/// Whether a recipient need not be told who has taken an incident: nobody has, it is over, or they were told or are
/// owed that. Every message that is begun after the acknowledgement says so.
pub(super) fn know_who_took(connection: &Connection, incident: &Incident, recipient: &Owed) -> rusqlite::Result<bool> {
    let Some(taken) = incident.acknowledged.as_ref().filter(|_| incident.closed_at.is_none()) else { return Ok(true) };
    let query = "SELECT EXISTS (SELECT 1 FROM notification WHERE incident = ?1 AND sink = ?2 AND recipient = ?3 \
                 AND (kind = 'acknowledged' OR (state = 'delivered' \
                     AND (SELECT max(started_at) FROM attempt WHERE notification = notification.id) > ?4)))";
    let Owed { sink, recipient, .. } = recipient;
    let values = params![incident.id, sink, recipient, taken.at.as_millisecond()];
    connection.prepare_cached(query)?.query_row(values, |row| row.get(0))
}

/// Reads what recipients know from the notifications of an incident. A message that the line flaps tells of no outage
/// in particular, nor does a notice that such a message was lost. A reminder or a step of an escalation that was not yet
/// tried is nothing that anybody waits for; but a step that is left when the line is back was due before that, and will
/// be sent. (For a list of three, SQLite would build a table each time.)
fn read(connection: &Connection, filter: &str, values: impl Params) -> rusqlite::Result<People> {
    let query = format!(
        "SELECT sink, recipient, rule, grouping, wants_resolved, state, told_reason, told_closed, \
         leased OR attempts > 0 OR (kind <> 'reminder' AND kind <> 'escalation' AND kind <> 'steady') \
             OR (kind = 'escalation' AND (SELECT closed_at IS NOT NULL FROM incident WHERE id = ?1)), \
         kind = 'resolved', kind = 'steady', kind = 'acknowledged', \
         kind = 'undelivered' AND NOT (leased AND told_closed IS TRUE) FROM notification WHERE incident = ?1 AND kind <> 'flapping' \
         AND NOT (kind = 'undelivered' AND since IS NOT NULL) {filter} ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query(values)?;
    let mut people = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let mut row = Columns::of(row);
        let to = (row.text()?, row.text()?);
        let new = Person {
            rule: row.text()?,
            group: row.text()?,
            wants_resolved: false,
            standing: Standing::Untouched,
            flaps: false,
            told: None,
            heard: None,
            given_up: None,
            missed: false,
        };
        let person = people.entry(to).or_insert(new);
        person.wants_resolved |= row.get::<bool>()?;
        let (state, told) = (row.bytes()?, row.told()?);
        let (counts, is_end, is_tally, is_taken, is_notice): (bool, bool, bool, bool, bool) =
            (row.get()?, row.get()?, row.get()?, row.get()?, row.get()?);
        let standing = match state {
            b"pending" if counts && !is_notice => Standing::OnItsWay,
            b"pending" if counts => Standing::Told,
            b"delivered" if !is_taken => Standing::Told,
            b"dead" => Standing::GivenUp,
            _ => Standing::Untouched,
        };
        person.standing = person.standing.max(standing);
        person.missed |= state == b"dead" || (state == b"pending" && counts);
        match state {
            b"pending" => person.flaps |= !counts && is_tally,
            b"delivered" if is_taken => person.heard = together(person.heard, told),
            b"delivered" => person.told = together(person.told, told),
            b"dead" if is_end => {
                let end = State { reason: linedown_sinks::Reason::Other, closed: true };
                person.given_up = together(person.given_up, Some(end));
            }
            b"dead" => person.given_up = together(person.given_up, told),
            _ => {}
        }
    }
    Ok(people)
}
