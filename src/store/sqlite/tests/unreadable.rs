//! Rows with words that this version does not know, or with bytes that are no text: SQLite keeps no checksum of rows.

use super::*;
use crate::store::Acknowledgement;

impl Life {
    async fn write(&self, statements: &'static str) {
        self.store.writer.write(move |connection| connection.execute_batch(statements)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_later_version_wrote_is_told_all_the_same() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::NumberBlocked, 1).await;
    life.write(
        "UPDATE incident SET reason = 'sim-swapped', labels = '[7]' WHERE id = 1; \
         UPDATE notification SET kind = 'forecast' WHERE id = 1",
    )
    .await;
    assert_eq!(life.store.figures(from_millis(2000)).await.unwrap().open[&Reason::Other], 1);
    let due = life.lease("slack", 2).await;
    assert_eq!(due.len(), 2, "it keeps no other back");
    assert_eq!((due[0].notification.kind, due[0].notification.incident.reason), (Kind::Down, Reason::Other));
    for due in &due {
        life.settle(due, 3, Outcome::Delivered("ok".into())).await;
    }
    life.write("UPDATE notification SET told_reason = 'sim-swapped' WHERE id = 1").await;
    assert_eq!(life.store.incidents(true, 10).await.unwrap().len(), 2);
    assert_eq!(life.down(4).await.change, "repeated");
    let taken = life.store.acknowledge(1, "ana", "a test", from_millis(5000)).await.unwrap();
    assert!(matches!(taken, Acknowledgement::Done(_)));
    life.deliver_all("slack", 6).await;
    assert_eq!(life.up(7).await.change, "closed");
    assert_eq!(life.deliver_all("slack", 8).await, [Kind::Resolved]);
}

#[tokio::test]
async fn what_is_no_text_stops_no_sink_no_line_and_no_list() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 1).await;
    life.write(
        "UPDATE incident SET name = CAST(x'4cff' AS TEXT), reason = CAST(x'ff' AS TEXT), \
            labels = CAST(x'ff' AS TEXT), error = CAST(x'ff' AS TEXT) WHERE id = 1; \
         UPDATE event SET kind = CAST(x'ff' AS TEXT), change = CAST(x'ff' AS TEXT) WHERE id = 1; \
         UPDATE notification SET kind = CAST(x'ff' AS TEXT), rule = CAST(x'ff' AS TEXT), \
            grouping = CAST(x'ff' AS TEXT), detail = CAST(x'ff' AS TEXT) WHERE id = 1",
    )
    .await;
    let due = life.lease("slack", 2).await;
    assert_eq!(due.len(), 2);
    assert_eq!(due[0].notification.incident.instance.name.as_deref(), Some("L\u{fffd}"));
    life.settle(&due[0], 3, dead()).await;
    life.settle(&due[1], 3, Outcome::Delivered("ok".into())).await;
    life.write("UPDATE notification SET detail = CAST(x'ff' AS TEXT) WHERE id = 1").await;
    assert_eq!(life.deliver_all("mail", 4).await, [Kind::Undelivered; 2]);
    assert_eq!(life.up(5).await.change, "closed");
    assert_eq!(life.store.incidents(false, 10).await.unwrap().len(), 2);
    assert_eq!(life.store.deliveries(DeliveryQuery::default()).await.unwrap().len(), 6);
    assert_eq!(life.store.past(from_millis(0), 0, 10).await.unwrap().len(), 3);
    let story = life.store.incident(1).await.unwrap().unwrap();
    assert_eq!((story.events.len(), story.deliveries[0].rule.as_str()), (2, "\u{fffd}"));
}
