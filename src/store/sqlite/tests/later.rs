//! What is sent again and waits all the same: for what, and until when.

use super::timing::to_slack;
use super::*;
use crate::rule::Rule;
use crate::store::Refused;
use crate::store::view::Later;

fn until(second: i64, by: Option<&str>) -> Later {
    Later { until: from_millis(second * 1000), by: by.map(str::to_owned) }
}

impl Life {
    async fn loses_one(&self, second: i64) {
        let due = self.lease("slack", second).await.remove(0);
        self.settle(&due, second, lost()).await;
    }
}

#[tokio::test]
async fn what_is_held_back_says_until_when_and_its_sink_is_not_tried_for_it() {
    let silenced = Life::with(&["slack"]);
    let quiet = Life::with(&["slack"]);
    silenced.down(1).await;
    quiet.down(1).await;
    silenced.loses_one(1).await;
    quiet.loses_one(1).await;
    silenced.silence("{}", 2, 100).await;
    for (life, end, by) in [(silenced, 100, "silence 1"), (quiet.at_night(), 7 * 3600, "quiet hours \"night\"")] {
        let retried = life.retried(Which::Dead { sink: None }, 3).await;
        let later = BTreeMap::from([(1, until(end, Some(by)))]);
        assert_eq!(
            (retried.notifications, &retried.later, retried.through),
            (BTreeSet::from([1]), &later, BTreeSet::new())
        );
        let row = life.store.deliveries(DeliveryQuery { state: Some("pending".into()), ..DeliveryQuery::default() });
        let row = row.await.unwrap().remove(0);
        assert_eq!(
            (row.due_at, row.held_by.as_deref()),
            (Some(later[&1].until), Some(by)),
            "and nothing else is shown"
        );
        let again = life.retried(Which::These(vec![1]), 4).await;
        assert_eq!((again.later, again.refused[&1].clone()), (later, Refused::HeldBack(by.to_owned())));
        assert_eq!(life.deliver_all("slack", end).await, [Kind::Down]);
    }
}

#[tokio::test]
async fn what_waits_for_its_group_says_until_when() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    life.storm(0..1, EventKind::Disconnected, 1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    life.storm(1..2, EventKind::Disconnected, 5).await;
    let retried = life.retried(Which::These(vec![2]), 10).await;
    assert_eq!((retried.later, retried.through), (BTreeMap::from([(2, until(61, None))]), BTreeSet::new()));
    assert_eq!(life.deliver_all("slack", 10).await, []);
    assert_eq!(life.deliver_all("slack", 61).await, [Kind::Down]);
}

/// What is tried again does not wait for its group any more, and a digest waits for a silence as a whole.
#[tokio::test]
async fn a_digest_waits_if_all_of_it_is_silenced() {
    for (matcher, is_held) in [("{}", true), (r#"{"instance":"line 1"}"#, false)] {
        let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
        life.storm(0..3, EventKind::Disconnected, 1).await;
        life.loses_one(1).await;
        life.silence(matcher, 2, 100).await;
        let retried = life.retried(Which::These(vec![2]), 3).await;
        assert_eq!(retried.notifications, BTreeSet::from([1, 2, 3]));
        let later = [1, 2, 3].map(|id| (id, until(100, Some("silence 1"))));
        assert_eq!(retried.later, if is_held { BTreeMap::from(later) } else { BTreeMap::new() }, "{matcher}");
        assert_eq!(retried.through.is_empty(), is_held);
        let due = life.lease("slack", if is_held { 100 } else { 3 }).await;
        assert_eq!((due.len(), due[0].covers.len()), (1, 3));
    }
}
