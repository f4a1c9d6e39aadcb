//! Hands out what is due: puts off what silences and quiet hours hold back, gathers the rest into digests, and marks it
//! as leased.
//!
//! The first message of a group leaves at once and opens the group's window. What becomes due while the window is open
//! is put off to its end, and leaves then as one message. A message keeps its parts and its number over all attempts.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::iter;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind, Notification};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{Due, Leased, RecipientPauses};
use super::candidate::{Candidate, OLDEST, columns, is_told_otherwise, undelivered};
use super::delay::{Delay, hold_back};
use super::silence::Silences;
use super::{flapping, line, people, settle};
use crate::clock::from_millis;
use crate::link::{self, Purpose};
use crate::rule::timing::Silence;
use crate::rule::{Routing, Rule, class, digest};

/// Most notifications in one message, so that leasing them keeps no webhook waiting. The rest of a group leaves with
/// its next message.
const MOST_IN_ONE: i64 = 2_000;

/// Most notifications looked at for one lease, so that a silenced storm keeps no webhook waiting.
pub(super) const MOST_LOOKED_AT: u16 = 500;

/// The query for when a sink's next notification is due.
pub(super) const NEXT: &str =
    "SELECT min(due_at) FROM notification WHERE sink = ? AND state = 'pending' AND leased = 0";

/// What a lease needs besides the rows.
pub(super) struct Lessor<'l> {
    /// The store's name.
    pub(super) store: &'l str,
    /// The key that signs links in messages.
    pub(super) link_key: &'l [u8],
    pub(super) routing: &'l Routing,
    pub(super) silences: &'l Silences,
    /// The recipients that fail.
    pub(super) pauses: &'l RecipientPauses,
    pub(super) now: Timestamp,
    /// The other sinks that have something to do because of what was withdrawn or passed on.
    pub(super) woken: RefCell<BTreeSet<String>>,
}

impl<'l> Lessor<'l> {
    /// One that hands nothing out, and only finds out what holds a notification back.
    pub(super) fn looking(routing: &'l Routing, silences: &'l Silences, now: Timestamp) -> Self {
        const NOBODY: &RecipientPauses = &RecipientPauses::new();
        Self { store: "", link_key: &[], routing, silences, pauses: NOBODY, now, woken: RefCell::default() }
    }
}

impl Lessor<'_> {
    pub(super) fn lease(&self, connection: &Connection, sink: &str, limit: usize) -> rusqlite::Result<Leased> {
        let silences = self.silences.in_force(connection, self.now)?;
        let mut due = Vec::new();
        let mut looked_at = 0;
        while due.len() < limit && looked_at < usize::from(MOST_LOOKED_AT) {
            let Some(first) = self.oldest(connection, sink)? else { break };
            looked_at += 1;
            if self.is_stale(connection, sink, &first)? {
                continue;
            }
            if first.batch.is_none()
                && let Some(why) = self.why_dropped(connection, sink, &first)?
            {
                self.wake(self.pass_on(connection, &first, why)?);
                continue;
            }
            looked_at += match self.delay(connection, sink, &first, &silences, &due)? {
                Some(Delay::Held(held)) => hold_back(connection, &first, &held)?,
                Some(Delay::Gathered(until)) => self.gather(connection, &first.group(sink), until)?,
                Some(Delay::Paused(until, pause)) => self.put_off(connection, &first.group(sink), until, pause)?,
                None => {
                    let taken = self.take(connection, sink, first, &silences)?;
                    let parts = taken.covers.len();
                    due.push(taken);
                    parts
                }
            };
        }
        let next: Option<i64> = connection.prepare_cached(NEXT)?.query_row([sink], |row| row.get(0))?;
        let mut sinks = self.woken.take();
        sinks.remove(sink);
        Ok(Leased { due, next: next.map(from_millis), sinks })
    }

    /// Withdraws a candidate, and returns true, if there is nothing left to say: the line is back or flaps no more,
    /// somebody has taken it, the recipient hears the same from another message now, or a lost message has arrived after
    /// all or is sent again.
    fn is_stale(&self, connection: &Connection, sink: &str, candidate: &Candidate) -> rusqlite::Result<bool> {
        let Candidate { notification: Notification { id, attempt, .. }, owed_as, .. } = candidate;
        let tells_again = *attempt == 1 && matches!(owed_as, Kind::Reminder | Kind::Escalation);
        let why = match candidate.why_moot(connection)? {
            Some(why) => why,
            None if tells_again && is_told_otherwise(connection, sink, candidate)? => {
                "another message at the same time tells them of it"
            }
            None => return Ok(false),
        };
        self.wake(settle::withdraw(connection, *id, why, self.now, self.routing)?);
        Ok(true)
    }

    fn wake(&self, mut sinks: BTreeSet<String>) {
        self.woken.borrow_mut().append(&mut sinks);
    }

    fn oldest(&self, connection: &Connection, sink: &str) -> rusqlite::Result<Option<Candidate>> {
        let values = params![sink, self.now.as_millisecond()];
        connection.prepare_cached(&OLDEST)?.query_row(values, |row| self.read(row)).optional()
    }

    /// Leases a notification, with everything that goes out in the same message.
    fn take(
        &self,
        connection: &Connection,
        sink: &str,
        mut first: Candidate,
        silences: &[Silence],
    ) -> rusqlite::Result<Due> {
        let mut others = match first.batch {
            Some(batch) => self.batch(connection, sink, &first, batch)?,
            None => self.group(connection, sink, &first, silences)?,
        };
        let tries = 1 + tries_since(connection, &first.notification, first.owed_at)?;
        let leader = first.batch.or_else(|| (!others.is_empty()).then_some(first.notification.id));
        for part in iter::once(&mut first).chain(&mut others) {
            part.add_given_up(connection, sink)?;
            self.add_loss(connection, sink, part)?;
            self.add_tally(connection, part)?;
            self.add_again(connection, sink, part)?;
            self.begin(connection, part, leader)?;
        }
        let links_to = first.links_to.unwrap_or(first.notification.id);
        let (owed_at, parts) = (first.owed_at, iter::once(&first).chain(&others));
        let (covers, parts_owed_at) = parts.map(|part| (part.notification.id, part.owed_at)).unzip();
        let mut notification = match leader {
            Some(leader) => {
                digest(first.notification, leader, others.into_iter().map(|part| part.notification).collect())
            }
            None => first.notification,
        };
        if notification.asks_to_act() {
            notification.acknowledge_url = self.acknowledge_url(&notification.incident, links_to);
            notification.reconnect_url = self.reconnect_url(&notification.incident, links_to);
        }
        Ok(Due { notification, covers, owed_at, parts_owed_at, tries })
    }

    /// Adds to a notice of a loss what was lost, and how many others were told of that incident.
    fn add_loss(&self, connection: &Connection, sink: &str, part: &mut Candidate) -> rusqlite::Result<()> {
        let Some(lost) = part.lost else { return Ok(()) };
        let Some((mut lost, since)) = undelivered(connection, lost)? else { return Ok(()) };
        let Notification { incident, recipient, .. } = &part.notification;
        let but = [(sink, recipient.as_str()), (&lost.sink, &lost.recipient)];
        (lost.others_told, lost.others_being_told) =
            people::others_told(connection, incident, but, self.routing, self.now)?;
        part.since = since;
        part.notification.undelivered = Some(lost);
        Ok(())
    }

    /// Adds to a message about a line that flaps, or to a notice that it was lost, how often the line came and went.
    fn add_tally(&self, connection: &Connection, part: &mut Candidate) -> rusqlite::Result<()> {
        let notification = &part.notification;
        let kind = notification.undelivered.as_ref().map_or(notification.kind, |lost| lost.kind);
        if let (Kind::Flapping | Kind::Steady, Some(since)) = (kind, part.since) {
            let within = self.rule(notification).and_then(|rule| rule.flapping).map(|flapping| flapping.within);
            part.notification.flapping = Some(flapping::facts(connection, notification, since, within)?);
        }
        Ok(())
    }

    /// Adds to an outage that is over the line's next one, if that goes on: nobody is to be told then that all is well,
    /// whatever they hear of that one.
    fn add_again(&self, connection: &Connection, sink: &str, part: &mut Candidate) -> rusqlite::Result<()> {
        let Notification { incident, recipient, .. } = &mut part.notification;
        if incident.closed_at.is_some() && incident.reason.is_outage() {
            let again = line::again(connection, incident, (sink, recipient), self.now)?;
            (incident.again, part.links_to) = again.map_or((None, None), |(again, given_up)| (Some(again), given_up));
        }
        Ok(())
    }

    /// The other parts of a message that was tried before.
    pub(super) fn batch(
        &self,
        connection: &Connection,
        sink: &str,
        first: &Candidate,
        batch: i64,
    ) -> rusqlite::Result<Vec<Candidate>> {
        let query = format!(
            "{} WHERE batch = ? AND notification.id <> ? AND state = 'pending' AND leased = 0 LIMIT ?",
            columns()
        );
        let mut statement = connection.prepare_cached(&query)?;
        let values = [batch, first.notification.id, MOST_IN_ONE - 1];
        let others = statement.query_map(values, |row| self.read(row))?.collect::<rusqlite::Result<_>>()?;
        self.still_to_be_said(connection, sink, others)
    }

    pub(super) fn interval(&self, notification: &Notification) -> Duration {
        self.routing.interval(notification.rule.as_deref(), class(notification.kind))
    }

    pub(super) fn rule(&self, notification: &Notification) -> Option<&Rule> {
        notification.rule.as_deref().and_then(|name| self.routing.rule(name))
    }

    /// Everything else of a notification's group that is due. Opens the group's window.
    fn group(
        &self,
        connection: &Connection,
        sink: &str,
        first: &Candidate,
        silences: &[Silence],
    ) -> rusqlite::Result<Vec<Candidate>> {
        let Notification { id, attempt, recipient, .. } = &first.notification;
        let interval = self.interval(&first.notification);
        if interval.is_zero() || *attempt > 1 {
            return Ok(Vec::new());
        }
        first.group(sink).open(connection, interval, self.now)?;
        let query = format!(
            "{} WHERE sink = ? AND recipient = ? AND grouping = ? AND class = ? AND due_at <= ? \
             AND state = 'pending' AND leased = 0 AND attempts = 0 AND notification.id <> ? \
             ORDER BY due_at, notification.id LIMIT ?",
            columns()
        );
        let now = self.now.as_millisecond();
        let values = params![sink, recipient, first.grouping, first.class, now, id, MOST_IN_ONE - 1];
        let mut statement = connection.prepare_cached(&query)?;
        let others: Vec<_> = statement.query_map(values, |row| self.read(row))?.collect::<rusqlite::Result<_>>()?;
        let mut ready = Vec::with_capacity(others.len());
        for part in self.still_to_be_said(connection, sink, others)? {
            let is_held = self.held(sink, &part.notification, silences).is_some()
                || self.waits_for_first(connection, sink, &part)?.is_some();
            if !is_held && self.why_dropped(connection, sink, &part)?.is_none() {
                ready.push(part);
            }
        }
        Ok(ready)
    }

    /// Those parts that have something left to say. The others are withdrawn.
    fn still_to_be_said(
        &self,
        connection: &Connection,
        sink: &str,
        parts: Vec<Candidate>,
    ) -> rusqlite::Result<Vec<Candidate>> {
        let mut left = Vec::with_capacity(parts.len());
        for part in parts {
            if !self.is_stale(connection, sink, &part)? {
                left.push(part);
            }
        }
        Ok(left)
    }

    /// Writes down that an attempt has begun: in which message, what it will tell, also if that is not what was owed, and what
    /// held the notification back before. ("Before", not "until now": since then it may have waited for its group or its sink.)
    fn begin(&self, connection: &Connection, part: &Candidate, batch: Option<i64>) -> rusqlite::Result<()> {
        let Notification { id, attempt, incident, .. } = &part.notification;
        let update = "UPDATE notification SET leased = 1, attempts = ?2, held_by = NULL, \
                      held_before = coalesce(held_by, held_before), batch = ?3, told_reason = ?4, told_closed = ?5, instead_of = ?6 \
                      WHERE id = ?1";
        let (reason, is_over) = (incident.reason.as_str(), incident.closed_at.is_some());
        connection.prepare_cached(update)?.execute(params![id, attempt, batch, reason, is_over, part.links_to])?;
        if let (Some(given_up), Some(again)) = (part.links_to, &incident.again) {
            let update = "UPDATE notification SET told_reason = ?, told_closed = 0 WHERE id = ?";
            connection.prepare_cached(update)?.execute(params![again.reason.as_str(), given_up])?;
        }
        let held_back = part.notification.held_back.as_ref();
        let held_by = part.held_by.as_ref().filter(|_| held_back.is_some_and(|by| *attempt == 1 || by.until.is_some()));
        let late = held_by.map(|by| format!("{by} held it back before"));
        let kind = part.notification.kind;
        let instead = (kind != part.owed_as).then(|| format!("sent as {}", kind.as_str()));
        let detail = [instead, late].into_iter().flatten().reduce(|one, other| format!("{one}; {other}"));
        let insert = "INSERT INTO attempt (notification, number, started_at, detail) VALUES (?, ?, ?, ?)";
        connection.prepare_cached(insert)?.execute(params![id, attempt, self.now.as_millisecond(), detail])?;
        Ok(())
    }

    fn acknowledge_url(&self, incident: &Incident, notification: i64) -> Option<String> {
        if incident.acknowledged.is_some() && incident.first_news().is_none() {
            return None;
        }
        self.link(Purpose::Acknowledge, notification)
    }

    fn reconnect_url(&self, incident: &Incident, notification: i64) -> Option<String> {
        if !self.routing.needs_login(incident) {
            return None;
        }
        self.link(Purpose::Reconnect, notification)
    }

    fn read(&self, row: &Row<'_>) -> rusqlite::Result<Candidate> {
        Candidate::read(row, self.store, self.now)
    }

    fn link(&self, purpose: Purpose, notification: i64) -> Option<String> {
        let public_url = self.routing.public_url.as_deref()?;
        Some(link::make(purpose, public_url, self.link_key, notification, self.now))
    }
}

/// How many attempts were made since it has been owed.
fn tries_since(connection: &Connection, notification: &Notification, owed_at: Timestamp) -> rusqlite::Result<u32> {
    if notification.attempt == 1 {
        return Ok(0);
    }
    let query = "SELECT count(*) FROM attempt WHERE notification = ? AND started_at >= ?";
    let values = params![notification.id, owed_at.as_millisecond()];
    connection.prepare_cached(query)?.query_row(values, |row| row.get(0))
}
