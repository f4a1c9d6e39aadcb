//! What must hold for any story in which lines come and go.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::World;
use super::invariants::{a_rule_names, jumps, person, rows};
use crate::store::view::Delivery;

/// Why what is told in a tally instead is withdrawn.
const KEPT_QUIET: &str = "the line is flapping: the summary covers this outage";

/// Checks that whoever must hear of a line that is down has heard, once it stays down.
pub(super) async fn who_is_down_is_known(world: &World<'_>) -> Result<(), TestCaseError> {
    let rows = rows(world).await;
    for (id, past) in world.past.iter().filter(|(_, past)| past.closed_at.is_none() && past.acknowledged.is_none()) {
        for who in past.down.keys() {
            let mine = || rows.iter().filter(|row| row.incident == *id && person(row) == *who);
            let told = world
                .told
                .iter()
                .any(|told| told.incident == *id && told.sink == who.0 && told.recipient == who.1 && !told.closed);
            let given_up = mine().any(|row| row.state == "dead");
            prop_assert!(
                told || given_up,
                "{:?} was not told of {}, {:?}: {:#?}",
                who,
                id,
                past,
                mine().collect::<Vec<_>>()
            );
        }
    }
    Ok(())
}

/// What must be true when the story has ended.
pub(super) async fn hold(world: &World<'_>) -> Result<(), TestCaseError> {
    let rows = rows(world).await;
    for told in &world.told {
        a_rule_names(world, told)?;
    }
    for row in &rows {
        prop_assert!(row.state != "pending", "not settled: {:?}", row);
        if row.detail.as_deref() == Some(KEPT_QUIET) {
            a_tally_tells(world, row, &rows)?;
        }
        if row.kind == "flapping" {
            one_tally_belongs_to_it(row, &rows)?;
        }
    }
    for (id, past) in &world.past {
        for who in past.down.keys() {
            let owed = rows.iter().filter(|row| row.incident == *id && person(row) == *who);
            prop_assert!(owed.count() > 0, "nothing is owed to {:?} about {}, {:?}", who, id, past);
        }
    }
    Ok(())
}

fn is_of(tally: &Delivery, row: &Delivery) -> bool {
    tally.kind == "steady" && tally.rule == row.rule && tally.instance == row.instance && person(tally) == person(row)
}

/// An outage that is kept quiet is told by a tally that was pending then, unless that could not be delivered.
fn a_tally_tells(world: &World<'_>, row: &Delivery, rows: &[Delivery]) -> Result<(), TestCaseError> {
    let tells = |tally: &&Delivery| {
        is_of(tally, row)
            && (jumps(world) || (tally.created_at <= row.created_at && tally.settled_at >= Some(row.created_at)))
    };
    let tally = rows.iter().filter(|tally| tells(tally)).find(|tally| tally.state != "withdrawn");
    prop_assert!(tally.is_some(), "no tally tells of {:?}: {:#?}", row, rows);
    Ok(())
}

/// A message that a line flaps is followed by one tally.
fn one_tally_belongs_to_it(row: &Delivery, rows: &[Delivery]) -> Result<(), TestCaseError> {
    let tallies = rows.iter().filter(|tally| is_of(tally, row) && tally.created_at == row.created_at);
    prop_assert_eq!(tallies.count(), 1, "{:?}: {:#?}", row, rows);
    Ok(())
}
