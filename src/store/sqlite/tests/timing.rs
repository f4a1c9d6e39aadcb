//! Stories: at these seconds this happens, and exactly that is told.

use std::time::Duration;

use linedown_sinks::Notification;

use super::*;
use crate::rule::Rule;
use crate::store::Acknowledgement;
use crate::store::view::SilenceRow;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

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

fn pairs(states: &[(&str, &str)]) -> Vec<(String, String)> {
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
async fn what_is_taken_is_not_mentioned_again() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    life.deliver_all("slack", 1).await;
    life.store.acknowledge(1, "ana", "a test", from_millis(2000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", 3).await, [Kind::Acknowledged]);
    assert_eq!(life.deliver_all("slack", 100 * HOUR).await, []);
    assert_eq!(
        life.states(1).await,
        pairs(&[("down", "delivered"), ("reminder", "withdrawn"), ("acknowledged", "delivered")])
    );
}

/// A reminder, one hour after the outage began, is in hand when somebody takes the outage.
async fn reminded_while_it_is_taken() -> (Life, Due) {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    let reminder = life.lease("slack", HOUR).await.remove(0);
    life.store.acknowledge(1, "ana", "a test", from_millis((HOUR + 1) * 1000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", HOUR + 2).await, [], "nothing is added while it is unknown what they heard");
    (life, reminder)
}

#[tokio::test]
async fn who_has_a_message_on_its_way_when_it_is_taken_hears_of_that_afterwards() {
    for outcome in [Outcome::Delivered("ok".into()), dead()] {
        let (life, reminder) = reminded_while_it_is_taken().await;
        assert!(life.settle(&reminder, HOUR + 4, outcome).await.sinks.contains("slack"));
        assert_eq!(life.deliver_all("slack", HOUR + 4).await, [Kind::Acknowledged]);
        assert_eq!(life.deliver_all("slack", 100 * HOUR).await, []);
    }
}

#[tokio::test]
async fn what_would_be_tried_again_when_it_is_taken_gives_way_to_word_of_that() {
    let (life, reminder) = reminded_while_it_is_taken().await;
    let due_at = from_millis((HOUR + 9) * 1000);
    life.settle(&reminder, HOUR + 4, Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at }).await;
    assert_eq!(life.deliver_all("slack", HOUR + 9).await, [Kind::Acknowledged]);
    assert_eq!(life.deliver_all("slack", 100 * HOUR).await, []);
}

#[tokio::test]
async fn who_hears_first_what_was_on_its_way_when_it_was_taken_hears_of_that_too() {
    let life = Life::with(&["slack"]);
    life.down(0).await;
    let first = life.lease("slack", 1).await.remove(0);
    life.store.acknowledge(1, "ana", "a test", from_millis(2000)).await.unwrap();
    life.settle(&first, 3, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.deliver_all("slack", 4).await, [Kind::Acknowledged]);
}

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
