//! How SQLite plans the queries that workers, the status line and a start ask, however many notifications there are.

use super::*;

/// The steps by which SQLite answers a query.
fn plan(query: &str) -> Vec<String> {
    let store = Connection::open_in_memory().unwrap();
    store.execute_batch(include_str!("../../schema.sql")).unwrap();
    let mut statement = store.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    statement.raw_query().mapped(|row| row.get(3)).collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn what_is_pending_is_found_by_its_index() {
    for (query, step) in [
        (candidate::OLDEST.as_str(), "SEARCH notification USING INDEX notification_due (sink=? AND due_at<?)"),
        (lease::NEXT, "SEARCH notification USING COVERING INDEX notification_due (sink=?)"),
        (settle::OWED_SINCE, "SEARCH notification USING COVERING INDEX notification_due (sink=?)"),
        (look::OWING, "SCAN notification USING COVERING INDEX notification_due"),
        (look::OVERDUE, "SCAN notification USING COVERING INDEX notification_due"),
    ] {
        let steps = plan(query);
        assert!(steps.iter().any(|found| found == step), "{query}: {steps:#?}");
        assert!(!steps.iter().any(|found| found == "SCAN notification" || found.contains("TEMP B-TREE")), "{steps:#?}");
    }
}

/// What is in hand is pending all the same.
#[tokio::test]
async fn what_is_in_hand_is_pending() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    let now = from_millis(3000);
    assert_eq!(life.store.owing().await.unwrap(), BTreeSet::from(["slack".to_owned()]));
    assert_eq!(life.store.tally(now).await.unwrap().pending, 1);
    assert_eq!(life.store.figures(now).await.unwrap().overdue[0].count, 1);
    let query = DeliveryQuery { state: Some("pending".into()), ..DeliveryQuery::default() };
    assert_eq!(life.store.deliveries(query).await.unwrap().len(), 1);
    life.settle(&due[0], 3, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.store.owing().await.unwrap(), BTreeSet::new());
    assert_eq!(life.store.tally(now).await.unwrap().pending, 0);
}
