//! Why the store could not do what it was asked.

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many requests are waiting.
    #[error("too many webhooks are waiting to be written")]
    Busy,
    /// No room on the disk.
    #[error("no space left for the store")]
    Full,
    /// The writing thread has ended.
    #[error("the store is closed")]
    Closed,
    /// Another process has it open.
    #[error("the store {0} is in use by another linedown")]
    InUse(String),
    /// The file is something else than a store of linedown's.
    #[error("{0} is not a store of linedown")]
    Foreign(String),
    /// It was written by a later version of linedown.
    #[error("the store has format {found}, this linedown knows up to {known}")]
    TooNew {
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file cannot be opened.
    #[error("cannot open the store {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not read as it was written.
    #[error("the store is damaged")]
    Damaged,
    /// The database failed. The message includes the cause, because people need it wherever they meet this error.
    #[error("the store failed: {0}")]
    Failed(rusqlite::Error),
}
