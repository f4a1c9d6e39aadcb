//! What is due and yet not sent: what silences and quiet hours hold back, steps of escalations that wait for the first
//! message, what is gathered with others, and what is for somebody whom the config no longer names.

use std::collections::BTreeSet;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind, Notification};
use rusqlite::{Connection, params};

use super::super::{Due, RecipientPause};
use super::candidate::{Candidate, firsts};
use super::gathering::Group;
use super::lack::newly_named;
use super::lease::{Lessor, MOST_LOOKED_AT};
use super::owe::as_it_was;
use super::{notification, settle};
use crate::rule::step;
use crate::rule::timing::{Held, Silence};

/// Why a reminder or a step is withdrawn after the config changed.
pub(super) const NOT_NAMED: &str = "the config no longer names this recipient for the line";
/// Why a step is withdrawn after its rule has changed.
pub(super) const NO_SUCH_STEP: &str = "the config no longer has this step for the line";
/// Why a reminder is withdrawn after its rule has changed.
const NOT_REMINDED: &str = "the config no longer says that this recipient is reminded";

/// Why a notification that is due is not sent now.
pub(super) enum Delay<'l> {
    /// A silence or quiet hours hold it back, or it is a step that waits for the first message.
    Held(Held),
    /// Its group is gathered until then.
    Gathered(Timestamp),
    /// Its recipient fails, and nothing is sent to them until then.
    Paused(Timestamp, &'l RecipientPause),
}

impl<'l> Lessor<'l> {
    /// Why a candidate is not to be sent now, if so; `taken` is what this lease hands out so far. What was tried before
    /// is not gathered again.
    pub(super) fn delay(
        &self,
        connection: &Connection,
        sink: &str,
        candidate: &Candidate,
        silences: &[Silence],
        taken: &[Due],
    ) -> rusqlite::Result<Option<Delay<'l>>> {
        let notification = &candidate.notification;
        if notification.attempt > 1 {
            let held = self.whole_held(connection, sink, candidate, silences)?;
            return Ok(held.map(Delay::Held).or_else(|| self.pause(candidate, taken)));
        }
        let held = match self.held(sink, notification, silences) {
            None => self.waits_for_first(connection, sink, candidate)?,
            held => held,
        };
        if let Some(held) = held {
            return Ok(Some(Delay::Held(held)));
        }
        let until = candidate.group(sink).open_until(connection, self.interval(notification), self.now)?;
        Ok(until.map(Delay::Gathered).or_else(|| self.pause(candidate, taken)))
    }

    /// The pause that a candidate waits for because its recipient fails.
    fn pause(&self, candidate: &Candidate, taken: &[Due]) -> Option<Delay<'l>> {
        let recipient = &candidate.notification.recipient;
        let pause = self.pauses.get(recipient).filter(|pause| candidate.owed_at > pause.owed_after)?;
        let is_next = !taken.iter().any(|due| due.notification.recipient == *recipient);
        let until = if is_next { pause.until } else { pause.then };
        // The store keeps milliseconds: what waited for the rest of one would be due again at once.
        (until.as_millisecond() > self.now.as_millisecond()).then_some(Delay::Paused(until, pause))
    }

    /// Makes everything of a group that is due to a recipient who fails, as far as one lease looks, due when the pause ends.
    /// It stays owed: nothing holds it back, so a line that is back by then is told of all the same. Returns how many
    /// these are.
    pub(super) fn put_off(
        &self,
        connection: &Connection,
        group: &Group<'_>,
        until: Timestamp,
        pause: &RecipientPause,
    ) -> rusqlite::Result<usize> {
        let Group { sink, recipient, grouping, class } = group;
        let [now, owed_after, until] = [self.now, pause.owed_after, until].map(Timestamp::as_millisecond);
        let values = params![sink, recipient, grouping, class, now, owed_after, until, pause.why, MOST_LOOKED_AT];
        connection.prepare_cached(PUT_OFF)?.execute(values)
    }

    /// What holds back a message that was tried before. Its parts keep together, so it is held back only if all of them
    /// are.
    fn whole_held(
        &self,
        connection: &Connection,
        sink: &str,
        first: &Candidate,
        silences: &[Silence],
    ) -> rusqlite::Result<Option<Held>> {
        let Some(held) = self.held(sink, &first.notification, silences) else { return Ok(None) };
        let others = match first.batch {
            Some(batch) => self.batch(connection, sink, first, batch)?,
            None => Vec::new(),
        };
        let held_parts = others.iter().map(|part| Some((part, self.held(sink, &part.notification, silences)?)));
        let Some(held_parts) = held_parts.collect::<Option<Vec<_>>>() else { return Ok(None) };
        for (part, held) in held_parts {
            hold_back(connection, part, &held)?;
        }
        Ok(Some(held))
    }

    /// Until when a step of an escalation waits because the first message was late.
    pub(super) fn waits_for_first(
        &self,
        connection: &Connection,
        sink: &str,
        candidate: &Candidate,
    ) -> rusqlite::Result<Option<Held>> {
        let Candidate { notification, step, .. } = candidate;
        let step = step.as_ref().filter(|_| notification.incident.closed_at.is_none());
        let Some(step) = step else { return Ok(None) };
        let hold = self.rule(notification).and_then(|rule| rule.hold);
        let Some((behind, kind)) = step::behind(step, hold) else { return Ok(None) };
        let firsts = firsts(connection, notification.incident.id, kind, (sink, &notification.recipient))?;
        let until = step::earliest(behind, &firsts, self.now).filter(|until| *until > self.now);
        Ok(until.map(|until| Held { until, by: step.clone() }))
    }

    /// Makes everything of a group that is due, as far as one lease looks, due at the end of the group's window.
    /// Returns how many these are.
    pub(super) fn gather(
        &self,
        connection: &Connection,
        group: &Group<'_>,
        until: Timestamp,
    ) -> rusqlite::Result<usize> {
        let Group { sink, recipient, grouping, class } = group;
        let (now, until) = (self.now.as_millisecond(), until.as_millisecond());
        let values = params![sink, recipient, grouping, class, now, until, MOST_LOOKED_AT];
        connection.prepare_cached(GATHER)?.execute(values)
    }

    pub(super) fn held(&self, sink: &str, notification: &Notification, silences: &[Silence]) -> Option<Held> {
        let Notification { kind, rule, incident, .. } = notification;
        self.routing.held(*kind, (sink, rule.as_deref()), incident, silences, self.now)
    }

    /// Why a reminder or a step is not sent although its time has come, if the config no longer wants it, for the outage
    /// as it is or was. (Who was never told of the outage is told late all the same, instead of a reminder.)
    pub(super) fn why_dropped(
        &self,
        connection: &Connection,
        sink: &str,
        candidate: &Candidate,
    ) -> rusqlite::Result<Option<&'static str>> {
        let Candidate { notification: Notification { recipient, incident, kind, rule, .. }, owed_as, step, .. } =
            candidate;
        if !matches!(owed_as, Kind::Reminder | Kind::Escalation) {
            return Ok(None);
        }
        let is_or_was = |wanted: &dyn Fn(&Incident) -> bool| -> rusqlite::Result<bool> {
            Ok(wanted(incident) || as_it_was(connection, incident)?.iter().any(wanted))
        };
        if !is_or_was(&|incident| self.routing.names(*owed_as, (sink, recipient), incident))? {
            return Ok(Some(NOT_NAMED));
        }
        if let Some(step) = step {
            let is_wanted = |incident: &Incident| self.routing.has_step(step, (sink, recipient), incident);
            return Ok((!is_or_was(&is_wanted)?).then_some(NO_SUCH_STEP));
        }
        let is_reminded = |incident: &Incident| self.routing.reminds((sink, rule.as_deref()), incident);
        Ok((*kind == Kind::Reminder && !is_or_was(&is_reminded)?).then_some(NOT_REMINDED))
    }

    /// Withdraws a reminder or a step that the config no longer wants, and tells those whom it names instead that the line
    /// is down. Returns the sinks that have something to do.
    pub(super) fn pass_on(
        &self,
        connection: &Connection,
        candidate: &Candidate,
        why: &str,
    ) -> rusqlite::Result<BTreeSet<String>> {
        let Notification { id, incident, .. } = &candidate.notification;
        let mut sinks = settle::withdraw_last(connection, *id, why, self.now, self.routing)?;
        for owed in newly_named(connection, incident, self.routing, self.now)? {
            notification::add(connection, incident.id, &owed, None, self.now)?;
            sinks.insert(owed.sink);
        }
        Ok(sinks)
    }
}

/// [`Lessor::put_off`]. (One group at a time, because the index of groups leads to what is due of one.)
pub(super) const PUT_OFF: &str = "UPDATE notification SET due_at = ?7, held_by = NULL, \
    held_before = coalesce(held_by, held_before), detail = coalesce(detail, ?8) WHERE id IN ( \
        SELECT id FROM notification WHERE sink = ?1 AND recipient = ?2 AND grouping = ?3 AND class = ?4 AND due_at <= ?5 \
        AND owed_at > ?6 AND state = 'pending' AND leased = 0 LIMIT ?9)";

/// [`Lessor::gather`].
pub(super) const GATHER: &str = "UPDATE notification SET due_at = ?6, owed_at = ?6, held_by = NULL, \
    held_before = coalesce(held_by, held_before) WHERE id IN ( \
        SELECT id FROM notification WHERE sink = ?1 AND recipient = ?2 AND grouping = ?3 AND class = ?4 AND due_at <= ?5 \
        AND state = 'pending' AND leased = 0 AND attempts = 0 LIMIT ?7)";

/// Makes a candidate due when what holds it back ends. A step goes on saying what step it is. Returns how many are put
/// off: one.
pub(super) fn hold_back(connection: &Connection, candidate: &Candidate, held: &Held) -> rusqlite::Result<usize> {
    let update = "UPDATE notification SET due_at = ?1, owed_at = ?1, held_by = ?2, \
                  held_before = coalesce(?3, held_before) WHERE id = ?4";
    let values = params![held.until.as_millisecond(), held.by, candidate.step, candidate.notification.id];
    connection.prepare_cached(update)?.execute(values)
}
