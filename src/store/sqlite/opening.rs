//! Opens a store: creates it if it is missing, brings it into the present format, replaces it if it is damaged.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::super::StoreError;
use super::foreign::APPLICATION;
use super::job::failure;
use super::{damage, mending, row, silence, takeover};
use crate::clock;

/// The format of the tables, as kept in `PRAGMA user_version`.
const FORMAT: i64 = 7;

/// The statements that lead from each former format to the next.
const STEPS: [(i64, &str); 6] = [
    (1, include_str!("../format_2.sql")),
    (
        2,
        concat!(include_str!("../format_3.sql"), include_str!("../lines.sql"), include_str!("../format_3_indexes.sql")),
    ),
    (3, include_str!("../format_4.sql")),
    (4, include_str!("../format_5.sql")),
    (5, include_str!("../format_6.sql")),
    (6, include_str!("../format_7.sql")),
];

/// How many prepared statements are cached: more than there are.
const STATEMENTS: usize = 256;

/// What a store was given when it was created.
pub(super) struct Identity {
    /// A random name, which makes the numbers of notifications unique across all stores.
    pub(super) name: String,
    /// The key that signs the links in messages.
    pub(super) link_key: Vec<u8>,
}

/// Opens a store, or creates it if it is missing. Fails if damage shows, and leaves the store as it is then.
pub(super) fn connect(path: &Path) -> Result<(Connection, Identity), StoreError> {
    make(path).map_err(|source| StoreError::Open { path: path.display().to_string(), source })?;
    let mut connection = Connection::open(path).map_err(failure)?;
    match prepare(&mut connection) {
        Ok(identity) => Ok((connection, identity?)),
        Err(error) => {
            // Leave a damaged store as it is: no checkpoint.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            Err(failure(error))
        }
    }
}

/// Creates the file if it is missing, for its owner alone: it holds phone numbers, and the key that signs links.
/// (SQLite gives its files beside it the same mode.)
fn make(path: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Configures a connection, and creates or migrates its tables.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<Result<Identity, StoreError>> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // A new store begins with a rollback journal. If the removal of that journal is not synced, a power failure brings
    // it back, and it undoes everything that came after it.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "cache_size", -4096)?;
    // Without this, SQLite plans a statement again for each value bound to it where a partial index might apply: a
    // third of the time that a webhook takes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > FORMAT {
        return Ok(Err(StoreError::TooNew { found, known: FORMAT }));
    }
    let transaction = connection.transaction()?;
    if found == 0 {
        transaction.execute_batch(include_str!("../schema.sql"))?;
    }
    if found > 0 && found < FORMAT {
        tracing::info!(
            found,
            format = FORMAT,
            "upgrading the store to a new format; with many millions of events this takes minutes"
        );
        let since = Instant::now();
        let steps = STEPS.iter().filter(|(from, _)| *from >= found);
        steps.into_iter().try_for_each(|(_, step)| transaction.execute_batch(&row::with_outage(step)))?;
        let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(took_ms, "the store has the new format");
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    take_back(&transaction)?;
    transaction.commit()?;
    silence::warn_of_what_is_not_understood(connection, clock::now())?;
    // Keep what a savepoint may have to undo in memory: a request changes few pages. (Not so while migrating, above:
    // what is sorted there may be much.)
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let meta =
        |key: &str| connection.query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get::<_, String>(0));
    Ok(Ok(Identity { name: meta("name")?, link_key: meta("link key")?.into_bytes() }))
}

/// Frees what workers had in hand when the daemon ended.
fn take_back(connection: &Connection) -> rusqlite::Result<()> {
    let in_hand = "SELECT notification FROM attempt WHERE outcome IS NULL";
    connection.execute(&format!("UPDATE notification SET leased = 0 WHERE id IN ({in_hand})"), [])?;
    connection.execute("UPDATE attempt SET outcome = 'interrupted' WHERE outcome IS NULL", [])?;
    Ok(())
}

/// Replaces a damaged store with a new one that holds everything that can be read of it.
pub(super) fn replace(path: &Path) -> Result<(), StoreError> {
    let open = |source| StoreError::Open { path: path.display().to_string(), source };
    damage::clear_successor(path).map_err(open)?;
    let (mut connection, _) = connect(&damage::successor(path))?;
    let mended = if takeover::has_schema(path) { None } else { mending::mended(path, &connection).map_err(failure)? };
    let taken = takeover::take_over(&mut connection, mended.as_deref().unwrap_or(path)).map_err(failure)?;
    mended.as_deref().map_or(Ok(()), mending::clear).map_err(open)?;
    let (aside, rows) = (damage::aside(path, clock::now()), taken.rows);
    let lost = damage::describe(&taken, &aside);
    damage::note(&connection, &lost).map_err(failure)?;
    // This puts the whole store into one file, and on disk.
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(failure)?;
    connection.close().map_err(|(_, error)| failure(error))?;
    damage::replace(path, &aside).map_err(open)?;
    let aside = aside.display();
    tracing::error!(%aside, rows, lost, "the store was damaged: it is set aside, and what could be read of it was copied into a new one; a backup may have more (docs/handbook.md, A damaged store)");
    Ok(())
}
