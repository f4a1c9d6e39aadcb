//! Stores that former versions left behind.

use std::collections::BTreeSet;
use std::path::Path;

use super::opening::replace;
use super::*;
use crate::rule::Rule;
use crate::rule::flapping::Flapping;

const MINUTE: i64 = 60;

/// The tables as former versions made them, by their format.
const FORMER: [(i64, &str); 6] = [
    (1, include_str!("formats/format_1.sql")),
    (2, include_str!("formats/format_2.sql")),
    (3, include_str!("formats/format_3.sql")),
    (4, include_str!("formats/format_4.sql")),
    (5, include_str!("formats/format_5.sql")),
    (6, include_str!("formats/format_6.sql")),
];

/// What such a version left: A has dropped four times, at the minutes 1, 3, 5 and 7, and is up; B is down; the report
/// of C belongs to no incident.
fn write(path: &Path, format: i64, tables: &str) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch(tables).unwrap();
    connection.pragma_update(None, "user_version", format).unwrap();
    let mut events = Vec::new();
    for (incident, minute) in [(1, 1), (2, 3), (3, 5), (4, 7)] {
        let (down, up) = (minute * MINUTE * 1000, (minute + 1) * MINUTE * 1000);
        insert_incident(&connection, incident, "A", down, Some(up), "delivered");
        events.extend([("A", "disconnected", down, Some(incident)), ("A", "connected", up, Some(incident))]);
    }
    insert_incident(&connection, 5, "B", 8 * MINUTE * 1000, None, "pending");
    events.extend([("B", "disconnected", 8 * MINUTE * 1000, Some(5)), ("C", "connected", 8 * MINUTE * 1000, None)]);
    let insert = "INSERT INTO event (source, instance, kind, reason, stamp, at, received_at, incident, change, payload) \
                  VALUES ('z-api', ?1, ?2, 'other', ?3, ?3, ?3, ?4, 'x', '{}')";
    for (line, kind, at, incident) in events {
        connection.execute(insert, rusqlite::params![line, kind, at, incident]).unwrap();
    }
    let lines = "INSERT INTO line (source, instance, incident, down_at, up_at) \
                 VALUES ('z-api', 'A', NULL, 420000, 480000), ('z-api', 'B', 5, 480000, NULL), ('z-api', 'C', NULL, NULL, 480000)";
    connection.execute(lines, []).unwrap();
    if format >= 3 {
        // From format 3 on, a line's row has what it needs of the other tables.
        connection.execute_batch(&row::with_outage(include_str!("../../lines.sql"))).unwrap();
    }
}

fn insert_incident(connection: &Connection, id: i64, line: &str, down: i64, up: Option<i64>, state: &str) {
    let insert = "INSERT INTO incident (id, source, instance, labels, reason, opened_at, closed_at) \
                  VALUES (?, 'z-api', ?, '{}', 'other', ?, ?)";
    connection.execute(insert, rusqlite::params![id, line, down, up]).unwrap();
    let insert = "INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, state, created_at, \
                  owed_at, due_at, grouping, class, told_reason, told_closed, attempts) \
                  VALUES (?1, 'all', 'slack', '', 'down', 0, ?3, ?2, ?2, ?2, 'all', 'bad', 'other', 0, ?3 = 'delivered')";
    connection.execute(insert, rusqlite::params![id, down, state]).unwrap();
}

async fn goes_on(path: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(path).unwrap();
    let rule = Rule { flapping: Some(Flapping::default()), resolved: false, ..rule("all", "{}", &["slack"], false) };
    let life = Life { folder, store, routing: Arc::new(routing(vec![rule])) };
    assert_eq!(life.store.incidents(false, 10).await.unwrap().len(), 5);
    let minute = |minute: i64| minute * MINUTE;

    let copy = life.webhook_of("A", EventKind::Disconnected, Reason::Other, minute(3)).await;
    assert_eq!((copy.event, copy.duplicate, copy.incident), (3, true, Some(2)), "a copy of what came before");
    let copy = life.webhook_of("C", EventKind::Connected, Reason::Other, minute(8)).await;
    assert_eq!((copy.event, copy.duplicate), (10, true));
    assert_eq!(life.deliver_all("slack", minute(8)).await, [Kind::Down], "what was pending");
    assert_eq!(life.webhook_of("B", EventKind::Connected, Reason::Other, minute(9)).await.change, "closed");
    assert_eq!(life.webhook_of("D", EventKind::Disconnected, Reason::Other, minute(9)).await.change, "opened");
    assert_eq!(life.deliver_all("slack", minute(9)).await, [Kind::Down]);

    let fifth = life.webhook_of("A", EventKind::Disconnected, Reason::Other, minute(9)).await;
    assert_eq!(fifth.change, "opened");
    let told = life.lease("slack", minute(9)).await;
    let tally = told[0].notification.flapping.as_ref().expect("it flaps");
    assert_eq!((told[0].notification.kind, tally.outages), (Kind::Flapping, 5), "the former ones count");
    let now = from_millis(minute(30) * 1000);
    assert!(life.store.prune(now, now, 10).await.unwrap().old > 0, "what is over is forgotten");
}

#[tokio::test]
async fn a_store_of_a_former_format_goes_on() {
    for (format, tables) in FORMER {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        write(&path, format, tables);
        goes_on(&path).await;
    }
}

#[tokio::test]
async fn a_damaged_store_of_a_former_format_is_taken_over() {
    for (format, tables) in FORMER {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        write(&path, format, tables);
        replace(&path).unwrap();
        let store = Sqlite::open(&path).unwrap();
        assert_eq!(store.incidents(true, 10).await.unwrap().len(), 1);
        let copy = Life::event("A", EventKind::Disconnected, Reason::Other, 3 * MINUTE);
        let copy = store.accept(copy, "{}".into(), Arc::new(routing(Vec::new()))).await.unwrap();
        assert_eq!((copy.event, copy.duplicate), (3, true));
        let numbers: BTreeSet<i64> = store.incidents(false, 10).await.unwrap().iter().map(|row| row.id).collect();
        assert_eq!(numbers, (1..=5).collect());
    }
}

/// Of the rows of a format before 6, the one with the largest number may have been deleted.
#[tokio::test]
async fn a_number_that_a_former_version_gave_is_not_given_again() {
    for (format, tables) in FORMER.into_iter().filter(|(format, _)| *format < 6) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        write(&path, format, tables);
        let connection = Connection::open(&path).unwrap();
        let forget =
            "UPDATE line SET incident = NULL; DELETE FROM incident WHERE id = 5; DELETE FROM event WHERE id = 10";
        connection.execute_batch(forget).unwrap();
        connection.close().unwrap();
        let store = Sqlite::open(&path).unwrap();
        let down = Life::event("D", EventKind::Disconnected, Reason::Other, 9 * MINUTE);
        let down = store.accept(down, "{}".into(), Arc::new(routing(Vec::new()))).await.unwrap();
        assert_eq!((down.event, down.incident), (11, Some(6)), "from format {format}");
    }
}

/// A store that was migrated has the same tables as one that was created in this format.
#[test]
fn every_way_leads_to_the_same_tables() {
    let tables = |path: &Path| {
        drop(Sqlite::open(path).unwrap());
        let connection = Connection::open(path).unwrap();
        let columns = "SELECT t.name, c.name, c.type, c.pk, c.\"notnull\", c.dflt_value FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
                       WHERE t.type = 'table' ORDER BY 1, 2";
        let indexes =
            "SELECT name, sql, '', 0, 0, '' FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name";
        // What is done on each write.
        let checks = "SELECT name, instr(sql, ' IN ('), sql LIKE '%CHECK (%', count(\"from\"), sql LIKE '% AUTOINCREMENT%', '' \
                      FROM sqlite_schema LEFT JOIN pragma_foreign_key_list(name) WHERE type = 'table' GROUP BY name";
        [columns, indexes, checks].map(|query| {
            let mut statement = connection.prepare(query).unwrap();
            let rows = statement.query_map([], |row| {
                (0..6).map(|column| row.get::<_, rusqlite::types::Value>(column)).collect::<Result<Vec<_>, _>>()
            });
            rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let made_here = tables(&folder.path().join("new.db"));
    for (format, former) in FORMER {
        let path = folder.path().join(format!("{format}.db"));
        write(&path, format, former);
        assert_eq!(tables(&path), made_here, "from format {format}");
    }
}
