use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use linedown_sinks::{FailureKind, Kind, Reason};
use tempfile::TempDir;

mod belated;
mod damaged;
mod flapping;
mod formats;
mod found;
mod generated;
mod notices;
mod retry;
mod timing;
mod unreadable;
mod worse;

use super::*;
use crate::clock::from_millis;
use crate::rule::tests::{routing, rule};
use crate::source::EventKind;
use crate::store::{Due, Outcome};

/// A store with rules, lived through by hand. Times are in seconds.
struct Life {
    folder: TempDir,
    store: Sqlite,
    routing: Arc<Routing>,
}

impl Life {
    /// Everything goes to `sinks`.
    fn with(sinks: &[&str]) -> Self {
        Self::by(rule("all", "{}", sinks, false))
    }

    /// Everything goes by one rule.
    fn by(rule: crate::rule::Rule) -> Self {
        Self::by_rules(vec![rule])
    }

    fn by_rules(rules: Vec<crate::rule::Rule>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("x.db")).unwrap();
        Self { folder, store, routing: Arc::new(routing(rules)) }
    }

    /// From now on with quiet hours, every Thursday from 00:00 to 07:00. (1970 began on a Thursday.)
    fn at_night(self) -> Self {
        let night = crate::rule::timing::Quiet {
            name: "night".into(),
            matcher: crate::rule::matcher::Matcher::default(),
            days: vec![jiff::civil::Weekday::Thursday],
            from: "00:00".parse().unwrap(),
            to: "07:00".parse().unwrap(),
            time_zone: jiff::tz::TimeZone::UTC,
        };
        Self { routing: Arc::new(Routing { quiet: vec![night], ..(*self.routing).clone() }), ..self }
    }

    async fn webhook(&self, kind: EventKind, reason: Reason, second: i64) -> Accepted {
        self.webhook_of("A", kind, reason, second).await
    }

    async fn webhook_of(&self, line: &str, kind: EventKind, reason: Reason, second: i64) -> Accepted {
        let event = Self::event(line, kind, reason, second);
        self.store.accept(event, "{}".into(), Arc::clone(&self.routing)).await.unwrap()
    }

    /// A webhook that comes at once, from a clock that can be believed.
    fn event(line: &str, kind: EventKind, reason: Reason, second: i64) -> Event {
        let at = from_millis(second * 1000);
        Event {
            source: "z-api".into(),
            instance: line.into(),
            kind,
            reason,
            phone: Some("5544999999999".into()),
            error: None,
            at,
            gateway_at: Some(at),
            stamp: Some(second * 1000),
            received_at: at,
            asked_at: None,
        }
    }

    async fn down(&self, second: i64) -> Accepted {
        self.webhook(EventKind::Disconnected, Reason::Other, second).await
    }

    async fn up(&self, second: i64) -> Accepted {
        self.webhook(EventKind::Connected, Reason::Other, second).await
    }

    async fn lease(&self, sink: &str, second: i64) -> Vec<Due> {
        self.store.lease(sink, 10, from_millis(second * 1000), Arc::clone(&self.routing)).await.unwrap().due
    }

    async fn settle(&self, due: &Due, second: i64, outcome: Outcome) -> Settled {
        let settlement = Settlement { notifications: due.covers.clone(), at: from_millis(second * 1000), outcome };
        self.store.settle(settlement, Arc::clone(&self.routing)).await.unwrap()
    }

    /// Everything that is due now is taken by the sink, what that makes due as well.
    async fn deliver_all(&self, sink: &str, second: i64) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for due in self.lease(sink, second).await {
            self.settle(&due, second, Outcome::Delivered("ok".into())).await;
            kinds.push(due.notification.kind);
        }
        kinds
    }

    fn reopened(self) -> Self {
        let Self { folder, store, routing } = self;
        // The writer's thread closes the file after its last request.
        drop(store);
        let store = Sqlite::open(&folder.path().join("x.db")).unwrap();
        Self { folder, store, routing }
    }
}

#[test]
fn sqlite_is_built_as_the_cargo_config_says() {
    let connection = Connection::open_in_memory().unwrap();
    let used =
        "SELECT sqlite_compileoption_used('DEFAULT_MEMSTATUS=0') AND NOT sqlite_compileoption_used('ENABLE_API_ARMOR')";
    let used: bool = connection.query_row(used, [], |row| row.get(0)).unwrap();
    assert!(used, "LIBSQLITE3_FLAGS of .cargo/config.toml was not taken");
}

#[tokio::test]
async fn nobody_hears_of_a_lost_message_that_arrived_after_all() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 1).await.remove(0);
    life.settle(&due, 2, dead()).await;
    let again = Which::These(vec![due.notification.id]);
    life.store.retry(again, from_millis(3_000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", 3).await, [Kind::Down]);
    assert_eq!(life.deliver_all("mail", 4).await, []);
    let left = life.store.deliveries(DeliveryQuery { sink: Some("mail".into()), ..DeliveryQuery::default() });
    let left = left.await.unwrap();
    assert_eq!(left[0].state, "withdrawn");
    assert!(left[0].detail.as_deref().is_some_and(|why| why.contains("after all")), "{left:?}");
}

#[tokio::test]
async fn what_is_owed_does_not_wait_for_a_clock_that_was_set_back() {
    let life = Life::with(&["slack"]);
    let day = 86_400;
    life.down(day).await;
    let due = life.lease("slack", day).await.remove(0);
    let due_at = from_millis((day + 60) * 1000);
    life.settle(&due, day, Outcome::Again { kind: FailureKind::Busy, why: "later".into(), due_at }).await;
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, day).await;

    let now = from_millis(1_000_000);
    assert_eq!(life.store.set_back(now, 10).await.unwrap(), 4, "two lines and two notifications");
    assert_eq!(life.store.set_back(now, 10).await.unwrap(), 0);
    assert_eq!(life.lease("slack", 1000).await.len(), 1, "the one that was due at once");
    assert_eq!(life.lease("slack", 1059).await.len(), 0, "a pause is as long as it was");
    assert_eq!(life.lease("slack", 1060).await.len(), 1);
}

fn dead() -> Outcome {
    Outcome::Dead { kind: FailureKind::Refused, why: "no such user".into() }
}

#[tokio::test]
async fn an_outage_is_told_and_resolved() {
    let life = Life::with(&["slack", "mail"]);
    let accepted = life.down(1).await;
    assert_eq!((accepted.change, accepted.owed, accepted.duplicate), ("opened", 3, false));
    assert_eq!(life.deliver_all("slack", 2).await, [Kind::Down]);
    assert_eq!(life.deliver_all("mail", 2).await, [Kind::Down, Kind::Down]);
    assert_eq!(life.up(3).await.owed, 3);
    assert_eq!(life.deliver_all("slack", 4).await, [Kind::Resolved]);
    assert_eq!(life.deliver_all("mail", 4).await, [Kind::Resolved, Kind::Resolved]);
}

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
async fn back_before_anybody_was_told_is_one_message() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    assert_eq!(life.up(2).await.owed, 0);
    let due = life.lease("slack", 3).await;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].notification.kind, Kind::Down);
    assert_eq!(due[0].notification.incident.closed_at, Some(from_millis(2000)));
    assert_eq!(life.settle(&due[0], 3, Outcome::Delivered("ok".into())).await, Settled::default());
    assert!(life.lease("slack", 9).await.is_empty());
}

#[tokio::test]
async fn back_while_the_message_is_on_its_way_is_told_afterwards() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    assert_eq!(life.up(3).await.owed, 0, "nothing is added while it is unknown what they heard");
    let settled = life.settle(&due[0], 4, Outcome::Delivered("ok".into())).await;
    assert!(settled.sinks.contains("slack"));
    assert_eq!(life.deliver_all("slack", 5).await, [Kind::Resolved]);
}

#[tokio::test]
async fn what_fails_is_due_again_and_says_both_by_then() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(10_000) };
    life.settle(&due[0], 3, again).await;
    life.up(4).await;
    assert!(life.lease("slack", 9).await.is_empty());
    let due = life.lease("slack", 10).await;
    let notification = &due[0].notification;
    assert_eq!((notification.attempt, notification.last_failure.as_deref()), (2, Some("busy: 503")));
    assert!(notification.incident.closed_at.is_some());
}

#[tokio::test]
async fn a_dead_letter_is_told_to_the_fallback_and_so_is_the_end() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    let settled = life.settle(&due[0], 3, dead()).await;
    assert_eq!((settled.dead, settled.untold), (1, 0));
    let instead = life.lease("mail", 4).await;
    assert_eq!(instead.len(), 2);
    let undelivered = instead[0].notification.undelivered.as_ref().unwrap();
    assert_eq!((undelivered.sink.as_str(), undelivered.why.as_str()), ("slack", "refused: no such user"));
    for due in &instead {
        life.settle(due, 5, Outcome::Delivered("ok".into())).await;
    }
    life.up(6).await;
    assert_eq!(life.deliver_all("mail", 7).await, [Kind::Resolved, Kind::Resolved]);
    assert!(life.lease("slack", 7).await.is_empty(), "who was not told of the outage is not told of its end");
}

#[tokio::test]
async fn when_every_fallback_fails_it_is_said_that_nobody_knows() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    life.settle(&due[0], 3, dead()).await;
    let instead = life.lease("mail", 4).await;
    let settled = life.settle(&instead[0], 5, dead()).await;
    assert_eq!((settled.dead, settled.untold), (1, 1));
    assert!(life.lease("slack", 6).await.is_empty());
}

#[tokio::test]
async fn a_dead_letter_can_be_sent_again() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    life.settle(&due[0], 3, dead()).await;
    let id = due[0].notification.id;
    let retried = life.store.retry(Which::Dead { sink: Some("slack".into()) }, from_millis(50_000)).await.unwrap();
    assert_eq!(retried.notifications, BTreeSet::from([id]));
    let due = life.lease("slack", 50).await;
    assert_eq!((due[0].notification.id, due[0].owed_at), (id, from_millis(50_000)));
    assert_eq!(life.store.retry(Which::These(vec![id, 999]), from_millis(51_000)).await.unwrap(), Retried::default());
}

/// A write that everything else would have to wait for is many that it need not.
#[tokio::test]
async fn what_a_person_sets_free_is_set_free_in_steps() {
    const MANY: usize = 2500;
    let folder = tempfile::tempdir().unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    let counted = move |_| _ = counted.fetch_add(1, Ordering::SeqCst);
    let store = Sqlite::observed(&folder.path().join("x.db"), counted).unwrap();
    let life = Life { folder, store, routing: Arc::new(routing(vec![rule("all", "{}", &["slack"], false)])) };
    life.down(1).await;
    for (sink, copies) in [("slack", MANY - 1), ("log", 1)] {
        let copy = format!(
            "INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, state, created_at, owed_at, due_at, grouping, class) \
             SELECT incident, rule, '{sink}', '', kind, wants_resolved, 'pending', created_at, owed_at, due_at, grouping, class \
             FROM notification, generate_series LIMIT {copies}"
        );
        let series =
            "WITH RECURSIVE generate_series (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM generate_series) ";
        life.store.writer.write(move |connection| connection.execute_batch(&format!("{series}{copy}"))).await.unwrap();
    }
    let set_all = async |set: &'static str| {
        let set = format!("UPDATE notification SET {set}");
        life.store.writer.write(move |connection| connection.execute(&set, [])).await.unwrap()
    };
    let in_steps = |before: usize| (3..=4).contains(&(commits.load(Ordering::SeqCst) - before));

    assert_eq!(set_all("state = 'dead'").await, MANY + 1);
    let before = commits.load(Ordering::SeqCst);
    let all = Which::Dead { sink: None };
    let retried = life.store.retry(all, from_millis(50_000)).await.unwrap();
    assert_eq!((retried.notifications.len(), retried.sinks.len()), (MANY + 1, 2));
    assert!(in_steps(before), "{}", commits.load(Ordering::SeqCst) - before);

    let silence = life.silence("{}", 0, 1000).await;
    assert_eq!((silence, set_all("held_by = 'silence 1', due_at = 1000000").await), (1, MANY + 1));
    let before = commits.load(Ordering::SeqCst);
    assert_eq!(life.store.end_silence(silence, from_millis(60_000)).await.unwrap().unwrap().len(), 2);
    assert!(in_steps(before), "{}", commits.load(Ordering::SeqCst) - before);
    let held = life.store.deliveries(DeliveryQuery { limit: Some(10_000), ..DeliveryQuery::default() }).await.unwrap();
    assert!(held.iter().all(|delivery| delivery.due_at == Some(from_millis(60_000))));
}

#[tokio::test]
async fn a_worse_reason_is_news_to_those_who_were_told() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    life.deliver_all("slack", 2).await;
    assert_eq!(life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 3).await.change, "worsened");
    let due = life.lease("slack", 4).await;
    assert_eq!((due[0].notification.kind, due[0].notification.incident.reason), (Kind::Worse, Reason::NumberBlocked));
}

#[tokio::test]
async fn what_was_in_hand_at_the_end_is_handed_out_again() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let before = life.lease("slack", 2).await;
    assert!(life.lease("slack", 3).await.is_empty());
    let life = life.reopened();
    let after = life.lease("slack", 4).await;
    assert_eq!(after[0].notification.key(), before[0].notification.key());
    assert_eq!(after[0].notification.attempt, 2);
    let story = life.store.incident(1).await.unwrap().unwrap();
    let attempts = story.deliveries[0].attempts.as_ref().unwrap();
    assert_eq!(attempts[0].outcome.as_deref(), Some("interrupted"));
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

#[tokio::test]
async fn patience_ends_for_what_was_never_tried() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let give_up = |second: i64| {
        let before = from_millis(second * 1000);
        life.store.give_up("slack", before, "unreachable", from_millis(9000), Arc::clone(&life.routing))
    };
    assert_eq!(give_up(0).await.unwrap(), Settled::default());
    let settled = give_up(1).await.unwrap();
    assert_eq!((settled.dead, settled.sinks.len()), (1, 1));
    assert_eq!(life.lease("mail", 10).await.len(), 2);
}

#[tokio::test]
async fn what_is_over_and_old_is_forgotten_but_nothing_that_is_owed() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    life.up(2).await;
    let prune = async || life.store.prune(from_millis(0), from_millis(100_000), 10).await.unwrap().old;
    assert_eq!(prune().await, 0, "somebody must still be told");
    life.deliver_all("slack", 3).await;
    assert_eq!(prune().await, 1);
    assert_eq!(life.store.incident(1).await.unwrap(), None);
    life.down(4).await;
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

/// What only held for a while is forgotten once that is over, and a line that nothing is left of with the rest of it.
#[tokio::test]
async fn nothing_is_kept_for_ever() {
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
    assert_eq!(kept().await, [0, 0, 0, 0]);
    assert_eq!(life.down(2000).await.change, "opened");
}

#[tokio::test]
async fn a_store_is_for_its_owner_alone() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    for file in ["x.db", "x.db-wal", "x.db-shm"] {
        let mode = std::fs::metadata(life.folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn only_one_daemon_has_the_store() {
    let life = Life::with(&[]);
    let second = Sqlite::open(&life.folder.path().join("x.db"));
    assert!(matches!(second, Err(StoreError::InUse(_))));
}

#[tokio::test]
async fn a_store_of_a_later_version_is_left_alone() {
    let life = Life::with(&[]);
    life.store.writer.write(|connection| connection.pragma_update(None, "user_version", 99)).await.unwrap();
    let Life { folder, store, .. } = life;
    drop(store);
    let reopened = Sqlite::open(&folder.path().join("x.db"));
    assert!(matches!(reopened, Err(StoreError::TooNew { found: 99, .. })));
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
