//! The one thread that writes. Requests that wait at the same time share one transaction, so one sync serves
//! them all; none is answered before its commit.

use std::thread;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::super::StoreError;

/// Most requests in one transaction.
const BATCH: usize = 256;
/// Most requests waiting.
pub(super) const WAITING: usize = 4096;

/// One request: does its work (unless there is no transaction to do it in), and leaves behind what to answer once
/// it is committed.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The way to the writing thread.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread. It ends, and closes the connection, when the last `Writer` is gone.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        thread::Builder::new().name("store".to_owned()).spawn(move || run(&connection, waiting))?;
        Ok(Self { jobs })
    }

    /// Does a piece of work within a transaction and answers after its commit. Waits for its turn.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (job, answer) = job(work);
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Like [`Writer::write`], but refuses at once when too many wait already.
    pub(super) async fn write_or_refuse<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (job, answer) = job(work);
        self.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

fn job<T, F>(work: F) -> (Job, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        let done = connection.map(|connection| within_savepoint(connection, work).map_err(failure));
        Box::new(move |committed| {
            let answer = match (committed, done) {
                (Ok(()), done) => done.unwrap_or(Err(StoreError::Closed)),
                // Its own failure says more than that of the whole.
                (Err(_), Some(Err(own))) => Err(own),
                (Err(error), _) => Err(error),
            };
            // Nobody waits any more if the client went away; what is committed stays committed.
            let _ = sender.send(answer);
        })
    });
    (job, receiver)
}

/// One request's failure must not take the others of its batch with it.
fn within_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached("SAVEPOINT request")?.execute([])?;
    let done = work(connection);
    if done.is_err() {
        if connection.is_autocommit() {
            // The whole transaction is gone already.
            return done;
        }
        connection.prepare_cached("ROLLBACK TO request")?.execute([])?;
    }
    connection.prepare_cached("RELEASE request")?.execute([])?;
    done
}

fn run(connection: &Connection, mut waiting: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH {
            match waiting.try_recv() {
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        commit(connection, batch.drain(..));
    }
}

fn commit(connection: &Connection, batch: impl Iterator<Item = Job>) {
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    // A disk that fails makes SQLite roll back everything so far, and what is done then would be committed by itself:
    // told that it failed, and there all the same.
    let in_transaction = || begun.is_ok() && !connection.is_autocommit();
    let answers: Vec<Answer> = batch.map(|job| job(in_transaction().then_some(connection))).collect();
    match begun.and_then(|()| connection.execute_batch("COMMIT")) {
        Ok(()) => answers.into_iter().for_each(|answer| answer(Ok(()))),
        Err(error) => refuse(connection, answers, &error),
    }
}

/// Nothing of the batch is kept: every one of its requests is told so.
fn refuse(connection: &Connection, answers: Vec<Answer>, error: &rusqlite::Error) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    tracing::error!(error = %error, requests = answers.len(), "the store could not commit; the senders were told to try again");
    for answer in answers {
        answer(Err(failure(copy(error))));
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
        let writer = Writer::start(connection).expect("a thread");
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
        let writer = Writer::start(Connection::open_in_memory().expect("a store")).expect("a thread");
        let (let_go, stuck) = channel::<()>();
        let (begun, started) = oneshot::channel();
        let mut first = Box::pin(writer.write(move |_| {
            let _ = begun.send(());
            let _ = stuck.recv();
            Ok(0)
        }));
        assert!(first.as_mut().now_or_never().is_none());
        started.await.expect("the thread is at work");

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
