//! A notification that is due, as the lease reads it.

use std::sync::LazyLock;

use jiff::Timestamp;
use linedown_sinks::{Kind, Notification, Undelivered};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::flapping;
use super::gathering::Group;
use super::notification::CHAIN;
use super::row::{self, Columns};
use crate::rule::step::{self, First};
use crate::rule::wait::Wait;
use crate::rule::{Knows, kind_when_sent};

/// One row that is due.
pub(super) struct Candidate {
    pub(super) notification: Notification,
    pub(super) lost: Option<i64>,
    pub(super) owed_at: Timestamp,
    pub(super) grouping: String,
    pub(super) class: String,
    pub(super) batch: Option<i64>,
    /// The kind of the row; that of the message may differ by now.
    pub(super) owed_as: Kind,
    /// What it waited for.
    pub(super) held_by: Option<Wait>,
    /// Of a step of an escalation that was not tried yet: the step.
    pub(super) step: Option<Wait>,
    /// For a message about a line that flaps: when the first of its outages began.
    pub(super) since: Option<Timestamp>,
    /// If it asks for what another outage of the line needs: the notification of that one which its links name.
    pub(super) links_to: Option<i64>,
    /// False if the incident is over and there is nothing left to tell this recipient.
    pub(super) has_something_to_say: bool,
    /// What the recipient knows otherwise, as far as that was looked up.
    knows: Knows,
}

/// The query for candidates, up to its `WHERE`.
pub(super) fn columns() -> String {
    format!(
        "SELECT {}, kind, wants_resolved, {KNOWS}, notification.id, recipient, rule, attempts, detail, {PROMISED}, owed_at, lost, \
         grouping, class, batch, since, held_by IS NOT NULL, coalesce(held_by, held_before), held_before FROM notification JOIN incident ON incident.id = notification.incident",
        row::INCIDENT
    )
}

impl Candidate {
    /// Reads a row of [`columns`], for a try that begins now.
    pub(super) fn read(row: &Row<'_>, store: &str, now: Timestamp) -> rusqlite::Result<Self> {
        let mut row = Columns::of(row);
        let (incident, owed, wants_resolved) = (row.incident()?, row.kind()?, row.get()?);
        let knows = knows(&mut row)?;
        let kind = kind_when_sent(owed, row::state(&incident), wants_resolved, knows);
        let mut candidate = Self {
            notification: Notification {
                store: store.to_owned(),
                id: row.get()?,
                recipient: row.text()?,
                rule: Some(row.text()?),
                attempt: row.get::<u32>()? + 1,
                last_failure: row.text_or_null()?,
                created_at: row.time()?,
                ..Notification::about(incident, kind.unwrap_or(owed), now)
            },
            owed_at: row.time()?,
            lost: row.get()?,
            grouping: row.text()?,
            class: row.text()?,
            batch: row.get()?,
            since: row.time_or_null()?,
            owed_as: owed,
            held_by: None,
            step: None,
            links_to: None,
            has_something_to_say: kind.is_some(),
            knows,
        };
        // If it waited for its group since, it is not known any more when that ended.
        let until = row.get::<bool>()?.then_some(candidate.owed_at);
        candidate.held_by = row.wait()?;
        candidate.notification.held_back = candidate.held_by.as_ref().and_then(|by| by.held_back(until));
        if owed == Kind::Escalation && candidate.notification.attempt == 1 {
            let waits = [candidate.held_by.clone(), row.wait()?];
            candidate.step = waits.into_iter().flatten().find(|wait| step::behind(wait, None).is_some());
        }
        Ok(candidate)
    }

    /// For a recipient whose first message was given up, the reminder is that message, late: adds since when they were
    /// to know, and why they do not.
    pub(super) fn add_given_up(&mut self, connection: &Connection, sink: &str) -> rusqlite::Result<()> {
        let Self { notification, owed_as, .. } = self;
        if notification.kind == *owed_as || notification.kind != Kind::Down {
            return Ok(());
        }
        let query = format!(
            "SELECT {PROMISED}, detail FROM notification WHERE incident = ? AND sink = ? AND recipient = ? \
             AND state = 'dead' AND lost IS NULL ORDER BY id LIMIT 1"
        );
        let values = params![notification.incident.id, sink, notification.recipient];
        let mut statement = connection.prepare_cached(&query)?;
        let given_up = statement.query_row(values, |row| {
            let mut row = Columns::of(row);
            Ok((row.time()?, row.text_or_null()?))
        });
        if let Some((promised, why)) = given_up.optional()? {
            notification.created_at = promised;
            notification.last_failure = notification.last_failure.take().or(why);
        }
        Ok(())
    }

    /// The one of this number, whatever its state.
    pub(super) fn by_id(connection: &Connection, id: i64, now: Timestamp) -> rusqlite::Result<Self> {
        let query = format!("{} WHERE notification.id = ?", columns());
        connection.prepare_cached(&query)?.query_row([id], |row| Self::read(row, "", now))
    }

    /// Why there is nothing left to say, if that is so: the line is back or flaps no more, somebody has taken it, or nobody
    /// need be told of a loss any more.
    pub(super) fn why_moot(&self, connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
        let Self { notification, owed_as, since, lost, knows, .. } = self;
        let told = need_not_be_told(connection, *lost, *knows)?;
        Ok(match (owed_as, since) {
            (Kind::Flapping, Some(since)) if !flapping::goes_on(connection, notification, *since)? => {
                Some("the line has stopped flapping: the summary covers this")
            }
            (Kind::Reminder | Kind::Escalation, _) if is_taken(notification) => Some("somebody has taken it"),
            _ if told.is_some() => told,
            _ if self.has_something_to_say => None,
            _ => Some(KNOWS_THE_END),
        })
    }

    pub(super) fn group<'g>(&'g self, sink: &'g str) -> Group<'g> {
        Group { sink, recipient: &self.notification.recipient, grouping: &self.grouping, class: &self.class }
    }
}

/// Whether somebody has taken an outage and it goes on.
fn is_taken(notification: &Notification) -> bool {
    notification.incident.acknowledged.is_some() && notification.incident.closed_at.is_none()
}

/// What other messages told the recipient of an incident, or are telling now: 0 nothing, 1 an outage that is not as bad, 2
/// the outage, 3 its end. (If a message that it is worse is pending, none need say so instead.) It is only looked up if the
/// incident is over or the message is for somebody who knows of it.
const KNOWS: &str = "(SELECT coalesce(max(CASE WHEN other.told_closed = 1 THEN 3 WHEN other.told_reason = reason THEN 2 \
        ELSE 1 + EXISTS (SELECT 1 FROM notification AS news WHERE news.incident = other.incident AND news.kind = 'worse' \
            AND news.sink = other.sink AND news.recipient = other.recipient AND news.state = 'pending' \
            AND news.id <> notification.id) END), 0) FROM notification AS other \
    WHERE (closed_at IS NOT NULL OR notification.kind = 'reminder' OR notification.kind = 'worse') AND other.incident = notification.incident AND other.sink = notification.sink \
    AND other.recipient = notification.recipient AND other.id <> notification.id AND other.kind <> 'flapping' \
    AND (other.state = 'delivered' OR (other.leased = 1 AND (closed_at IS NULL OR other.told_closed = 1))))";

/// Reads the column [`KNOWS`].
fn knows(row: &mut Columns<'_, '_>) -> rusqlite::Result<Knows> {
    Ok(match row.get()? {
        0 => Knows::Nothing,
        1 => Knows::Milder,
        2 => Knows::Outage,
        _ => Knows::End,
    })
}

/// When it was to be sent. One that a person has sent again has been late since its first attempt.
const PROMISED: &str = "coalesce((SELECT min(notification.owed_at, started_at) FROM attempt \
    WHERE attempt.notification = notification.id AND number = 1), notification.owed_at)";

/// Whether another message has told the recipient of a notification of its outage, as that is now, since it failed to. (What
/// a line that flaps makes owed is about other outages as well, and a notice is about another recipient.)
const TOLD_SINCE: &str = "lost IS NULL AND kind <> 'flapping' AND kind <> 'steady' AND EXISTS ( \
        SELECT 1 FROM notification AS other WHERE other.id = notification.heard_from \
        AND (notification.kind <> 'resolved' OR other.told_closed = 1) \
        AND other.told_reason = (SELECT reason FROM incident WHERE incident.id = notification.incident))";

/// If a message was delivered: notes it with each other one to its recipient about the same incident that has failed. So it
/// counts what came after what, whatever the clock said.
pub(super) fn note_heard(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let update = "UPDATE notification SET heard_from = ?1 WHERE id IN ( \
            SELECT failed.id FROM notification AS told JOIN notification AS failed \
            INDEXED BY notification_incident USING (incident, sink, recipient) \
            WHERE told.id = ?1 AND told.state = 'delivered' AND told.kind <> 'flapping' AND failed.id <> ?1 \
            AND (failed.state = 'dead' OR (failed.state = 'pending' AND failed.attempts > 0)))";
    connection.prepare_cached(update)?.execute([id])?;
    Ok(())
}

/// Why a notification is not sent, or its loss not told, whose recipient was told since it was to be sent.
const HAS_BEEN_TOLD: &str = "another message has told the recipient of this outage since";

/// [`HAS_BEEN_TOLD`], if that is so of the notification of this number.
pub(super) fn has_been_told(connection: &Connection, id: i64) -> rusqlite::Result<Option<&'static str>> {
    let query = format!("SELECT {TOLD_SINCE} FROM notification WHERE id = ?");
    let is_so: bool = connection.prepare_cached(&query)?.query_row([id], |row| row.get(0))?;
    Ok(is_so.then_some(HAS_BEEN_TOLD))
}

/// The first messages about an incident: those of this kind. `to` is the recipient of a step.
pub(super) fn firsts(
    connection: &Connection,
    incident: i64,
    kind: Kind,
    (sink, recipient): (&str, &str),
) -> rusqlite::Result<Vec<First>> {
    let query = "SELECT owed_at, (SELECT min(started_at) FROM attempt WHERE notification = notification.id), \
                 iif(state = 'delivered', (SELECT max(started_at) FROM attempt WHERE notification = notification.id), NULL), \
                 iif(state = 'pending', due_at, NULL), sink = ? AND recipient = ? FROM notification \
                 WHERE incident = ? AND kind = ? AND state <> 'withdrawn'";
    let read = |row: &Row<'_>| {
        let mut row = Columns::of(row);
        Ok(First {
            due_at: row.time()?,
            tried_at: row.time_or_null()?,
            told_at: row.time_or_null()?,
            next_at: row.time_or_null()?,
            is_to_same: row.get()?,
        })
    };
    let values = params![sink, recipient, incident, kind.as_str()];
    connection.prepare_cached(query)?.query_map(values, read)?.collect()
}

/// Whether a recipient hears of the outage from another message at the same time as, or since, a step or a reminder became
/// due that was not tried yet: that it is worse, or an earlier step.
pub(super) fn is_told_otherwise(connection: &Connection, sink: &str, candidate: &Candidate) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM notification AS other WHERE incident = ?1 AND sink = ?2 AND recipient = ?3 \
                 AND id <> ?4 AND (kind = 'worse' OR kind = 'escalation') \
                 AND (state = 'delivered' OR state = 'pending') AND ( \
                     (SELECT started_at FROM attempt WHERE notification = other.id AND number = 1) >= ?5 \
                     OR (state = 'pending' AND leased = 0 AND attempts = 0 AND due_at <= ?6 \
                         AND (kind = 'worse' OR id < ?4 OR ?7))))";
    let Notification { id, incident, recipient, at, .. } = &candidate.notification;
    let (owed_at, now) = (candidate.owed_at.as_millisecond(), at.as_millisecond());
    let values = params![incident.id, sink, recipient, id, owed_at, now, candidate.owed_as == Kind::Reminder];
    connection.prepare_cached(query)?.query_row(values, |row| row.get(0))
}

/// The query for a sink's oldest candidate.
pub(super) static OLDEST: LazyLock<String> = LazyLock::new(|| {
    let due = "sink = ? AND state = 'pending' AND leased = 0 AND due_at <= ?";
    format!("{} WHERE {due} ORDER BY due_at, notification.id LIMIT 1", columns())
});

/// Why somebody who `knows` this much need not be told that `lost` was given up, if that is so: it has arrived since, or is
/// sent again. If `lost` was itself a notice of a loss, that also holds for what it was about. Nor is anybody told if the
/// first recipient of the chain was told otherwise, or could only not be reminded of an outage whose end the reader knows.
pub(super) fn need_not_be_told(
    connection: &Connection,
    lost: Option<i64>,
    knows: Knows,
) -> rusqlite::Result<Option<&'static str>> {
    let Some(lost) = lost else { return Ok(None) };
    let query = format!(
        "{CHAIN} SELECT max(state = 'delivered'), max(state = 'pending'), max({TOLD_SINCE}), \
         max(lost IS NULL AND kind = 'reminder') FROM chain CROSS JOIN notification USING (id)"
    );
    connection.prepare_cached(&query)?.query_row([lost], |row| {
        let is = |column| row.get::<_, Option<bool>>(column).map(Option::unwrap_or_default);
        Ok(match (is(0)?, is(1)?, is(2)?, is(3)?) {
            (true, ..) => Some("the lost notification was delivered after all"),
            (_, true, ..) => Some(SENT_AGAIN),
            (_, _, true, _) => Some(HAS_BEEN_TOLD),
            (.., true) if knows == Knows::End => Some(KNOWS_THE_END),
            _ => None,
        })
    })
}

/// Why nothing is left to be said of an outage that is over.
const KNOWS_THE_END: &str = "they know already that it is over";

/// The reason if what was lost is sent again.
pub(super) const SENT_AGAIN: &str = "the lost notification is sent again";

/// What the first recipient of a chain of losses would have been told and why they were not, with those who were then to
/// hear of it and were not told either; and, if it was about a line that flaps, when the first of its outages began. Of the
/// others who were told, nothing is known here.
pub(super) fn undelivered(
    connection: &Connection,
    lost: i64,
) -> rusqlite::Result<Option<(Undelivered, Option<Timestamp>)>> {
    let query = format!(
        "{CHAIN} SELECT notification.id, kind, sink, recipient, detail, attempts, since, wants_resolved, told_reason, told_closed, \
         {KNOWS} FROM chain CROSS JOIN notification USING (id) JOIN incident ON incident.id = notification.incident \
         ORDER BY notification.id"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query([lost])?;
    let Some(first) = rows.next()? else { return Ok(None) };
    let mut first = Columns::of(first);
    let mut undelivered = Undelivered {
        notification: first.get()?,
        kind: first.kind()?,
        sink: first.text()?,
        recipient: first.text()?,
        why: first.text_or_null()?.unwrap_or_default(),
        attempts: first.get()?,
        untold: Vec::new(),
        others_told: 0,
        others_being_told: 0,
    };
    let since = first.time_or_null()?;
    let (wants_resolved, told) = (first.get()?, first.told()?);
    if let (Some(told), knows) = (told, knows(&mut first)?) {
        undelivered.kind = kind_when_sent(undelivered.kind, told, wants_resolved, knows).unwrap_or(undelivered.kind);
    }
    while let Some(instead) = rows.next()? {
        let (sink, recipient) = (row::text(instead, 2)?, row::text(instead, 3)?);
        undelivered.untold.push(if recipient.is_empty() { sink } else { recipient });
    }
    Ok(Some((undelivered, since)))
}
