//! Leases while a recipient fails.

use std::time::Duration;

use super::*;
use crate::rule::Rule;
use crate::rule::tests::Toy;

/// A pause, in seconds.
fn pause(until: i64, then: i64, owed_after: i64) -> RecipientPauses {
    let [until, then, owed_after] = [until, then, owed_after].map(|second| from_millis(second * 1000));
    RecipientPauses::from([("ana".to_owned(), RecipientPause { until, then, owed_after, why: "busy: 451".into() })])
}

/// Many lines went down in the first second: each is told to Ana first, and then to Bia.
async fn many_down(count: usize) -> Life {
    let mut life = Life::with(&["mail"]);
    let mut routing = (*life.routing).clone();
    routing.sinks.get_mut("mail").unwrap().settings = Arc::new(Toy(vec!["ana", "bia"]));
    life.routing = Arc::new(routing);
    for line in 0..count {
        life.webhook_of(&format!("line {line}"), EventKind::Disconnected, Reason::Other, 1).await;
    }
    life
}

impl Life {
    /// Whom the next messages are for.
    async fn lease_but(&self, limit: usize, pauses: RecipientPauses, second: i64) -> Vec<String> {
        let now = from_millis(second * 1000);
        let leased = self.store.lease("mail", limit, pauses, now, Arc::clone(&self.routing)).await.unwrap();
        leased.due.into_iter().map(|due| due.notification.recipient).collect()
    }
}

#[tokio::test]
async fn who_waits_stands_in_nobodys_way() {
    let life = many_down(600).await;
    let mut told = Vec::new();
    // One lease looks at 500 notifications, so the first finds nobody else yet; it says that more is due.
    for _ in 0..4 {
        told.extend(life.lease_but(4, pause(30, 32, 0), 2).await);
    }
    assert_eq!(told, vec!["bia"; 12], "however much waits for Ana");
    let waiting = life.store.deliveries(DeliveryQuery { limit: Some(1200), ..DeliveryQuery::default() }).await.unwrap();
    let of_ana = waiting.iter().filter(|row| row.recipient == "ana");
    assert!(of_ana.clone().any(|row| row.detail.as_deref() == Some("busy: 451") && row.tries == 0));
}

#[tokio::test]
async fn one_message_at_a_time_finds_out_whether_the_wait_is_over() {
    let life = many_down(400).await;
    let told = life.lease_but(3, pause(2, 4, 0), 2).await;
    assert_eq!(told, ["ana", "bia", "bia"]);
    assert_eq!(life.lease_but(1, pause(4, 4, 0), 2).await, ["bia"], "one is in progress");
    assert_eq!(life.lease_but(3, RecipientPauses::new(), 4).await.len(), 3, "what was put off comes then");
}

/// Whose recipient fails is owed all the same: a line that was down for longer than the hold is told of.
#[tokio::test]
async fn what_was_due_and_waits_for_its_recipient_is_told_although_the_line_is_back() {
    let mut life = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..rule("all", "{}", &["mail"], false) });
    let mut routing = (*life.routing).clone();
    routing.sinks.get_mut("mail").unwrap().settings = Arc::new(Toy(vec!["ana"]));
    life.routing = Arc::new(routing);
    life.down(0).await;
    assert_eq!(life.lease_but(1, pause(90, 90, 0), 60).await, [""; 0]);
    life.up(70).await;
    assert_eq!(life.lease_but(1, RecipientPauses::new(), 90).await, ["ana"]);
}

/// The store keeps milliseconds, and a pause ends between two of them.
#[tokio::test]
async fn a_wait_ends_with_its_millisecond() {
    let life = many_down(1).await;
    let until = from_millis(2000).checked_add(Duration::from_nanos(500)).unwrap();
    let pause = RecipientPause { until, then: until, owed_after: from_millis(0), why: "busy: 451".into() };
    assert_eq!(life.lease_but(1, RecipientPauses::from([("ana".to_owned(), pause)]), 2).await, ["ana"]);
}

#[tokio::test]
async fn what_is_at_the_end_of_its_patience_does_not_wait() {
    let life = many_down(400).await;
    assert_eq!(life.lease_but(3, pause(30, 32, 1), 2).await, ["ana", "bia", "ana"]);
}

/// The clock was ahead when they were put off, but not when their lines went down. What is gathered is left alone.
#[tokio::test]
async fn what_was_put_off_does_not_wait_for_a_clock_that_was_set_back() {
    let life = many_down(1).await;
    assert_eq!(life.lease_but(3, pause(10_030, 10_030, 0), 10_000).await, ["bia"]);
    let now = from_millis(100_000);
    while life.set_back(now, 1).await.unwrap() > 0 {}
    let due = life
        .store
        .lease("mail", 3, RecipientPauses::new(), now, Arc::clone(&life.routing))
        .await
        .unwrap()
        .due
        .remove(0);
    assert_eq!((due.notification.recipient.as_str(), due.owed_at), ("ana", from_millis(1000)));

    let gathering = Rule { group_interval: Duration::from_mins(10), ..rule("all", "{}", &["slack"], false) };
    let life = Life::by(gathering);
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 1).await;
    assert_eq!(life.set_back(from_millis(1000), 10).await.unwrap(), 0);
    assert_eq!(life.deliver_all("slack", 599).await, []);
    assert_eq!(life.deliver_all("slack", 600).await, [Kind::Down]);
}
