//! The config changes while a line is down: who is reminded then, and which silences hold the line.

use std::time::Duration;

use super::timing::to_slack;
use super::*;
use crate::rule::inventory::Inventory;
use crate::rule::tests::Toy;
use crate::rule::{Rule, Step};
use crate::store::RecipientPauses;

impl Life {
    /// Changes the config.
    pub(super) fn reloaded(&mut self, change: impl FnOnce(&mut Routing)) {
        let mut routing = (*self.routing).clone();
        change(&mut routing);
        self.routing = Arc::new(routing);
    }

    /// Takes the quiet hours out of the config.
    pub(super) async fn without_quiet_hours(mut self, second: i64) -> Self {
        self.reloaded(|routing| routing.quiet.clear());
        self.store.hold_again(from_millis(second * 1000), Arc::clone(&self.routing)).await.unwrap();
        self
    }

    /// Delivers what is due: to whom, and what.
    async fn sent(&self, sink: &str, second: i64) -> Vec<(String, Kind)> {
        let mut sent = Vec::new();
        for due in self.lease(sink, second).await {
            self.settle(&due, second, Outcome::Delivered("ok".into())).await;
            sent.push((due.notification.recipient, due.notification.kind));
        }
        sent.sort_by(|one, other| one.0.cmp(&other.0));
        sent
    }

    async fn details(&self, sink: &str, state: &str) -> Vec<Option<String>> {
        let query = DeliveryQuery { sink: Some(sink.into()), state: Some(state.into()), ..DeliveryQuery::default() };
        self.store.deliveries(query).await.unwrap().into_iter().map(|row| row.detail).collect()
    }
}

fn pairs(sent: &[(&str, Kind)]) -> Vec<(String, Kind)> {
    sent.iter().map(|(to, kind)| ((*to).to_owned(), *kind)).collect()
}

fn reminding(sinks: &[&str]) -> Rule {
    Rule { remind: vec![Duration::from_secs(10)], ..rule("all", "{}", sinks, false) }
}

/// The line `A` with a label.
fn labelled(key: &str, value: &str) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.push("A", Some("Loja"), None, &BTreeMap::from([(key.to_owned(), value.to_owned())]));
    inventory
}

const NOT_NAMED: &str = "the config no longer names this recipient for the line";

#[tokio::test]
async fn who_is_no_longer_a_recipient_is_told_of_the_end_only_and_who_is_now_is_told_late() {
    let mut life = Life::by(reminding(&["mail"]));
    life.down(0).await;
    assert_eq!(life.sent("mail", 0).await, pairs(&[("ana", Kind::Down), ("bia", Kind::Down)]));
    let to = Arc::new(Toy(vec!["bia", "cid"]));
    life.reloaded(|routing| routing.sinks.get_mut("mail").unwrap().settings = to);
    assert_eq!(life.sent("mail", 10).await, pairs(&[("bia", Kind::Reminder), ("cid", Kind::Down)]));
    assert_eq!(life.details("mail", "withdrawn").await, [Some(NOT_NAMED.to_owned())]);
    assert_eq!(life.sent("mail", 20).await, pairs(&[("bia", Kind::Reminder), ("cid", Kind::Reminder)]));
    life.up(25).await;
    let everybody = ["ana", "bia", "cid"].map(|name| (name, Kind::Resolved));
    assert_eq!(life.sent("mail", 25).await, pairs(&everybody));
}

/// It would be refused again.
#[tokio::test]
async fn an_address_that_was_refused_is_not_told_again_when_another_is_replaced() {
    let mut life = Life::by(reminding(&["mail"]));
    life.down(0).await;
    for due in life.lease("mail", 0).await {
        let outcome = if due.notification.recipient == "ana" { dead() } else { Outcome::Delivered("ok".into()) };
        life.settle(&due, 0, outcome).await;
    }
    let to = Arc::new(Toy(vec!["ana", "cid"]));
    life.reloaded(|routing| routing.sinks.get_mut("mail").unwrap().settings = to);
    assert_eq!(life.sent("mail", 10).await, pairs(&[("cid", Kind::Down)]));
}

/// A step that is passed on tells those who could not be told. Those who will be reminded hear it from that.
#[tokio::test]
async fn whom_nothing_has_reached_is_told_once_when_the_config_changes() {
    for remind in [vec![], vec![Duration::from_secs(10)]] {
        let step = |sink: &str| Step { after: Duration::from_secs(10), notify: vec![sink.to_owned()] };
        let rule =
            |to| Rule { escalate: vec![step(to)], remind: remind.clone(), ..rule("all", "{}", &["mail"], false) };
        let mut life = Life::by(rule("log"));
        life.down(0).await;
        for due in life.lease("mail", 0).await {
            life.settle(&due, 0, lost()).await;
        }
        life.reloaded(|routing| routing.rules = vec![rule("slack")].into());
        assert_eq!(life.deliver_all("log", 10).await, []);
        assert_eq!(life.sent("mail", 10).await, pairs(&[("ana", Kind::Down), ("bia", Kind::Down)]), "{remind:?}");
    }
}

#[tokio::test]
async fn a_sink_that_a_rule_no_longer_notifies_is_not_reminded_and_the_one_instead_is_woken() {
    let mut life = Life::by(reminding(&["slack", "log"]));
    life.down(0).await;
    assert_eq!(
        (life.deliver_all("slack", 0).await, life.deliver_all("log", 0).await),
        (vec![Kind::Down], vec![Kind::Down])
    );
    life.reloaded(|routing| routing.rules = vec![reminding(&["slack", "mail"])].into());
    let leased = life
        .store
        .lease("log", 10, RecipientPauses::new(), from_millis(10_000), Arc::clone(&life.routing))
        .await
        .unwrap();
    assert_eq!((leased.due.len(), leased.next), (0, None));
    assert_eq!(leased.sinks, BTreeSet::from(["mail".to_owned()]));
    assert_eq!(life.deliver_all("mail", 10).await, [Kind::Down, Kind::Down]);
    assert_eq!(life.deliver_all("slack", 10).await, [Kind::Reminder]);
    life.up(15).await;
    assert_eq!(life.deliver_all("log", 15).await, [Kind::Resolved]);
}

/// The reminder is withdrawn, because the news that it is worse stands for it.
#[tokio::test]
async fn the_one_instead_is_woken_also_if_the_last_reminder_has_nothing_left_to_say() {
    let mut life = Life::by(Rule { name: "former".into(), ..reminding(&["slack"]) });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 5).await;
    life.reloaded(|routing| routing.rules = vec![reminding(&["log"])].into());
    let now = from_millis(10_000);
    let leased = life.store.lease("slack", 10, RecipientPauses::new(), now, Arc::clone(&life.routing)).await.unwrap();
    let kinds: Vec<Kind> = leased.due.iter().map(|due| due.notification.kind).collect();
    assert_eq!((kinds, leased.sinks), (vec![Kind::Worse], BTreeSet::from(["log".to_owned()])));
    let why = "another message at the same time tells them of it";
    assert_eq!(life.details("slack", "withdrawn").await, [Some(why.to_owned())]);
    assert_eq!(life.deliver_all("log", 10).await, [Kind::Down]);
}

/// Nobody is left to be reminded, so that would not be found out later.
#[tokio::test]
async fn who_is_named_instead_is_told_when_the_first_message_by_a_former_rule_is_settled() {
    for outcome in [Outcome::Delivered("ok".into()), lost()] {
        let mut life = Life::by(Rule { name: "former".into(), ..reminding(&["slack"]) });
        life.down(0).await;
        assert_eq!(life.fails("slack", 0, 12).await, 1);
        life.reloaded(|routing| routing.rules = vec![reminding(&["log"])].into());
        let first = life.lease("slack", 12).await.remove(0);
        let settled = life.settle(&first, 12, outcome).await;
        assert!(settled.sinks.contains("log"), "{settled:?}");
        assert_eq!(life.deliver_all("log", 12).await, [Kind::Down]);
        assert_eq!(life.deliver_all("log", 20).await, [Kind::Reminder]);
        assert_eq!(life.deliver_all("slack", 20).await, []);
    }
}

#[tokio::test]
async fn a_reminder_is_not_the_last_if_others_are_reminded_instead() {
    let mut life = Life::by(Rule { name: "former".into(), ..reminding(&["slack"]) });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    for (rules, last) in [(vec![reminding(&["log"])], 0), (vec![rule("all", "{}", &["log"], false)], 1), (vec![], 1)] {
        life.reloaded(|routing| routing.rules = rules.into());
        assert_eq!(life.store.last_reminders(Arc::clone(&life.routing)).await.unwrap().len(), last);
    }
}

#[tokio::test]
async fn a_step_goes_to_whom_the_rule_names_when_it_is_due() {
    let step = |sink: &str| Step { after: Duration::from_mins(1), notify: vec![sink.to_owned()] };
    let rule = |sink| Rule { escalate: vec![step(sink)], ..to_slack() };
    let mut life = Life::by(rule("log"));
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.reloaded(|routing| routing.rules = vec![rule("mail")].into());
    assert_eq!(life.deliver_all("log", 60).await, []);
    assert_eq!(life.details("log", "withdrawn").await, [Some(NOT_NAMED.to_owned())]);
    assert_eq!(life.deliver_all("mail", 60).await, [Kind::Escalation, Kind::Escalation]);
}

/// The rule named them for the reason that the outage had before, and still would.
#[tokio::test]
async fn a_rule_for_the_former_reason_still_names_whom_it_named_then() {
    let dropped = Rule { goes_on: true, ..rule("dropped", r#"{"reason":"other"}"#, &["log"], false) };
    let step = Step { after: Duration::from_mins(1), notify: vec!["mail".to_owned()] };
    let dropped = Rule { escalate: vec![step], remind: vec![Duration::from_secs(100)], ..dropped };
    let life = Life::by_rules(vec![dropped, to_slack()]);
    life.down(0).await;
    assert_eq!(life.deliver_all("log", 0).await, [Kind::Down]);
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 5).await;
    assert_eq!(life.deliver_all("log", 5).await, [Kind::Worse]);
    assert_eq!(life.deliver_all("mail", 60).await, [Kind::Escalation, Kind::Escalation]);
    assert_eq!(life.deliver_all("log", 100).await, [Kind::Reminder]);
}

#[tokio::test]
async fn labels_name_recipients_as_they_are_when_a_reminder_is_due() {
    let mut life = Life::by(reminding(&["mail"]));
    let to = Arc::new(Toy(vec!["label owner"]));
    life.reloaded(|routing| {
        routing.sinks.get_mut("mail").unwrap().settings = to;
        routing.inventory = labelled("owner", "ana");
    });
    life.down(0).await;
    assert_eq!(life.sent("mail", 0).await, pairs(&[("ana", Kind::Down)]));
    life.reloaded(|routing| routing.inventory = labelled("owner", "bia"));
    assert_eq!(life.sent("mail", 10).await, pairs(&[("bia", Kind::Down)]));
    life.reloaded(|routing| routing.inventory = Inventory::default());
    assert_eq!(life.sent("mail", 20).await, pairs(&[]), "what it was called in the beginning names ana");
    assert_eq!(life.sent("mail", 21).await, pairs(&[]));
}

/// Whoever makes a silence during an outage uses the words of today.
#[tokio::test]
async fn a_silence_holds_a_line_by_what_it_was_called_in_the_beginning_and_by_what_it_is_called_now() {
    for (matcher, held) in [
        (r#"{"labels":{"customer":"acme"}}"#, true),
        (r#"{"labels":{"customer":"beta"}}"#, true),
        (r#"{"name":"Loja"}"#, true),
        (r#"{"labels":{"customer":"other"}}"#, false),
    ] {
        let mut life = Life::by(reminding(&["slack"]));
        life.reloaded(|routing| routing.inventory = labelled("customer", "acme"));
        life.down(0).await;
        assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
        life.reloaded(|routing| routing.inventory = labelled("customer", "beta"));
        life.silence(matcher, 1, 100).await;
        let told = if held { vec![] } else { vec![Kind::Reminder] };
        assert_eq!(life.deliver_all("slack", 10).await, told, "{matcher}");
        assert_eq!(life.deliver_all("slack", 100).await, [Kind::Reminder], "{matcher}");
    }
}

/// Who was never told is told all the same, late.
#[tokio::test]
async fn a_rule_that_no_longer_reminds_sends_no_last_reminder() {
    for told in [true, false] {
        let mut life = Life::by(reminding(&["slack"]));
        life.down(0).await;
        let first = life.lease("slack", 0).await.remove(0);
        life.settle(&first, 0, if told { Outcome::Delivered("ok".into()) } else { lost() }).await;
        life.reloaded(|routing| routing.rules = vec![to_slack()].into());
        if !told {
            assert_eq!(life.deliver_all("slack", 10).await, [Kind::Down]);
            continue;
        }
        assert_eq!(life.deliver_all("slack", 10).await, []);
        let why = "the config no longer says that this recipient is reminded";
        assert_eq!(life.details("slack", "withdrawn").await, [Some(why.to_owned())]);
        life.up(15).await;
        assert_eq!(life.deliver_all("slack", 15).await, [Kind::Resolved]);
    }
}
