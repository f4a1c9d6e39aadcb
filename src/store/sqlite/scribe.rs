//! The one thread that writes. Requests that wait at the same time share one transaction, so one sync serves them all;
//! none is answered before its commit.
//!
//! What workers note about their own work is committed without a sync of its own: the next webhook's sync covers it, or
//! one that comes within [`UNSYNCED`]. A crash of the daemon loses none of it. A power failure may, and then a message
//! that has just been sent is sent again, under the same name.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::damage::Damage;
use super::job::{Done, Job, failure};
use super::log;

/// Most requests in one transaction.
const BATCH: usize = 256;

/// How many pages the log may have before SQLite copies them into the database.
const CHECKPOINT: i64 = 1000;

/// How long a commit without a sync of its own may wait for one.
pub(super) const UNSYNCED: Duration = Duration::from_millis(200);

/// Is told how long each synced commit took.
pub(super) type Observer = Box<dyn Fn(Duration) + Send>;

/// The writing thread's state.
pub(super) struct Scribe {
    connection: Connection,
    observer: Observer,
    /// Whether the connection now syncs each commit; `None` before it is first set.
    syncs: Option<bool>,
    /// Since when a commit has been waiting for its sync.
    unsynced_since: Option<Instant>,
    /// The path of the write-ahead log; `None` if the store is in memory.
    log: Option<PathBuf>,
    /// Whether the log on disk may differ from the log as it reads.
    doubts_log: bool,
    damage: Damage,
}

impl Scribe {
    pub(super) fn new(connection: Connection, log: Option<PathBuf>, damage: Damage, observer: Observer) -> Self {
        Self { connection, observer, syncs: None, unsynced_since: None, log, doubts_log: false, damage }
    }

    /// Runs until the last `Writer` is gone.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
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

    /// Commits a batch and answers its requests.
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
                self.failed(&error);
                refuse(&self.connection, batch, &error);
            }
        }
    }

    /// Notes what a failure says of the store and its log.
    fn failed(&mut self, error: &rusqlite::Error) {
        self.doubts_log |= is_doubtful(error);
        self.damage.look_at(error);
    }

    /// Rewrites a log that is in doubt, before anything more is written to it.
    fn mend_log(&mut self) -> rusqlite::Result<()> {
        if let Some(path) = self.log.as_deref().filter(|_| self.doubts_log) {
            log::rewrite(path).map_err(|error| {
                let words = format!("cannot rewrite the write-ahead log after a failure: {error}");
                rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC),
                    Some(words),
                )
            })?;
        }
        self.doubts_log = false;
        Ok(())
    }

    /// Sets whether the connection syncs its commits from now on.
    fn set_synced(&mut self, synced: bool) -> rusqlite::Result<()> {
        if self.syncs != Some(synced) {
            self.connection.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            // A checkpoint syncs the log first and does not report a failure of that, so it must only meet what is
            // already synced.
            self.connection.pragma_update(None, "wal_autocheckpoint", if synced { CHECKPOINT } else { 0 })?;
            self.syncs = Some(synced);
        }
        Ok(())
    }

    /// Makes a minimal commit whose sync covers what was committed without one.
    fn sync(&mut self) {
        if self.unsynced_since.take().is_none() {
            return;
        }
        let touched =
            self.mend_log().and_then(|()| self.set_synced(true)).and_then(|()| self.connection.execute(TOUCH, []));
        if let Err(error) = touched {
            self.failed(&error);
            tracing::error!(error = %error, "the store could not sync; what was just sent may be sent again after a power failure");
        }
    }
}

/// Does the work of all requests. They hardly ever fail, so they run without savepoints, which would cost SQLite a copy
/// of every page that a request changes. If one fails, all are rolled back and done again, each in a savepoint.
fn work(connection: &Connection, batch: &mut [Job]) -> rusqlite::Result<()> {
    let well = batch.iter_mut().all(|job| job.work.run(connection) == Done::Well);
    // If the disk fails, SQLite itself rolls back everything so far; then all have failed.
    if well || connection.is_autocommit() {
        return Ok(());
    }
    run(connection, "ROLLBACK")?;
    run(connection, "BEGIN IMMEDIATE")?;
    for job in batch {
        if connection.is_autocommit() {
            // SQLite has rolled back. A request done now would be committed by itself: reported as failed, but kept.
            break;
        }
        within_savepoint(connection, job)?;
    }
    Ok(())
}

/// Does one request so that its failure does not take the others of its batch with it.
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

/// Whether a sync may have failed. A full disk fails before the sync.
fn is_doubtful(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() != Some(ErrorCode::DiskFull)
}

/// The smallest write there is.
pub(super) const TOUCH: &str =
    "INSERT INTO meta (key, value) VALUES ('writable', '1') ON CONFLICT (key) DO UPDATE SET value = 1 - value";

/// Rolls back the batch, and tells each of its requests so.
///
/// That nothing is kept holds for a failed sync as well: see [`log`]. A checkpoint that failed is repeated as a whole.
/// `tests/soak/steps.rs` cuts the power after such failures.
fn refuse(connection: &Connection, batch: &mut Vec<Job>, error: &rusqlite::Error) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    tracing::error!(error = %error, requests = batch.len(), "the store could not commit; all requests of this batch failed, and its webhooks are answered 503");
    for job in batch.drain(..) {
        job.work.answer(Err(failure(copy(error))));
    }
}

/// A copy of the error, for each request of the batch.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(other.to_string()),
        ),
    }
}
