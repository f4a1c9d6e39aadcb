//! Stores that do not read as they were written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::rule::Rule;

impl Life {
    /// The folder of the store, once the writer's thread has closed it.
    fn closed(self) -> TempDir {
        let Self { folder, store, .. } = self;
        drop(store);
        while folder.path().join("x.db-wal").exists() {
            std::thread::yield_now();
        }
        folder
    }

    fn again(folder: TempDir, routing: Arc<Routing>) -> Self {
        let store = Sqlite::open(&folder.path().join("x.db")).unwrap();
        Self { folder, store, routing }
    }
}

/// Flips a bit of a word on the first page of a table or an index.
fn flip(path: &Path, name: &str, word: &str) {
    let connection = Connection::open(path).unwrap();
    let root = "SELECT rootpage - 1 FROM sqlite_schema WHERE name = ?";
    let root: u32 = connection.query_row(root, [name], |row| row.get(0)).unwrap();
    connection.close().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let page = &mut bytes[root as usize * 4096..][..4096];
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

/// Notices have numbers among those of outages; a line's outages lead to each other without them.
#[tokio::test]
async fn a_lines_outages_are_its_outages_after_a_takeover() {
    let life = Life::with(&["slack"]);
    for second in [1, 3, 5] {
        life.down(second).await;
        life.up(second + 1).await;
        let times = (from_millis(second * 1000 + 1), from_millis(second * 1000 + 2));
        for kind in [EventKind::Disconnected, EventKind::Connected] {
            let event = Event::found(("z-api", "A"), kind, Reason::NotInInventory, None, times);
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
