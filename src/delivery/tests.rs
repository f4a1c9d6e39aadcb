//! Workers with a real store.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use linedown_sinks::{Limits, Reason, Receipt, Sink};
use tokio::sync::mpsc;

use super::*;
use crate::rule::tests::{routing, rule};
use crate::rule::{Retry, Rule};
use crate::source::{Event, EventKind};
use crate::store::Sqlite;
use crate::store::view::{Delivery as Row, DeliveryQuery};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A sink that never answers the first attempt, and panics when that is cancelled.
struct Fragile {
    tries: AtomicUsize,
    told: mpsc::UnboundedSender<u32>,
}

struct Crash;

impl Drop for Crash {
    fn drop(&mut self) {
        panic!("left alone");
    }
}

#[async_trait]
impl Sink for Fragile {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        if self.tries.fetch_add(1, Ordering::SeqCst) == 0 {
            let _crash = Crash;
            std::future::pending::<()>().await;
        }
        let _ = self.told.send(notification.attempt);
        Ok(Receipt(String::new()))
    }
}

#[tokio::test]
async fn an_attempt_that_crashes_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&folder.path().join("x.db")).unwrap());
    let routing = Arc::new(routing(vec![rule("all", "{}", &["slack"], false)]));
    let (told, mut heard) = mpsc::unbounded_channel();
    let sink = Arc::new(Fragile { tries: AtomicUsize::new(0), told });
    let limits = Limits { timeout: Duration::from_millis(10), ..Limits::default() };
    let retry = Retry { first: Duration::from_millis(10), ..Retry::default() };
    let shared = Arc::new(SharedRouting::new(Arc::clone(&routing)));
    let delivery = Delivery::new(Arc::clone(&store) as Arc<dyn Store>, shared, Arc::default(), Arc::default());
    delivery.assign(
        Built([("slack".to_owned(), Assignment { sink, limits, retry, stands_in: false })].into()),
        &BTreeSet::new(),
    );

    let now = clock::now();
    let event = Event::found(("z-api", "A"), EventKind::Disconnected, Reason::Other, None, now);
    let accepted = store.accept(event, "{}".into(), routing).await.unwrap();
    delivery.wake_for(&accepted.sinks);
    let attempt = tokio::time::timeout(DEADLINE, heard.recv()).await.expect("it is tried again");
    assert_eq!(attempt, Some(2));
    assert_eq!(delivery.drain(DEADLINE).await, 0);
}

/// A sink that is busy.
struct Busy(mpsc::UnboundedSender<usize>);

#[async_trait]
impl Sink for Busy {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let _ = self.0.send(notification.items.len());
        Err(Failure::new(FailureKind::Busy, "503"))
    }
}

/// What becomes of two parts of a message that fails: one line has waited for longer than the sink's patience, the other
/// went down at the time that is returned as well.
async fn one_of_two_parts_is_late() -> (Row, Row, Timestamp, Arc<Metrics>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&folder.path().join("x.db")).unwrap());
    let rule = Rule { group_interval: Duration::from_mins(1), ..rule("all", "{}", &["slack"], false) };
    let routing = Arc::new(routing(vec![rule]));
    let now = clock::now();
    let patience = Duration::from_hours(1);
    for (line, at) in [("A", now.checked_sub(2 * patience).unwrap()), ("B", now)] {
        let event = Event::found(("z-api", line), EventKind::Disconnected, Reason::Other, None, at);
        store.accept(event, "{}".into(), Arc::clone(&routing)).await.unwrap();
    }
    let (told, mut heard) = mpsc::unbounded_channel();
    let retry = Retry { first: patience, max: patience, give_up_after: patience };
    let (shared, metrics) = (Arc::new(SharedRouting::new(routing)), Arc::<Metrics>::default());
    let delivery = Delivery::new(Arc::clone(&store) as Arc<dyn Store>, shared, Arc::clone(&metrics), Arc::default());
    let assignment = Assignment { sink: Arc::new(Busy(told)), limits: Limits::default(), retry, stands_in: false };
    delivery.assign(Built([("slack".to_owned(), assignment)].into()), &BTreeSet::new());

    let parts = tokio::time::timeout(DEADLINE, heard.recv()).await.expect("it is tried");
    assert_eq!(parts, Some(2));
    assert_eq!(delivery.drain(DEADLINE).await, 0);
    let rows =
        store.deliveries(DeliveryQuery { sink: Some("slack".into()), ..DeliveryQuery::default() }).await.unwrap();
    let [of_b, of_a] = rows.try_into().unwrap();
    (of_a, of_b, now, metrics)
}

#[tokio::test]
async fn each_part_of_a_message_is_given_up_by_its_own_patience() {
    let (of_a, of_b, now, metrics) = one_of_two_parts_is_late().await;
    let why = "busy: 503 (given up: undelivered for longer than retry.give_up_after)";
    assert_eq!((of_a.state.as_str(), of_a.detail.as_deref()), ("dead", Some(why)));
    assert_eq!((of_b.state.as_str(), of_b.detail.as_deref()), ("pending", Some("busy: 503")));
    assert!(of_b.due_at > Some(now), "it is tried again: {of_b:?}");
    let counted = metrics.open_metrics();
    for line in [
        r#"linedown_attempts_total{sink="slack",outcome="busy"} 1"#,
        r#"linedown_notifications_total{sink="slack",kind="down",state="dead"} 1"#,
    ] {
        assert!(counted.lines().any(|known| known == line), "{line}: {counted}");
    }
}

/// A log that breaks when something is given up.
struct BrokenLog;

impl tracing::Subscriber for BrokenLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        assert_ne!(event.metadata().name(), "given-up", "the log breaks");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_log_that_breaks_leaves_nothing_in_hand() {
    let _broken = tracing::subscriber::set_default(BrokenLog);
    let (of_a, of_b, ..) = one_of_two_parts_is_late().await;
    assert_eq!((of_a.state.as_str(), of_a.in_flight), ("dead", false));
    assert_eq!((of_b.detail.as_deref(), of_b.in_flight), (Some("busy: 503"), false));
}

/// A sink that takes everything.
struct Taking(mpsc::UnboundedSender<usize>);

#[async_trait]
impl Sink for Taking {
    async fn deliver(&self, notification: &Notification) -> Result<Receipt, Failure> {
        let _ = self.0.send(notification.items.len());
        Ok(Receipt(String::new()))
    }
}

/// The first of five is tried once more when all have waited for too long.
#[tokio::test]
async fn whoever_hears_that_a_sink_lost_several_hears_of_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&folder.path().join("x.db")).unwrap());
    let routing = Arc::new(routing(vec![rule("all", "{}", &["slack"], false)]));
    let patience = Duration::from_hours(1);
    let at = clock::now().checked_sub(2 * patience).unwrap();
    for line in ["A", "B", "C", "D", "E"] {
        let event = Event::found(("z-api", line), EventKind::Disconnected, Reason::Other, None, at);
        store.accept(event, "{}".into(), Arc::clone(&routing)).await.unwrap();
    }
    let ((attempted, mut attempts), (told, mut heard)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let retry = Retry { first: patience, max: patience, give_up_after: patience };
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let shared = Arc::new(SharedRouting::new(routing));
    let delivery = Delivery::new(Arc::clone(&store) as Arc<dyn Store>, shared, Arc::default(), Arc::default());
    let sinks: [(&str, Arc<dyn Sink>); 2] = [("mail", Arc::new(Taking(told))), ("slack", Arc::new(Busy(attempted)))];
    let assign = |sink| Assignment { sink, limits, retry, stands_in: false };
    delivery.assign(Built(sinks.map(|(name, sink)| (name.to_owned(), assign(sink))).into()), &BTreeSet::new());

    let lines = tokio::time::timeout(DEADLINE, heard.recv()).await.expect("somebody else is told");
    assert_eq!(lines, Some(5));
    assert_eq!(delivery.drain(DEADLINE).await, 0);
    attempts.close();
    assert!(attempts.recv().await.is_some() && attempts.recv().await.is_none(), "one is tried");
}
