//! Late arrivals: reports of an outage that is over, and messages about one when the line is down again.

use linedown_sinks::{Again, Besides};

use super::*;
use crate::rule::Rule;

use EventKind::Disconnected;

#[tokio::test]
async fn a_report_of_the_outage_that_is_over_belongs_to_it() {
    let life = Life::with(&["slack"]);
    life.down(10).await;
    life.up(30).await;
    life.deliver_all("slack", 30).await;
    let late = Event { received_at: from_millis(40_000), ..Life::event("A", Disconnected, Reason::NumberBlocked, 20) };
    let late = life.store.accept(late, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
    assert_eq!((late.change, late.incident, late.owed), ("repeated", Some(1), 0));
    assert_eq!(life.store.incident(1).await.unwrap().unwrap().events.len(), 3);
    assert_eq!(life.down(50).await.change, "opened");
}

/// A report from before the last outage does not make its own outage the last one.
#[tokio::test]
async fn a_report_of_the_last_outage_belongs_to_it_whatever_came_late_before() {
    let life = Life::with(&["slack"]);
    life.down(600).await;
    life.up(1200).await;
    life.deliver_all("slack", 1200).await;
    for (reported, change, incident) in [(300, "missed", Some(2)), (900, "repeated", Some(1))] {
        let late = Life::event("A", Disconnected, Reason::Other, reported);
        let late = Event { received_at: from_millis(1_300_000), ..late };
        let late = life.store.accept(late, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
        assert_eq!((late.change, late.incident), (change, incident));
    }
    let missed = life.store.incident(2).await.unwrap().unwrap().incident;
    assert_eq!(missed.closed_at, Some(from_millis(600_000)), "it was over when the next one began");
}

/// What the messages of a lease say of the line: their incident, and the one that goes on now.
async fn told(life: &Life, second: i64) -> Vec<(i64, Option<i64>)> {
    let due = life.lease("slack", second).await;
    let told = due.iter().map(|due| {
        let incident = &due.notification.incident;
        (incident.id, incident.again.as_ref().map(|again| again.incident))
    });
    told.collect()
}

#[tokio::test]
async fn good_news_that_is_late_says_that_the_line_is_down_again() {
    let life = Life::with(&["slack"]);
    life.down(10).await;
    assert_eq!(life.deliver_all("slack", 10).await, [Kind::Down]);
    life.up(20).await;
    let resolved = life.lease("slack", 20).await.remove(0);
    assert_eq!(resolved.notification.incident.again, None);
    let failed = Outcome::Again { kind: FailureKind::Busy, why: "busy".into(), due_at: from_millis(60_000) };
    life.settle(&resolved, 21, failed).await;
    life.webhook(Disconnected, Reason::SessionExpired, 30).await;
    assert_eq!(told(&life, 30).await, [(2, None)]);
    let (reason, opened_at) = (Reason::SessionExpired, from_millis(30_000));
    let again = Again { incident: 2, reason, opened_at, besides: Besides::Told };
    let late = life.lease("slack", 60).await.remove(0);
    assert_eq!((late.notification.kind, late.notification.incident.again), (Kind::Resolved, Some(again)));
}

/// What a message says of the line's next outage.
fn besides(due: &Due) -> Option<Besides> {
    due.notification.incident.again.as_ref().map(|again| again.besides)
}

/// Nobody is told that a line is connected while it is down, be it during the hold of the newer outage, or if that is
/// somebody else's.
#[tokio::test]
async fn who_is_not_told_of_the_newer_outage_is_not_told_that_the_line_is_connected() {
    let patient = Rule { hold: Some(Duration::from_secs(30)), ..rule("all", "{}", &["slack"], false) };
    let life = Life::by(patient);
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 30).await, [Kind::Down]);
    life.up(40).await;
    life.down(41).await;
    let end = life.lease("slack", 42).await.remove(0);
    assert_eq!((end.notification.kind, besides(&end)), (Kind::Resolved, Some(Besides::Nothing)));
    assert_eq!((end.notification.acknowledge_url, end.notification.reconnect_url), (None, None));
    life.up(50).await;

    let bans = Rule { hold: None, ..rule("bans", r#"{"reason":"number-blocked"}"#, &["log"], false) };
    let life = Life::by_rules(vec![bans, rule("all", "{}", &["slack"], false)]);
    life.webhook(Disconnected, Reason::NumberBlocked, 0).await;
    assert_eq!(life.deliver_all("log", 1).await, [Kind::Down]);
    life.up(10).await;
    life.down(11).await;
    let end = life.lease("log", 12).await.remove(0);
    assert_eq!((end.notification.kind, besides(&end)), (Kind::Resolved, Some(Besides::Nothing)));
    life.up(13).await;
    assert_eq!(life.deliver_all("log", 100).await, []);
}

/// The links of a message that is the first news of the newer outage lead to that one.
#[tokio::test]
async fn who_could_not_be_told_of_the_newer_outage_can_take_it_from_the_message_about_the_former() {
    let mut life = Life::with(&["slack"]);
    let routing = Routing { public_url: Some("https://alerts.example.com".into()), ..(*life.routing).clone() };
    life.routing = Arc::new(routing);
    life.down(10).await;
    assert_eq!(life.deliver_all("slack", 10).await, [Kind::Down]);
    life.up(20).await;
    let end = life.lease("slack", 20).await.remove(0);
    let busy = Outcome::Again { kind: FailureKind::Busy, why: "busy".into(), due_at: from_millis(60_000) };
    life.settle(&end, 21, busy).await;
    life.webhook(Disconnected, Reason::SessionExpired, 30).await;
    let down = life.lease("slack", 30).await.remove(0);
    life.settle(&down, 31, Outcome::Dead { kind: FailureKind::Refused, why: "no".into() }).await;
    let late = life.lease("slack", 60).await.remove(0);
    assert_eq!((late.notification.kind, besides(&late)), (Kind::Resolved, Some(Besides::GivenUp)));
    let link = late.notification.acknowledge_url.clone().expect("a link");
    let token = link.rsplit('/').next().unwrap();
    let linked =
        life.store.linked(crate::link::Purpose::Acknowledge, token, from_millis(61_000)).await.unwrap().unwrap();
    assert_eq!((linked.incident, linked.recipient), (2, late.notification.recipient.clone()));
    let busy = Outcome::Again { kind: FailureKind::Busy, why: "busy".into(), due_at: from_millis(90_000) };
    life.settle(&late, 61, busy).await;
    life.store.acknowledge(2, "ana", "a test", from_millis(62_000)).await.unwrap();
    let end = life.lease("slack", 90).await.into_iter().find(|due| due.notification.kind == Kind::Resolved).unwrap();
    assert_eq!((besides(&end), end.notification.acknowledge_url), (Some(Besides::Nothing), None));
}

#[tokio::test]
async fn what_is_amiss_besides_is_over_although_the_line_is_down() {
    let life = Life::with(&["slack"]);
    let found = |kind, second: i64| {
        let event = Event::found(("z-api", "A"), kind, Reason::WebhookDrift, None, from_millis(second * 1000));
        Event { asked_at: Some(from_millis((second - 1) * 1000)), ..event }
    };
    for (kind, second) in [(Disconnected, 10), (EventKind::Connected, 20)] {
        life.store.accept(found(kind, second), "{}".into(), Arc::clone(&life.routing)).await.unwrap();
    }
    life.down(15).await;
    assert_eq!(told(&life, 20).await, [(1, None), (2, None)]);
}

#[tokio::test]
async fn what_is_gathered_is_not_late_and_what_is_sent_again_is() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(5), ..rule("all", "{}", &["slack"], false) });
    let down = async |line: &str, second| life.webhook_of(line, Disconnected, Reason::Other, second).await;
    let promised = |due: &Due| (due.notification.created_at.as_second(), due.owed_at.as_second());
    down("A", 10).await;
    assert_eq!(life.deliver_all("slack", 10).await, [Kind::Down]);
    down("B", 20).await;
    let gathered = life.lease("slack", 310).await.remove(0);
    assert_eq!(promised(&gathered), (310, 310), "it was to be sent at the end of the window");
    life.settle(&gathered, 311, Outcome::Dead { kind: FailureKind::Refused, why: "no".into() }).await;
    let again = Which::These(gathered.covers);
    life.store.retry(again, from_millis(90_000_000), Arc::clone(&life.routing), Pauses::new()).await.unwrap();
    assert_eq!(promised(&life.lease("slack", 90_000).await.remove(0)), (310, 90_000), "patience begins anew");
}
