//! What somebody has taken: reminders and escalations stop, and those who know of it hear who did.

use std::time::Duration;

use super::timing::{HOUR, pairs, to_slack};
use super::*;
use crate::rule::Rule;

#[tokio::test]
async fn what_is_taken_is_not_mentioned_again() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    life.deliver_all("slack", 1).await;
    life.store.acknowledge(1, "ana", "a test", from_millis(2000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", 3).await, [Kind::Acknowledged]);
    assert_eq!(life.deliver_all("slack", 100 * HOUR).await, []);
    assert_eq!(
        life.states(1).await,
        pairs(&[("down", "delivered"), ("reminder", "withdrawn"), ("acknowledged", "delivered")])
    );
}

/// A reminder, one hour after the outage began, is in hand when somebody takes the outage.
async fn reminded_while_it_is_taken() -> (Life, Due) {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    let reminder = life.lease("slack", HOUR).await.remove(0);
    life.store.acknowledge(1, "ana", "a test", from_millis((HOUR + 1) * 1000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", HOUR + 2).await, [], "nothing is added while it is unknown what they heard");
    (life, reminder)
}

#[tokio::test]
async fn who_has_a_message_on_its_way_when_it_is_taken_hears_of_that_afterwards() {
    for outcome in [Outcome::Delivered("ok".into()), dead()] {
        let (life, reminder) = reminded_while_it_is_taken().await;
        assert!(life.settle(&reminder, HOUR + 4, outcome).await.sinks.contains("slack"));
        assert_eq!(life.deliver_all("slack", HOUR + 4).await, [Kind::Acknowledged]);
        assert_eq!(life.deliver_all("slack", 100 * HOUR).await, []);
    }
}

#[tokio::test]
async fn what_would_be_tried_again_when_it_is_taken_gives_way_to_word_of_that() {
    let (life, reminder) = reminded_while_it_is_taken().await;
    let due_at = from_millis((HOUR + 9) * 1000);
    life.settle(&reminder, HOUR + 4, Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at }).await;
    assert_eq!(life.deliver_all("slack", HOUR + 9).await, [Kind::Acknowledged]);
    assert_eq!(life.deliver_all("slack", 100 * HOUR).await, []);
}

#[tokio::test]
async fn who_hears_first_what_was_on_its_way_when_it_was_taken_hears_of_that_too() {
    let life = Life::with(&["slack"]);
    life.down(0).await;
    let first = life.lease("slack", 1).await.remove(0);
    life.store.acknowledge(1, "ana", "a test", from_millis(2000)).await.unwrap();
    life.settle(&first, 3, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.deliver_all("slack", 4).await, [Kind::Acknowledged]);
}
