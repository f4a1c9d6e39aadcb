//! How a store is opened, for the first time or again, perhaps under another clock.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn sqlite_is_built_as_the_cargo_config_says() {
    let connection = Connection::open_in_memory().unwrap();
    let used = "SELECT sqlite_compileoption_used('DEFAULT_MEMSTATUS=0') \
                AND NOT sqlite_compileoption_used('ENABLE_API_ARMOR') AND NOT sqlite_compileoption_used('ENABLE_FTS5')";
    let used: bool = connection.query_row(used, [], |row| row.get(0)).unwrap();
    assert!(used, "LIBSQLITE3_FLAGS of .cargo/config.toml was not taken");
}

#[tokio::test]
async fn what_was_in_hand_at_the_end_is_handed_out_again() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let before = life.lease("slack", 2).await;
    assert!(life.lease("slack", 3).await.is_empty());
    let life = life.reopened();
    let after = life.lease("slack", 4).await;
    assert_eq!(after[0].notification.key(), before[0].notification.key());
    assert_eq!(after[0].notification.attempt, 2);
    let story = life.store.incident(1).await.unwrap().unwrap();
    let attempts = story.deliveries[0].attempts.as_ref().unwrap();
    assert_eq!(attempts[0].outcome.as_deref(), Some("interrupted"));
}

#[tokio::test]
async fn what_is_owed_does_not_wait_for_a_clock_that_was_set_back() {
    let life = Life::with(&["slack"]);
    let day = 86_400;
    life.down(day).await;
    let due = life.lease("slack", day).await.remove(0);
    let due_at = from_millis((day + 60) * 1000);
    life.settle(&due, day, Outcome::Again { kind: FailureKind::Busy, why: "later".into(), due_at }).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, day).await;

    let now = from_millis(1_000_000);
    assert_eq!(life.set_back(now, 10).await.unwrap(), 4, "two lines and two notifications");
    assert_eq!(life.set_back(now, 10).await.unwrap(), 0);
    assert_eq!(life.lease("slack", 1000).await.len(), 1, "the one that was due at once");
    assert_eq!(life.lease("slack", 1059).await.len(), 0, "a pause is as long as it was");
    assert_eq!(life.lease("slack", 1060).await.len(), 1);
}

#[tokio::test]
async fn a_store_is_for_its_owner_alone() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    for file in ["x.db", "x.db-wal", "x.db-shm", "x.db.lock"] {
        let mode = std::fs::metadata(life.folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn only_one_daemon_has_the_store() {
    let life = Life::with(&[]);
    let second = Sqlite::open(&life.folder.path().join("x.db"));
    assert!(matches!(second, Err(StoreError::InUse(_))));
}

#[tokio::test]
async fn a_store_of_a_later_version_is_left_alone() {
    let life = Life::with(&[]);
    life.store.writer.write(|connection| connection.pragma_update(None, "user_version", 99)).await.unwrap();
    let Life { folder, store, .. } = life;
    drop(store);
    let reopened = Sqlite::open(&folder.path().join("x.db"));
    assert!(matches!(reopened, Err(StoreError::TooNew { found: 99, .. })));
}
