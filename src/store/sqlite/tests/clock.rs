//! Clocks that are wrong for a while.

use std::time::Duration;

use linedown_sinks::Notification;

use super::timing::{HOUR, to_slack};
use super::*;
use crate::rule::Rule;

#[tokio::test]
async fn an_outage_of_a_clock_that_was_ahead_is_reminded_of_in_time() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(5 * HOUR).await;
    let now = from_millis(HOUR * 1000);
    while life.set_back(now, 1).await.unwrap() > 0 {}
    assert_eq!(life.deliver_all("slack", HOUR).await, [Kind::Down]);
    assert_eq!(life.deliver_all("slack", 2 * HOUR).await, [Kind::Reminder]);
}

/// This happens on a machine that does not know the time until it is connected.
#[tokio::test]
async fn a_clock_that_is_wrong_for_a_while_changes_no_outage() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    let day = 24 * HOUR;
    life.down(40 * day).await;
    assert_eq!(life.deliver_all("slack", 40 * day).await, [Kind::Down]);
    while life.set_back(from_millis(10 * day * 1000), 1).await.unwrap() > 0 {}
    let due = life.lease("slack", 40 * day + HOUR).await;
    let Notification { kind, incident, .. } = &due[0].notification;
    assert_eq!((*kind, incident.opened_at), (Kind::Reminder, from_millis(40 * day * 1000)));
    life.up(40 * day + 2 * HOUR).await;
    let incident = life.store.incident(1).await.unwrap().unwrap().incident;
    assert_eq!(incident.closed_at, Some(from_millis((40 * day + 2 * HOUR) * 1000)));
    assert_eq!(incident.opened_at, from_millis(40 * day * 1000));
}

#[tokio::test]
async fn whom_a_worse_reason_concerns_waits_no_longer_for_a_clock_that_was_ahead() {
    let bad =
        Rule { hold: Some(Duration::from_mins(1)), ..rule("bad", r#"{"reason":"number-blocked"}"#, &["slack"], false) };
    let life = Life::by(bad);
    life.down(5 * HOUR).await;
    while life.set_back(from_millis(HOUR * 1000), 1).await.unwrap() > 0 {}
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, HOUR).await;
    assert_eq!(life.deliver_all("slack", HOUR + 59).await, []);
    assert_eq!(life.deliver_all("slack", HOUR + 60).await, [Kind::Down]);
}

/// They were told that the line is down before that, and it says nothing of who has taken it.
#[tokio::test]
async fn what_was_told_before_the_clock_was_set_back_stands_for_nothing_that_was_lost_after_it() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(5 * HOUR).await;
    assert_eq!(life.deliver_all("slack", 5 * HOUR).await, [Kind::Down]);
    while life.set_back(from_millis(HOUR * 1000), 1).await.unwrap() > 0 {}
    for (second, is_taken) in [(2 * HOUR, false), (2 * HOUR + 100, true)] {
        if is_taken {
            life.store.acknowledge(1, "ana", "a test", from_millis(second * 1000)).await.unwrap();
        }
        let lost_one = life.lease("slack", second).await.remove(0);
        life.settle(&lost_one, second, lost()).await;
        let mut told = life.deliver_all("mail", second).await;
        told.retain(|kind| *kind != Kind::Acknowledged);
        assert_eq!(told, [Kind::Undelivered; 2], "{:?}", lost_one.notification.kind);
    }
}

#[tokio::test]
async fn what_is_told_after_the_clock_was_set_back_stands_for_what_was_lost_before_it() {
    let life = Life::by(Rule { remind: vec![Duration::from_secs(100)], ..to_slack() });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    let reminder = life.lease("slack", 100).await.remove(0);
    life.settle(&reminder, 100, lost()).await;
    while life.set_back(from_millis(50_000), 1).await.unwrap() > 0 {}
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 50).await;
    assert_eq!(life.deliver_all("slack", 50).await, [Kind::Worse]);
    assert_eq!(life.deliver_all("mail", 51).await, []);
}
