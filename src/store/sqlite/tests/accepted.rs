//! What a webhook changes.

use super::*;

#[tokio::test]
async fn the_same_webhook_again_tells_nobody() {
    let life = Life::with(&["slack"]);
    let first = life.down(1).await;
    let again = life.down(1).await;
    assert_eq!((again.event, again.duplicate, again.owed), (first.event, true, 0));
    assert_eq!(life.down(2).await.change, "repeated");
    assert_eq!(life.lease("slack", 3).await.len(), 1);
}

/// Copies come within minutes. A clock that stands still must not make every later outage a copy of the first.
#[tokio::test]
async fn a_time_that_cannot_be_believed_makes_copies_for_an_hour_only() {
    let life = Life::with(&["slack"]);
    let webhook = async |kind, second: i64| {
        let at = from_millis(second * 1000);
        let event = Event {
            source: "z-api".into(),
            instance: "A".into(),
            kind,
            reason: Reason::Other,
            phone: None,
            error: None,
            at,
            gateway_at: None,
            stamp: Some(7),
            received_at: at,
            asked_at: None,
        };
        life.store.accept(event, "{}".into(), Arc::clone(&life.routing)).await.unwrap().change
    };
    assert_eq!(webhook(EventKind::Disconnected, 0).await, "opened");
    assert_eq!(webhook(EventKind::Connected, 10).await, "closed");
    assert_eq!(webhook(EventKind::Disconnected, 20).await, "duplicate");
    assert_eq!(webhook(EventKind::Disconnected, 3700).await, "opened");
}

#[tokio::test]
async fn what_is_known_of_another_sources_line_is_not_said_of_this_one() {
    let mut life = Life::with(&["slack"]);
    let mut inventory = crate::rule::inventory::Inventory::default();
    inventory.push("A", Some("Loja"), Some("z2"), &BTreeMap::from([("tier".to_owned(), "gold".to_owned())]));
    life.routing = Arc::new(Routing { inventory, ..(*life.routing).clone() });
    for (source, name) in [("z-api", None), ("z2", Some("Loja"))] {
        let event = Event { source: source.into(), ..Life::event("A", EventKind::Disconnected, Reason::Other, 1) };
        life.store.accept(event, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
        let due = life.lease("slack", 1).await.remove(0);
        let told = &due.notification.incident.instance;
        assert_eq!((told.name.as_deref(), told.labels.is_empty()), (name, name.is_none()), "{source}");
        life.settle(&due, 1, Outcome::Delivered("ok".into())).await;
    }
}

#[tokio::test]
async fn requests_at_the_same_time_are_all_answered() {
    let life = Arc::new(Life::with(&["slack"]));
    let requests = (0..500).map(|number| {
        let life = Arc::clone(&life);
        tokio::spawn(async move {
            let at = from_millis(number);
            let event = Event {
                source: "z-api".into(),
                instance: format!("{}", number % 250),
                kind: EventKind::Disconnected,
                reason: Reason::Other,
                phone: None,
                error: None,
                at,
                gateway_at: None,
                stamp: Some(number / 250),
                received_at: at,
                asked_at: None,
            };
            life.store.accept(event, String::new(), Arc::clone(&life.routing)).await.unwrap()
        })
    });
    let mut opened = 0;
    for request in futures_util::future::join_all(requests).await {
        opened += usize::from(request.unwrap().change == "opened");
    }
    assert_eq!(opened, 250);
    assert_eq!(life.store.incidents(true, 1000).await.unwrap().len(), 250);
}

#[tokio::test]
async fn an_outage_is_there_by_itself_too() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    life.up(2).await;
    let (story, alone) = tokio::join!(life.store.incident(1), life.store.outage(1));
    let (story, alone) = (story.unwrap().unwrap().incident, alone.unwrap().unwrap());
    assert_eq!((alone.id, &alone.source, &alone.instance.id), (story.id, &story.source, &story.instance));
    assert_eq!((alone.opened_at, alone.closed_at), (story.opened_at, story.closed_at));
    assert!(life.store.outage(2).await.unwrap().is_none());
}
