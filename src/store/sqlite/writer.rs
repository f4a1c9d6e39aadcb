//! Hands requests to the one thread that writes ([`super::scribe`]).

use std::path::PathBuf;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::StoreError;
use super::damage::Damage;
use super::job::{Job, Request};
use super::scribe::{Observer, Scribe};

/// Most requests that may wait.
pub(super) const WAITING: usize = 4096;

/// The sending end of the writing thread's queue.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    damage: Damage,
}

impl Writer {
    /// Starts the thread. It ends, and closes the connection, when this `Writer` is dropped.
    pub(super) fn start(
        connection: Connection,
        log: Option<PathBuf>,
        damage: Damage,
        observer: Observer,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let scribe = Scribe::new(connection, log, damage.clone(), observer);
        thread::Builder::new().name("store".to_owned()).spawn(move || runtime.block_on(scribe.run(waiting)))?;
        Ok(Self { jobs, damage })
    }

    /// Runs `work` in a transaction and returns after its commit is on disk. Waits if the queue is full.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let place = self.jobs.reserve().await.map_err(|_| StoreError::Closed)?;
        self.ask(place, work, true).await
    }

    /// Like [`Writer::write`], but returns after a commit that is not yet synced: for work that may be repeated after a
    /// power failure.
    pub(super) async fn note<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let place = self.jobs.reserve().await.map_err(|_| StoreError::Closed)?;
        self.ask(place, work, false).await
    }

    /// Like [`Writer::write`], but fails with [`StoreError::Busy`] at once if the queue is full.
    pub(super) async fn write_or_refuse<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let place = self.jobs.try_reserve().map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(()) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(()) => StoreError::Closed,
        })?;
        self.ask(place, work, true).await
    }

    /// Sends the request and waits for its answer.
    async fn ask<T, F>(&self, place: mpsc::Permit<'_, Job>, work: F, synced: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let work = Box::new(Request { work, done: None, sender, damage: self.damage.clone() });
        place.send(Job { work, synced });
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn after_a_rollback_in_the_middle_of_a_batch_nothing_of_it_is_kept_and_all_are_told_so() {
        let connection = Connection::open_in_memory().expect("a store");
        connection.execute_batch("CREATE TABLE kept (number)").expect("a table");
        let writer = Writer::start(connection, None, Damage::of(None), Box::new(|_| ())).expect("a thread");
        let ((begun, begins), (let_go, stuck)) = (channel(), channel::<()>());
        let mut first = Box::pin(writer.write(move |_| {
            let _ = begun.send(());
            let _ = stuck.recv();
            Ok(())
        }));
        assert!(first.as_mut().now_or_never().is_none());
        begins.recv().expect("it is at work: what comes now is another batch");
        let keep = |number: i64| {
            writer.write(move |connection| connection.execute("INSERT INTO kept VALUES (?)", [number]).map(|_| ()))
        };
        // As SQLite does by itself when the disk fails within a statement.
        let broken = writer.write(|connection| {
            connection.execute_batch("ROLLBACK")?;
            Err::<(), _>(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None))
        });
        let (mut before, mut broken, mut after) = (Box::pin(keep(1)), Box::pin(broken), Box::pin(keep(2)));
        assert!(before.as_mut().now_or_never().is_none());
        assert!(broken.as_mut().now_or_never().is_none());
        assert!(after.as_mut().now_or_never().is_none());
        let_go.send(()).expect("it waits");
        assert!(before.await.is_err());
        assert!(matches!(broken.await, Err(StoreError::Full)));
        assert!(after.await.is_err());
        keep(3).await.expect("it goes on");
        let kept = writer.write(|connection| {
            connection.query_row("SELECT group_concat(number) FROM kept", [], |row| row.get::<_, String>(0))
        });
        assert_eq!(kept.await.expect("it can be read"), "3".to_owned());
        drop(first);
    }

    #[tokio::test]
    async fn damage_that_only_a_sync_meets_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        let connection = Connection::open(&path).expect("a store");
        let tables = "CREATE TABLE kept (number); CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID";
        connection.execute_batch(tables).expect("tables");
        let page: u32 = connection
            .query_row("SELECT rootpage - 1 FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))
            .expect("the table is there");
        connection.close().expect("it closes");
        let file = std::fs::File::options().write(true).open(&path).expect("it is there");
        file.write_all_at(&[0x5a; 4096], u64::from(page) * 4096).expect("it can be written");

        let damage = Damage::of(Some(&path));
        let connection = Connection::open(&path).expect("a store");
        let writer = Writer::start(connection, None, damage.clone(), Box::new(|_| ())).expect("a thread");
        let noted = writer.note(|connection| connection.execute("INSERT INTO kept VALUES (1)", []));
        assert_eq!(noted.await.expect("its table is whole"), 1);
        timeout(Duration::from_secs(30), damage.met()).await.expect("the sync that follows meets it");
    }

    #[tokio::test]
    async fn beyond_the_bound_requests_are_refused_at_once_and_the_others_are_done() {
        let writer =
            Writer::start(Connection::open_in_memory().expect("a store"), None, Damage::of(None), Box::new(|_| ()))
                .expect("a thread");
        let (let_go, stuck) = channel::<()>();
        let (begun, started) = channel();
        let mut first = Box::pin(writer.write(move |_| {
            let _ = begun.send(());
            let _ = stuck.recv();
            Ok(0)
        }));
        assert!(first.as_mut().now_or_never().is_none());
        started.recv().expect("the thread is at work");

        let mut waiting: Vec<_> =
            (1..=WAITING).map(|number| Box::pin(writer.write_or_refuse(move |_| Ok(number)))).collect();
        for request in &mut waiting {
            assert!(request.as_mut().now_or_never().is_none());
        }
        let refused = writer.write_or_refuse(|_| Ok(0)).now_or_never().expect("an answer at once");
        assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");

        let_go.send(()).expect("it waits");
        assert_eq!(first.await.expect("committed"), 0);
        for (number, request) in (1..).zip(waiting) {
            assert_eq!(request.await.expect("committed"), number);
        }
    }
}
