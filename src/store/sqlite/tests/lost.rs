//! Notices that something was lost, and what they name.

use super::*;
use crate::rule::Target;
use crate::rule::tests::Toy;

impl Life {
    /// Everything goes to `a`, which falls back to `b`, and that to `c`.
    fn with_a_chain() -> Self {
        let mut routing = routing(vec![rule("all", "{}", &["a"], false)]);
        let target = routing.sinks["log"].clone();
        let sinks = [("a", Some("b")), ("b", Some("c")), ("c", None)].map(|(name, fallback)| {
            (name.to_owned(), Target { fallback: fallback.map(str::to_owned), ..target.clone() })
        });
        routing.sinks = sinks.into();
        Self { routing: Arc::new(routing), ..Self::with(&[]) }
    }

    /// Gives up what is due for each of the sinks in turn. Returns how much that was for each.
    async fn lose<const N: usize>(&self, sinks: [&str; N], second: i64) -> [usize; N] {
        let mut lost = [0; N];
        for (sink, lost) in sinks.into_iter().zip(&mut lost) {
            for due in self.lease(sink, second).await {
                self.settle(&due, second, dead()).await;
                *lost += 1;
            }
        }
        lost
    }

    /// Two people could not be told by mail: each of the notices of that, a minute apart, in the hands of `slack`.
    pub(super) async fn two_notices(&self) -> [Due; 2] {
        let [ana, bia] = self.lease("mail", 2).await.try_into().unwrap();
        self.settle(&ana, 2, dead()).await;
        let of_ana = self.lease("slack", 3).await.remove(0);
        self.settle(&bia, 3, dead()).await;
        [of_ana, self.lease("slack", 63).await.remove(0)]
    }

    /// The notifications in a state, each with the one whose loss it tells of.
    async fn in_state(&self, state: &str) -> Vec<(i64, Option<i64>)> {
        let query = DeliveryQuery { state: Some(state.to_owned()), ..DeliveryQuery::default() };
        let mut rows = self.store.deliveries(query).await.unwrap();
        rows.reverse();
        rows.into_iter().map(|row| (row.id, row.lost)).collect()
    }
}

/// However often it is sent again, there is only the one message, and one notice of its loss to each of the others.
#[tokio::test]
async fn what_tells_of_a_loss_makes_way_for_what_was_lost() {
    let life = Life::with_a_chain();
    life.down(1).await;
    assert_eq!(life.lose(["a", "b", "c"], 1).await, [1, 1, 1]);
    for round in 1..=4 {
        let now = 100 * round;
        let dead = life.in_state("dead").await;
        let retried = life.retried(Which::Dead { sink: None }, now).await;
        let withdrawn = retried.refused.iter().filter(|(_, why)| why.withdraws());
        assert_eq!(withdrawn.map(|(id, _)| *id).collect::<Vec<_>>(), [dead[1].0, dead[2].0], "which is said");
        assert_eq!(retried.notifications, [1].into());
        assert_eq!(life.in_state("pending").await, [(1, None)], "nothing tells of it while it is sent again");
        assert_eq!(life.lose(["a", "b", "c"], now).await, [1, 1, 1]);
        let (to_b, to_c) = (2 + 2 * round, 3 + 2 * round);
        assert_eq!(life.in_state("dead").await, [(1, None), (to_b, Some(1)), (to_c, Some(to_b))]);
    }
    assert_eq!(life.retry(Which::Dead { sink: None }, 500).await, [1]);
    assert_eq!(life.deliver_all("a", 500).await, [Kind::Down]);
    let left = [life.in_state("dead").await, life.in_state("pending").await];
    assert_eq!(left, [[], []]);
}

#[tokio::test]
async fn a_notice_alone_is_sent_again_by_its_number() {
    let life = Life::with_a_chain();
    life.down(1).await;
    life.lose(["a", "b", "c"], 1).await;
    assert_eq!(life.retry(Which::These(vec![2]), 10).await, [2]);
    assert_eq!(life.in_state("dead").await, [(1, None)], "what told of its loss makes way as well");
    assert_eq!(life.deliver_all("b", 10).await, [Kind::Undelivered]);
}

/// It cannot be withdrawn then, but it is not tried again, and its own loss is told to nobody.
#[tokio::test]
async fn a_notice_that_is_in_hand_when_what_was_lost_is_sent_again_is_the_last() {
    for outcome in [dead(), Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(9000) }] {
        let life = Life::with_a_chain();
        life.down(1).await;
        life.lose(["a"], 1).await;
        let in_hand = life.lease("b", 2).await.remove(0);
        assert_eq!(life.retry(Which::Dead { sink: None }, 3).await, [1]);
        life.settle(&in_hand, 4, outcome).await;
        assert_eq!((life.lease("b", 10).await.len(), life.lease("c", 10).await.len()), (0, 0));
        assert_eq!(life.in_state("pending").await, [(1, None)]);
    }
}

/// Neither when its sink's patience ends, nor when the sink refuses it.
#[tokio::test]
async fn what_tells_of_a_loss_that_was_none_is_not_lost_itself() {
    for refused in [true, false] {
        let life = Life::with_a_chain();
        life.down(1).await;
        life.lose(["a"], 1).await;
        let in_hand = life.lease("b", 2).await.remove(0);
        assert_eq!(life.retry(Which::Dead { sink: None }, 3).await, [1]);
        assert_eq!(life.deliver_all("a", 3).await, [Kind::Down]);
        let settled = if refused {
            life.settle(&in_hand, 4, dead()).await
        } else {
            let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(9000) };
            life.settle(&in_hand, 4, again).await;
            let now = from_millis(10_000);
            life.store.give_up("b", now, "unreachable", now, Arc::clone(&life.routing)).await.unwrap()
        };
        assert_eq!(settled, Settled::default());
        assert_eq!((life.in_state("dead").await, life.in_state("withdrawn").await), (vec![], vec![(2, Some(1))]));
        assert_eq!(life.lease("c", 10).await.len(), 0);
        assert_eq!(life.retry(Which::Dead { sink: None }, 11).await, [0; 0]);
    }
}

#[tokio::test]
async fn the_last_of_a_chain_hears_who_was_to_hear_at_first() {
    let life = Life::with_a_chain();
    life.down(1).await;
    let told = async |sink: &str, second| life.lease(sink, second).await.remove(0);
    life.lose(["a"], 1).await;
    let to_b = told("b", 2).await;
    let of_b = to_b.notification.undelivered.clone().unwrap();
    assert_eq!((of_b.notification, of_b.sink.as_str(), of_b.kind, of_b.untold.len()), (1, "a", Kind::Down, 0));
    life.settle(&to_b, 2, Outcome::Dead { kind: FailureKind::Busy, why: "503".into() }).await;
    let of_c = told("c", 3).await.notification.undelivered.unwrap();
    let expected = linedown_sinks::Undelivered { untold: vec!["b".to_owned()], ..of_b };
    assert_eq!(of_c, expected);
}

/// Somebody else at the same sink was told.
#[tokio::test]
async fn the_last_of_a_chain_hears_who_at_the_sink_before_could_not_be_told() {
    let mut life = Life::with_a_chain();
    life.reloaded(|routing| routing.sinks.get_mut("b").unwrap().settings = Arc::new(Toy(vec!["ana", "bia"])));
    life.down(1).await;
    life.lose(["a"], 1).await;
    let [ana, bia] = life.lease("b", 2).await.try_into().unwrap();
    life.settle(&ana, 2, Outcome::Delivered("ok".into())).await;
    life.settle(&bia, 2, dead()).await;
    let of_bia = life.lease("c", 3).await.remove(0).notification.undelivered.unwrap();
    assert_eq!((of_bia.sink.as_str(), of_bia.untold, of_bia.others_told), ("a", vec!["bia".to_owned()], 1));
}

#[tokio::test]
async fn who_waits_for_a_notice_hears_at_once_what_has_changed_and_no_more_if_the_notice_makes_way() {
    let life = Life::with(&["mail"]);
    life.down(1).await;
    let [of_ana, of_bia] = life.two_notices().await;
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(100_000) };
    life.settle(&of_ana, 63, again).await;
    life.settle(&of_bia, 63, Outcome::Delivered("ok".into())).await;
    life.up(64).await;
    assert_eq!(life.deliver_all("slack", 64).await, [Kind::Resolved]);
    life.retried(Which::Dead { sink: None }, 65).await;
    assert_eq!(life.deliver_all("slack", 100).await, []);
}
