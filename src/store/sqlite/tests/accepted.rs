//! What a webhook changes, and when it is a copy.

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

/// Z-API's words for an outage, by reason.
fn words(reason: Reason) -> Option<String> {
    match reason {
        Reason::SessionExpired => Some("It was not possible to restore a session with the current token".into()),
        Reason::NumberBlocked => Some("The number was disconnected by a possible whatsapp number blocking".into()),
        _ => None,
    }
}

/// Z-API's documentation has two such webhooks with the same time.
#[tokio::test]
async fn webhooks_that_differ_in_their_words_are_two() {
    for believed in [true, false] {
        let life = Life::with(&["slack"]);
        let down = async |reason, error: Option<String>| {
            let event = Event { error, ..Life::event("A", EventKind::Disconnected, reason, 1) };
            let gateway_at = event.gateway_at.filter(|_| believed);
            let accepted = life.store.accept(Event { gateway_at, ..event }, "{}".into(), Arc::clone(&life.routing));
            accepted.await.unwrap().change
        };
        let (expired, banned) = (Reason::SessionExpired, Reason::NumberBlocked);
        assert_eq!(down(expired, words(expired)).await, "opened");
        assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
        assert_eq!(down(banned, words(banned)).await, "worsened");
        assert_eq!(life.deliver_all("slack", 2).await, [Kind::Worse], "the ban is told");
        assert_eq!(down(banned, words(banned)).await, "duplicate");
        assert_eq!(down(banned, None).await, "repeated", "without words");
        assert_eq!(down(banned, None).await, "duplicate");
        // If its time can be believed, a copy is one whatever came since.
        let again = down(expired, words(expired)).await;
        assert_eq!(again, if believed { "duplicate" } else { "repeated" });
    }
}

/// A clock that stands still must not make a later outage, or a later connect, a copy of the first.
#[tokio::test]
async fn a_time_that_cannot_be_believed_makes_copies_only_of_what_was_heard_last() {
    use EventKind::{Connected as C, Disconnected as D};
    for (what, story) in [
        ("the same at once", vec![(D, "opened"), (D, "duplicate"), (C, "closed"), (C, "duplicate")]),
        ("down again", vec![(D, "opened"), (C, "closed"), (D, "opened"), (D, "duplicate")]),
        ("and up again", vec![(D, "opened"), (C, "closed"), (D, "opened"), (C, "closed"), (C, "duplicate")]),
    ] {
        for stamp in [1_698_691_825_296, 0] {
            let life = Life::with(&["slack"]);
            for (second, (kind, change)) in (1_700_000_000..).zip(&story) {
                assert_eq!(life.at_no_time(*kind, stamp, second).await, *change, "{what}");
            }
        }
    }
}

/// Some payloads carry whole seconds. In doubt the line counts as down.
#[tokio::test]
async fn an_outage_in_the_second_in_which_the_line_came_back_is_no_copy_of_the_one_before() {
    use EventKind::{Connected as C, Disconnected as D};
    for (what, story) in [
        ("again", vec![(D, 10_000, "opened"), (C, 10_000, "closed"), (D, 10_000, "opened"), (D, 10_000, "duplicate")]),
        (
            "and up, perhaps",
            vec![(D, 10_000, "opened"), (C, 10_000, "closed"), (D, 10_000, "opened"), (C, 10_000, "duplicate")],
        ),
        ("only the connect is exact", vec![(D, 10_000, "opened"), (C, 10_400, "closed"), (D, 10_000, "opened")]),
        ("exact times", vec![(D, 10_123, "opened"), (C, 10_123, "closed"), (D, 10_123, "duplicate")]),
        ("back in the next second", vec![(D, 10_000, "opened"), (C, 11_000, "closed"), (D, 10_000, "duplicate")]),
        (
            "an outage since",
            vec![
                (D, 10_000, "opened"),
                (C, 10_000, "closed"),
                (D, 15_000, "opened"),
                (C, 16_000, "closed"),
                (D, 10_000, "duplicate"),
            ],
        ),
    ] {
        let life = Life::with(&["slack"]);
        for (second, (kind, stamp, change)) in (20..).zip(&story) {
            let (at, event) = (from_millis(*stamp), Life::event("A", *kind, Reason::Other, second));
            let event = Event { at, gateway_at: Some(at), stamp: Some(*stamp), ..event };
            let accepted = life.store.accept(event, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
            assert_eq!(accepted.change, *change, "{what}, {second}");
        }
    }
}

#[tokio::test]
async fn what_was_found_by_asking_counts_as_heard_and_a_notice_does_not() {
    use EventKind::{Connected as C, Disconnected as D};
    let life = Life::with(&["slack"]);
    let found = async |kind, reason, second: i64| {
        let event = Event::found(("z-api", "A"), kind, reason, None, from_millis(second * 1000));
        let event = Event { asked_at: Some(from_millis((second - 1) * 1000)), ..event };
        life.store.accept(event, "{}".into(), Arc::clone(&life.routing)).await.unwrap().change
    };
    let other = Reason::Other;
    assert_eq!(life.at_no_time(D, 0, 10).await, "opened");
    assert_eq!(found(D, other, 20).await, "nothing");
    assert_eq!(found(D, Reason::WebhookDrift, 22).await, "opened");
    assert_eq!(life.at_no_time(D, 0, 24).await, "duplicate", "it is about the outage that goes on");
    assert_eq!(found(C, other, 30).await, "closed");
    assert_eq!(life.at_no_time(D, 0, 40).await, "opened");
    assert_eq!(life.at_no_time(C, 0, 50).await, "closed");
    assert_eq!(found(C, Reason::WebhookDrift, 52).await, "closed");
    assert_eq!(life.at_no_time(C, 0, 54).await, "duplicate");
    assert_eq!(found(D, other, 60).await, "opened");
    assert_eq!(life.at_no_time(C, 0, 70).await, "closed");
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
