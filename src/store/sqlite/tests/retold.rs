//! What is sent again, or told of as lost, although its recipient has heard of the outage otherwise.

use super::timing::to_slack;
use super::*;
use crate::rule::{Rule, Step};
use crate::store::Refused;

const TOLD: &str = "another message has told the recipient of this outage since";

fn reminding(after: u64) -> Rule {
    Rule { remind: vec![Duration::from_secs(after), Duration::from_hours(1)], ..to_slack() }
}

impl Life {
    /// Gives up what is due at a sink, and returns how many messages that were.
    async fn loses(&self, sink: &str, second: i64) -> usize {
        let due = self.lease(sink, second).await;
        for due in &due {
            self.settle(due, second, lost()).await;
        }
        due.len()
    }

    /// A line is down since second 1. The first message about it is dead, and told late at second 11.
    async fn told_late() -> Self {
        let life = Self::by(reminding(10));
        life.down(1).await;
        assert_eq!(life.loses("slack", 1).await, 1);
        assert_eq!(life.deliver_all("slack", 11).await, [Kind::Down]);
        life
    }
}

#[tokio::test]
async fn of_what_is_dead_nothing_is_sent_again_that_its_recipient_was_told_since() {
    for over in [false, true] {
        let life = Life::told_late().await;
        if over {
            life.up(20).await;
            assert_eq!(life.deliver_all("slack", 20).await, [Kind::Resolved]);
        }
        let retried = life.retried(Which::Dead { sink: None }, 30).await;
        assert_eq!(retried.notifications, BTreeSet::new());
        assert_eq!(retried.refused, BTreeMap::from([(1, Refused::Moot(TOLD))]));
        assert_eq!(life.end_of(1).await, ("withdrawn".to_owned(), Some(TOLD.to_owned())));
        assert_eq!(life.deliver_all("slack", 30).await, []);
    }
}

#[tokio::test]
async fn who_asks_for_one_by_its_number_gets_it_sent_again_whatever_was_told_since() {
    for over in [false, true] {
        let life = Life::told_late().await;
        if over {
            life.up(20).await;
            assert_eq!(life.deliver_all("slack", 20).await, [Kind::Resolved]);
        }
        assert_eq!(life.retry(Which::These(vec![1]), 30).await, [1]);
        assert_eq!(life.deliver_all("slack", 30).await, [Kind::Down]);
    }
}

/// They know only how it was before.
#[tokio::test]
async fn what_became_worse_since_it_was_told_is_sent_again() {
    let life = Life::told_late().await;
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 20).await;
    assert_eq!(life.loses("slack", 20).await, 1);
    assert!(life.retry(Which::Dead { sink: None }, 30).await.contains(&1));
}

/// It was told before that, and they were to be reminded of it.
#[tokio::test]
async fn a_reminder_is_sent_again_unless_something_was_told_since() {
    let life = Life::by(reminding(10));
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    assert_eq!(life.loses("slack", 11).await, 1);
    let dead = life.store.deliveries(DeliveryQuery { state: Some("dead".into()), ..DeliveryQuery::default() }).await;
    let id = dead.unwrap()[0].id;
    assert_eq!(life.retry(Which::Dead { sink: None }, 30).await, [id]);
    assert_eq!(life.loses("slack", 30).await, 1);
    assert_eq!(life.deliver_all("slack", 3601).await, [Kind::Reminder]);
    assert_eq!(
        life.retried(Which::Dead { sink: None }, 3700).await.refused,
        BTreeMap::from([(id, Refused::Moot(TOLD))])
    );
}

/// Nobody asked for the others of its message by name.
#[tokio::test]
async fn of_a_message_that_is_sent_again_what_was_told_since_is_withdrawn() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..reminding(100) });
    life.storm(0..1, EventKind::Disconnected, 1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    life.storm(1..3, EventKind::Disconnected, 5).await;
    let both = life.lease("slack", 61).await.remove(0);
    assert_eq!(both.covers, [3, 4], "2 is the reminder of the first line");
    life.settle(&both, 61, lost()).await;
    life.store.acknowledge(2, "ana", "a test", from_millis(62_000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", 130).await, [Kind::Digest], "the first line and the third");
    let retried = life.retried(Which::These(vec![3]), 200).await;
    assert_eq!(retried.notifications, BTreeSet::from([3]));
    assert_eq!(retried.refused, BTreeMap::from([(4, Refused::Moot(TOLD))]));
    assert_eq!(life.lease("slack", 200).await[0].covers, [3]);
}

/// A silence was made after the first message was given up, and before a person sent it again.
#[tokio::test]
async fn a_first_alert_that_is_sent_again_and_a_reminder_are_one_message() {
    let life = Life::by(reminding(10));
    life.down(1).await;
    assert_eq!(life.loses("slack", 1).await, 1);
    life.silence("{}", 2, 100).await;
    assert_eq!(life.retry(Which::These(vec![1]), 3).await, [1]);
    assert_eq!(life.deliver_all("slack", 11).await, []);
    assert_eq!(life.deliver_all("slack", 100).await, [Kind::Down]);
    assert_eq!(life.deliver_all("slack", 101).await, []);
    assert_eq!(life.deliver_all("slack", 3601).await, [Kind::Reminder], "the next one comes in its time");
}

#[tokio::test]
async fn a_notice_that_a_reminder_was_lost_is_withdrawn_when_its_recipient_has_heard_the_end() {
    let life = Life::by(reminding(10));
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    assert_eq!(life.loses("slack", 11).await, 1);
    life.up(12).await;
    assert_eq!(life.deliver_all("slack", 12).await, [Kind::Resolved]);
    assert_eq!(life.deliver_all("mail", 13).await, []);
    let withdrawn = DeliveryQuery { state: Some("withdrawn".into()), ..DeliveryQuery::default() };
    let withdrawn = life.store.deliveries(withdrawn).await.unwrap();
    let why: BTreeSet<_> = withdrawn.iter().filter(|row| row.sink == "mail").map(|row| row.detail.as_deref()).collect();
    assert_eq!(why, BTreeSet::from([Some(TOLD)]));
}

/// What the recipient of a lost reminder knows, the reader of the notice about it need not know.
#[tokio::test]
async fn a_notice_of_what_need_not_be_sent_again_says_no_more_than_that() {
    let life = Life::by(reminding(10));
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    assert_eq!([life.loses("slack", 11).await, life.loses("mail", 11).await], [1, 2], "a reminder, notices of that");
    life.up(12).await;
    assert_eq!(life.deliver_all("slack", 12).await, [Kind::Resolved]);
    let refused = life.retried(Which::Dead { sink: None }, 25).await.refused;
    let moot = "the lost notification need not be sent any more";
    let why = ["they know already that it is over", moot, moot].map(Refused::Moot);
    assert_eq!(refused.into_values().collect::<Vec<_>>(), why);
}

/// The reader of the notices hears the end from the first of them.
#[tokio::test]
async fn a_notice_that_a_reminder_was_lost_is_withdrawn_when_its_reader_has_heard_the_end() {
    let life = Life::by(Rule { notify: vec!["mail".into()], ..reminding(10) });
    life.down(1).await;
    assert_eq!(life.deliver_all("mail", 1).await, [Kind::Down, Kind::Down]);
    let [ana, bia] = life.lease("mail", 11).await.try_into().unwrap();
    life.settle(&ana, 11, lost()).await;
    let of_ana = life.lease("slack", 11).await.remove(0);
    life.up(12).await;
    life.settle(
        &of_ana,
        12,
        Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(13_000) },
    )
    .await;
    life.settle(&bia, 12, lost()).await;
    assert_eq!(life.deliver_all("slack", 13).await, [Kind::Undelivered]);
    assert_eq!(life.deliver_all("slack", 100).await, [], "that Bia was not reminded matters no more");
}

/// All of them say how the line is now: several would come in any order, and some would remind of what nobody had told.
#[tokio::test]
async fn while_a_line_is_down_one_message_about_it_is_sent_again_to_each_recipient() {
    let step = Step { after: Duration::from_secs(15), notify: vec!["slack".into()] };
    for is_known in [false, true] {
        let life = Life::by(Rule { escalate: vec![step.clone()], ..reminding(10) });
        life.down(1).await;
        let first = if is_known { Outcome::Delivered("ok".into()) } else { lost() };
        let due = life.lease("slack", 1).await.remove(0);
        life.settle(&due, 1, first).await;
        assert_eq!([life.loses("slack", 11).await, life.loses("slack", 16).await], [1, 1], "a reminder, a step");
        life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 20).await;
        assert_eq!(life.loses("slack", 20).await, 1, "that it is worse");
        let retried = life.retried(Which::Dead { sink: Some("slack".into()) }, 30).await;
        let others = if is_known { 2 } else { 3 };
        assert_eq!((retried.notifications.len(), retried.refused.len()), (1, others));
        let told = life.deliver_all("slack", 30).await;
        assert_eq!(told, [if is_known { Kind::Worse } else { Kind::Down }]);
        assert_eq!(life.deliver_all("slack", 1000).await, []);
        assert_eq!(life.deliver_all("slack", 3601).await, [Kind::Reminder]);
    }
}
