//! A silence, or quiet hours, hold back what is sent from then on: also what was tried before.

use std::time::Duration;

use super::timing::{HOUR, to_slack};
use super::*;
use crate::rule::Rule;

fn again(second: i64) -> Outcome {
    Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(second * 1000) }
}

impl Life {
    /// Tries what is due, in vain, and returns how many messages that were.
    pub(super) async fn fails(&self, sink: &str, second: i64, next: i64) -> usize {
        let due = self.lease(sink, second).await;
        for due in &due {
            self.settle(due, second, again(next)).await;
        }
        due.len()
    }
}

#[tokio::test]
async fn a_silence_holds_back_what_was_tried_before_it_was_made() {
    for ended_at in [None, Some(50)] {
        let life = Life::with(&["slack"]);
        life.down(0).await;
        assert_eq!(life.fails("slack", 0, 5).await, 1);
        let silence = life.silence("{}", 2, 100).await;
        assert_eq!(life.deliver_all("slack", 5).await, []);
        let held = life.store.deliveries(DeliveryQuery::default()).await.unwrap().remove(0);
        assert_eq!(held.held_by, Some(format!("silence {silence}")));
        if let Some(second) = ended_at {
            life.store.end_silence(silence, from_millis(second * 1000)).await.unwrap();
        }
        let free = ended_at.unwrap_or(100);
        let due = life.lease("slack", free).await.remove(0);
        assert_eq!(
            (due.notification.attempt, due.owed_at.as_second(), due.tries),
            (2, free, 1),
            "patience begins anew"
        );
        life.settle(&due, free, Outcome::Delivered("ok".into())).await;
        let tries = life.store.incident(1).await.unwrap().unwrap().deliveries.remove(0).attempts.unwrap();
        assert_eq!(tries[1].detail.as_deref(), Some("ok; silence 1 held it back before"));
    }
}

/// It was to be told before the silence was made, and perhaps the far side has it.
#[tokio::test]
async fn what_was_tried_before_a_silence_is_told_late_if_the_line_is_back_meanwhile() {
    let life = Life::with(&["slack"]);
    life.down(0).await;
    assert_eq!(life.fails("slack", 0, 5).await, 1);
    life.silence("{}", 2, 100).await;
    assert_eq!(life.deliver_all("slack", 5).await, []);
    life.up(50).await;
    assert_eq!(life.deliver_all("slack", 99).await, []);
    let due = life.lease("slack", 100).await.remove(0);
    assert_eq!((due.notification.kind, due.notification.incident.closed_at.is_some()), (Kind::Down, true));
}

#[tokio::test]
async fn quiet_hours_hold_back_what_was_tried_before_and_a_reload_frees_it() {
    let life = Life::with(&["slack"]);
    life.down(0).await;
    assert_eq!(life.fails("slack", 0, HOUR).await, 1);
    let life = life.at_night();
    assert_eq!(life.deliver_all("slack", HOUR).await, []);
    let life = life.without_quiet_hours(2 * HOUR).await;
    assert_eq!(life.deliver_all("slack", 2 * HOUR).await, [Kind::Down]);
}

/// Its parts keep together, because the far side may have it.
#[tokio::test]
async fn a_digest_that_was_tried_waits_for_a_silence_only_if_that_is_about_all_of_it() {
    for (matcher, held) in [(r#"{"instance":"line *"}"#, true), (r#"{"instance":"line 1"}"#, false)] {
        let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
        life.storm(1..4, EventKind::Disconnected, 0).await;
        assert_eq!(life.fails("slack", 0, 5).await, 1);
        life.silence(matcher, 2, 100).await;
        let due = life.lease("slack", 5).await;
        assert_eq!(due.len(), usize::from(!held), "{matcher}");
        let second = if held { 100 } else { 5 };
        let due = if held { life.lease("slack", second).await } else { due };
        assert_eq!((due.len(), due[0].notification.items.len(), due[0].notification.attempt), (1, 3, 2), "{matcher}");
    }
}

#[tokio::test]
async fn no_silence_holds_back_that_something_was_lost_or_that_somebody_has_taken_it() {
    let life = Life::with(&["slack", "log"]);
    life.down(0).await;
    assert_eq!(life.deliver_all("log", 0).await, [Kind::Down]);
    let due = life.lease("slack", 0).await.remove(0);
    life.settle(&due, 0, lost()).await;
    assert_eq!(life.fails("mail", 0, 5).await, 2);
    life.silence("{}", 2, 100).await;
    assert_eq!(life.deliver_all("mail", 5).await, [Kind::Undelivered, Kind::Undelivered]);
    life.store.acknowledge(1, "ana", "a test", from_millis(6000)).await.unwrap();
    assert_eq!(life.deliver_all("log", 7).await, [Kind::Acknowledged]);
}
