//! Lines that flap. Spells are kept in rows; tallies are notifications that wait for the spells to end.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Flapping as Facts, Incident, Kind, Notification};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;
use crate::clock::{from_millis, later};
use crate::rule::flapping::{Course, Flapping, Lately, Planned, Spell};
use crate::rule::wait::Wait;
use crate::rule::{Owed, Routing};

/// Most outages whose beginnings a message lists.
const TIMES: i64 = 10;

/// Plans what is owed about an outage by how many outages its line had lately, from `last`, the one before it, back.
/// `last` is `None` if the outage only got worse, since then it is not one more.
pub(super) fn plan(
    connection: &Connection,
    incident: &Incident,
    owed: Vec<Owed>,
    last: Option<i64>,
    routing: &Routing,
    now: Timestamp,
) -> rusqlite::Result<Vec<Planned>> {
    if !incident.reason.is_outage() {
        return Ok(owed.into_iter().map(Planned::Owed).collect());
    }
    let mut courses: BTreeMap<String, Course> = BTreeMap::new();
    let mut planned = Vec::with_capacity(owed.len());
    for owed in owed {
        let Some(setting) = routing.rule(&owed.rule).and_then(|rule| rule.flapping) else {
            planned.push(Planned::Owed(owed));
            continue;
        };
        let course = match courses.get(&owed.rule) {
            Some(course) => *course,
            None => course(connection, incident, &owed.rule, &setting, last, now)?,
        };
        courses.insert(owed.rule.clone(), course);
        let course = match course {
            // Only recipients who already wait for a tally are told no more of single outages.
            Course::GoesOn(spell) if !awaits_tally(connection, incident, &owed, &spell)? => match owed.kind {
                Kind::Worse => Course::Alone,
                _ => Course::Begins(Spell { until: later(now, setting.within), ..spell }),
            },
            course => course,
        };
        planned.extend(setting.plan(owed, course, incident, now));
    }
    for (rule, course) in courses {
        if let Course::Begins(spell) | Course::Worse(spell) = course {
            keep(connection, incident, &rule, &spell)?;
        }
    }
    Ok(planned)
}

/// Whether a recipient waits for the tally of a spell.
fn awaits_tally(connection: &Connection, incident: &Incident, owed: &Owed, spell: &Spell) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM flapping JOIN notification ON notification.incident = flapping.incident \
                 WHERE flapping.source = ?1 AND flapping.instance = ?2 AND flapping.rule = ?3 \
                 AND notification.rule = ?3 AND sink = ?4 AND recipient = ?5 AND notification.since = ?6 \
                 AND kind = 'steady' AND state = 'pending' AND leased = 0 AND attempts = 0)";
    let (source, instance) = (&incident.source, &incident.instance.id);
    let values = params![source, instance, owed.rule, owed.sink, owed.recipient, spell.since.as_millisecond()];
    connection.prepare_cached(query)?.query_row(values, |row| row.get(0))
}

/// For a message that a line flaps, or a notice that such a message was lost: when the first of its outages began.
pub(super) fn lost_since(connection: &Connection, lost: i64) -> rusqlite::Result<Option<Timestamp>> {
    let query = "SELECT since FROM notification WHERE id = ? AND (kind = 'flapping' OR kind = 'undelivered')";
    let since = connection.prepare_cached(query)?.query_row([lost], |row| row.get::<_, Option<i64>>(0)).optional()?;
    Ok(since.flatten().map(from_millis))
}

/// The tally that a notice, that a message was lost that a line flaps, promises its recipient, after the outage that it is
/// about: the line's present one, like all tallies of the spell. None for other notices, or if the recipient waits for it
/// already or the spell is over.
pub(super) fn promised(
    connection: &Connection,
    incident: &Incident,
    notice: &Owed,
    now: Timestamp,
) -> rusqlite::Result<Option<(i64, Owed)>> {
    let Some(since) = notice.since else { return Ok(None) };
    let Some(spell) = latest(connection, incident, &notice.rule)?.filter(|spell| spell.since == since) else {
        return Ok(None);
    };
    if spell.until <= now || awaits_tally(connection, incident, notice, &spell)? {
        return Ok(None);
    }
    let query = "SELECT incident FROM flapping WHERE source = ? AND instance = ? AND rule = ?";
    let values = params![incident.source, incident.instance.id, notice.rule];
    let about = connection.prepare_cached(query)?.query_row(values, |row| row.get(0))?;
    let held_by = Some(Wait::Flapping);
    Ok(Some((about, Owed { kind: Kind::Steady, due_at: spell.until, held_by, ..notice.clone() })))
}

/// The line's latest spell for a rule, over or not.
fn latest(connection: &Connection, incident: &Incident, rule: &str) -> rusqlite::Result<Option<Spell>> {
    let query = "SELECT since, until, reason FROM flapping WHERE source = ? AND instance = ? AND rule = ?";
    let read = |row: &Row<'_>| {
        Ok(Spell { since: from_millis(row.get(0)?), until: from_millis(row.get(1)?), reason: row::reason(row, 2)? })
    };
    let values = params![incident.source, incident.instance.id, rule];
    connection.prepare_cached(query)?.query_row(values, read).optional()
}

/// What an outage is to a rule, given the line's spell and its outages from `last` back.
fn course(
    connection: &Connection,
    incident: &Incident,
    rule: &str,
    setting: &Flapping,
    last: Option<i64>,
    now: Timestamp,
) -> rusqlite::Result<Course> {
    let lately = || match last {
        Some(last) => lately(connection, last, incident.opened_at, rule, setting.within),
        None => Ok(Lately::default()),
    };
    setting.course(latest(connection, incident, rule)?, lately, incident, now)
}

/// The outages of a line, from ?1 back to the first that was heard of before ?2: none before that one began after ?2.
/// (`UNION`, because in a damaged store an outage might lead to itself.)
const OUTAGES: &str = "WITH RECURSIVE outage (id, previous, opened_at, closed_at, heard_at) AS ( \
        SELECT id, previous, opened_at, closed_at, coalesce(heard_at, opened_at) FROM incident WHERE id = ?1 \
        UNION SELECT incident.id, incident.previous, incident.opened_at, incident.closed_at, \
            coalesce(incident.heard_at, incident.opened_at) \
        FROM outage JOIN incident ON incident.id = outage.previous WHERE outage.heard_at >= ?2 \
    )";

/// Whether the rule ?3 had a say in an outage.
const CONCERNED: &str = "EXISTS (SELECT 1 FROM notification WHERE incident = outage.id AND rule = ?3)";

/// Counts the line's outages that began up to `within` before `now`, from `last` back, and that the rule had a say in.
fn lately(
    connection: &Connection,
    last: i64,
    now: Timestamp,
    rule: &str,
    within: Duration,
) -> rusqlite::Result<Lately> {
    let query = format!("{OUTAGES} SELECT count(*), min(opened_at) FROM outage WHERE opened_at > ?2 AND {CONCERNED}");
    let after = now.checked_sub(within).unwrap_or(Timestamp::MIN).as_millisecond();
    connection.prepare_cached(&query)?.query_row(params![last, after, rule], |row| {
        Ok(Lately { outages: row.get(0)?, first: row.get::<_, Option<i64>>(1)?.map(from_millis) })
    })
}

/// Writes down a spell: a new one, or what changes in the one that goes on.
fn keep(connection: &Connection, incident: &Incident, rule: &str, spell: &Spell) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO flapping (source, instance, rule, since, until, reason, incident) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (source, instance, rule) \
                  DO UPDATE SET since = ?4, until = ?5, reason = ?6, \
                  incident = CASE WHEN since = ?4 THEN incident ELSE ?7 END";
    connection.prepare_cached(upsert)?.execute(params![
        incident.source,
        incident.instance.id,
        rule,
        spell.since.as_millisecond(),
        spell.until.as_millisecond(),
        spell.reason.as_str(),
        incident.id,
    ])?;
    Ok(())
}

/// After the line has changed: for the rules that notify of this incident, spells that go on last longer, and their
/// tallies are about this incident now.
pub(super) fn extend(
    connection: &Connection,
    incident: &Incident,
    routing: &Routing,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if !incident.reason.is_outage() {
        return Ok(());
    }
    let query = "SELECT rule, incident FROM flapping WHERE source = ? AND instance = ? AND until > ? \
                 AND EXISTS (SELECT 1 FROM notification WHERE incident = ? AND rule = flapping.rule)";
    let mut statement = connection.prepare_cached(query)?;
    let line = params![incident.source, incident.instance.id, now.as_millisecond(), incident.id];
    let spells: Vec<(String, i64)> =
        statement.query_map(line, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    for (rule, about) in spells {
        // If the rule is gone, or looks for flapping no more, its tally comes when it was to come.
        let Some(setting) = routing.rule(&rule).and_then(|rule| rule.flapping) else { continue };
        let until = later(now, setting.within).as_millisecond();
        let update = "UPDATE flapping SET until = ?, incident = ? WHERE source = ? AND instance = ? AND rule = ?";
        let values = params![until, incident.id, incident.source, incident.instance.id, rule];
        connection.prepare_cached(update)?.execute(values)?;
        let put_off = "UPDATE notification SET due_at = ?1, owed_at = ?1, held_by = ?2, incident = ?3 \
                       WHERE incident = ?4 AND rule = ?5 AND kind = 'steady' AND state = 'pending' \
                       AND leased = 0 AND attempts = 0";
        connection.prepare_cached(put_off)?.execute(params![until, Wait::Flapping, incident.id, about, rule])?;
    }
    Ok(())
}

/// Whether a line that a message says is flapping still is. If not, its tally is due.
pub(super) fn goes_on(
    connection: &Connection,
    notification: &Notification,
    since: Timestamp,
) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM flapping \
                 WHERE source = ? AND instance = ? AND rule = ? AND since = ? AND until > ?)";
    let incident = &notification.incident;
    let (since, now) = (since.as_millisecond(), notification.at.as_millisecond());
    let values = params![incident.source, incident.instance.id, notification.rule, since, now];
    connection.prepare_cached(query)?.query_row(values, |row| row.get(0))
}

/// What a message says of a line that flaps, or that has flapped since a moment.
pub(super) fn facts(
    connection: &Connection,
    notification: &Notification,
    since: Timestamp,
    within: Option<Duration>,
) -> rusqlite::Result<Facts> {
    let incident = &notification.incident;
    let (since_millis, now) = (since.as_millisecond(), notification.at.as_millisecond());
    let outages = format!("FROM outage WHERE opened_at >= ?2 AND {CONCERNED}");
    let tally =
        format!("{OUTAGES} SELECT count(*), coalesce(sum(max(coalesce(closed_at, ?4) - opened_at, 0)), 0) {outages}");
    let (outages_so_far, down): (u32, i64) = connection
        .prepare_cached(&tally)?
        .query_row(params![incident.id, since_millis, notification.rule, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let latest = format!("{OUTAGES} SELECT opened_at {outages} ORDER BY opened_at DESC LIMIT ?4");
    let mut times: Vec<Timestamp> = connection
        .prepare_cached(&latest)?
        .query_map(params![incident.id, since_millis, notification.rule, TIMES], |row| Ok(from_millis(row.get(0)?)))?
        .collect::<rusqlite::Result<_>>()?;
    times.reverse();
    Ok(Facts {
        since,
        outages: outages_so_far,
        downtime: u64::try_from(down / 1000).unwrap_or_default(),
        times,
        steady_for: within.map(|within| within.as_secs()),
    })
}
