//! When steps of escalations come whose first message is late: the lease finds out when they become due, and people who look
//! before that are to see the same time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Connection;

use super::super::view::Later;
use super::candidate::Candidate;
use super::lease::Lessor;
use super::silence::Silences;
use crate::rule::Routing;

/// Of pending steps that were not tried yet, given with their sinks, those that wait for the first message: until when, as
/// far as is known now.
pub(super) fn look(
    connection: &Connection,
    steps: &[(i64, String)],
    now: Timestamp,
    routing: &Routing,
) -> rusqlite::Result<BTreeMap<i64, Later>> {
    let silences = Silences::default();
    let lessor = Lessor::looking(routing, &silences, now);
    let mut late = BTreeMap::new();
    for (id, sink) in steps {
        let step = Candidate::by_id(connection, *id, now)?;
        if let Some(held) = lessor.waits_for_first(connection, sink, &step)? {
            late.insert(*id, Later { until: held.until, by: Some(held.by.to_string()) });
        }
    }
    Ok(late)
}
