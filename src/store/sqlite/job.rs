//! One request to the writing thread: what it does, and who waits for its answer.

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::super::StoreError;
use super::damage::{self, Damage};

/// One request.
pub(super) struct Job {
    pub(super) work: Box<dyn Work>,
    /// Whether the answer must wait for a sync, because somebody relies on it.
    pub(super) synced: bool,
}

/// What a request does, and what it answers once that is committed.
pub(super) trait Work: Send {
    /// Does the work within a transaction. It may be called again, after what it did before was rolled back.
    fn run(&mut self, connection: &Connection) -> Done;

    /// Answers whoever waits.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Whether a request could do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Well,
    Failed,
}

/// A request's work, and who waits for it.
pub(super) struct Request<T, F> {
    pub(super) work: F,
    /// `None` until it is done.
    pub(super) done: Option<rusqlite::Result<T>>,
    pub(super) sender: oneshot::Sender<Result<T, StoreError>>,
    pub(super) damage: Damage,
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
            // Its own failure says more than that of its batch.
            (Err(_), Some(Err(own))) => Err(failure(own)),
            (Err(error), _) => Err(error),
        };
        // If the client went away, nobody waits any more; what is committed stays committed.
        let _ = self.sender.send(answer);
    }
}

/// Turns an error of SQLite's into what callers tell apart.
pub(super) fn failure(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        _ if damage::is_damage(&error) => StoreError::Damaged,
        _ => StoreError::Failed(error),
    }
}
