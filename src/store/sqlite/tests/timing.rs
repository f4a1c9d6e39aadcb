//! Stories: at these seconds this happens, and exactly that is told.

use std::time::Duration;

use super::*;
use crate::rule::Rule;
use crate::store::Acknowledgement;
use crate::store::view::SilenceRow;

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 3600;

pub(super) fn to_slack() -> Rule {
    rule("all", "{}", &["slack"], false)
}

impl Life {
    pub(super) async fn states(&self, incident: i64) -> Vec<(String, String)> {
        let story = self.store.incident(incident).await.unwrap().unwrap();
        story.deliveries.into_iter().map(|delivery| (delivery.kind, delivery.state)).collect()
    }

    pub(super) async fn silence(&self, matcher: &str, from: i64, to: i64) -> i64 {
        let at = |second: i64| from_millis(second * 1000);
        let row = SilenceRow {
            id: 0,
            matcher: serde_json::from_str(matcher).unwrap(),
            starts_at: at(from),
            ends_at: at(to),
            comment: String::new(),
            made_by: "ana".into(),
            made_at: at(from),
        };
        self.store.add_silence(row).await.unwrap()
    }

    pub(super) async fn storm(&self, lines: std::ops::Range<i64>, kind: EventKind, second: i64) {
        for line in lines {
            self.webhook_of(&format!("line {line}"), kind, Reason::Other, second).await;
        }
    }
}

pub(super) fn pairs(states: &[(&str, &str)]) -> Vec<(String, String)> {
    states.iter().map(|(kind, state)| ((*kind).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn back_within_the_hold_tells_nobody() {
    let life = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() });
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 60).await, []);
    life.up(60).await;
    assert_eq!(life.deliver_all("slack", HOUR).await, []);
    assert_eq!(life.states(1).await, pairs(&[("down", "withdrawn")]));
}

#[tokio::test]
async fn still_down_after_the_hold_is_told() {
    let life = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() });
    life.down(1).await;
    let life = life.reopened();
    assert_eq!(life.deliver_all("slack", 61).await, [Kind::Down]);
    life.up(70).await;
    assert_eq!(life.deliver_all("slack", 71).await, [Kind::Resolved]);
}

#[tokio::test]
async fn a_ban_does_not_wait_for_the_hold_of_another_rule() {
    let banned = rule("banned", r#"{"reason":"number-blocked"}"#, &["slack"], false);
    let rest = Rule { hold: Some(Duration::from_mins(10)), ..to_slack() };
    let mut life = Life::by(rest.clone());
    life.routing = Arc::new(routing(vec![banned, rest]));
    life.down(1).await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 5).await;
    let due = life.lease("slack", 6).await;
    assert_eq!((due.len(), due[0].notification.incident.reason), (1, Reason::NumberBlocked));
}

#[tokio::test]
async fn reminders_until_it_is_over() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1), Duration::from_hours(4)], ..to_slack() });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    for (second, expected) in [
        (HOUR - 1, vec![]),
        (HOUR, vec![Kind::Reminder]),
        (4 * HOUR, vec![Kind::Reminder]),
        (8 * HOUR, vec![Kind::Reminder]),
    ] {
        assert_eq!(life.deliver_all("slack", second).await, expected, "at {second}");
    }
    life.up(9 * HOUR).await;
    assert_eq!(life.deliver_all("slack", 9 * HOUR).await, [Kind::Resolved]);
    assert_eq!(life.deliver_all("slack", 100 * HOUR).await, []);
}

#[tokio::test]
async fn a_daemon_that_was_away_reminds_once() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    life.deliver_all("slack", 1).await;
    let life = life.reopened();
    assert_eq!(life.deliver_all("slack", 50 * HOUR + 1).await, [Kind::Reminder]);
    assert_eq!(life.deliver_all("slack", 50 * HOUR + 2).await, []);
    assert_eq!(life.deliver_all("slack", 51 * HOUR).await, [Kind::Reminder]);
}

#[tokio::test]
async fn escalation_runs_until_somebody_takes_it() {
    let step =
        |minutes, sink: &str| crate::rule::Step { after: Duration::from_mins(minutes), notify: vec![sink.to_owned()] };
    let life = Life::by(Rule { escalate: vec![step(15, "mail"), step(30, "log")], ..to_slack() });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    assert_eq!(life.deliver_all("mail", 15 * MINUTE - 1).await, []);
    assert_eq!(life.deliver_all("mail", 15 * MINUTE).await, [Kind::Escalation, Kind::Escalation]);
    let taken = life.store.acknowledge(1, "ana", "a test", from_millis(16 * MINUTE * 1000)).await.unwrap();
    assert!(matches!(taken, Acknowledgement::Done(sinks) if sinks.len() == 2));
    assert_eq!(life.deliver_all("log", HOUR).await, [], "the next step is withdrawn");
    assert_eq!(life.deliver_all("slack", HOUR).await, [Kind::Acknowledged]);
    let again = life.store.acknowledge(1, "bia", "a test", from_millis(HOUR * 1000)).await.unwrap();
    assert_eq!(again, Acknowledgement::Already("ana".into()));
    life.up(2 * HOUR).await;
    assert_eq!(life.deliver_all("mail", 2 * HOUR).await.last(), Some(&Kind::Resolved));
    assert_eq!(life.store.acknowledge(1, "bia", "a test", from_millis(0)).await.unwrap(), Acknowledgement::Over);
    assert_eq!(life.store.acknowledge(9, "bia", "a test", from_millis(0)).await.unwrap(), Acknowledgement::Unknown);
}

#[tokio::test]
async fn a_silence_holds_back_until_it_ends() {
    let life = Life::with(&["slack"]);
    life.silence(r#"{"instance":"A"}"#, 0, 100).await;
    life.down(1).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 1).await;
    let due = life.lease("slack", 2).await;
    assert_eq!((due.len(), due[0].notification.incident.instance.id.as_str()), (1, "B"));
    assert_eq!(life.deliver_all("slack", 99).await, []);
    assert_eq!(life.deliver_all("slack", 100).await, [Kind::Down]);
}

#[tokio::test]
async fn what_is_over_before_the_silence_ends_is_not_told_but_findable() {
    let life = Life::with(&["slack"]);
    life.silence("{}", 0, 100).await;
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 2).await, []);
    life.up(50).await;
    assert_eq!(life.deliver_all("slack", 200).await, []);
    assert_eq!(life.states(1).await, pairs(&[("down", "withdrawn")]));
}

#[tokio::test]
async fn a_silence_that_is_ended_gives_back_what_it_held() {
    let life = Life::with(&["slack"]);
    let id = life.silence("{}", 0, 1000).await;
    life.down(1).await;
    life.lease("slack", 2).await;
    let sinks = life.store.end_silence(id, from_millis(10_000)).await.unwrap();
    assert_eq!(sinks, Some(BTreeSet::from(["slack".to_owned()])));
    assert_eq!(life.deliver_all("slack", 10).await, [Kind::Down]);
    assert_eq!(life.store.end_silence(id, from_millis(11_000)).await.unwrap(), None);
}

#[tokio::test]
async fn a_silence_that_is_not_understood_holds_nothing_back() {
    let life = Life::with(&["slack"]);
    // One by a later version, one with a reason that this version lacks, and one that does not read as it was written.
    life.silence(r#"{"city":"Recife"}"#, 0, 100).await;
    life.silence(r#"{"instance":"A","reason":"sim-swapped"}"#, 0, 100).await;
    let broken = life.silence("{}", 0, 100).await;
    let breaks = "UPDATE silence SET matcher = '{' WHERE id = ?";
    life.store.writer.write(move |connection| connection.execute(breaks, [broken])).await.unwrap();
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 2).await, [Kind::Down]);
}

/// This happens when a sink is down for hours.
#[tokio::test]
async fn what_waited_out_its_hold_is_pending_until_it_is_delivered() {
    let life = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() });
    let pending = async |second: i64| life.store.tally(from_millis(second * 1000)).await.unwrap().pending;
    life.down(0).await;
    assert_eq!(pending(59).await, 0, "it is held");
    assert_eq!(pending(60).await, 1);
    life.deliver_all("slack", 61).await;
    assert_eq!(pending(62).await, 0);
}

#[tokio::test]
async fn what_a_person_sets_free_waits_for_nothing_any_more() {
    let life = Life::with(&["slack"]);
    let only = async || life.store.deliveries(DeliveryQuery::default()).await.unwrap().remove(0);
    let silence = life.silence("{}", 0, 1000).await;
    life.down(1).await;
    life.lease("slack", 2).await;
    let held = only().await;
    assert_eq!((held.held_by, held.due_at), (Some(format!("silence {silence}")), Some(from_millis(1_000_000))));
    life.store.end_silence(silence, from_millis(10_000)).await.unwrap();
    let free = only().await;
    assert_eq!((free.due_at, free.owed_at), (Some(from_millis(10_000)), from_millis(10_000)));
    assert_eq!(
        life.store.end_silence(silence, from_millis(11_000)).await.unwrap(),
        None,
        "nothing is left to be freed"
    );
    assert_eq!(life.deliver_all("slack", 12).await, [Kind::Down]);
    assert_eq!(only().await.held_by, None);
}

#[tokio::test]
async fn quiet_hours_hold_back_what_is_not_critical() {
    for (critical, at_once) in [(false, vec![]), (true, vec![Kind::Down])] {
        let life = Life::by(Rule { critical, ..to_slack() }).at_night();
        life.down(HOUR).await;
        assert_eq!(life.deliver_all("slack", HOUR).await, at_once);
        let rest = if critical { vec![] } else { vec![Kind::Down] };
        assert_eq!(life.deliver_all("slack", 7 * HOUR).await, rest);
    }
}
