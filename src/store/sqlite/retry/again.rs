//! Makes notifications due again, and withdraws what makes way for them.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::super::super::{Refused, Retried, given_up};
use super::super::candidate::SENT_AGAIN;
use super::super::{row, settle};
use super::Request;
use crate::rule::Routing;

/// Makes a notification due again, or all that is left of the message that it went out in, which keeps its name.
/// Reminders and escalations of an outage that somebody has taken are left out: they ask for somebody to take it. The
/// last failure stays, without why it was given up.
const AGAIN: &str = "WITH message (id) AS ( \
        SELECT ?2 UNION SELECT part.id FROM notification AS one JOIN notification AS part ON part.batch = one.batch \
        WHERE one.id = ?2 \
    ) UPDATE notification SET state = 'pending', owed_at = ?1, due_at = ?1, held_by = NULL, settled_at = NULL, \
        detail = iif(instr(detail, ?3), substr(detail, 1, instr(detail, ?3) - 1), detail) \
    WHERE id IN message AND state IN ('dead', 'pending') \
    AND NOT (kind IN ('reminder', 'escalation') AND EXISTS (SELECT 1 FROM incident \
        WHERE incident.id = incident AND acknowledged_at IS NOT NULL AND closed_at IS NULL)) RETURNING id, sink";

/// Withdraws the pending reminder to the recipient of a notification that a reminder follows, as
/// [`Routing::reminder`] says.
const REMINDED_LATER: &str = "UPDATE notification SET state = 'withdrawn', settled_at = ?2, detail = ?3 WHERE id IN ( \
        SELECT reminder.id FROM notification AS one JOIN notification AS reminder USING (incident, sink, recipient) \
        WHERE one.id = ?1 AND one.kind IN ('down', 'worse', 'reminder', 'steady') AND reminder.id <> one.id \
        AND reminder.kind = 'reminder' AND reminder.state = 'pending' AND reminder.leased = 0 AND reminder.attempts = 0)";

/// Why such a reminder is withdrawn.
const SAID_NOW: &str = "another notification to this recipient is sent again: the next reminder follows that";

/// Makes it due at a time, and withdraws the notices that it was lost and the reminder that waits: the next one follows
/// what is sent again, or the two might come at once. Returns the whole message that it goes out in, and how
/// many notices are withdrawn.
pub(super) fn again(
    connection: &Connection,
    id: i64,
    due_at: Timestamp,
    now: Timestamp,
    routing: &Routing,
    request: &Request,
    retried: &mut Retried,
) -> rusqlite::Result<(Vec<i64>, usize)> {
    let mut statement = connection.prepare_cached(AGAIN)?;
    let mut rows = statement.query(params![due_at.as_millisecond(), id, given_up::MARK])?;
    let mut message = Vec::new();
    while let Some(row) = rows.next()? {
        message.push(row.get(0)?);
        retried.sinks.insert(row::text(row, 1)?);
    }
    let mut withdrawn = 0;
    for part in &message {
        connection.prepare_cached(REMINDED_LATER)?.execute(params![part, now.as_millisecond(), SAID_NOW])?;
        withdrawn += withdraw_notices(connection, *part, SENT_AGAIN, now, routing, request, retried)?;
    }
    Ok((message, withdrawn))
}

/// Withdraws the notices that a notification was lost, which answers those that were requested. Returns how many there
/// were.
pub(super) fn withdraw_notices(
    connection: &Connection,
    lost: i64,
    why: &'static str,
    now: Timestamp,
    routing: &Routing,
    request: &Request,
    retried: &mut Retried,
) -> rusqlite::Result<usize> {
    let notices = notices(connection, lost)?;
    for notice in &notices {
        retried.sinks.append(&mut settle::withdraw(connection, *notice, why, now, routing)?);
        retried.notifications.remove(notice);
        if request.all.contains(notice) {
            retried.refused.insert(*notice, Refused::Moot(why));
        }
    }
    Ok(notices.len())
}

/// The notices that a notification was lost, that such a notice was lost, and so on, as far as they can be withdrawn:
/// not the delivered ones, nor those in hand.
fn notices(connection: &Connection, lost: i64) -> rusqlite::Result<Vec<i64>> {
    let query = "WITH RECURSIVE notice (id) AS (SELECT id FROM notification WHERE lost = ? UNION \
                     SELECT notification.id FROM notice JOIN notification ON notification.lost = notice.id) \
                 SELECT id FROM notice CROSS JOIN notification USING (id) \
                 WHERE (state = 'pending' AND leased = 0) OR state = 'dead'";
    connection.prepare_cached(query)?.query_map([lost], |row| row.get(0))?.collect()
}
