//! Notices: what asking the gateway found, and what is wrong with a line besides an outage.

use super::*;

impl Life {
    /// Accepts what was found at a second, by asking one second before.
    async fn found(&self, kind: EventKind, reason: Reason, second: i64) -> Accepted {
        let event = Event::found(("z-api", "A"), kind, reason, Some("words"), from_millis(second * 1000));
        let event = Event { asked_at: Some(from_millis((second - 1) * 1000)), ..event };
        self.store.accept(event, "{}".into(), Arc::clone(&self.routing)).await.unwrap()
    }

    async fn is_open(&self, reason: Reason) -> bool {
        let all = self.store.open_lines("z-api", reason, None).await.unwrap();
        let among = self.store.open_lines("z-api", reason, Some(vec!["A".into(), "B".into()])).await.unwrap();
        assert_eq!(all, among);
        all.contains("A")
    }
}

use EventKind::{Connected, Disconnected, Unwatched};
use Reason::{Expiring, Other, SessionExpired, WebhookDrift};

#[tokio::test]
async fn what_webhook_and_watch_both_report_is_one_incident() {
    let life = Life::with(&["slack"]);
    assert_eq!(life.found(Disconnected, SessionExpired, 10).await.change, "opened");
    assert_eq!(life.deliver_all("slack", 10).await, [Kind::Down]);
    assert_eq!(life.down(11).await.change, "repeated");
    let again = life.found(Disconnected, SessionExpired, 70).await;
    assert_eq!((again.change, again.event, again.owed), ("nothing", 0, 0));
    let story = life.store.incident(1).await.unwrap().unwrap();
    assert!(story.incident.found && story.events[0].found && !story.events[1].found);
    assert_eq!((story.events.len(), story.deliveries.len()), (2, 1), "what is no news is not kept");
    assert_eq!(life.found(Connected, Other, 130).await.change, "closed");
    assert_eq!(life.deliver_all("slack", 130).await, [Kind::Resolved]);
    assert_eq!(life.found(Connected, Other, 190).await.event, 0);
}

#[tokio::test]
async fn an_answer_that_a_webhook_has_overtaken_is_no_news() {
    let life = Life::with(&["slack"]);
    life.down(10).await;
    assert_eq!(life.found(Connected, Other, 11).await.change, "nothing", "it was asked before the webhook came");
    assert_eq!(life.found(Connected, Other, 12).await.change, "closed");
    life.up(20).await;
    assert_eq!(life.found(Disconnected, Other, 21).await.change, "nothing");
    assert_eq!(life.found(Disconnected, Other, 22).await.change, "opened");
}

#[tokio::test]
async fn what_is_amiss_stands_beside_an_outage() {
    let life = Life::with(&["slack"]);
    for reason in [WebhookDrift, Expiring] {
        assert_eq!(life.found(Disconnected, reason, 5).await.change, "opened");
        assert_eq!(life.found(Disconnected, reason, 6).await.change, "nothing");
    }
    assert!(life.is_open(WebhookDrift).await && life.is_open(Expiring).await && !life.is_open(Other).await);
    assert_eq!(life.down(10).await.change, "opened", "an outage is not swallowed");
    assert!(life.is_open(Other).await);
    assert_eq!(life.store.tally(from_millis(0)).await.unwrap().down, 1, "a line is down once");
    assert_eq!(life.up(20).await.change, "closed");
    assert!(life.is_open(WebhookDrift).await, "a connect does not mend what is registered");
    assert_eq!(life.found(Connected, WebhookDrift, 30).await.change, "closed");
    assert!(!life.is_open(WebhookDrift).await && life.is_open(Expiring).await);
}

#[tokio::test]
async fn what_nobody_watches_any_more_ends_and_is_told_as_that() {
    let life = Life::with(&["slack"]);
    for (second, end, unwatched) in [(10, Unwatched, true), (20, Connected, false)] {
        life.found(Disconnected, WebhookDrift, second).await;
        assert_eq!(life.deliver_all("slack", second).await, [Kind::Down]);
        assert_eq!(life.found(end, WebhookDrift, second + 5).await.change, "closed");
        let told = life.lease("slack", second + 5).await;
        assert_eq!(told.iter().map(|told| told.notification.incident.unwatched).collect::<Vec<_>>(), [unwatched]);
        let row = life.store.incident(told[0].notification.incident.id).await.unwrap().unwrap().incident;
        assert_eq!(row.unwatched, unwatched);
    }
    assert_eq!(life.found(Unwatched, WebhookDrift, 40).await.event, 0, "there is nothing to end");
}

#[tokio::test]
async fn what_is_amiss_never_counts_as_flapping() {
    let mut rule = rule("all", "{}", &["slack"], false);
    rule.flapping = Some(crate::rule::flapping::Flapping { count: 2, within: Duration::from_secs(1000) });
    rule.group_interval = Duration::ZERO;
    let life = Life::by(rule);
    for second in [10, 20, 30, 40] {
        life.found(Disconnected, WebhookDrift, second).await;
        assert_eq!(life.deliver_all("slack", second).await, [Kind::Down]);
        life.found(Connected, WebhookDrift, second + 5).await;
        assert_eq!(life.deliver_all("slack", second + 5).await, [Kind::Resolved]);
    }
    life.down(50).await;
    assert_eq!(life.deliver_all("slack", 50).await, [Kind::Down], "its first outage");
}

#[tokio::test]
async fn asking_finds_what_happens_after_the_clock_was_set_back() {
    let life = Life::with(&["slack"]);
    for line in ["A", "B", "C"] {
        life.webhook_of(line, Connected, Other, 10_000).await;
    }
    assert_eq!(life.set_back(from_millis(1_000_000), 1).await.unwrap(), 3, "one line after the other");
    assert_eq!(life.found(Disconnected, SessionExpired, 1002).await.change, "opened");
}
