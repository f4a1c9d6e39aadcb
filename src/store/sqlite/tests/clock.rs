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
