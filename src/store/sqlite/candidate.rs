//! A notification that is due, as the lease reads it.

use std::sync::LazyLock;

use jiff::Timestamp;
use linedown_sinks::{Notification, Undelivered};
use rusqlite::{Connection, Row};

use super::gathering::Group;
use super::notification::CHAIN;
use super::row::{self, Columns};
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
    /// What it waited for.
    pub(super) held_by: Option<Wait>,
    /// For a message about a line that flaps: when the first of its outages began.
    pub(super) since: Option<Timestamp>,
    /// False if the incident is over and there is nothing left to tell this recipient.
    pub(super) has_something_to_say: bool,
}

/// The query for candidates, up to its `WHERE`.
pub(super) fn columns() -> String {
    format!(
        "SELECT {}, kind, wants_resolved, {KNOWS}, notification.id, recipient, rule, attempts, detail, {PROMISED}, owed_at, lost, \
         grouping, class, batch, since, coalesce(held_by, held_before) FROM notification JOIN incident ON incident.id = notification.incident",
        row::INCIDENT
    )
}

impl Candidate {
    /// Reads a row of [`columns`], for a try that begins now.
    pub(super) fn read(row: &Row<'_>, store: &str, now: Timestamp) -> rusqlite::Result<Self> {
        let mut row = Columns::of(row);
        let (incident, owed, wants_resolved) = (row.incident()?, row.kind()?, row.get()?);
        let knows = match row.get()? {
            0 => Knows::Nothing,
            1 => Knows::Outage,
            _ => Knows::End,
        };
        let kind = kind_when_sent(owed, row::state(&incident), wants_resolved, knows);
        Ok(Self {
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
            held_by: row.wait()?,
            has_something_to_say: kind.is_some(),
        })
    }

    pub(super) fn group<'g>(&'g self, sink: &'g str) -> Group<'g> {
        Group { sink, recipient: &self.notification.recipient, grouping: &self.grouping, class: &self.class }
    }
}

/// What other messages told the recipient of an incident that is over, or are telling now: 0 nothing, 1 the outage, 2
/// its end.
const KNOWS: &str = "(SELECT coalesce(max(1 + (other.told_closed = 1)), 0) FROM notification AS other \
    WHERE closed_at IS NOT NULL AND other.incident = notification.incident AND other.sink = notification.sink \
    AND other.recipient = notification.recipient AND other.id <> notification.id AND other.kind <> 'flapping' \
    AND (other.state = 'delivered' OR (other.leased = 1 AND other.told_closed = 1)))";

/// When it was to be sent. One that a person has sent again has been late since its first attempt.
const PROMISED: &str = "coalesce((SELECT min(owed_at, started_at) FROM attempt WHERE attempt.notification = notification.id AND number = 1), owed_at)";

/// The query for a sink's oldest candidate.
pub(super) static OLDEST: LazyLock<String> = LazyLock::new(|| {
    let due = "sink = ? AND state = 'pending' AND leased = 0 AND due_at <= ?";
    format!("{} WHERE {due} ORDER BY due_at, notification.id LIMIT 1", columns())
});

/// Why nobody need be told that `lost` was given up, if that is so: it has arrived since, or is sent again. If `lost`
/// was itself a notice of a loss, that also holds for what it was about.
pub(super) fn need_not_be_told(connection: &Connection, lost: Option<i64>) -> rusqlite::Result<Option<&'static str>> {
    let Some(lost) = lost else { return Ok(None) };
    let query = format!(
        "{CHAIN} SELECT max(state = 'delivered'), max(state = 'pending') FROM chain CROSS JOIN notification USING (id)"
    );
    connection.prepare_cached(&query)?.query_row([lost], |row| {
        Ok(match (row.get::<_, Option<bool>>(0)?, row.get::<_, Option<bool>>(1)?) {
            (Some(true), _) => Some("the lost notification was delivered after all"),
            (_, Some(true)) => Some(SENT_AGAIN),
            _ => None,
        })
    })
}

/// The reason if what was lost is sent again.
pub(super) const SENT_AGAIN: &str = "the lost notification is sent again";

/// What the first recipient of a chain of losses would have been told and why they were not, with the sinks that were
/// then to tell of it and failed too.
pub(super) fn undelivered(connection: &Connection, lost: Option<i64>) -> rusqlite::Result<Option<Undelivered>> {
    let Some(lost) = lost else { return Ok(None) };
    let query = format!(
        "{CHAIN} SELECT id, kind, sink, recipient, detail, attempts FROM chain CROSS JOIN notification USING (id) ORDER BY id"
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
    };
    while let Some(instead) = rows.next()? {
        undelivered.untold.push(row::text(instead, 2)?);
    }
    Ok(Some(undelivered))
}
