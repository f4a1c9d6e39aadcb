//! A line gets worse, and several rules name the same recipient: by which of them they hear, and when.

use std::time::Duration;

use super::*;
use crate::rule::{Rule, Step};

use EventKind::Disconnected;
use Reason::{DeviceDisconnected, NumberBlocked};

const HOUR: i64 = 3600;

fn all() -> Rule {
    rule("all", "{}", &["slack"], false)
}

fn banned() -> Rule {
    rule("banned", r#"{"reason":"number-blocked"}"#, &["slack"], false)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn escalating(rule: Rule, sink: &str, after: u64) -> Rule {
    Rule { escalate: vec![Step { after: seconds(after), notify: vec![sink.to_owned()] }], ..rule }
}

impl Life {
    async fn dropped(&self, second: i64) {
        self.webhook(Disconnected, DeviceDisconnected, second).await;
    }

    /// The line is banned. Returns when a sink first has something to do because of it.
    async fn banned(&self, sink: &str, second: i64) -> Option<i64> {
        let accepted = self.webhook(Disconnected, NumberBlocked, second).await;
        accepted.sinks.get(sink).map(|due_at| due_at.as_second())
    }

    async fn latest(&self) -> crate::store::view::Delivery {
        self.store.deliveries(DeliveryQuery::default()).await.unwrap().remove(0)
    }
}

fn again(second: i64) -> Outcome {
    Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(second * 1000) }
}

#[tokio::test]
async fn a_ban_is_heard_in_quiet_hours_by_its_critical_rule_whatever_was_told_before() {
    let critical = || Rule { critical: true, ..banned() };
    for rules in [vec![critical(), all()], vec![Rule { goes_on: true, ..all() }, critical()]] {
        let held = Life::by_rules(rules.clone()).at_night();
        held.dropped(HOUR).await;
        assert_eq!(held.deliver_all("slack", HOUR).await, []);
        assert_eq!(held.banned("slack", HOUR + 5).await, Some(HOUR + 5), "its worker is woken");
        assert_eq!(held.deliver_all("slack", HOUR + 5).await, [Kind::Down]);
        assert_eq!(held.latest().await.rule, "banned");

        let told = Life::by_rules(rules.clone());
        told.dropped(HOUR).await;
        assert_eq!(told.deliver_all("slack", HOUR).await, [Kind::Down]);
        let told = told.at_night();
        told.banned("slack", HOUR + 5).await;
        assert_eq!(told.latest().await.rule, "banned");
        assert_eq!(told.deliver_all("slack", HOUR + 5).await, [Kind::Worse]);

        let at_once = Life::by_rules(rules).at_night();
        at_once.banned("slack", HOUR).await;
        assert_eq!(at_once.deliver_all("slack", HOUR).await, [Kind::Down]);
    }
}

#[tokio::test]
async fn quiet_hours_go_on_holding_back_what_no_critical_rule_sends() {
    let life = Life::by_rules(vec![banned(), all()]).at_night();
    life.dropped(HOUR).await;
    assert_eq!(life.deliver_all("slack", HOUR).await, []);
    assert_eq!(life.banned("slack", HOUR + 5).await, None);
    life.up(HOUR + 10).await;
    assert_eq!(life.deliver_all("slack", 8 * HOUR).await, [], "it was back before they ended");
}

#[tokio::test]
async fn whoever_waits_is_woken_when_a_worse_reason_makes_it_due() {
    let life = Life::by_rules(vec![banned(), Rule { hold: Some(seconds(600)), ..all() }]);
    life.dropped(1).await;
    assert_eq!(life.banned("slack", 5).await, Some(5));
    assert_eq!(life.deliver_all("slack", 5).await, [Kind::Down]);

    let later =
        Life::by_rules(vec![Rule { hold: Some(seconds(60)), ..banned() }, Rule { hold: Some(seconds(600)), ..all() }]);
    later.dropped(1).await;
    assert_eq!(later.banned("slack", 5).await, Some(61));
    assert_eq!(later.latest().await.held_by.as_deref(), Some("hold of 1m"));
    assert_eq!(later.deliver_all("slack", 61).await, [Kind::Down]);

    let gathered = Life::by_rules(vec![banned(), Rule { group_interval: seconds(60), ..all() }]);
    gathered.webhook_of("B", Disconnected, DeviceDisconnected, 1).await;
    assert_eq!(gathered.deliver_all("slack", 1).await, [Kind::Down]);
    gathered.dropped(2).await;
    assert_eq!(gathered.deliver_all("slack", 3).await, []);
    assert_eq!(gathered.banned("slack", 5).await, Some(5), "the other rule tells each by itself");
    assert_eq!(gathered.deliver_all("slack", 5).await, [Kind::Down]);
}

#[tokio::test]
async fn a_silence_frees_what_it_is_not_about_any_more() {
    let rule = Rule { remind: vec![seconds(20)], ..escalating(all(), "mail", 10) };
    let life = Life::by_rules(vec![rule]);
    life.dropped(0).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    life.silence(r#"{"reason":"device-disconnected"}"#, 2, HOUR).await;
    assert_eq!(life.deliver_all("mail", 10).await, []);
    assert_eq!(life.deliver_all("slack", 20).await, []);
    assert_eq!(life.banned("mail", 30).await, Some(30));
    assert_eq!(life.deliver_all("mail", 30).await, [Kind::Escalation, Kind::Escalation]);
    assert_eq!(life.deliver_all("slack", 30).await, [Kind::Worse]);
    assert_eq!(life.deliver_all("slack", 40).await, [Kind::Reminder]);
}

#[tokio::test]
async fn nobody_is_escalated_to_twice_by_two_rules() {
    let first = || Rule { goes_on: true, ..escalating(banned(), "log", 10) };
    let both = Life::by_rules(vec![first(), escalating(all(), "log", 10)]);
    both.banned("slack", 0).await;
    assert_eq!(both.deliver_all("log", 10).await, [Kind::Escalation]);

    let each = Life::by_rules(vec![first(), escalating(all(), "log", 20)]);
    each.banned("slack", 0).await;
    assert_eq!(each.deliver_all("log", 10).await, [Kind::Escalation]);
    assert_eq!(each.deliver_all("log", 20).await, [Kind::Escalation], "at another time it is another step");

    let worse = Life::by_rules(vec![escalating(banned(), "log", 10), escalating(all(), "log", 10)]);
    worse.dropped(0).await;
    assert_eq!(worse.deliver_all("log", 10).await, [Kind::Escalation]);
    worse.banned("log", 20).await;
    assert_eq!(worse.deliver_all("log", 20).await, [Kind::Worse]);
    assert_eq!(worse.deliver_all("log", HOUR).await, []);
}

#[tokio::test]
async fn a_worse_reason_brings_steps_that_no_rule_had_before() {
    let life = Life::by_rules(vec![escalating(banned(), "log", 10), escalating(all(), "log", 60)]);
    life.dropped(0).await;
    life.banned("log", 5).await;
    assert_eq!(life.deliver_all("log", 10).await, [Kind::Escalation]);
    assert_eq!(life.deliver_all("log", 60).await, [Kind::Escalation]);
}

/// Whether the first message was delivered, in hand, tried in vain or given up when the line got worse.
#[tokio::test]
async fn when_a_line_gets_worse_the_rules_for_that_remind_and_tell_the_end() {
    let strict = Rule { remind: vec![seconds(30)], ..banned() };
    let lax = Rule { resolved: false, ..all() };
    for when in ["delivered", "in hand", "tried", "given up"] {
        let life = Life::by_rules(vec![strict.clone(), lax.clone()]);
        life.dropped(0).await;
        let due = life.lease("slack", 1).await.remove(0);
        let end = async |outcome| life.settle(&due, 7, outcome).await;
        match when {
            "delivered" => _ = end(Outcome::Delivered("ok".into())).await,
            "tried" => _ = end(again(9)).await,
            "given up" => _ = end(dead()).await,
            _ => {}
        }
        life.banned("slack", 8).await;
        if when == "in hand" {
            end(Outcome::Delivered("ok".into())).await;
        }
        let told = if matches!(when, "tried" | "given up") { Kind::Down } else { Kind::Worse };
        assert_eq!(life.deliver_all("slack", 10).await, [told], "{when}");
        assert_eq!(life.deliver_all("slack", 30).await, [Kind::Reminder], "{when}");
        assert_eq!(life.deliver_all("slack", 60).await, [Kind::Reminder], "{when}");
        life.up(70).await;
        assert_eq!(life.deliver_all("slack", 70).await, [Kind::Resolved], "{when}");
    }
}

/// Whether the rule that matches only now names them, or one that named them before.
#[tokio::test]
async fn whom_nothing_has_reached_is_told_when_it_gets_worse() {
    for rules in [vec![all()], vec![Rule { goes_on: true, ..banned() }, all()]] {
        let life = Life::by_rules(rules);
        life.dropped(0).await;
        life.settle(&life.lease("slack", 1).await.remove(0), 1, lost()).await;
        life.banned("slack", 5).await;
        let due = life.lease("slack", 5).await.remove(0);
        assert_eq!((due.notification.kind, due.notification.incident.reason), (Kind::Down, NumberBlocked));
        life.settle(&due, 5, again(10)).await;
        life.webhook(Disconnected, NumberBlocked, 7).await;
        assert_eq!(life.deliver_all("slack", 10).await, [Kind::Down], "once");
        life.up(20).await;
        assert_eq!(life.deliver_all("slack", 20).await, [Kind::Resolved]);
    }
}

#[tokio::test]
async fn of_several_rules_for_one_person_the_strictest_counts() {
    let slow = Rule { hold: Some(seconds(5)), goes_on: true, resolved: false, ..all() };
    let fast = Rule { remind: vec![seconds(7)], ..rule("fast", "{}", &["slack"], false) };
    let life = Life::by_rules(vec![slow, fast]);
    life.dropped(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    assert_eq!(life.latest().await.rule, "fast");
    assert_eq!(life.deliver_all("slack", 7).await, [Kind::Reminder]);
    life.up(8).await;
    assert_eq!(life.deliver_all("slack", 8).await, [Kind::Resolved]);
}

#[tokio::test]
async fn a_reminder_that_could_not_be_sent_is_not_sent_once_somebody_has_taken_it() {
    for in_hand in [false, true] {
        let life = Life::by(Rule { remind: vec![seconds(10)], ..all() });
        life.dropped(0).await;
        assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
        let due = life.lease("slack", 10).await.remove(0);
        assert_eq!(due.notification.kind, Kind::Reminder);
        let taken = async || life.store.acknowledge(1, "ana", "a test", from_millis(12_000)).await.unwrap();
        if in_hand {
            taken().await;
        }
        life.settle(&due, 12, again(20)).await;
        if !in_hand {
            taken().await;
        }
        let told_at = if in_hand { 20 } else { 12 };
        assert_eq!(life.deliver_all("slack", told_at).await, [Kind::Acknowledged], "in hand: {in_hand}");
        assert_eq!(life.deliver_all("slack", HOUR).await, [], "in hand: {in_hand}");
        assert_eq!(life.states(1).await[1], ("reminder".to_owned(), "withdrawn".to_owned()));
        life.up(2 * HOUR).await;
        assert_eq!(life.deliver_all("slack", 2 * HOUR).await, [Kind::Resolved]);
    }
}

/// `log` stands in for the sink that has left the config, because it comes first by name.
#[tokio::test]
async fn who_stands_in_for_a_sink_that_is_gone_hears_the_end_once() {
    let gone = |life: Life| {
        let mut sinks = life.routing.sinks.clone();
        sinks.remove("slack");
        let rules = vec![rule("all", "{}", &["log"], false)].into();
        Life { routing: Arc::new(Routing { rules, sinks, ..(*life.routing).clone() }), ..life }
    };
    let life = Life::by(Rule { remind: vec![seconds(10)], ..all() });
    life.dropped(0).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    let life = gone(life);
    let due = life.lease("slack", 10).await.remove(0);
    life.settle(&due, 10, dead()).await;
    assert_eq!(life.deliver_all("log", 10).await, [Kind::Undelivered]);
    life.up(20).await;
    assert_eq!(life.lease("slack", 20).await.len(), 0);
    assert_eq!(life.deliver_all("log", 20).await, [Kind::Resolved]);
    let echoes =
        DeliveryQuery { sink: Some("slack".into()), state: Some("withdrawn".into()), ..DeliveryQuery::default() };
    let left_out = life.store.deliveries(echoes).await.unwrap();
    assert_eq!(left_out.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["resolved"], "to be found");

    let nobody_else_knows = Life::by(all());
    nobody_else_knows.dropped(0).await;
    nobody_else_knows.deliver_all("slack", 1).await;
    let life = gone(nobody_else_knows);
    life.up(20).await;
    let due = life.lease("slack", 20).await.remove(0);
    life.settle(&due, 20, dead()).await;
    assert_eq!(life.deliver_all("log", 20).await, [Kind::Undelivered]);
}

#[tokio::test]
async fn patience_with_what_was_gathered_begins_when_it_is_due_sooner() {
    let gathering = Rule { group_interval: seconds(600), ..all() };
    let life = Life::by_rules(vec![banned(), gathering]);
    life.webhook_of("B", Disconnected, DeviceDisconnected, 0).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    life.dropped(10).await;
    assert_eq!(life.banned("slack", 20).await, Some(20));
    for second in [20, 30] {
        let due = life.lease("slack", second).await.remove(0);
        assert_eq!((due.owed_at.as_second(), i64::from(due.tries)), (20, (second - 10) / 10));
        life.settle(&due, second, again(second + 10)).await;
    }
}

/// A reminder says that all was reported before.
#[tokio::test]
async fn a_ban_that_comes_while_a_reminder_fails_is_told_as_news() {
    let life = Life::by(Rule { remind: vec![seconds(60)], ..all() });
    life.dropped(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    assert_eq!(life.fails("slack", 60, 70).await, 1);
    life.banned("slack", 65).await;
    assert_eq!(life.deliver_all("slack", 70).await, [Kind::Worse]);
    assert_eq!(life.deliver_all("slack", 71).await, []);
    assert_eq!(life.deliver_all("slack", 120).await, [Kind::Reminder]);
}

#[tokio::test]
async fn a_reminder_is_none_of_the_news_that_another_message_still_brings() {
    let life = Life::by(Rule { remind: vec![seconds(60)], ..all() });
    life.dropped(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.banned("slack", 5).await;
    assert_eq!(life.fails("slack", 5, 70).await, 1);
    assert_eq!(life.deliver_all("slack", 60).await, [Kind::Reminder]);
    assert_eq!(life.deliver_all("slack", 70).await, [Kind::Worse]);
}
