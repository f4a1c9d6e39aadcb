//! Group windows: only what was delivered makes others wait.

use super::timing::to_slack;
use super::*;
use crate::rule::Rule;

fn gathering() -> Rule {
    Rule { group_interval: Duration::from_mins(1), ..to_slack() }
}

impl Life {
    /// A line goes down, and the next message for a sink is in hand.
    async fn in_hand(&self, line: &str, second: i64) -> Due {
        self.webhook_of(line, EventKind::Disconnected, Reason::Other, second).await;
        self.lease("slack", second).await.remove(0)
    }

    /// A line goes down. Returns how many messages leave at once.
    async fn leaves_at_once(&self, line: &str, second: i64) -> usize {
        self.webhook_of(line, EventKind::Disconnected, Reason::Other, second).await;
        self.lease("slack", second).await.len()
    }
}

/// Its recipient was told nothing.
#[tokio::test]
async fn what_follows_a_message_that_was_given_up_waits_no_longer() {
    let life = Life::by(gathering());
    let first = life.in_hand("A", 1).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 2).await;
    life.webhook_of("C", EventKind::Disconnected, Reason::Other, 3).await;
    assert_eq!(life.lease("slack", 3).await.len(), 0, "perhaps the first arrives");
    let settled = life.settle(&first, 4, lost()).await;
    assert!(settled.sinks.contains("slack"), "it has something to do: {settled:?}");
    let both = life.lease("slack", 4).await;
    assert_eq!((both.len(), both[0].covers.len(), both[0].owed_at), (1, 2, from_millis(4000)));
    assert_eq!(life.leaves_at_once("D", 5).await, 0, "that one may arrive");
}

/// A fallback hears at once of the next loss, if it did not hear of the one before.
#[tokio::test]
async fn a_notice_does_not_wait_for_one_that_was_given_up() {
    let life = Life::with(&["slack"]);
    for (line, second) in [("A", 1), ("B", 5)] {
        let due = life.in_hand(line, second).await;
        life.settle(&due, second, lost()).await;
        let notices = life.lease("mail", second).await;
        assert_eq!(notices.len(), 2, "{line}");
        for notice in &notices {
            life.settle(notice, second + 1, lost()).await;
        }
    }
}

#[tokio::test]
async fn what_follows_a_message_that_is_tried_again_or_arrived_waits_for_its_group() {
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(100_000) };
    for outcome in [again, Outcome::Delivered("ok".into())] {
        let life = Life::by(gathering());
        let first = life.in_hand("A", 1).await;
        life.settle(&first, 2, outcome).await;
        assert_eq!(life.leaves_at_once("B", 3).await, 0);
        assert_eq!(life.lease("slack", 61).await.len(), 1);
    }
}

/// A message that was tried for long is given up after another has opened the window.
#[tokio::test]
async fn a_window_that_another_message_opened_stays_open() {
    let life = Life::by(gathering());
    let first = life.in_hand("A", 1).await;
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(80_000) };
    life.settle(&first, 2, again).await;
    let second = life.in_hand("B", 70).await;
    life.settle(&second, 70, Outcome::Delivered("ok".into())).await;
    let first = life.lease("slack", 80).await.remove(0);
    life.settle(&first, 80, lost()).await;
    assert_eq!(life.leaves_at_once("C", 81).await, 0);
}
