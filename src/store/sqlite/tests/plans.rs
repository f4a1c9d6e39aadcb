//! By which index SQLite finds what a lease looks for, while much else is pending.

use rusqlite::types::Null;

use super::super::candidate::OLDEST;
use super::super::delay::{GATHER, PUT_OFF};
use super::*;

/// How SQLite reads the table of notifications for a statement.
fn search(statement: &str) -> String {
    let store = Connection::open_in_memory().unwrap();
    store.execute_batch(include_str!("../../schema.sql")).unwrap();
    let mut plan = store.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let values = vec![Null; plan.parameter_count()];
    let steps = plan.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
    let steps: Vec<String> = steps.collect::<rusqlite::Result<_>>().unwrap();
    steps.into_iter().find(|step| step.contains("notification USING INDEX")).unwrap()
}

#[test]
fn a_lease_reads_only_what_is_due() {
    assert!(search(&OLDEST).ends_with("(sink=? AND due_at<?)"), "{}", search(&OLDEST));
    for statement in [PUT_OFF, GATHER] {
        let search = search(statement);
        assert!(search.ends_with("(sink=? AND recipient=? AND grouping=? AND class=? AND due_at<?)"), "{search}");
    }
}
