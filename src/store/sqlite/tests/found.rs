//! Bugs that generated stories found, each told once more by hand.

use std::time::Duration;

use super::*;
use crate::rule::{Rule, Step};

const MINUTE: u64 = 60;

fn to_log() -> Rule {
    rule("all", "{}", &["log"], false)
}

fn step(after: u64, sink: &str) -> Step {
    Step { after: Duration::from_secs(after), notify: vec![sink.to_owned()] }
}

fn again(second: i64) -> Outcome {
    Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(second * 1000) }
}

#[tokio::test]
async fn who_hears_by_rule_and_by_step_hears_of_the_end_once() {
    let life = Life::by(Rule { escalate: vec![step(MINUTE, "log")], ..to_log() });
    life.down(0).await;
    assert_eq!(life.deliver_all("log", 1).await, [Kind::Down]);
    life.up(61).await;
    assert_eq!(life.deliver_all("log", 62).await, [Kind::Escalation], "it was due, and says both");
    assert_eq!(life.deliver_all("log", 100_000).await, []);
}

#[tokio::test]
async fn two_messages_in_hand_when_the_line_is_back_lead_to_one_end() {
    let remind = vec![Duration::from_secs(2 * MINUTE)];
    let life = Life::by(Rule { escalate: vec![step(MINUTE, "log")], remind, ..to_log() });
    life.down(0).await;
    assert_eq!(life.deliver_all("log", 1).await, [Kind::Down]);
    let mut both = life.lease("log", 61).await;
    both.append(&mut life.lease("log", 121).await);
    assert_eq!(both.len(), 2);
    life.up(122).await;
    for due in &both {
        life.settle(due, 123, Outcome::Delivered("ok".into())).await;
    }
    assert_eq!(life.deliver_all("log", 124).await, [Kind::Resolved]);
}

#[tokio::test]
async fn a_step_that_is_given_up_does_not_take_the_end_with_it() {
    let life = Life::by(Rule { escalate: vec![step(MINUTE, "log")], ..to_log() });
    life.down(0).await;
    life.deliver_all("log", 1).await;
    let due = life.lease("log", 61).await;
    life.up(62).await;
    life.settle(&due[0], 63, dead()).await;
    assert_eq!(life.deliver_all("log", 64).await, [Kind::Resolved]);
}

#[tokio::test]
async fn a_dead_letter_is_no_end_of_reminders() {
    let life = Life::by(Rule { remind: vec![Duration::from_secs(MINUTE)], ..to_log() });
    life.down(0).await;
    for second in [1, 61] {
        let due = life.lease("log", second).await;
        life.settle(&due[0], second, dead()).await;
    }
    assert_eq!(life.deliver_all("log", 121).await, [Kind::Down], "they were never told");
}

#[tokio::test]
async fn an_outage_heard_of_late_that_was_over_within_the_hold_is_not_told() {
    let hold = Some(Duration::from_secs(MINUTE));
    let life = Life::by(Rule { hold, escalate: vec![step(900, "slack")], ..to_log() });
    life.up(30).await;
    let mut late = Life::event("A", EventKind::Disconnected, Reason::Other, 10);
    late.received_at = from_millis(40_000);
    let accepted = life.store.accept(late, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
    assert_eq!((accepted.change, accepted.owed), ("missed", 0));
    assert_eq!(life.deliver_all("log", 100_000).await, []);
    assert_eq!(life.deliver_all("slack", 100_000).await, []);
    assert_eq!(life.states(1).await.len(), 2, "and it can be seen why");
}

#[tokio::test]
async fn a_worse_reason_concerns_those_who_only_had_a_later_step() {
    let banned = rule("banned", r#"{"reason":"number-blocked"}"#, &["slack"], false);
    let rest = Rule { escalate: vec![step(900, "slack")], ..to_log() };
    let mut life = Life::by(to_log());
    life.routing = Arc::new(routing(vec![banned, rest]));
    life.down(0).await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 5).await;
    assert_eq!(life.deliver_all("slack", 6).await, [Kind::Down]);
}

#[tokio::test]
async fn a_worse_reason_brings_the_steps_of_its_rule() {
    let banned = rule("banned", r#"{"reason":"number-blocked"}"#, &["log"], false);
    let banned = Rule { escalate: vec![step(MINUTE, "slack")], ..banned };
    let mut life = Life::by(to_log());
    life.routing = Arc::new(routing(vec![banned, to_log()]));
    life.down(0).await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 5).await;
    assert_eq!(life.deliver_all("slack", 60).await, [Kind::Escalation]);
}

#[tokio::test]
async fn a_shorter_hold_of_another_rule_counts() {
    let hold = |second| Some(Duration::from_secs(second));
    let banned = Rule { hold: hold(30), ..rule("banned", r#"{"reason":"number-blocked"}"#, &["log"], false) };
    let mut life = Life::by(to_log());
    life.routing = Arc::new(routing(vec![banned, Rule { hold: hold(300), ..to_log() }]));
    life.down(0).await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 5).await;
    assert_eq!(life.deliver_all("log", 29).await, []);
    assert_eq!(life.deliver_all("log", 30).await, [Kind::Down]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_window_open() {
    let life = Life::by(Rule { group_interval: Duration::from_secs(MINUTE), ..to_log() });
    life.down(100_000).await;
    life.deliver_all("log", 100_000).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 50_000).await;
    assert_eq!(life.deliver_all("log", 50_000).await, [Kind::Down]);
}

#[tokio::test]
async fn a_reminder_that_failed_says_no_end_that_nobody_wants() {
    let life = Life::by(Rule { remind: vec![Duration::from_secs(MINUTE)], resolved: false, ..to_log() });
    life.down(0).await;
    life.deliver_all("log", 1).await;
    let due = life.lease("log", 60).await;
    life.settle(&due[0], 61, again(70)).await;
    life.up(65).await;
    assert_eq!(life.deliver_all("log", 70).await, []);
    assert_eq!(life.states(1).await[1], ("reminder".to_owned(), "withdrawn".to_owned()));
}
