//! Notices of losses: how they are gathered, and what they keep back meanwhile.

use super::told::{title, to_slack};
use super::*;
use crate::rule::Rule;
use crate::rule::matcher::Field;
use crate::store::RecipientPauses;

/// Also by a rule that gathers nothing: a sink that fails loses much at once.
#[tokio::test]
async fn notices_of_losses_are_gathered_whatever_the_rule_says() {
    let life = Life::with(&["slack"]);
    life.storm(0..30, EventKind::Disconnected, 0).await;
    let due = life
        .store
        .lease("slack", 100, RecipientPauses::default(), from_millis(1000), Arc::clone(&life.routing))
        .await
        .unwrap()
        .due;
    let (first, others) = due.split_first().unwrap();
    life.settle(first, 1, lost()).await;
    let notices = life.lease("mail", 1).await;
    assert_eq!((notices.len(), title(&notices[0]).as_str()), (2, "⚠ slack was not told: line 0 is down"));
    let being_told = |due: &Due| due.notification.undelivered.as_ref().unwrap().others_being_told;
    assert_eq!([being_told(&notices[0]), being_told(&notices[1])], [1, 1], "each other");
    for due in others {
        life.settle(due, 2, lost()).await;
    }
    assert_eq!(life.lease("mail", 60).await.len(), 0);
    let notices = life.lease("mail", 61).await;
    assert_eq!((notices.len(), title(&notices[0]).as_str()), (2, "⚠ slack was not told: 29 lines are down"));
    let of_slack = |item: &linedown_sinks::Item| item.undelivered.as_ref().is_some_and(|lost| lost.sink == "slack");
    assert!(notices.iter().all(|due| due.notification.items.iter().all(of_slack)), "{notices:?}");
}

/// It waits for a minute, and says above all that somebody else was not told.
#[tokio::test]
async fn a_notice_that_waits_keeps_back_no_news_of_an_outage_that_its_recipient_was_told_of() {
    let life = Life::with(&["slack", "mail"]);
    for line in ["A", "B", "C", "D"] {
        life.webhook_of(line, EventKind::Disconnected, Reason::Other, 0).await;
    }
    assert_eq!(life.deliver_all("mail", 0).await, [Kind::Down; 8]);
    let lost_ones = life.lease("slack", 0).await;
    life.settle(&lost_ones[0], 1, lost()).await;
    assert_eq!(life.deliver_all("mail", 1).await, [Kind::Undelivered; 2]);
    for due in &lost_ones[1..] {
        life.settle(due, 1, lost()).await;
    }
    assert_eq!(life.deliver_all("mail", 2).await, []);
    life.webhook_of("B", EventKind::Disconnected, Reason::NumberBlocked, 3).await;
    assert_eq!(life.deliver_all("mail", 3).await, [Kind::Worse; 2]);
    life.store.acknowledge(3, "ana", "a test", from_millis(4000)).await.unwrap();
    assert_eq!(life.deliver_all("mail", 4).await, [Kind::Acknowledged; 2]);
    life.webhook_of("D", EventKind::Connected, Reason::Other, 5).await;
    assert_eq!(life.deliver_all("mail", 5).await, [Kind::Resolved; 2]);
    assert_eq!(life.parts_of("mail", 61).await, [3, 3], "the notices");
}

/// Otherwise the end would be owed and withdrawn again and again until the notice arrives.
#[tokio::test]
async fn who_is_being_told_the_end_by_a_notice_is_owed_no_other_message_about_it() {
    let life = Life::with(&["slack", "mail"]);
    life.down(0).await;
    let downs = life.lease("mail", 0).await;
    life.settle(&life.only("slack", 1).await, 1, lost()).await;
    life.up(2).await;
    let notices = life.lease("mail", 3).await;
    assert!(notices.iter().all(|due| due.notification.kind == Kind::Undelivered), "{notices:?}");
    for due in &downs {
        life.settle(due, 4, Outcome::Delivered("ok".into())).await;
    }
    assert_eq!(life.deliver_all("mail", 5).await, []);
    for due in &notices {
        life.settle(due, 6, Outcome::Delivered("ok".into())).await;
    }
    assert_eq!(life.deliver_all("mail", 7).await, []);
    assert_eq!(life.store.incident(1).await.unwrap().unwrap().deliveries.len(), downs.len() + 1 + notices.len());
}

/// That many people are not told, by whichever rule, is one piece of news.
#[tokio::test]
async fn notices_of_losses_are_gathered_over_all_rules_and_groups() {
    let of_a = rule("a", r#"{"instance":"A"}"#, &["slack"], false);
    let life = Life::by_rules(vec![of_a, Rule { group_by: vec![Field::parse("instance").unwrap()], ..to_slack() }]);
    for line in ["A", "B", "C", "D"] {
        life.webhook_of(line, EventKind::Disconnected, Reason::Other, 0).await;
    }
    let due = life.lease("slack", 0).await;
    let (first, others) = due.split_first().unwrap();
    life.settle(first, 1, lost()).await;
    assert_eq!(life.parts_of("mail", 1).await, [1, 1]);
    for due in others {
        life.settle(due, 2, lost()).await;
    }
    assert_eq!(life.parts_of("mail", 2).await, [0; 0]);
    assert_eq!(life.parts_of("mail", 61).await, [3, 3]);
}
