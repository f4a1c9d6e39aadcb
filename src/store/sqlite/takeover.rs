//! Copies what can be read of a damaged store into a new one. A row that cannot be read costs only itself, as long as
//! the rows behind it can be reached in another way.

use std::collections::VecDeque;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Statement, params, params_from_iter};

use super::row;

/// All tables, each after those that it refers to; with its key and, if the key begins with a number, where else these
/// numbers stand.
const TABLES: [(&str, &str, &[&str]); 9] = [
    ("meta", "key", &[]),
    ("incident", "id", &INCIDENTS),
    ("line", "source, instance", &[]),
    ("event", "id", &EVENTS),
    ("notification", "id", &NOTIFICATIONS),
    ("attempt", "notification, number", &NOTIFICATIONS),
    ("gathering", "sink, recipient, grouping, class", &[]),
    ("flapping", "source, instance, rule", &[]),
    ("silence", "id", &["id FROM silence"]),
];

/// Where the numbers of rows stand: in the table, whose last page may be unreadable, in an index, and in what refers to
/// them.
const INCIDENTS: [&str; 3] =
    ["id FROM incident", "incident FROM event WHERE incident IS NOT NULL", "incident FROM notification"];
const EVENTS: [&str; 3] =
    ["id FROM event", "id FROM event INDEXED BY event_incident WHERE incident IS NOT NULL", "last_event FROM line"];
const NOTIFICATIONS: [&str; 3] =
    ["id FROM notification", "id FROM notification INDEXED BY notification_incident", "notification FROM attempt"];

/// Makes the tables of a new store keep count in `sqlite_sequence`: their largest number need not be that of a row.
pub(super) const COUNT: &str = "PRAGMA writable_schema = ON; \
    UPDATE sqlite_schema SET sql = replace(sql, 'id INTEGER PRIMARY KEY,', 'id INTEGER PRIMARY KEY AUTOINCREMENT,') \
        WHERE type = 'table'; \
    PRAGMA writable_schema = RESET;";

/// How far the numbers of a new store are from those of the old one, whose last ones may be unreadable: no two messages
/// may have the same number.
const GAP: i64 = 1_000_000;

/// A larger number was never given, but stands on a damaged page.
const MOST: i64 = 1 << 53;

/// How often reading may break off in one table before the rest of it is given up. A damaged page of forty rows makes
/// some eighty breaks; a disk that fails may take seconds for each.
const MOST_BREAKS: usize = 1000;

/// Whether SQLite can read what tables a damaged store has.
pub(super) fn has_schema(damaged: &Path) -> bool {
    let read = || {
        let old = open(damaged)?;
        old.query_row("SELECT count(sql) FROM sqlite_schema", [], |_| Ok(()))
    };
    read().is_ok()
}

/// Opens a damaged store: for writing, because SQLite may have to go through its log first; but nothing is written.
fn open(damaged: &Path) -> rusqlite::Result<Connection> {
    let old = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(old)
}

/// What could be read of a damaged store.
pub(super) struct Taken {
    /// The number of rows.
    pub(super) rows: usize,
    /// The tables that not every row could be read of.
    pub(super) broken: Vec<&'static str>,
}

/// Copies what can be read of a damaged store into a new one.
pub(super) fn take_over(connection: &mut Connection, damaged: &Path) -> rusqlite::Result<Taken> {
    let old = open(damaged)?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    // There may be much to sort.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(COUNT)?;
    let mut rows = 0;
    let mut broken = Vec::new();
    for (table, key, numbers) in TABLES {
        // If not even the table's definition can be read, it has no rows to read.
        let whole = match Passage::open(&old, &transaction, table, key, numbers) {
            Ok(mut passage) => {
                let (taken, whole) = passage.take_all()?;
                rows += taken;
                whole
            }
            Err(_) => false,
        };
        if !whole {
            broken.push(table);
        }
    }
    for orphans in [
        "DELETE FROM notification WHERE incident NOT IN (SELECT id FROM incident)",
        "DELETE FROM attempt WHERE notification NOT IN (SELECT id FROM notification)",
        "UPDATE notification SET lost = NULL WHERE lost NOT IN (SELECT id FROM notification)",
        "UPDATE event SET incident = NULL WHERE incident NOT IN (SELECT id FROM incident)",
        "UPDATE line SET incident = NULL WHERE incident NOT IN (SELECT id FROM incident)",
        "UPDATE notification SET leased = 0 WHERE leased = 1",
    ] {
        transaction.execute(orphans, [])?;
    }
    transaction.execute_batch(&row::with_outage(include_str!("../lines.sql")))?;
    let counted = leave_gap(&old, &transaction)?;
    if !broken.is_empty() {
        transaction.execute("UPDATE meta SET value = lower(hex(randomblob(4))) WHERE key = 'name'", [])?;
    }
    // An old link must not lead to another message than its own.
    if !counted && broken.contains(&"notification") {
        transaction.execute("UPDATE meta SET value = lower(hex(randomblob(32))) WHERE key = 'link key'", [])?;
    }
    transaction.commit()?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(Taken { rows, broken })
}

/// Makes the numbers of a new store follow, after a gap, the largest one of which the old store still knows. Returns
/// whether the old store's own count could be read: of a store that was taken over before, its rows may tell less.
fn leave_gap(old: &Connection, new: &Connection) -> rusqlite::Result<bool> {
    let counts = counts(old);
    for (table, _, numbers) in TABLES.iter().filter(|(_, key, _)| *key == "id") {
        let count = counts.iter().flatten().filter(|(name, _)| name == table).map(|(_, count)| *count).max();
        let known = count.unwrap_or_default().max(highest(old, numbers)).clamp(0, MOST);
        let begin = "INSERT INTO sqlite_sequence (name, seq) \
                     SELECT ?1, 0 WHERE ?1 NOT IN (SELECT name FROM sqlite_sequence)";
        new.execute(begin, [table])?;
        new.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) + ? WHERE name = ?", params![known, GAP, table])?;
    }
    Ok(counts.is_ok())
}

/// How far each table of a store has counted, of those that keep count.
fn counts(old: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut select = old.prepare("SELECT name, seq FROM sqlite_sequence")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Copies one table from the old store into the new one.
struct Passage<'s> {
    forwards: Statement<'s>,
    backwards: Statement<'s>,
    insert: Statement<'s>,
    /// The highest number that the key may begin with; `None` if the key does not begin with a number.
    highest: Option<i64>,
}

/// The result of reading in one direction.
struct Run {
    rows: usize,
    /// The number of the last row that was read.
    reached: Option<i64>,
    /// Whether the whole range was read.
    whole: bool,
}

impl<'s> Passage<'s> {
    fn open(
        old: &'s Connection,
        new: &'s Connection,
        table: &str,
        key: &str,
        numbers: &[&str],
    ) -> rusqlite::Result<Self> {
        let number = key.split(',').next().filter(|_| !numbers.is_empty());
        let range = number.map_or("?1 <= ?2".to_owned(), |number| format!("{number} BETWEEN ?1 AND ?2"));
        let select = |order: &str| {
            let number = number.unwrap_or("NULL");
            old.prepare(&format!("SELECT {number} AS number, {table}.* FROM {table} WHERE {range} ORDER BY {order}"))
        };
        let forwards = select(key)?;
        let backwards = select(&format!("{} DESC", key.replace(", ", " DESC, ")))?;
        // By name: a store of a former format lacks the latest columns, and these have defaults.
        let names: Vec<_> = forwards.column_names().skip(1).collect();
        let insert = format!(
            "INSERT OR REPLACE INTO {table} ({}) VALUES ({})",
            names.join(", "),
            vec!["?"; names.len()].join(", ")
        );
        let insert = new.prepare(&insert)?;
        Ok(Self { forwards, backwards, insert, highest: number.map(|_| highest(old, numbers)) })
    }

    /// Reads from both ends. If both break off, what lies between is halved, if the key begins with a number, and each
    /// half is read in the same way: an unreadable row is in one of the halves, and the other is read. Returns the number
    /// of rows, and whether these are all.
    fn take_all(&mut self) -> rusqlite::Result<(usize, bool)> {
        let mut ranges = VecDeque::from([(i64::MIN, i64::MAX)]);
        let (mut taken, mut breaks, mut whole) = (0, 0, true);
        while let Some((first, last)) = ranges.pop_front() {
            let forwards = run(&mut self.forwards, &mut self.insert, (first, last))?;
            taken += forwards.rows;
            if forwards.whole {
                continue;
            }
            let backwards = run(&mut self.backwards, &mut self.insert, (first, last))?;
            taken += backwards.rows;
            breaks += 1;
            whole &= backwards.whole;
            let Some(highest) = self.highest.filter(|_| !backwards.whole && breaks < MOST_BREAKS) else { continue };
            let first = forwards.reached.map_or(first.max(1), |number| number.saturating_add(1));
            let last = backwards.reached.map_or(last.min(highest), |number| number.saturating_sub(1));
            if first < last {
                let middle = i64::midpoint(first, last);
                ranges.extend([(first, middle), (middle + 1, last)]);
            }
        }
        Ok((taken, whole))
    }
}

/// The highest number that can be read anywhere; zero if none can.
fn highest(old: &Connection, numbers: &[&str]) -> i64 {
    let read = |place: &&str| {
        let (column, table) = place.split_once(' ')?;
        old.query_row(&format!("SELECT max({column}) {table}"), [], |row| row.get(0)).ok()?
    };
    numbers.iter().filter_map(read).max().unwrap_or_default()
}

/// Copies the rows whose numbers are in a range, until one cannot be read.
fn run(select: &mut Statement<'_>, insert: &mut Statement<'_>, range: (i64, i64)) -> rusqlite::Result<Run> {
    let columns = select.column_count();
    let mut run = Run { rows: 0, reached: None, whole: false };
    let Ok(mut rows) = select.query(range) else { return Ok(run) };
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(Run { whole: true, ..run }),
            Err(_) => return Ok(run),
        };
        run.reached = row.get(0)?;
        let values = (1..columns).map(|column| value(row, column)).collect::<rusqlite::Result<Vec<_>>>()?;
        match insert.execute(params_from_iter(values)) {
            Ok(_) => run.rows += 1,
            // What the tables do not allow was not written like that: skip the row.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A value as [`row`] would read it: bytes that are not UTF-8 are no reason to lose the rest of their row.
fn value(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        other => other.try_into()?,
    })
}
