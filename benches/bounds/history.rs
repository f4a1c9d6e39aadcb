//! Fills a store with years of outages. They are copies of a few that the daemon lived through: the same rows, about
//! other lines and at earlier times.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::load::fleet;
use crate::scale::LINES;

/// The number of events that the daemon lived through: of half as many outages, each over and told.
pub(crate) const LIVED: usize = 1_000;
/// The time from each copy to the next, in milliseconds.
const APART: i64 = 60_000;

/// Fills the store up to this many events.
pub(crate) fn repeat(store: &Path, events: usize) {
    let copies = events / LIVED - 1;
    if copies == 0 {
        return;
    }
    let connection = Connection::open(store).expect("the store opens");
    let run = |sql: &str| connection.execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    // The store need not survive a power loss.
    run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA foreign_keys = OFF");
    let indices = take_indices(&connection);
    run("BEGIN");
    lend(&connection, copies);
    for (table, columns) in COPIED {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = columns.iter().map(|(_, value)| *value).collect();
        run(&format!(
            "INSERT INTO main.{table} ({}) SELECT {} FROM copy CROSS JOIN lived_{table} AS row",
            names.join(", "),
            values.join(", ")
        ));
    }
    run("INSERT OR REPLACE INTO line (source, instance, incident, down_at, up_at) \
         SELECT source, instance, NULL, max(opened_at), max(closed_at) FROM incident GROUP BY source, instance");
    run("COMMIT");
    for index in indices {
        run(&index);
    }
    run("PRAGMA journal_mode = WAL");
    let count: i64 = connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).expect("it can be read");
    assert_eq!(usize::try_from(count).expect("it is positive"), events, "the history is as long as it was to be");
}

/// The columns of each table, each with the SQL for its value in a copy: other numbers, another line, another time.
const COPIED: [(&str, &[(&str, &str)]); 4] = [
    (
        "incident",
        &[
            ("id", "id + incidents"),
            ("source", "source"),
            ("instance", LINE_OF_INCIDENT),
            ("name", "name"),
            ("phone", "phone"),
            ("labels", "labels"),
            ("reason", "reason"),
            ("error", "error"),
            ("opened_at", "opened_at - earlier"),
            ("closed_at", "closed_at - earlier"),
            ("found", "found"),
        ],
    ),
    (
        "event",
        &[
            ("id", "id + events"),
            ("source", "source"),
            ("instance", LINE_OF_EVENT),
            ("kind", "kind"),
            ("reason", "reason"),
            ("error", "error"),
            ("stamp", "stamp - earlier"),
            ("at", "at - earlier"),
            ("received_at", "received_at - earlier"),
            ("incident", "incident + incidents"),
            ("change", "change"),
            ("payload", "payload"),
        ],
    ),
    (
        "notification",
        &[
            ("id", "id + notifications"),
            ("incident", "incident + incidents"),
            ("rule", "rule"),
            ("sink", "sink"),
            ("recipient", "recipient"),
            ("kind", "kind"),
            ("wants_resolved", "wants_resolved"),
            ("state", "state"),
            ("created_at", "created_at - earlier"),
            ("owed_at", "owed_at - earlier"),
            ("due_at", "due_at - earlier"),
            ("grouping", "grouping"),
            ("class", "class"),
            ("attempts", "attempts"),
            ("told_reason", "told_reason"),
            ("told_closed", "told_closed"),
            ("settled_at", "settled_at - earlier"),
            ("detail", "detail"),
        ],
    ),
    (
        "attempt",
        &[
            ("notification", "notification + notifications"),
            ("number", "number"),
            ("started_at", "started_at - earlier"),
            ("ended_at", "ended_at - earlier"),
            ("outcome", "outcome"),
            ("detail", "detail"),
        ],
    ),
];

const LINE_OF_INCIDENT: &str =
    "(SELECT name FROM fleet WHERE number = (row.id + incidents) % (SELECT count(*) FROM fleet))";
const LINE_OF_EVENT: &str =
    "(SELECT name FROM fleet WHERE number = (row.incident + incidents) % (SELECT count(*) FROM fleet))";

/// Makes temporary tables of the rows to copy, the names of the lines, and how each copy differs.
fn lend(connection: &Connection, copies: usize) {
    let run = |sql: &str| connection.execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    for (table, _) in COPIED {
        run(&format!("CREATE TEMP TABLE lived_{table} AS SELECT * FROM main.{table}"));
    }
    run("CREATE TEMP TABLE fleet (number INTEGER PRIMARY KEY, name TEXT NOT NULL)");
    let mut insert = connection.prepare("INSERT INTO fleet VALUES (?, ?)").expect("it is SQL");
    for number in 0..LINES {
        let key = i64::try_from(number).expect("it is small");
        insert.execute(params![key, fleet(number)]).expect("a row can be written");
    }
    let last = |table: &str| format!("(SELECT max(id) FROM main.{table})");
    let (incidents, events, notifications) = (last("incident"), last("event"), last("notification"));
    // The first copy is the oldest, so that numbers grow with time, except for the original rows.
    run(&format!(
        "CREATE TEMP TABLE copy AS WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies}) \
         SELECT n * {incidents} AS incidents, n * {events} AS events, n * {notifications} AS notifications, \
         ({copies} - n + 60) * {APART} AS earlier FROM numbers"
    ));
}

/// Drops the indices, and returns the SQL that makes them again: that is faster when the tables are full.
fn take_indices(connection: &Connection) -> Vec<String> {
    let query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
    let mut statement = connection.prepare(query).expect("it is SQL");
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it can be read");
    let found: Vec<(String, String)> = found.collect::<rusqlite::Result<_>>().expect("it can be read");
    for (name, _) in &found {
        connection.execute_batch(&format!("DROP INDEX {name}")).expect("it is there");
    }
    found.into_iter().map(|(_, sql)| sql).collect()
}
