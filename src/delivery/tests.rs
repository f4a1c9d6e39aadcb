//! Workers with a real store.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use linedown_sinks::{Reason, Receipt};
use tokio::sync::mpsc;

use super::*;
use crate::rule::tests::{routing, rule};
use crate::source::{Event, EventKind};
use crate::store::Sqlite;

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
    let event = Event::found(("z-api", "A"), EventKind::Disconnected, Reason::Other, None, (now, now));
    let accepted = store.accept(event, "{}".into(), routing).await.unwrap();
    delivery.wake_for(&accepted.sinks);
    let attempt = tokio::time::timeout(DEADLINE, heard.recv()).await.expect("it is tried again");
    assert_eq!(attempt, Some(2));
    assert_eq!(delivery.drain(DEADLINE).await, 0);
}
