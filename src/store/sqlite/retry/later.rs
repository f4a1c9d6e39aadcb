//! What is sent again and yet waits, as the lease would decide: for the end of a silence or of quiet hours, or for its group.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::super::candidate::Candidate;
use super::super::delay::{Delay, hold_back};
use super::super::lease::Lessor;
use super::super::owe::Basis;
use crate::store::view::Later;

/// Puts off a message that is due now at a sink, given by its notifications, if something holds it back. Returns what they
/// wait for.
pub(super) fn put_off(
    connection: &Connection,
    sink: &str,
    message: &[i64],
    basis: &Basis<'_>,
) -> rusqlite::Result<BTreeMap<i64, Later>> {
    let Some(first) = message.first() else { return Ok(BTreeMap::new()) };
    let Basis { routing, silences, now } = *basis;
    let lessor = Lessor::looking(routing, silences, now);
    let first = Candidate::by_id(connection, *first, now)?;
    let later = match lessor.delay(connection, sink, &first, &silences.in_force(connection, now)?, &[])? {
        Some(Delay::Held(held)) => {
            hold_back(connection, &first, &held)?;
            Later { until: held.until, by: Some(held.by.to_string()) }
        }
        Some(Delay::Gathered(until)) => {
            lessor.gather(connection, &first.group(sink), until)?;
            Later { until, by: None }
        }
        Some(Delay::Paused(..)) | None => return Ok(BTreeMap::new()),
    };
    Ok(message.iter().map(|id| (*id, later.clone())).collect())
}
