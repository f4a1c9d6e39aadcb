//! Late arrivals: reports of an outage that is over, and messages about one when the line is down again.

use linedown_sinks::Again;

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
    let again = Again { incident: 2, reason: Reason::SessionExpired, opened_at: from_millis(30_000) };
    let late = life.lease("slack", 60).await.remove(0);
    assert_eq!((late.notification.kind, late.notification.incident.again), (Kind::Resolved, Some(again)));
}

/// During the hold of the newer outage, or if it is somebody else's, that outage is not mentioned: its end would not be
/// told either.
#[tokio::test]
async fn who_is_not_told_of_the_newer_outage_is_told_that_the_line_is_back() {
    let patient = Rule { hold: Some(Duration::from_secs(30)), ..rule("all", "{}", &["slack"], false) };
    let life = Life::by(patient);
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 30).await, [Kind::Down]);
    life.up(40).await;
    life.down(41).await;
    assert_eq!(told(&life, 42).await, [(1, None)]);
    life.up(50).await;
    assert_eq!(life.deliver_all("slack", 100).await, []);
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
