//! The config changes while lines are down: what is pending is what the rules say from then on.

use std::time::Duration;

use super::timing::to_slack;
use super::*;
use crate::rule::tests::Toy;
use crate::rule::{Rule, Step};

/// Tells slack, reminds after each of these seconds, and escalates.
fn all(remind: &[u64], steps: &[(u64, &str)]) -> Rule {
    let step = |(after, sink): &(u64, &str)| Step { after: Duration::from_secs(*after), notify: vec![(*sink).into()] };
    let remind = remind.iter().copied().map(Duration::from_secs).collect();
    Rule { remind, escalate: steps.iter().map(step).collect(), ..to_slack() }
}

impl Life {
    /// Reloads a config.
    async fn reloads(&mut self, second: i64, change: impl FnOnce(&mut Routing)) {
        self.reloaded(change);
        self.store.keep_up(from_millis(second * 1000), Arc::clone(&self.routing)).await.unwrap();
    }

    /// Reloads a config with one rule.
    async fn has(&mut self, second: i64, rule: Rule) {
        self.reloads(second, |routing| routing.rules = vec![rule].into()).await;
    }

    /// Everything that was ever owed, in few words.
    async fn rows(&self) -> Vec<String> {
        let rows = self.store.deliveries(DeliveryQuery::default()).await.unwrap();
        rows.into_iter()
            .map(|row| format!("{} {} {} {} {:?}", row.id, row.sink, row.kind, row.state, row.due_at))
            .collect()
    }
}

#[tokio::test]
async fn a_mistake_that_is_put_right_costs_no_step_and_no_reminder_but_those_that_were_due_meanwhile() {
    let right = all(&[10], &[(15, "log"), (25, "log")]);
    let about_another_line = Rule { matcher: rule("", r#"{"instance":"B"}"#, &[], false).matcher, ..right.clone() };
    for wrong in [vec![], vec![about_another_line], vec![all(&[], &[])], vec![rule("all", "{}", &["mail"], false)]] {
        let mut life = Life::by(right.clone());
        life.down(0).await;
        assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
        life.reloads(5, |routing| routing.rules = wrong.clone().into()).await;
        assert_eq!(life.deliver_all("slack", 12).await, [], "{wrong:?}");
        assert_eq!(life.deliver_all("log", 15).await, [], "{wrong:?}");
        life.has(16, right.clone()).await;
        assert_eq!(life.deliver_all("log", 16).await, [Kind::Escalation], "{wrong:?}");
        assert_eq!(life.deliver_all("slack", 19).await, [], "{wrong:?}");
        assert_eq!(life.deliver_all("slack", 20).await, [Kind::Reminder], "{wrong:?}");
        assert_eq!(life.deliver_all("log", 25).await, [Kind::Escalation], "{wrong:?}");
        assert_eq!(life.deliver_all("slack", 30).await, [Kind::Reminder], "{wrong:?}");
        assert_eq!(life.deliver_all("log", 100).await, [], "{wrong:?}");
    }
}

#[tokio::test]
async fn an_outage_is_reminded_of_as_the_rule_says_since_it_changed() {
    for (former, next) in [(&[][..], 30), (&[3600], 30), (&[28], 28)] {
        let mut life = Life::by(all(former, &[]));
        life.down(0).await;
        assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
        life.has(25, all(&[10], &[])).await;
        assert_eq!(life.deliver_all("slack", next - 1).await, [], "{former:?}");
        assert_eq!(life.deliver_all("slack", next).await, [Kind::Reminder], "{former:?}");
        assert_eq!(life.deliver_all("slack", 40).await, [Kind::Reminder], "{former:?}");
    }
}

/// They are told late, as without a reload.
#[tokio::test]
async fn whom_nothing_has_reached_is_reminded_too_but_not_an_address_that_was_refused() {
    for (outcome, reminded) in [(lost(), 1), (dead(), 0)] {
        let mut life = Life::by(Rule { notify: vec!["mail".into()], ..all(&[], &[]) });
        life.down(0).await;
        let [ana, bia] = life.lease("mail", 0).await.try_into().unwrap();
        life.settle(&ana, 0, outcome).await;
        life.settle(&bia, 0, Outcome::Delivered("ok".into())).await;
        life.has(5, Rule { notify: vec!["mail".into()], ..all(&[10], &[]) }).await;
        let kinds = life.deliver_all("mail", 10).await;
        let late = kinds.iter().filter(|kind| **kind == Kind::Down).count();
        assert_eq!((late, kinds.len()), (reminded, 1 + reminded));
    }
}

/// A step that the rule has no more is not sent; one whose time has passed is sent now.
#[tokio::test]
async fn an_escalation_goes_by_the_steps_that_the_rule_has_since_it_changed() {
    let mut life = Life::by(all(&[], &[(15, "log")]));
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.has(5, all(&[], &[(30, "log"), (3, "slack")])).await;
    assert_eq!(life.deliver_all("slack", 5).await, [Kind::Escalation]);
    assert_eq!(life.deliver_all("log", 15).await, []);
    let withdrawn = DeliveryQuery { state: Some("withdrawn".into()), ..DeliveryQuery::default() };
    let withdrawn = life.store.deliveries(withdrawn).await.unwrap().remove(0);
    assert_eq!(withdrawn.detail.as_deref(), Some("the config no longer has this step for the line"));
    assert_eq!(life.deliver_all("log", 29).await, []);
    assert_eq!(life.deliver_all("log", 30).await, [Kind::Escalation]);
    life.has(40, all(&[], &[(30, "log"), (3, "slack")])).await;
    assert_eq!((life.deliver_all("log", 100).await, life.deliver_all("slack", 100).await), (vec![], vec![]));
}

#[tokio::test]
async fn whoever_was_sent_a_step_is_not_sent_it_again_because_its_time_changes() {
    let mut life = Life::by(all(&[], &[(15, "log")]));
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    assert_eq!(life.deliver_all("log", 15).await, [Kind::Escalation]);
    for after in [10, 30] {
        life.has(20, all(&[], &[(after, "log")])).await;
        assert_eq!(life.deliver_all("log", 100).await, [], "after {after} s");
    }
    life.has(200, all(&[], &[(10, "log"), (300, "log")])).await;
    assert_eq!(life.deliver_all("log", 300).await, [Kind::Escalation], "another one");
}

#[tokio::test]
async fn a_shorter_reminder_applies_by_the_labels_that_the_line_has_now() {
    let mut life = Life::by(all(&[3600], &[]));
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    let named = Rule { matcher: rule("", r#"{"name":"Loja"}"#, &[], false).matcher, ..all(&[30], &[]) };
    life.reloads(5, |routing| {
        routing.inventory.push("A", Some("Loja"), None, &BTreeMap::new());
        routing.rules = vec![Rule { name: "named".into(), ..named }, all(&[3600], &[])].into();
    })
    .await;
    assert_eq!(life.deliver_all("slack", 30).await, [Kind::Reminder]);
}

#[tokio::test]
async fn who_is_only_added_hears_of_later_outages_and_nobody_of_one_that_is_taken_or_over() {
    let mut life = Life::with(&["slack"]);
    for line in ["A", "B", "C"] {
        life.webhook_of(line, EventKind::Disconnected, Reason::Other, 0).await;
    }
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down; 3]);
    life.store.acknowledge(2, "ana", "a test", from_millis(1000)).await.unwrap();
    life.webhook_of("C", EventKind::Connected, Reason::Other, 1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Acknowledged, Kind::Resolved]);
    life.has(5, Rule { notify: vec!["slack".into(), "log".into()], ..all(&[10], &[(10, "mail")]) }).await;
    assert_eq!(life.deliver_all("log", 100).await, []);
    assert_eq!(life.deliver_all("slack", 10).await, [Kind::Reminder]);
    assert_eq!(life.deliver_all("mail", 10).await, [Kind::Escalation; 2]);
}

/// Also if a step was held back meanwhile, or has been tried.
#[tokio::test]
async fn a_config_that_says_the_same_changes_nothing() {
    let rule =
        Rule { group_interval: Duration::from_secs(1), ..all(&[10, 300], &[(0, "mail"), (15, "log"), (20, "log")]) };
    let mut life = Life::by(rule.clone());
    life.down(0).await;
    let mut rows = life.rows().await;
    for second in 0..60 {
        if second == 12 {
            life.silence("{}", 12, 40).await;
        }
        for sink in ["slack", "mail", "log"] {
            for due in life.lease(sink, second).await {
                let outcome = if second == 10 { dead() } else { Outcome::Delivered("ok".into()) };
                life.settle(&due, second, outcome).await;
                rows = life.rows().await;
                life.has(second, rule.clone()).await;
                assert_eq!(life.rows().await, rows, "at {second}");
            }
        }
        rows = life.rows().await;
        life.has(second, rule.clone()).await;
        assert_eq!(life.rows().await, rows, "at {second}");
    }
    let sent: Vec<_> = rows.iter().filter(|row| row.contains("log escalation")).collect();
    assert_eq!(sent.len(), 2, "{rows:?}");
}

/// The inventory names somebody else for the line, and then the former owner again.
#[tokio::test]
async fn labels_name_whom_they_name_now() {
    let mut life = Life::by(Rule { notify: vec!["mail".into()], ..all(&[10], &[]) });
    life.reloaded(|routing| routing.sinks.get_mut("mail").unwrap().settings = Arc::new(Toy(vec!["ana"])));
    life.down(0).await;
    assert_eq!(life.deliver_all("mail", 0).await, [Kind::Down]);
    life.reloads(1, |routing| routing.sinks.get_mut("mail").unwrap().settings = Arc::new(Toy(vec!["bia"]))).await;
    assert_eq!(life.deliver_all("mail", 10).await, [Kind::Down], "bia instead");
    life.reloads(11, |routing| routing.sinks.get_mut("mail").unwrap().settings = Arc::new(Toy(vec!["ana"]))).await;
    assert_eq!(life.deliver_all("mail", 20).await, [Kind::Reminder], "ana");
    assert_eq!(life.deliver_all("mail", 30).await, [Kind::Reminder], "ana");
}
