//! Bounds the number of connections in a way that idle ones cannot exhaust: when there is no room for a new connection,
//! the oldest one without a request in progress is closed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The connections of one listener.
pub(super) struct Connections {
    most: usize,
    by_age: Mutex<BTreeMap<u64, Connection>>,
    /// The number of the next connection. Numbers are never used again.
    numbers: AtomicU64,
    /// Notified when a connection ends or finishes a request.
    freed: Arc<Notify>,
}

struct Connection {
    busy: Arc<Busy>,
    /// The task that serves it; none until that has been started.
    task: Option<AbortHandle>,
}

/// The connection has no request in progress.
const IDLE: u8 = 0;
/// The connection has a request in progress.
const WORKING: u8 = 1;
/// The connection is being closed for a newer one, and may begin no request.
const LEAVING: u8 = 2;

/// Whether a connection has a request in progress.
#[derive(Debug, Default)]
pub(super) struct Busy {
    state: AtomicU8,
    begun: Notify,
    finished: Notify,
    /// Notified when a request of any connection is finished.
    freed: Arc<Notify>,
}

/// The place of a connection. Dropping it gives the place back.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    pub(super) busy: Arc<Busy>,
}

/// Marks a request as in progress until it is dropped.
pub(super) struct Working(Arc<Busy>);

impl Busy {
    /// Begins a request. None if the connection is being closed: the request would be cut off half done.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Working> {
        self.turn(IDLE, WORKING).then(|| {
            self.begun.notify_one();
            Working(Arc::clone(self))
        })
    }

    /// Changes the state from one to another. Returns whether it was in the first.
    fn turn(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether a request is in progress.
    pub(super) fn is_working(&self) -> bool {
        self.state.load(Ordering::Relaxed) == WORKING
    }

    /// Waits until a request has begun since the last call.
    pub(super) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Waits until a request is finished since the last call.
    pub(super) async fn finished(&self) {
        self.finished.notified().await;
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.state.store(IDLE, Ordering::Relaxed);
        self.0.finished.notify_one();
        self.0.freed.notify_one();
    }
}

impl Connections {
    /// Allows at most this many connections at the same time, and at least one.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most: most.max(1),
            by_age: Mutex::default(),
            numbers: AtomicU64::default(),
            freed: Arc::default(),
        })
    }

    /// A place for a new connection. Waits only as long as every connection has a request in progress.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        loop {
            if let Some(place) = self.try_place() {
                return place;
            }
            self.freed.notified().await;
        }
    }

    fn try_place(self: &Arc<Self>) -> Option<Place> {
        let mut by_age = self.by_age.lock();
        if by_age.len() >= self.most {
            let leaves = |connection: &Connection| connection.task.is_some() && connection.busy.turn(IDLE, LEAVING);
            let oldest = by_age.iter().find(|(_, connection)| leaves(connection)).map(|(number, _)| *number)?;
            if let Some(task) = by_age.remove(&oldest).and_then(|connection| connection.task) {
                task.abort();
            }
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let busy = Arc::new(Busy { freed: Arc::clone(&self.freed), ..Busy::default() });
        by_age.insert(number, Connection { busy: Arc::clone(&busy), task: None });
        drop(by_age);
        Some(Place { connections: Arc::clone(self), number, busy })
    }

    /// Sets the task that serves the connection with this number, so that the connection can be closed.
    pub(super) fn serves(&self, number: u64, task: AbortHandle) {
        if let Some(connection) = self.by_age.lock().get_mut(&number) {
            connection.task = Some(task);
        }
    }
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.by_age.lock().remove(&self.number);
        self.connections.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;

    /// A connection that stays open until it is closed.
    fn stay(connections: &Arc<Connections>, place: Place) -> tokio::task::JoinHandle<()> {
        let number = place.number();
        let task = tokio::spawn(async move {
            let _place = place;
            std::future::pending::<()>().await;
        });
        connections.serves(number, task.abort_handle());
        task
    }

    #[tokio::test]
    async fn the_oldest_silent_connection_makes_way() {
        let connections = Connections::new(2);
        let first = connections.place().await;
        let working = first.busy.begin();
        let first = stay(&connections, first);
        let second = stay(&connections, connections.place().await);
        let third = stay(&connections, connections.place().await);
        assert!(second.await.unwrap_err().is_cancelled());
        assert!(!first.is_finished() && !third.is_finished());
        drop(working);
        let _fourth = connections.place().await;
        assert!(first.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn who_makes_way_begins_nothing() {
        let connections = Connections::new(1);
        let first = connections.place().await;
        let busy = Arc::clone(&first.busy);
        drop(busy.begin().expect("it may"));
        let _first = stay(&connections, first);
        let _second = connections.place().await;
        assert!(busy.begin().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_are_busy_a_new_one_waits_for_the_first_that_is_not() {
        let connections = Connections::new(1);
        let first = connections.place().await;
        let working = first.busy.begin();
        let first = stay(&connections, first);
        let mut second = std::pin::pin!(connections.place());
        assert!(second.as_mut().now_or_never().is_none());
        drop(working);
        let second = timeout(Duration::from_secs(1), second).await.expect("its request is done");
        assert!(first.await.unwrap_err().is_cancelled());

        let mut third = std::pin::pin!(connections.place());
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        timeout(Duration::from_secs(1), third).await.expect("it has ended");
    }
}
