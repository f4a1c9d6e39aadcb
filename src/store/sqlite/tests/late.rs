//! A message says what held it back, and lists what is new before what was told already.

use std::time::Duration;

use super::timing::to_slack;
use super::*;
use crate::rule::Rule;

const HOUR: i64 = 3600;

/// Whether it was told in the end, or withdrawn.
#[tokio::test]
async fn what_held_something_back_is_told_when_that_is_over() {
    let silenced = |until| async move {
        let life = Life::with(&["slack"]);
        life.silence("{}", 0, until).await;
        life
    };
    let quiet = "quiet hours \"night\"";
    let held = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() });
    for (life, back_at, expected) in [
        (silenced(100).await, None, "ok; silence 1 held it back before"),
        (silenced(100).await, Some(50), "silence 1 held it until the line was back"),
        (Life::with(&["slack"]).at_night(), None, &format!("ok; {quiet} held it back before")),
        (Life::with(&["slack"]).at_night(), Some(50), &format!("{quiet} held it until the line was back")),
        (held, Some(50), "the line was back within the hold of 1m"),
        (
            Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() }),
            None,
            "ok; hold of 1m held it back before",
        ),
    ] {
        life.down(1).await;
        assert_eq!(life.deliver_all("slack", 2).await, []);
        if let Some(second) = back_at {
            life.up(second).await;
        }
        life.deliver_all("slack", 8 * HOUR).await;
        let delivery = life.store.incident(1).await.unwrap().unwrap().deliveries.remove(0);
        let tried = delivery.attempts.unwrap().pop().and_then(|attempt| attempt.detail);
        assert_eq!(tried.or(delivery.detail).as_deref(), Some(expected), "{}", delivery.state);
    }
}

/// Waiting for a group, unlike a silence, does not end with the outage: the recipient still hears of it.
#[tokio::test]
async fn what_held_something_back_is_told_also_if_it_is_gathered_then() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    life.silence(r#"{"instance":"A"}"#, 0, 30).await;
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 1).await, []);
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 20).await;
    assert_eq!(life.deliver_all("slack", 20).await, [Kind::Down]);
    assert_eq!(life.deliver_all("slack", 30).await, []);
    let only = async || life.store.incident(1).await.unwrap().unwrap().deliveries.remove(0);
    let gathered = only().await;
    assert_eq!((gathered.held_by, gathered.due_at), (None, Some(from_millis(80_000))), "nothing but its group");
    life.up(40).await;
    assert_eq!(only().await.state, "pending");
    let fails = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(90_000) };
    let due = life.lease("slack", 80).await.remove(0);
    life.settle(&due, 80, fails).await;
    assert_eq!(life.deliver_all("slack", 90).await, [Kind::Down]);
    let tried: Vec<_> = only().await.attempts.unwrap().into_iter().filter_map(|attempt| attempt.detail).collect();
    assert_eq!(tried, ["busy: 503; silence 1 held it back before", "ok"]);
}

/// Also when the silence is ended early, and in a second try.
#[tokio::test]
async fn a_message_carries_what_held_it_back() {
    use linedown_sinks::{HeldBack, Holder};
    let carried = async |life: &Life, second: i64| life.lease("slack", second).await.remove(0);
    let held = |by, name: &str, until: Option<i64>| {
        Some(HeldBack { by, name: name.into(), until: until.map(|second| from_millis(second * 1000)) })
    };
    let on_hold = Life::by(Rule { hold: Some(Duration::from_mins(5)), ..to_slack() });
    let silenced = Life::with(&["slack"]);
    silenced.silence("{}", 0, 100).await;
    let night = Life::with(&["slack"]).at_night();
    for (life, second, expected) in [
        (on_hold, 300, held(Holder::Hold, "5m", Some(300))),
        (silenced, 100, held(Holder::Silence, "1", Some(100))),
        (night, 7 * HOUR, held(Holder::QuietHours, "night", Some(7 * HOUR))),
    ] {
        life.down(0).await;
        assert_eq!(life.deliver_all("slack", 0).await, []);
        let due = carried(&life, second).await;
        assert_eq!(due.notification.held_back, expected);
        let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: due.notification.at };
        life.settle(&due, second, again).await;
        let kept = carried(&life, second).await.notification.held_back.map(|held| (held.by, held.name));
        assert_eq!(kept, expected.map(|held| (held.by, held.name)));
    }
    let ended = Life::with(&["slack"]);
    let silence = ended.silence("{}", 0, 1000).await;
    ended.down(1).await;
    assert_eq!(ended.deliver_all("slack", 1).await, []);
    ended.store.end_silence(silence, from_millis(50_000)).await.unwrap();
    assert_eq!(carried(&ended, 50).await.notification.held_back, held(Holder::Silence, "1", Some(50)));
}

#[tokio::test]
async fn a_reminder_is_owed_when_it_is_due() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    life.deliver_all("slack", 1).await;
    assert_eq!(life.deliver_all("slack", HOUR).await, [Kind::Reminder]);
    let reminder = life.store.incident(1).await.unwrap().unwrap().deliveries.remove(1);
    let at = |second: i64| from_millis(second * 1000);
    assert_eq!((reminder.created_at, reminder.owed_at, reminder.settled_at), (at(1), at(HOUR), Some(at(HOUR))));
}

/// The digest reminds of more outages than any list shows.
#[tokio::test]
async fn a_new_outage_comes_before_what_is_reminded_of_in_a_digest() {
    let hour = Duration::from_hours(1);
    let life = Life::by(Rule { remind: vec![hour], group_interval: Duration::from_mins(1), ..to_slack() });
    life.storm(0..50, EventKind::Disconnected, 0).await;
    life.deliver_all("slack", 0).await;
    life.webhook_of("new", EventKind::Disconnected, Reason::Other, HOUR).await;
    let due = life.lease("slack", HOUR).await.remove(0).notification;
    let items: Vec<_> = due.items.iter().map(|item| (item.kind, item.incident.instance.id.as_str())).collect();
    assert_eq!((items.len(), items[0]), (51, (Kind::Down, "new")));
    assert!(items[1..].iter().all(|(kind, _)| *kind == Kind::Reminder), "{items:?}");
    let title = linedown_sinks::Texts::default().title(&due);
    assert_eq!(title, "🔴 new is down: reason unknown; 50 others still are");
    let text = linedown_sinks::Texts::default().slack(&due);
    assert!(text.contains("\n*New first*\n• new (") && text.contains(" more: linedown incidents"), "{text}");
}
