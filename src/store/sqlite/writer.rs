//! The one thread that writes. Requests that wait at the same time share one transaction, so one sync serves
//! them all; none is answered before its commit.
//!
//! What workers note about their own work is committed without a sync of its own: the next webhook's sync takes it
//! along, or one that comes within [`UNSYNCED`]. A crash of the daemon loses none of it; a power failure may, and then
//! a message that has just been sent is sent again, under the same name.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::super::StoreError;
use super::damage::{self, Damage};
use super::log;

/// Most requests in one transaction.
const BATCH: usize = 256;
/// Most requests waiting.
pub(super) const WAITING: usize = 4096;

/// How many pages of the log are copied into the database at the latest.
const CHECKPOINT: i64 = 1000;

/// How long a commit without a sync of its own may wait for one.
pub(super) const UNSYNCED: Duration = Duration::from_millis(200);

/// One request.
struct Job {
    work: Box<dyn Work>,
    /// Whether somebody relies on it once it is answered, so that it must be on disk by then.
    synced: bool,
}

/// What a request does, and what it answers once that is committed.
trait Work: Send {
    /// Does it, within a transaction. What it did before, if it was done before, is rolled back.
    fn run(&mut self, connection: &Connection) -> Done;

    /// Answers whoever waits.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Whether a request could do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Well,
    Failed,
}

/// A request's work, and who waits for it.
struct Request<T, F> {
    work: F,
    /// None until it is done.
    done: Option<rusqlite::Result<T>>,
    sender: oneshot::Sender<Result<T, StoreError>>,
    damage: Damage,
}

impl<T, F> Work for Request<T, F>
where
    T: Send,
    F: Fn(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> Done {
        let done = (self.work)(connection).inspect_err(|error| self.damage.look_at(error));
        let how = if done.is_ok() { Done::Well } else { Done::Failed };
        self.done = Some(done);
        how
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => done.map_err(failure),
            (Ok(()), None) => Err(StoreError::Closed),
            // Its own failure says more than that of the whole.
            (Err(_), Some(Err(own))) => Err(failure(own)),
            (Err(error), _) => Err(error),
        };
        // Nobody waits any more if the client went away; what is committed stays committed.
        let _ = self.sender.send(answer);
    }
}

/// Is told how long each commit took that went to the disk.
pub(super) type Observer = Box<dyn Fn(Duration) + Send>;

/// The way to the writing thread.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    damage: Damage,
}

impl Writer {
    /// Starts the thread. It ends, and closes the connection, when the last `Writer` is gone.
    pub(super) fn start(
        connection: Connection,
        log: Option<PathBuf>,
        damage: Damage,
        observer: Observer,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let scribe = Scribe {
            connection,
            syncs: None,
            unsynced_since: None,
            log,
            doubts_log: false,
            damage: damage.clone(),
            observer,
        };
        thread::Builder::new().name("store".to_owned()).spawn(move || runtime.block_on(scribe.run(waiting)))?;
        Ok(Self { jobs, damage })
    }

    /// Does a piece of work within a transaction and answers after its commit. Waits for its turn.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let place = self.jobs.reserve().await.map_err(|_| StoreError::Closed)?;
        self.ask(place, work, true).await
    }

    /// Like [`Writer::write`], but answers before it is on disk, for what may be done again after a power failure.
    pub(super) async fn note<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let place = self.jobs.reserve().await.map_err(|_| StoreError::Closed)?;
        self.ask(place, work, false).await
    }

    /// Like [`Writer::write`], but refuses at once when too many wait already.
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

    /// Has it done at a place among those that wait.
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

/// Does the work of all. Hardly ever does one fail, so they go without savepoints, which cost SQLite a copy of every
/// page that a request changes. If one fails all the same, all is rolled back and done anew, each by itself.
fn work(connection: &Connection, batch: &mut [Job]) -> rusqlite::Result<()> {
    let well = batch.iter_mut().all(|job| job.work.run(connection) == Done::Well);
    // A disk that fails makes SQLite roll back everything so far; then all have failed.
    if well || connection.is_autocommit() {
        return Ok(());
    }
    run(connection, "ROLLBACK")?;
    run(connection, "BEGIN IMMEDIATE")?;
    for job in batch {
        if connection.is_autocommit() {
            // What is done now would be committed by itself: told that it failed, and there all the same.
            break;
        }
        within_savepoint(connection, job)?;
    }
    Ok(())
}

/// One request's failure must not take the others of its batch with it.
fn within_savepoint(connection: &Connection, job: &mut Job) -> rusqlite::Result<()> {
    run(connection, "SAVEPOINT request")?;
    if job.work.run(connection) == Done::Failed {
        if connection.is_autocommit() {
            return Ok(());
        }
        run(connection, "ROLLBACK TO request")?;
    }
    run(connection, "RELEASE request")
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}

/// What the thread works with.
struct Scribe {
    connection: Connection,
    observer: Observer,
    /// How the connection commits now; `None` before it was first told.
    syncs: Option<bool>,
    /// Since when something is committed and not synced.
    unsynced_since: Option<Instant>,
    /// The write-ahead log, if it is on a disk.
    log: Option<PathBuf>,
    /// Whether the log may not be on the disk as it reads.
    doubts_log: bool,
    damage: Damage,
}

impl Scribe {
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let next = waiting.recv_many(&mut batch, BATCH);
            let received = match self.unsynced_since {
                Some(since) => timeout_at(since + UNSYNCED, next).await,
                None => Ok(next.await),
            };
            match received {
                Ok(0) => break,
                Ok(_) => self.commit(&mut batch),
                Err(_elapsed) => self.sync(),
            }
        }
        self.sync();
    }

    fn commit(&mut self, batch: &mut Vec<Job>) {
        let is_late = self.unsynced_since.is_some_and(|since| since.elapsed() >= UNSYNCED);
        let synced = is_late || batch.iter().any(|job| job.synced);
        let since = Instant::now();
        let committed = self
            .mend_log()
            .and_then(|()| self.set_synced(synced))
            .and_then(|()| run(&self.connection, "BEGIN IMMEDIATE"))
            .and_then(|()| work(&self.connection, batch))
            .and_then(|()| run(&self.connection, "COMMIT"));
        match committed {
            Ok(()) => {
                self.unsynced_since = if synced { None } else { self.unsynced_since.or_else(|| Some(Instant::now())) };
                if synced {
                    (self.observer)(since.elapsed());
                }
                for job in batch.drain(..) {
                    job.work.answer(Ok(()));
                }
            }
            Err(error) => {
                self.doubts_log |= is_doubtful(&error);
                self.damage.look_at(&error);
                refuse(&self.connection, batch, &error);
            }
        }
    }

    /// Before anything is built upon the log.
    fn mend_log(&mut self) -> rusqlite::Result<()> {
        if let Some(path) = self.log.as_deref().filter(|_| self.doubts_log) {
            log::rewrite(path).map_err(|error| {
                let words = format!("cannot write the log anew after a failure: {error}");
                rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC),
                    Some(words),
                )
            })?;
        }
        self.doubts_log = false;
        Ok(())
    }

    fn set_synced(&mut self, synced: bool) -> rusqlite::Result<()> {
        if self.syncs != Some(synced) {
            self.connection.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            // A checkpoint syncs the log first and says nothing when that fails: it may only find what is synced.
            self.connection.pragma_update(None, "wal_autocheckpoint", if synced { CHECKPOINT } else { 0 })?;
            self.syncs = Some(synced);
        }
        Ok(())
    }

    /// A commit of next to nothing, whose sync takes along what was committed without one.
    fn sync(&mut self) {
        if self.unsynced_since.take().is_none() {
            return;
        }
        let touched =
            self.mend_log().and_then(|()| self.set_synced(true)).and_then(|()| self.connection.execute(TOUCH, []));
        if let Err(error) = touched {
            self.doubts_log |= is_doubtful(&error);
            tracing::error!(error = %error, "the store could not sync; what was just sent may be sent again after a power failure");
        }
    }
}

/// Whether a sync may have failed. A disk without room fails before that.
fn is_doubtful(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() != Some(ErrorCode::DiskFull)
}

/// The least that can be written.
pub(super) const TOUCH: &str =
    "INSERT INTO meta (key, value) VALUES ('writable', '1') ON CONFLICT (key) DO UPDATE SET value = 1 - value";

/// Nothing of the batch is kept: every one of its requests is told so.
///
/// That holds for a sync that failed as well: see [`log`]. A checkpoint that failed is done anew as a whole.
/// `tests/soak/steps.rs` loses the power after such failures.
fn refuse(connection: &Connection, batch: &mut Vec<Job>, error: &rusqlite::Error) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    tracing::error!(error = %error, requests = batch.len(), "the store could not commit; the senders were told to try again");
    for job in batch.drain(..) {
        job.work.answer(Err(failure(copy(error))));
    }
}

/// An error for each of those who waited for the same commit.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(other.to_string()),
        ),
    }
}

/// What the caller needs to tell apart.
pub(super) fn failure(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        _ if damage::is_damage(&error) => StoreError::Damaged,
        _ => StoreError::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn after_a_rollback_in_the_middle_of_a_batch_nothing_of_it_is_kept_and_all_are_told_so() {
        let connection = Connection::open_in_memory().expect("a store");
        connection.execute_batch("CREATE TABLE kept (number)").expect("a table");
        let writer = Writer::start(connection, None, Damage::of(None), Box::new(|_| ())).expect("a thread");
        let (let_go, stuck) = channel::<()>();
        let mut first = Box::pin(writer.write(move |_| {
            let _ = stuck.recv();
            Ok(())
        }));
        assert!(first.as_mut().now_or_never().is_none());
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
