//! No number is given twice: answers to webhooks, messages and links name events, incidents and notifications by theirs.

use std::fs;

use super::damaged::root;
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

    /// The store's name, and the key that signs its links.
    fn identity(&self) -> (String, Vec<u8>) {
        (self.store.identity.name.clone(), self.store.identity.link_key.clone())
    }

    /// Loses the only page of each of some tables and indexes, and is taken over.
    fn damaged(self, lost: &[&str]) -> Self {
        let routing = Arc::clone(&self.routing);
        let folder = self.closed();
        let path = folder.path().join("x.db");
        let pages: Vec<_> = lost.iter().map(|name| root(&path, name)).collect();
        let mut bytes = fs::read(&path).unwrap();
        for page in pages {
            bytes[page..][..4096].fill(0x5a);
        }
        fs::write(&path, bytes).unwrap();
        replace(&path).unwrap();
        Self::again(folder, routing)
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

/// All that has numbers, and all that refers to them.
const NUMBERED: [&str; 7] =
    ["incident", "event", "notification", "attempt", "line", "event_incident", "notification_incident"];

#[tokio::test]
async fn a_store_that_is_damaged_twice_goes_on_with_other_numbers_each_time() {
    let mut life = Life::with(&["slack"]);
    let (mut before, identity) = (life.outage("A", 1).await, life.identity());
    let mut names = vec![identity.0.clone()];
    for second in [10, 20, 30] {
        life = life.damaged(&NUMBERED);
        let after = life.outage("A", second).await;
        assert!(after.iter().zip(before).all(|(after, before)| *after > before + 999_000), "{before:?} {after:?}");
        before = after;
        let (name, link_key) = life.identity();
        assert!(!names.contains(&name), "what is lost may have had any number");
        assert_eq!(link_key, identity.1, "the old links work: they name no other message");
        names.push(name);
    }
    let life = life.damaged(&["notification_group"]);
    assert_eq!(life.identity(), (names.pop().unwrap(), identity.1), "no number is lost");
}

#[tokio::test]
async fn a_number_that_only_an_index_or_an_attempt_knows_is_not_given_twice() {
    let life = Life::with(&["slack"]);
    life.outage("A", 1).await;
    let life = life.damaged(&NUMBERED);
    let before = life.outage("A", 10).await;
    // An index and the attempts still know the numbers.
    let life = life.damaged(&["incident", "event", "notification", "sqlite_sequence"]);
    let after = life.outage("B", 20).await;
    assert!(after.iter().zip(before).all(|(after, before)| *after > before + 999_000), "{before:?} {after:?}");
}

#[tokio::test]
async fn a_store_whose_numbers_are_all_lost_signs_other_links() {
    let life = Life::with(&["slack"]);
    life.outage("A", 1).await;
    let before = life.identity();
    let life = life.damaged(&[&NUMBERED[..], &["sqlite_sequence"]].concat());
    let after = life.identity();
    assert!(after.0 != before.0 && after.1 != before.1, "{before:?} {after:?}");
}
