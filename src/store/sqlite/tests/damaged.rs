//! Stores that do not read as they were written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::opening::replace;
use super::*;
use crate::rule::Rule;

impl Life {
    /// The folder of the store, once all its connections are closed. Two that close together may each take the other for
    /// the one that removes the log; another one then does so.
    pub(super) fn closed(self) -> TempDir {
        let Self { folder, store, .. } = self;
        drop(store);
        let is_there = || folder.path().join("x.db-wal").exists();
        for _ in 0..1000 {
            if !is_there() {
                break;
            }
            let connection = Connection::open(folder.path().join("x.db")).unwrap();
            connection.execute_batch("PRAGMA wal_checkpoint").unwrap();
            connection.close().unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_there(), "somebody still has the store open");
        folder
    }

    pub(super) fn again(folder: TempDir, routing: Arc<Routing>) -> Self {
        let store = Sqlite::open(&folder.path().join("x.db")).unwrap();
        Self { folder, store, routing }
    }
}

/// Where the first page of a table or an index begins.
pub(super) fn root(path: &Path, name: &str) -> usize {
    let connection = Connection::open(path).unwrap();
    let root = "SELECT rootpage - 1 FROM sqlite_schema WHERE name = ?";
    let root: u32 = connection.query_row(root, [name], |row| row.get(0)).unwrap();
    connection.close().unwrap();
    root as usize * 4096
}

/// Flips a bit of a word on the first page of a table or an index.
fn flip(path: &Path, name: &str, word: &str) {
    let root = root(path, name);
    let mut bytes = fs::read(path).unwrap();
    let page = &mut bytes[root..][..4096];
    let at = page.windows(word.len()).position(|bytes| bytes == word.as_bytes()).unwrap();
    page[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_an_index_stops_no_line_for_longer_than_a_start() {
    let remind = vec![Duration::from_hours(1)];
    let life = Life::by(Rule { remind, ..rule("all", "{}", &["slack"], false) });
    let routing = Arc::clone(&life.routing);
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    let folder = life.closed();
    flip(&folder.path().join("x.db"), "notification_group", "slack");

    let up = || Life::event("A", EventKind::Connected, Reason::Other, 2);
    let life = Life::again(folder, Arc::clone(&routing));
    let met = life.store.accept(up(), "{}".into(), Arc::clone(&routing)).await;
    assert!(matches!(met, Err(StoreError::Damaged)), "{met:?}");

    let life = Life::again(life.closed(), routing);
    assert_eq!(life.up(2).await.change, "closed");
    assert_eq!(life.deliver_all("slack", 3).await, [Kind::Resolved], "nothing that was kept is lost");
}

/// Notices have numbers in between those of outages; the chain of a line's outages must leave them out.
#[tokio::test]
async fn a_lines_outages_are_its_outages_after_a_takeover() {
    let life = Life::with(&["slack"]);
    for second in [1, 3, 5] {
        life.down(second).await;
        life.up(second + 1).await;
        let now = from_millis(second * 1000 + 2);
        for kind in [EventKind::Disconnected, EventKind::Connected] {
            let event = Event::found(("z-api", "A"), kind, Reason::NotInInventory, None, now);
            life.store.accept(event, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
        }
    }
    let outages = |connection: &Connection| {
        let query = "WITH RECURSIVE outage (id) AS (SELECT last_incident FROM line WHERE source = 'z-api' AND instance = 'A' \
                     UNION SELECT previous FROM outage JOIN incident USING (id) WHERE previous IS NOT NULL) \
                     SELECT group_concat(id ORDER BY id) FROM outage";
        connection.query_row(query, [], |row| row.get::<_, String>(0))
    };
    let before = life.store.read(outages).await.unwrap();
    assert_eq!(before, "1,3,5");
    let folder = life.closed();
    let path = folder.path().join("x.db");
    replace(&path).unwrap();
    assert_eq!(Sqlite::open(&path).unwrap().read(outages).await.unwrap(), before);
}

#[tokio::test]
async fn text_that_is_no_text_costs_no_row() {
    let life = Life::with(&["slack"]);
    for line in ["A", "B", "C", "D", "E"] {
        life.webhook_of(line, EventKind::Disconnected, Reason::Other, 1).await;
    }
    let mangle = "UPDATE incident SET error = CAST(x'6162ff' AS TEXT) WHERE id IN (2, 4); \
                  UPDATE notification SET detail = CAST(x'ff' AS TEXT) WHERE id IN (2, 4)";
    life.store.writer.write(move |connection| connection.execute_batch(mangle)).await.unwrap();
    let folder = life.closed();
    let path = folder.path().join("x.db");
    replace(&path).unwrap();

    let life = Life::again(folder, Arc::new(routing(vec![rule("all", "{}", &["slack"], false)])));
    let open = life.store.incidents(true, 10).await.unwrap();
    assert_eq!(open.len(), 5);
    assert_eq!(open.iter().filter(|row| row.error.as_deref() == Some("ab\u{fffd}")).count(), 2);
    assert_eq!(life.deliver_all("slack", 2).await, [Kind::Down; 5], "what was owed is owed");
}

/// The leaf pages of a table's tree, in the order of its keys, each with its number of rows.
fn leaves(path: &Path, table: &str) -> Vec<(u32, u32)> {
    let connection = Connection::open(path).unwrap();
    let query = "SELECT pageno - 1, ncell FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path";
    let mut statement = connection.prepare(query).unwrap();
    let leaves = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    leaves.collect::<rusqlite::Result<_>>().unwrap()
}

#[tokio::test]
async fn what_lies_between_damaged_pages_is_taken_over() {
    const ROWS: u32 = 3000;
    let life = Life::with(&["slack"]);
    let fill = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 3000) \
                INSERT INTO incident (source, instance, labels, reason, opened_at) \
                SELECT 'z-api', 'L' || n, '{}', 'other', n FROM n; \
                INSERT INTO event (source, instance, kind, reason, at, received_at, incident, change, payload) \
                SELECT source, instance, 'disconnected', reason, id, id, id, 'opened', '{}' FROM incident; \
                INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, created_at, owed_at, \
                    due_at, grouping, class, attempts) \
                SELECT id, 'all', 'slack', '', 'down', 0, id, id, id, '', 'open', 1 FROM incident; \
                INSERT INTO attempt (notification, number, started_at) SELECT id, 1, id FROM notification";
    life.store.writer.write(move |connection| connection.execute_batch(fill)).await.unwrap();
    let folder = life.closed();
    let path = folder.path().join("x.db");
    let mut bytes = fs::read(&path).unwrap();
    let [incidents, events, notifications, attempts] = ["incident", "event", "notification", "attempt"].map(|table| {
        let leaves = leaves(&path, table);
        assert!(leaves.len() > 8, "{table}: {leaves:?}");
        let damaged = [0, 2, leaves.len() / 2, leaves.len() - 1].map(|place| leaves[place]);
        for (page, _) in damaged {
            bytes[page as usize * 4096..][..4096].fill(0x5a);
        }
        damaged.iter().map(|(_, rows)| rows).sum::<u32>()
    });
    fs::write(&path, bytes).unwrap();
    replace(&path).unwrap();

    let connection = Connection::open(&path).unwrap();
    let left = |table: &str| {
        let query = format!("SELECT count(*) FROM {table}");
        connection.query_row(&query, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(left("incident"), ROWS - incidents, "what stood on the damaged pages, and no more");
    assert_eq!(left("event"), ROWS - events);
    // Rows may be lost with what they refer to; and, if the key has several columns, those next to a damaged page.
    assert!(left("notification") >= ROWS - incidents - notifications, "{}", left("notification"));
    assert!(left("attempt") >= ROWS - incidents - notifications - attempts - 8, "{}", left("attempt"));
}
