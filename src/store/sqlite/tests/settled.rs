//! How a message ends, and what becomes owed by that.

use super::*;

#[tokio::test]
async fn an_outage_is_told_and_resolved() {
    let life = Life::with(&["slack", "mail"]);
    let accepted = life.down(1).await;
    assert_eq!((accepted.change, accepted.owed, accepted.duplicate), ("opened", 3, false));
    assert_eq!(life.deliver_all("slack", 2).await, [Kind::Down]);
    assert_eq!(life.deliver_all("mail", 2).await, [Kind::Down, Kind::Down]);
    assert_eq!(life.up(3).await.owed, 3);
    assert_eq!(life.deliver_all("slack", 4).await, [Kind::Resolved]);
    assert_eq!(life.deliver_all("mail", 4).await, [Kind::Resolved, Kind::Resolved]);
}

#[tokio::test]
async fn back_before_anybody_was_told_is_one_message() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    assert_eq!(life.up(2).await.owed, 0);
    let due = life.lease("slack", 3).await;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].notification.kind, Kind::Down);
    assert_eq!(due[0].notification.incident.closed_at, Some(from_millis(2000)));
    assert_eq!(life.settle(&due[0], 3, Outcome::Delivered("ok".into())).await, Settled::default());
    assert!(life.lease("slack", 9).await.is_empty());
}

#[tokio::test]
async fn back_while_the_message_is_on_its_way_is_told_afterwards() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    assert_eq!(life.up(3).await.owed, 0, "nothing is added while it is unknown what they heard");
    let settled = life.settle(&due[0], 4, Outcome::Delivered("ok".into())).await;
    assert!(settled.sinks.contains("slack"));
    assert_eq!(life.deliver_all("slack", 5).await, [Kind::Resolved]);
}

#[tokio::test]
async fn what_fails_is_due_again_and_says_both_by_then() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(10_000) };
    life.settle(&due[0], 3, again).await;
    life.up(4).await;
    assert!(life.lease("slack", 9).await.is_empty());
    let due = life.lease("slack", 10).await;
    let notification = &due[0].notification;
    assert_eq!((notification.attempt, notification.last_failure.as_deref()), (2, Some("busy: 503")));
    assert!(notification.incident.closed_at.is_some());
}

#[tokio::test]
async fn a_dead_letter_is_told_to_the_fallback_and_so_is_the_end() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    let settled = life.settle(&due[0], 3, dead()).await;
    assert_eq!((settled.dead, settled.untold), (1, 0));
    let instead = life.lease("mail", 4).await;
    assert_eq!(instead.len(), 2);
    let undelivered = instead[0].notification.undelivered.as_ref().unwrap();
    assert_eq!((undelivered.sink.as_str(), undelivered.why.as_str()), ("slack", "refused: no such user"));
    for due in &instead {
        life.settle(due, 5, Outcome::Delivered("ok".into())).await;
    }
    life.up(6).await;
    assert_eq!(life.deliver_all("mail", 7).await, [Kind::Resolved, Kind::Resolved]);
    assert!(life.lease("slack", 7).await.is_empty(), "who was not told of the outage is not told of its end");
}

#[tokio::test]
async fn when_every_fallback_fails_it_is_said_that_nobody_knows() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    life.settle(&due[0], 3, dead()).await;
    let [to_ana, to_bia] = life.lease("mail", 4).await.try_into().unwrap();
    let settled = life.settle(&to_ana, 5, dead()).await;
    assert_eq!((settled.dead, settled.untold), (1, 0), "the other may still be told");
    let settled = life.settle(&to_bia, 5, dead()).await;
    assert_eq!((settled.dead, settled.untold), (1, 1));
    assert!(life.lease("slack", 6).await.is_empty());
}

#[tokio::test]
async fn a_loss_that_one_of_two_recipients_is_told_of_is_not_untold() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    life.settle(&due[0], 3, dead()).await;
    let [to_ana, to_bia] = life.lease("mail", 4).await.try_into().unwrap();
    life.settle(&to_ana, 5, Outcome::Delivered("ok".into())).await;
    let settled = life.settle(&to_bia, 6, dead()).await;
    assert_eq!((settled.dead, settled.untold), (1, 0));
}

#[tokio::test]
async fn a_worse_reason_is_news_to_those_who_were_told() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    life.deliver_all("slack", 2).await;
    assert_eq!(life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 3).await.change, "worsened");
    let due = life.lease("slack", 4).await;
    assert_eq!((due[0].notification.kind, due[0].notification.incident.reason), (Kind::Worse, Reason::NumberBlocked));
}

#[tokio::test]
async fn patience_ends_for_what_was_never_tried() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let give_up = |second: i64| {
        let before = from_millis(second * 1000);
        life.store.give_up("slack", before, "unreachable", from_millis(9000), Arc::clone(&life.routing))
    };
    assert_eq!(give_up(0).await.unwrap(), Settled::default());
    let settled = give_up(1).await.unwrap();
    assert_eq!((settled.dead, settled.sinks.len()), (1, 1));
    assert_eq!(life.lease("mail", 10).await.len(), 2);
}

#[tokio::test]
async fn nobody_hears_of_a_lost_message_that_arrived_after_all() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 1).await.remove(0);
    life.settle(&due, 2, dead()).await;
    let in_hand = life.lease("mail", 2).await;
    let again = Which::These(vec![due.notification.id]);
    life.store.retry(again, from_millis(3_000), Arc::clone(&life.routing), Pauses::new()).await.unwrap();
    assert_eq!(life.deliver_all("slack", 3).await, [Kind::Down]);
    for due in in_hand {
        let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(4_000) };
        life.settle(&due, 3, again).await;
    }
    assert_eq!(life.deliver_all("mail", 4).await, []);
    let left = life.store.deliveries(DeliveryQuery { sink: Some("mail".into()), ..DeliveryQuery::default() });
    let left = left.await.unwrap();
    assert_eq!(left[0].state, "withdrawn");
    assert!(left[0].detail.as_deref().is_some_and(|why| why.contains("after all")), "{left:?}");
}
