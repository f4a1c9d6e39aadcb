//! Who hears of an outage from the message that the one before is over.

use std::time::Duration;

use super::told::{HOUR, title, to_mail};
use super::*;
use crate::rule::Rule;

impl Life {
    /// Nobody at mail could be told of the line's second outage, from second 30 on. That the first is over is due at second
    /// 60.
    async fn untold_of_the_second() -> Self {
        let life = Self::by(Rule { remind: vec![Duration::from_hours(1)], ..to_mail() });
        life.down(10).await;
        assert_eq!(life.give("mail", 10, &Outcome::Delivered("ok".into())).await, 2);
        life.up(20).await;
        let busy = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(60_000) };
        assert_eq!(life.give("mail", 20, &busy).await, 2);
        life.webhook(EventKind::Disconnected, Reason::SessionExpired, 30).await;
        assert_eq!(life.give("mail", 30, &dead()).await, 2);
        life
    }
}

#[tokio::test]
async fn who_hears_of_an_outage_only_with_the_end_of_the_former_is_reminded_and_told_of_its_end() {
    let life = Life::untold_of_the_second().await;
    let late = life.lease("mail", 60).await;
    assert_eq!(title(&late[0]), "🔴 A was back after 10 s, and is down again: needs a new QR code");
    for due in &late {
        life.settle(due, 61, Outcome::Delivered("ok".into())).await;
    }
    assert_eq!(life.deliver_all("slack", 61).await, [], "the notices of the losses");
    let retried = life.retried(Which::Dead { sink: None }, 62).await;
    let told = "another message has told the recipient of this outage since";
    assert_eq!(retried.refused.into_values().collect::<Vec<_>>(), [(); 2].map(|()| crate::store::Refused::Moot(told)));
    assert_eq!(life.deliver_all("mail", HOUR + 30).await, [Kind::Reminder; 2]);
    life.up(2 * HOUR).await;
    assert_eq!(life.deliver_all("mail", 2 * HOUR).await, [Kind::Resolved; 2]);
}

#[tokio::test]
async fn an_outage_that_ends_while_its_first_news_is_on_the_way_is_told_to_be_over() {
    for outcome in [Outcome::Delivered("ok".into()), lost()] {
        let life = Life::untold_of_the_second().await;
        let late = life.lease("mail", 60).await;
        life.up(61).await;
        for due in &late {
            life.settle(due, 62, outcome.clone()).await;
        }
        let ends = if matches!(outcome, Outcome::Delivered(_)) { 2 } else { 0 };
        assert_eq!(life.deliver_all("mail", 62).await, vec![Kind::Resolved; ends], "{outcome:?}");
    }
}

/// The attempt that arrived did not say it.
#[tokio::test]
async fn who_was_to_hear_of_an_outage_with_the_end_of_the_former_and_did_not_is_not_told_of_its_end() {
    let life = Life::untold_of_the_second().await;
    let busy = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(90_000) };
    assert_eq!(life.give("mail", 60, &busy).await, 2);
    life.store.acknowledge(2, "ana", "a test", from_millis(61_000)).await.unwrap();
    assert_eq!(life.deliver_all("mail", 90).await, [Kind::Resolved; 2], "of the former");
    life.up(100).await;
    assert_eq!(life.deliver_all("mail", 100).await, []);
}
