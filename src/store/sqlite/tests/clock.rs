//! Clocks that are wrong for a while.

use std::time::Duration;

use linedown_sinks::Notification;

use super::timing::{HOUR, MINUTE, to_slack};
use super::*;
use crate::rule::{Rule, Step};
use crate::store::view::SilenceRow;

const DAY: i64 = 24 * HOUR;

impl Life {
    async fn set_back_to(&self, second: i64) {
        while self.set_back(from_millis(second * 1000), 1).await.unwrap() > 0 {}
    }

    /// Delivers everything that is due at a second, each within some seconds, and returns the kinds of the messages.
    async fn deliver_in(&self, seconds: i64, second: i64) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for due in self.lease("slack", second).await {
            self.settle(&due, second + seconds, Outcome::Delivered("ok".into())).await;
            kinds.push(due.notification.kind);
        }
        kinds
    }
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
    life.set_back_to(HOUR).await;
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
    life.set_back_to(HOUR).await;
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
    life.set_back_to(50).await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 50).await;
    assert_eq!(life.deliver_all("slack", 50).await, [Kind::Worse]);
    assert_eq!(life.deliver_all("mail", 51).await, []);
}

/// The first message was delivered, and says nothing of when the clock is that late again.
#[tokio::test]
async fn a_step_waits_no_longer_for_a_clock_that_was_ahead() {
    let step = Step { after: Duration::from_mins(15), notify: vec!["log".into()] };
    let life = Life::by(Rule { escalate: vec![step], ..to_slack() });
    life.down(5 * HOUR).await;
    assert_eq!(life.deliver_all("slack", 5 * HOUR + 1).await, [Kind::Down]);
    life.set_back_to(HOUR).await;
    assert_eq!(life.deliver_all("log", HOUR + 15 * MINUTE - 1).await, []);
    assert_eq!(life.deliver_all("log", HOUR + 15 * MINUTE).await, [Kind::Escalation]);
}

#[tokio::test]
async fn reminders_after_the_clock_was_set_back_are_as_far_apart_as_ever() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1), Duration::from_hours(4)], ..to_slack() });
    life.down(40 * DAY).await;
    assert_eq!(life.deliver_all("slack", 40 * DAY).await, [Kind::Down]);
    life.set_back_to(10 * DAY).await;
    for hour in 1..=16 {
        let expected: &[Kind] = if [1, 4, 8, 12, 16].contains(&hour) { &[Kind::Reminder] } else { &[] };
        assert_eq!(life.deliver_all("slack", 10 * DAY + hour * HOUR).await, expected, "after {hour} h");
    }
}

/// A message takes its time to arrive, so that what follows it was written down later than it was.
#[tokio::test]
async fn no_reminder_comes_twice_after_the_clock_was_set_back() {
    for set_back_to in [10 * DAY, 40 * DAY] {
        let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
        life.down(40 * DAY).await;
        assert_eq!(life.deliver_in(1, 40 * DAY).await, [Kind::Down]);
        life.set_back_to(set_back_to).await;
        for hour in 1..=3 {
            let at = set_back_to + hour * HOUR;
            assert_eq!(life.deliver_in(1, at - 1).await, [], "{hour} h after {set_back_to}");
            assert_eq!(life.deliver_in(1, at).await, [Kind::Reminder], "{hour} h after {set_back_to}");
        }
    }
}

#[tokio::test]
async fn a_silence_that_was_in_force_still_is_after_the_clock_was_set_back() {
    let life = Life::by(to_slack());
    life.silence("{}", 40 * DAY, 40 * DAY + HOUR).await;
    let planned = SilenceRow { made_at: from_millis(40 * DAY * 1000), ..planned(41 * DAY) };
    life.store.add_silence(planned).await.unwrap();
    life.set_back_to(10 * DAY).await;
    life.down(10 * DAY + MINUTE).await;
    assert_eq!(life.deliver_all("slack", 10 * DAY + HOUR - 1).await, []);
    assert_eq!(life.deliver_all("slack", 10 * DAY + HOUR).await, [Kind::Down]);
    let silences = life.store.silences(from_millis(0)).await.unwrap();
    let times: Vec<_> = silences.iter().map(|row| (row.starts_at.as_second(), row.ends_at.as_second())).collect();
    assert_eq!(times, [(41 * DAY, 41 * DAY + HOUR), (10 * DAY, 10 * DAY + HOUR)], "what is planned stays");
}

/// On a machine that does not know the time until it is connected.
#[tokio::test]
async fn what_a_clock_that_was_behind_made_wait_waits_for_as_long_as_it_was_to() {
    let life = Life::by(Rule { hold: Some(Duration::from_hours(1)), ..to_slack() });
    life.webhook_of("before", EventKind::Disconnected, Reason::Other, DAY).await;
    life.silence(r#"{"instance":"C"}"#, 40 * DAY, 40 * DAY + 2 * HOUR).await;
    life.set_back_to(10 * DAY).await;
    for line in ["B", "C"] {
        life.webhook_of(line, EventKind::Disconnected, Reason::Other, 10 * DAY).await;
    }
    let at = |second: i64| from_millis(second * 1000);
    let (until, by) = (10 * DAY + HOUR / 2, Duration::from_hours(30 * 24));
    life.store.set_ahead(at(10 * DAY), at(until), by).await.unwrap();
    let now = 40 * DAY + HOUR / 2;
    assert_eq!(life.deliver_all("slack", now).await, [Kind::Down], "the one from before");
    assert_eq!(life.deliver_all("slack", now + HOUR / 2 - 1).await, []);
    assert_eq!(life.deliver_all("slack", now + HOUR / 2).await, [Kind::Down], "B");
    assert_eq!(life.deliver_all("slack", 40 * DAY + 2 * HOUR - 1).await, []);
    assert_eq!(life.deliver_all("slack", 40 * DAY + 2 * HOUR).await, [Kind::Down], "the one that is silenced");
}

/// The second step finds where the first has put it.
#[tokio::test]
async fn a_clock_that_is_set_ahead_in_two_steps_makes_nothing_wait_for_too_short_a_time() {
    let life = Life::by(Rule { hold: Some(Duration::from_hours(1)), ..to_slack() });
    life.down(10 * DAY).await;
    let at = |second: i64| from_millis(second * 1000);
    let days = |days: u32| Duration::from_hours(24) * days;
    life.store.set_ahead(at(10 * DAY), at(10 * DAY + 10), days(1)).await.unwrap();
    life.store.set_ahead(at(10 * DAY), at(11 * DAY + 20), days(29)).await.unwrap();
    assert_eq!(life.deliver_all("slack", 40 * DAY + HOUR - 1).await, []);
    assert_eq!(life.deliver_all("slack", 40 * DAY + HOUR).await, [Kind::Down]);
}

/// It is the config that has changed, and the clock was right.
#[tokio::test]
async fn what_is_gathered_for_less_time_than_before_lay_in_no_future() {
    let gathering = |interval| Rule { group_interval: interval, ..to_slack() };
    let life = Life::by(gathering(Duration::from_hours(1)));
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 1).await;
    let life = Life { routing: Arc::new(routing(vec![gathering(Duration::from_secs(10))])), ..life };
    let freed = Corrected { freed: 1, ..Corrected::default() };
    assert_eq!(life.corrected(from_millis(2000), 10).await.unwrap(), freed);
    assert_eq!(life.corrected(from_millis(2000), 10).await.unwrap(), Corrected::default());
}

#[tokio::test]
async fn correcting_tells_by_how_much_the_clock_was_ahead() {
    let life = Life::by(to_slack());
    for (line, second) in [("A", 40 * DAY), ("B", 41 * DAY), ("C", 0)] {
        life.webhook_of(line, EventKind::Disconnected, Reason::Other, second).await;
    }
    let corrected = life.corrected(from_millis(10 * DAY * 1000), 1).await.unwrap();
    let by = Duration::from_hours(31 * 24);
    assert_eq!(corrected, Corrected { ahead: 4, freed: 0, by }, "two lines, and a notification of each");
}

/// A silence from a second on, for an hour.
fn planned(second: i64) -> SilenceRow {
    let at = |second: i64| from_millis(second * 1000);
    SilenceRow {
        id: 0,
        matcher: serde_json::json!({}),
        starts_at: at(second),
        ends_at: at(second + HOUR),
        comment: String::new(),
        made_by: "ana".into(),
        made_at: at(second),
    }
}
