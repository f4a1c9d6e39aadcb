//! No number is given twice: answers to webhooks, messages and links name events, incidents and notifications by theirs.

use super::opening::replace;
use super::*;

impl Life {
    /// A line goes down and comes back, and somebody is told of both. Returns the last numbers of the incident, the
    /// event and the notification.
    async fn outage(&self, line: &str, second: i64) -> [i64; 3] {
        let down = self.webhook_of(line, EventKind::Disconnected, Reason::Other, second).await;
        self.deliver_all("slack", second).await;
        let up = self.webhook_of(line, EventKind::Connected, Reason::Other, second + 1).await;
        let told = self.lease("slack", second + 1).await.remove(0);
        self.settle(&told, second + 1, Outcome::Delivered("ok".into())).await;
        [down.incident.unwrap(), up.event, told.notification.id]
    }

    async fn prune_all(&self) {
        while self
            .store
            .prune(from_millis(i64::from(i32::MAX)), from_millis(i64::from(i32::MAX)), 1)
            .await
            .unwrap()
            .more
        {}
    }
}

#[tokio::test]
async fn what_is_forgotten_leaves_its_number_to_no_other() {
    let life = Life::with(&["slack"]);
    for line in ["A", "B", "C"] {
        life.outage(line, 1).await;
    }
    // A webhook without an incident has the last number of all.
    assert_eq!(life.webhook_of("D", EventKind::Connected, Reason::Other, 3).await.event, 7);
    life.prune_all().await;
    let left: Vec<_> = life.store.incidents(false, 10).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(left, [3], "nothing but the latest is kept");
    let life = life.reopened();
    assert_eq!(life.outage("A", 10).await, [4, 9, 8]);
    life.prune_all().await;
    assert_eq!(life.outage("A", 20).await, [5, 11, 10]);
}

/// The largest numbers may be among what a damaged store has lost.
#[tokio::test]
async fn a_store_that_was_damaged_goes_on_with_other_numbers() {
    let life = Life::with(&["slack"]);
    let before = life.outage("A", 1).await;
    let Life { folder, store, routing } = life;
    drop(store);
    let path = folder.path().join("x.db");
    replace(&path).unwrap();
    let life = Life { folder, store: Sqlite::open(&path).unwrap(), routing };
    let [incident, event, notification] = life.outage("B", 2).await;
    assert_eq!([incident, event, notification], [1_000_002, 1_000_004, 1_000_004], "{before:?}");
    life.prune_all().await;
    assert_eq!(life.outage("A", 10).await, [incident + 1, event + 2, notification + 2]);
}
