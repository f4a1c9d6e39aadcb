//! How what is over and old is forgotten.

use super::*;

#[tokio::test]
async fn what_is_over_and_old_is_forgotten_but_nothing_that_is_owed() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    life.up(2).await;
    let prune = async || life.store.prune(from_millis(0), from_millis(100_000), 10).await.unwrap().old;
    assert_eq!(prune().await, 0, "somebody must still be told");
    life.deliver_all("slack", 3).await;
    life.down(4).await;
    assert_eq!(prune().await, 1);
    assert_eq!(life.store.incident(1).await.unwrap(), None);
    assert_eq!(prune().await, 0, "it is still down");
}

/// A gateway may repeat for ever that a line is down.
#[tokio::test]
async fn an_outage_that_goes_on_keeps_no_old_repetitions() {
    let life = Life::with(&["slack"]);
    for second in 1..=9 {
        life.down(second).await;
    }
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 10).await;
    life.down(200).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 150).await;
    let prune = async || life.store.prune(from_millis(0), from_millis(100_000), 5).await.unwrap().old;
    assert_eq!((prune().await, prune().await, prune().await), (4, 4, 0));
    let story = life.store.incident(1).await.unwrap().unwrap();
    let left: Vec<_> = story.events.iter().map(|event| event.change.as_str()).collect();
    assert_eq!(left, ["opened", "worsened", "repeated"]);
    assert_eq!(life.down(201).await.change, "repeated");
}

/// What holds only for a while is forgotten once that has passed, and a line with the last of its rows.
#[tokio::test]
async fn nothing_but_the_latest_is_kept_for_ever() {
    let life = Life::by(crate::rule::Rule {
        group_interval: Duration::from_mins(1),
        flapping: Some(crate::rule::flapping::Flapping { count: 1, within: Duration::from_mins(1) }),
        ..rule("all", "{}", &["slack"], false)
    });
    let kept = async || {
        let counts = "SELECT (SELECT count(*) FROM gathering), (SELECT count(*) FROM flapping), \
                      (SELECT count(*) FROM silence), (SELECT count(*) FROM line)";
        let count = |connection: &Connection| {
            connection.query_row(counts, [], |row| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
        };
        life.store.read(count).await.unwrap()
    };
    let prune = async |now: i64, over_before: i64| {
        life.store.prune(from_millis(now * 1000), from_millis(over_before * 1000), 1).await.unwrap()
    };
    for line in ["A", "B"] {
        for second in [0, 10] {
            life.webhook_of(line, EventKind::Disconnected, Reason::Other, second).await;
            life.webhook_of(line, EventKind::Connected, Reason::Other, second + 5).await;
        }
        life.silence("{}", 0, 0).await;
    }
    for second in [15, 75, 100] {
        life.deliver_all("slack", second).await;
    }
    let [windows, spells, silences, lines] = kept().await;
    assert!(windows > 1 && spells == 2 && silences == 2 && lines == 2, "{windows} {spells} {silences} {lines}");
    assert!(!prune(50, 0).await.more, "all of it holds");
    assert!(prune(1000, 0).await.more);
    assert_eq!(kept().await, [windows - 1, 1, 2, 2], "one of each in a step");
    while prune(1000, 0).await.more {}
    assert_eq!(kept().await, [0, 0, 2, 2], "what is over holds nothing");
    while prune(1000, 1000).await.more {}
    assert_eq!(kept().await, [0, 0, 0, 1]);
    assert_eq!(life.down(2000).await.change, "opened");
}
