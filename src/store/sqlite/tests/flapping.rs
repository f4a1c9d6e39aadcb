//! Stories of lines that come and go. Times are in seconds.

use std::time::Duration;

use super::*;
use crate::rule::flapping::Flapping;
use crate::rule::{Rule, Step};
use crate::store::Acknowledgement;

/// More than two outages within 100 seconds are flapping.
fn to_slack() -> Rule {
    let flapping = Some(Flapping { count: 2, within: Duration::from_secs(100) });
    Rule { flapping, ..rule("all", "{}", &["slack"], false) }
}

impl Life {
    /// Down at a moment, and back five seconds later.
    async fn flicker(&self, second: i64) {
        self.down(second).await;
        self.up(second + 5).await;
    }

    /// Two outages, told one by one, and the third, down since the given second.
    async fn begins_to_flap(&self, second: i64) {
        for before in [second - 40, second - 20] {
            self.down(before).await;
            assert_eq!(self.deliver_all("slack", before).await, [Kind::Down]);
            self.up(before + 5).await;
            assert_eq!(self.deliver_all("slack", before + 5).await, [Kind::Resolved]);
        }
        self.down(second).await;
    }
}

#[tokio::test]
async fn one_message_says_that_a_line_flaps_and_one_that_it_is_steady() {
    let life = Life::by(to_slack());
    life.begins_to_flap(40).await;
    let due = life.lease("slack", 40).await;
    let first = due[0].notification.flapping.as_ref().unwrap();
    assert_eq!((due[0].notification.kind, first.outages, first.times.len()), (Kind::Flapping, 3, 3));
    assert_eq!((first.since, first.steady_for), (from_millis(0), Some(100)));
    life.settle(&due[0], 40, Outcome::Delivered("ok".into())).await;
    life.up(45).await;
    for second in [60, 80, 170] {
        assert_eq!(life.deliver_all("slack", second).await, [], "at {second}");
        life.flicker(second).await;
    }
    assert_eq!(life.deliver_all("slack", 274).await, []);
    let due = life.lease("slack", 275).await;
    let tally = due[0].notification.flapping.as_ref().unwrap();
    assert_eq!((due[0].notification.kind, tally.outages, tally.downtime), (Kind::Steady, 6, 30));
    assert_eq!(due[0].notification.incident.closed_at, Some(from_millis(175_000)));
    life.settle(&due[0], 275, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.deliver_all("slack", 100_000).await, [], "nor is any end told");
    assert_eq!(life.states(5).await, [("down".to_owned(), "withdrawn".to_owned())], "each outage can be found");
    life.down(200_000).await;
    assert_eq!(life.deliver_all("slack", 200_000).await, [Kind::Down], "a new one is told as any other");
}

#[tokio::test]
async fn a_line_that_stays_down_after_flapping_is_told_and_treated_as_any_other() {
    let escalate = vec![Step { after: Duration::from_secs(30), notify: vec!["log".into()] }];
    let remind = vec![Duration::from_mins(5)];
    let life = Life::by(Rule { remind, escalate, ..to_slack() });
    life.begins_to_flap(40).await;
    assert_eq!(life.deliver_all("slack", 40).await, [Kind::Flapping]);
    assert_eq!(life.deliver_all("log", 139).await, [], "steps count from when it stays down");
    let due = life.lease("slack", 140).await;
    assert_eq!((due[0].notification.kind, due[0].notification.incident.closed_at), (Kind::Steady, None));
    life.settle(&due[0], 140, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.deliver_all("log", 169).await, []);
    assert_eq!(life.deliver_all("log", 170).await, [Kind::Escalation]);
    assert_eq!(life.deliver_all("slack", 339).await, []);
    assert_eq!(life.deliver_all("slack", 340).await, [Kind::Reminder]);
    life.up(400).await;
    assert_eq!(life.deliver_all("slack", 400).await, [Kind::Resolved]);
    assert_eq!(life.deliver_all("log", 400).await, [Kind::Resolved]);
}

#[tokio::test]
async fn outages_that_a_hold_kept_quiet_count() {
    let life = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() });
    life.flicker(0).await;
    life.flicker(20).await;
    life.down(40).await;
    assert_eq!(life.deliver_all("slack", 40).await, [Kind::Flapping]);
}

#[tokio::test]
async fn flapping_outlives_a_restart() {
    let life = Life::by(to_slack());
    life.begins_to_flap(40).await;
    let life = life.reopened();
    assert_eq!(life.deliver_all("slack", 41).await, [Kind::Flapping]);
    life.up(45).await;
    let life = life.reopened();
    life.flicker(60).await;
    let life = life.reopened();
    assert_eq!(life.deliver_all("slack", 164).await, []);
    assert_eq!(life.deliver_all("slack", 165).await, [Kind::Steady]);
}

#[tokio::test]
async fn a_rule_that_no_longer_looks_for_flapping_still_gives_the_tally() {
    let mut life = Life::by(to_slack());
    life.begins_to_flap(40).await;
    life.deliver_all("slack", 40).await;
    life.up(45).await;
    life.routing = Arc::new(routing(vec![Rule { flapping: None, ..to_slack() }]));
    life.down(60).await;
    assert_eq!(life.deliver_all("slack", 60).await, [Kind::Down]);
    life.up(65).await;
    assert_eq!(life.deliver_all("slack", 200).await, [Kind::Resolved, Kind::Steady]);
}

#[tokio::test]
async fn a_worse_reason_is_told_in_spite_of_flapping() {
    let life = Life::by(to_slack());
    life.begins_to_flap(40).await;
    life.deliver_all("slack", 40).await;
    life.up(45).await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 60).await;
    assert_eq!(life.deliver_all("slack", 60).await, [Kind::Down]);
    life.up(65).await;
    assert_eq!(life.deliver_all("slack", 65).await, [Kind::Resolved]);
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 70).await;
    assert_eq!(life.deliver_all("slack", 70).await, [], "they know");
}

#[tokio::test]
async fn a_reason_that_worsens_is_told_in_spite_of_flapping() {
    let life = Life::by(to_slack());
    life.begins_to_flap(40).await;
    life.deliver_all("slack", 40).await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 50).await;
    let due = life.lease("slack", 50).await;
    assert_eq!((due.len(), due[0].notification.incident.reason), (1, Reason::NumberBlocked));
}

#[tokio::test]
async fn who_takes_a_flapping_line_is_told_to_the_others_and_stops_its_steps() {
    let escalate = vec![Step { after: Duration::from_secs(30), notify: vec!["log".into()] }];
    let life = Life::by(Rule { escalate, ..to_slack() });
    life.begins_to_flap(40).await;
    life.deliver_all("slack", 40).await;
    life.up(45).await;
    life.down(60).await;
    let taken = life.store.acknowledge(4, "ana", "", from_millis(61_000)).await.unwrap();
    assert!(matches!(taken, Acknowledgement::Done(sinks) if sinks.contains("slack")));
    assert_eq!(life.deliver_all("slack", 61).await, [Kind::Acknowledged]);
    assert_eq!(life.deliver_all("slack", 160).await, [Kind::Steady]);
    assert_eq!(life.deliver_all("log", 100_000).await, []);
}

#[tokio::test]
async fn a_silence_holds_back_what_is_said_of_flapping() {
    let life = Life::by(to_slack());
    life.silence("{}", 0, 1000).await;
    for second in [0, 20, 40, 60] {
        life.down(second).await;
        assert_eq!(life.deliver_all("slack", second).await, []);
        life.up(second + 5).await;
    }
    assert_eq!(life.deliver_all("slack", 999).await, []);
    assert_eq!(life.deliver_all("slack", 1000).await, [Kind::Steady], "of both messages the later one says it all");
}

#[tokio::test]
async fn outages_far_apart_are_no_flapping() {
    let life = Life::by(to_slack());
    for second in [0, 60, 120, 180] {
        life.down(second).await;
        assert_eq!(life.deliver_all("slack", second).await, [Kind::Down]);
        life.up(second + 5).await;
        life.deliver_all("slack", second + 5).await;
    }
}

#[tokio::test]
async fn who_takes_a_line_that_flaps_brings_nobody_word_that_it_is_back() {
    let rule = to_slack();
    let life = Life::by(Rule { resolved: true, ..rule });
    life.begins_to_flap(40).await;
    assert_eq!(life.deliver_all("slack", 40).await, [Kind::Flapping]);
    let taken = life.store.acknowledge(3, "ana", "a test", from_millis(41_000)).await.unwrap();
    assert!(matches!(taken, Acknowledgement::Done(_)));
    assert_eq!(life.deliver_all("slack", 41).await, [Kind::Acknowledged]);
    life.up(45).await;
    assert_eq!(life.deliver_all("slack", 45).await, []);
    life.down(60).await;
    assert_eq!(life.deliver_all("slack", 60).await, []);
    assert_eq!(life.deliver_all("slack", 200).await, [Kind::Steady]);
}

#[tokio::test]
async fn a_reason_that_worsens_is_told_of_a_line_that_flaps_and_is_taken() {
    let life = Life::by(to_slack());
    life.begins_to_flap(40).await;
    life.deliver_all("slack", 40).await;
    life.store.acknowledge(3, "ana", "a test", from_millis(41_000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", 41).await, [Kind::Acknowledged]);
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 50).await;
    assert_eq!(life.deliver_all("slack", 50).await, [Kind::Down]);
}

/// A line flaps while the clock is 5000 seconds ahead, and goes on when the clock is right again.
#[tokio::test]
async fn a_clock_that_is_set_back_ends_no_flapping_and_lengthens_none() {
    let life = Life::by(to_slack());
    let change = async |kind, second| {
        // A gateway's clock is not set back with ours.
        let event = Event { gateway_at: None, stamp: None, ..Life::event("A", kind, Reason::Other, second) };
        life.store.accept(event, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
    };
    for second in [5000, 5020, 5040] {
        change(EventKind::Disconnected, second).await;
        life.deliver_all("slack", second).await;
        change(EventKind::Connected, second + 5).await;
        life.deliver_all("slack", second + 5).await;
    }
    while life.set_back(from_millis(70_000), 1).await.unwrap() > 0 {}
    change(EventKind::Disconnected, 80).await;
    assert_eq!(life.deliver_all("slack", 80).await, [], "they know that it flaps");
    change(EventKind::Connected, 85).await;
    assert_eq!(life.deliver_all("slack", 184).await, []);
    assert_eq!(life.deliver_all("slack", 185).await, [Kind::Steady]);
    change(EventKind::Disconnected, 300).await;
    assert_eq!(life.deliver_all("slack", 300).await, [Kind::Down], "as any other");
}
