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
