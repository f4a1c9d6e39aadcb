//! What follows an attempt: a notification is settled, tried again or given up, and something may be owed because of
//! that.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::Timestamp;
use linedown_sinks::{FailureKind, Incident, Kind};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::{Outcome, Settled, Settlement};
use super::candidate::{need_not_be_told, note_heard};
use super::lack::newly_named;
use super::notification::CHAIN;
use super::owe::begun;
use super::row::{self, Columns};
use super::{AT_ONCE, flapping, gathering, notification, people};
use crate::rule::{Knows, Owed, Routing};

pub(super) fn settle(connection: &Connection, settlement: &Settlement, routing: &Routing) -> rusqlite::Result<Settled> {
    let mut settled = Settled::default();
    for id in &settlement.notifications {
        settled.add(settle_one(connection, *id, settlement.at, &settlement.outcome, routing)?);
    }
    Ok(settled)
}

fn settle_one(
    connection: &Connection,
    id: i64,
    at: Timestamp,
    outcome: &Outcome,
    routing: &Routing,
) -> rusqlite::Result<Settled> {
    let (label, detail) = match outcome {
        Outcome::Delivered(receipt) => ("delivered", receipt.clone()),
        Outcome::Again { kind, why, .. } | Outcome::Dead { kind, why } => {
            (kind.as_str(), format!("{}: {why}", kind.as_str()))
        }
    };
    // The attempt's detail already says what is known from its beginning.
    let end = "UPDATE attempt SET ended_at = ?, outcome = ?, detail = ? || coalesce('; ' || detail, '') \
               WHERE notification = ? AND outcome IS NULL";
    connection.prepare_cached(end)?.execute(params![at.as_millisecond(), label, detail, id])?;
    match outcome {
        Outcome::Again { due_at, .. } => {
            let update =
                "UPDATE notification SET leased = 0, due_at = ?, detail = ? WHERE id = ? AND state = 'pending'";
            connection.prepare_cached(update)?.execute(params![due_at.as_millisecond(), detail, id])?;
            Ok(Settled::default())
        }
        Outcome::Delivered(_) => {
            finish(connection, id, "delivered", &detail, at)?;
            let mut settled = after_delivery(connection, id, at, routing)?;
            settled.add(told_besides(connection, id, at, routing)?);
            Ok(settled)
        }
        Outcome::Dead { kind, .. } => lose(connection, id, (&detail, Some(*kind)), at, routing),
    }
}

fn finish(connection: &Connection, id: i64, state: &str, detail: &str, at: Timestamp) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET leased = 0, state = ?, detail = ?, settled_at = ? WHERE id = ?";
    connection.prepare_cached(update)?.execute(params![state, detail, at.as_millisecond(), id])?;
    Ok(())
}

/// Owes the recipient of a settled message what changed while it was on its way and, if the outage goes on, the next
/// reminder.
fn after_delivery(connection: &Connection, id: i64, now: Timestamp, routing: &Routing) -> rusqlite::Result<Settled> {
    let (incident, settled) = settled(connection, id)?;
    let incident = begun(connection, incident, now)?;
    let reminder = routing.reminder(&settled, &incident, now);
    let sinks = go_on(connection, (id, settled), reminder, &incident, now, routing)?;
    Ok(Settled { sinks, ..Settled::default() })
}

/// If a message that was delivered was its recipient's first news of the line's next outage: writes down, with that outage,
/// that they were told of it.
fn told_besides(connection: &Connection, id: i64, now: Timestamp, routing: &Routing) -> rusqlite::Result<Settled> {
    let query = "SELECT given_up.id FROM notification AS told JOIN notification AS given_up ON given_up.id = told.instead_of \
                 WHERE told.id = ? AND given_up.state <> 'delivered' AND given_up.heard_from IS NULL";
    let given_up: Option<i64> = connection.prepare_cached(query)?.query_row([id], |row| row.get(0)).optional()?;
    let Some(given_up) = given_up else { return Ok(Settled::default()) };
    let (incident, owed) = settled(connection, given_up)?;
    let told = notification::add(connection, incident.id, &Owed { kind: Kind::Down, ..owed }, None, now)?;
    let update = "UPDATE notification SET attempts = 1, told_closed = 0, \
                  told_reason = (SELECT told_reason FROM notification WHERE id = ?2) WHERE id = ?1";
    connection.prepare_cached(update)?.execute([told, given_up])?;
    let attempt = "INSERT INTO attempt (notification, number, started_at, ended_at, outcome, detail) \
                   SELECT ?1, 1, started_at, ended_at, outcome, detail FROM attempt WHERE notification = ?2 \
                   ORDER BY number DESC LIMIT 1";
    connection.prepare_cached(attempt)?.execute([told, id])?;
    finish(connection, told, "delivered", TOLD_BESIDES, now)?;
    after_delivery(connection, told, now, routing)
}

/// How somebody was told of an outage whose own message to them was given up.
const TOLD_BESIDES: &str = "the message about the line's outage before told it";

/// Withdraws a notification that need not be sent any more. Its recipient hears what changed while it was pending.
/// Returns the sinks that have something to do.
pub(super) fn withdraw(
    connection: &Connection,
    id: i64,
    why: &str,
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<BTreeSet<String>> {
    notification::withdraw(connection, id, why, now)?;
    Ok(after_delivery(connection, id, now, routing)?.sinks)
}

/// Withdraws a notification whose recipient need not be reminded any more. They hear what changed while it was pending.
/// Returns the sinks that have something to do.
pub(super) fn withdraw_last(
    connection: &Connection,
    id: i64,
    why: &str,
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<BTreeSet<String>> {
    notification::withdraw(connection, id, why, now)?;
    let (incident, settled) = settled(connection, id)?;
    go_on(connection, (id, settled), None, &incident, now, routing)
}

/// Gives up a notification, for a reason and, if an attempt was the last, its failure. A notice of a loss that need not
/// be told any more is no loss itself: it is withdrawn.
fn lose(
    connection: &Connection,
    id: i64,
    (why, failure): (&str, Option<FailureKind>),
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<Settled> {
    let lost = "SELECT lost FROM notification WHERE id = ?";
    let lost = connection.prepare_cached(lost)?.query_row([id], |row| row.get(0))?;
    if let Some(moot) = need_not_be_told(connection, lost, Knows::Nothing)? {
        finish(connection, id, "withdrawn", moot, now)?;
        return after_delivery(connection, id, now, routing);
    }
    finish(connection, id, "dead", why, now)?;
    let mut settled = after_death(connection, id, failure, now, routing)?;
    settled.sinks.extend(gathering::close(connection, id, now, routing)?);
    Ok(settled)
}

/// Owes the fallback the news that a notification was given up. Its recipient is not given up with it: they are still
/// reminded of an outage that goes on and, if they knew of it, told of its end. Only an address that was refused is not
/// reminded: it would be refused again, and the fallback would hear the same again each time.
fn after_death(
    connection: &Connection,
    id: i64,
    failure: Option<FailureKind>,
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<Settled> {
    let (incident, lost) = settled(connection, id)?;
    let tried = sinks_tried(connection, id)?;
    let mut told_instead = routing.fallback(&lost, &tried, &incident);
    let since = flapping::lost_since(connection, id)?;
    for owed in &mut told_instead {
        owed.since = since;
        notification::add(connection, incident.id, owed, Some(id), now)?;
        if let Some((about, tally)) = flapping::promised(connection, &incident, owed, now)? {
            notification::add(connection, about, &tally, None, now)?;
        }
    }
    let is_refused = failure == Some(FailureKind::Refused) && routing.is_address(&lost.sink, &lost.recipient);
    let incident = begun(connection, incident, now)?;
    let reminder = if is_refused { None } else { routing.reminder(&lost, &incident, now) };
    let mut sinks = go_on(connection, (id, lost), reminder, &incident, now, routing)?;
    let untold = usize::from(told_instead.is_empty() && !is_told_to_others(connection, id)?);
    sinks.extend(told_instead.into_iter().map(|owed| owed.sink));
    Ok(Settled { dead: 1, untold, sinks })
}

/// Whether a notice of a loss is not the only one of it: another recipient of the same sink was told, or is still to be.
fn is_told_to_others(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM notification AS this JOIN notification AS other ON other.lost = this.lost \
                 WHERE this.id = ? AND other.id <> this.id AND other.state IN ('delivered', 'pending'))";
    connection.prepare_cached(query)?.query_row([id], |row| row.get(0))
}

/// Owes somebody what follows a settled message to them: news of what changed meanwhile, be it only that somebody has
/// taken the incident, and a reminder, unless one is pending. If the config names them no more, and no reminder will find
/// that out, those whom it names instead are told now. Returns the sinks that have something to do.
fn go_on(
    connection: &Connection,
    (id, settled): (i64, Owed),
    reminder: Option<Owed>,
    incident: &Incident,
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<BTreeSet<String>> {
    let person = people::one(connection, incident.id, &settled.sink, &settled.recipient)?;
    if person.as_ref().is_some_and(|person| person.missed) {
        note_heard(connection, id)?;
    }
    let news = person.as_ref().and_then(|person| person.news(row::state(incident)));
    let news = match (news, person) {
        (None, Some(person)) if person.knows() && !people::know_who_took(connection, incident, &settled)? => {
            Some(Kind::Acknowledged)
        }
        (news, _) => news,
    };
    let instead = match reminder {
        None if has_reminders(settled.kind) && routing.is_dropped(&settled, incident) => {
            newly_named(connection, incident, routing, now)?
        }
        _ => Vec::new(),
    };
    let reminder = match reminder {
        Some(_) if is_reminded(connection, incident.id, &settled)? => None,
        reminder => reminder,
    };
    let next: Vec<Owed> = news
        .map(|kind| routing.by_most_urgent(Owed { kind, ..settled }, incident))
        .into_iter()
        .chain(reminder)
        .chain(instead)
        .collect();
    for owed in &next {
        notification::add(connection, incident.id, owed, None, now)?;
    }
    Ok(next.into_iter().map(|owed| owed.sink).collect())
}

/// Whether reminders may follow a message of this kind.
fn has_reminders(kind: Kind) -> bool {
    matches!(kind, Kind::Down | Kind::Reminder | Kind::Steady)
}

/// Whether a reminder to them is pending.
pub(super) fn is_reminded(connection: &Connection, incident: i64, owed: &Owed) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM notification WHERE incident = ? AND sink = ? AND recipient = ? \
                 AND kind = 'reminder' AND state = 'pending')";
    connection.prepare_cached(query)?.query_row(params![incident, owed.sink, owed.recipient], |row| row.get(0))
}

static SETTLED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {}, {} FROM notification JOIN incident ON incident.id = notification.incident WHERE notification.id = ?",
        row::INCIDENT,
        notification::OWED
    )
});

/// A settled notification and its incident. What follows it is owed at once, and waits for nothing.
fn settled(connection: &Connection, id: i64) -> rusqlite::Result<(Incident, Owed)> {
    connection.prepare_cached(&SETTLED)?.query_row([id], |row| {
        let mut row = Columns::of(row);
        let (incident, owed) = (row.incident()?, notification::owed(&mut row)?);
        Ok((incident, Owed { due_at: Timestamp::MIN, held_by: None, since: None, ..owed }))
    })
}

/// The sinks that gave up, from the first of a chain of losses to this one.
fn sinks_tried(connection: &Connection, id: i64) -> rusqlite::Result<Vec<String>> {
    let query = format!("{CHAIN} SELECT sink FROM chain CROSS JOIN notification USING (id) ORDER BY id");
    connection.prepare_cached(&query)?.query_map([id], |row| row::text(row, 0))?.collect()
}

/// The query for what has been owed to a sink since a moment or earlier and is not in hand.
pub(super) const OWED_SINCE: &str =
    "SELECT id FROM notification WHERE sink = ? AND state = 'pending' AND leased = 0 AND owed_at <= ? LIMIT ?";

/// Returns at most [`AT_ONCE`] of these.
pub(super) fn owed_since(connection: &Connection, sink: &str, owed_before: Timestamp) -> rusqlite::Result<Vec<i64>> {
    let values = params![sink, owed_before.as_millisecond(), AT_ONCE];
    connection.prepare_cached(OWED_SINCE)?.query_map(values, |row| row.get(0))?.collect()
}

/// Gives up those of `ids` that have still been owed since then and are not in hand.
pub(super) fn give_up(
    connection: &Connection,
    ids: &[i64],
    owed_before: Timestamp,
    why: &str,
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<Settled> {
    let query = "SELECT EXISTS (SELECT 1 FROM notification \
                 WHERE id = ? AND state = 'pending' AND leased = 0 AND owed_at <= ?)";
    let mut is_still_owed = connection.prepare_cached(query)?;
    let mut settled = Settled::default();
    for id in ids {
        if is_still_owed.query_row([*id, owed_before.as_millisecond()], |row| row.get(0))? {
            settled.add(lose(connection, *id, (why, None), now, routing)?);
        }
    }
    Ok(settled)
}
