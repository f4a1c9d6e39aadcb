//! Storms: the first message of a group leaves at once, and the rest as digests.

use std::time::Duration;

use super::timing::{HOUR, pairs, to_slack};
use super::*;
use crate::rule::Rule;

#[tokio::test]
async fn a_storm_is_a_message_and_a_digest() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    life.storm(0..1, EventKind::Disconnected, 1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down], "the first leaves at once");
    life.storm(1..200, EventKind::Disconnected, 5).await;
    assert_eq!(life.deliver_all("slack", 6).await, []);
    assert_eq!(life.deliver_all("slack", 60).await, []);
    let due = life.lease("slack", 61).await;
    assert_eq!(due.len(), 1);
    let digest = &due[0].notification;
    assert_eq!((digest.kind, digest.items.len(), due[0].covers.len()), (Kind::Digest, 199, 199));
    life.settle(&due[0], 62, Outcome::Delivered("ok".into())).await;
    life.storm(0..200, EventKind::Connected, 63).await;
    let due = life.lease("slack", 64).await;
    assert_eq!((due.len(), due[0].notification.items.len()), (1, 200), "good news is not delayed by bad");
    life.settle(&due[0], 65, Outcome::Delivered("ok".into())).await;
    for incident in 1..=200 {
        assert_eq!(life.states(incident).await, pairs(&[("down", "delivered"), ("resolved", "delivered")]));
    }
}

#[tokio::test]
async fn a_digest_that_fails_is_the_same_message_again() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    life.storm(0..3, EventKind::Disconnected, 1).await;
    let first = life.lease("slack", 2).await;
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(10_000) };
    life.settle(&first[0], 3, again).await;
    life.storm(3..5, EventKind::Disconnected, 4).await;
    life.webhook_of("line 1", EventKind::Connected, Reason::Other, 5).await;
    let life = life.reopened();
    let second = life.lease("slack", 10).await;
    assert_eq!(second.len(), 1);
    assert_eq!((second[0].notification.key(), second[0].notification.attempt), (first[0].notification.key(), 2));
    assert_eq!(second[0].covers, first[0].covers);
    life.settle(&second[0], 11, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.states(2).await, pairs(&[("down", "delivered")]), "it said that line 1 is back");
    assert_eq!(life.lease("slack", 62).await[0].notification.items.len(), 2);
}

#[tokio::test]
async fn each_part_of_a_dead_digest_is_told_elsewhere() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    life.storm(0..3, EventKind::Disconnected, 1).await;
    let due = life.lease("slack", 2).await;
    let settled = life.settle(&due[0], 3, dead()).await;
    assert_eq!((settled.dead, settled.untold), (3, 0));
    let instead = life.lease("mail", 4).await;
    assert_eq!(instead.len(), 2, "one message for each of the two people");
    assert!(instead.iter().all(|due| due.notification.items.len() == 3));
}

#[tokio::test]
async fn groups_are_told_apart() {
    let by_instance = vec![crate::rule::matcher::Field::parse("instance").unwrap()];
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), group_by: by_instance, ..to_slack() });
    life.storm(0..3, EventKind::Disconnected, 1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down; 3]);
}

#[tokio::test]
async fn a_backlog_leaves_as_one_digest() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    life.storm(0..50, EventKind::Disconnected, 1).await;
    life.storm(50..100, EventKind::Disconnected, HOUR).await;
    let due = life.lease("slack", 2 * HOUR).await;
    assert_eq!((due.len(), due[0].notification.items.len()), (1, 100));
}

/// If the lease would only put it off, no worker need be woken.
#[tokio::test]
async fn what_comes_while_a_group_is_gathered_is_due_at_its_end_from_the_start() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    let due = |accepted: Accepted| accepted.sinks.get("slack").map(|due_at| due_at.as_second());
    life.storm(0..1, EventKind::Disconnected, 1).await;
    assert_eq!(life.deliver_all("slack", 2).await, [Kind::Down]);
    let down = async |line: &str, second| life.webhook_of(line, EventKind::Disconnected, Reason::Other, second).await;
    assert_eq!(due(down("b", 10).await), Some(62), "with the others");

    let silence = life.silence(r#"{"instance":"c"}"#, 0, HOUR).await;
    assert!(due(down("c", 11).await) <= Some(11), "what is held back is for the lease to say");
    assert_eq!(life.deliver_all("slack", 12).await, []);
    assert_eq!(life.states(3).await, pairs(&[("down", "pending")]));
    let held_by = life.store.deliveries(DeliveryQuery::default()).await.unwrap().remove(0).held_by;
    assert_eq!(held_by, Some(format!("silence {silence}")));
    assert_eq!(life.deliver_all("slack", 62).await, [Kind::Down], "the one alone");
    assert_eq!(due(down("d", 62).await), Some(122), "the next window");
}
