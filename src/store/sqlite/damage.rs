//! Damage: a store that does not read as it was written.
//!
//! Code that meets damage leaves a mark beside the store, and the daemon ends. The next start first makes sure of the
//! damage ([`super::soundness`]). It then makes a new store, [takes over](super::takeover) the rows that it can read,
//! and only after that sets the old one aside, under a name with the time in it. The old one is kept as it was, so that
//! a person can recover more of it (docs/handbook.md, A damaged store).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use tokio::sync::watch;

use super::takeover::Taken;
use super::{beside, row};

/// Whether an error means that the file does not read as it was written.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Damage that was met while the store was in use.
#[derive(Clone)]
pub(super) struct Damage {
    mark: Option<PathBuf>,
    met: watch::Sender<bool>,
}

impl Damage {
    /// For a store in this file, or for one in memory.
    pub(super) fn of(database: Option<&Path>) -> Self {
        Self { mark: database.map(|path| beside(path, ".damaged")), met: watch::Sender::new(false) }
    }

    /// Checks whether an error means damage. If so, leaves the mark for the next start, and wakes whoever waits for
    /// damage.
    pub(super) fn look_at(&self, error: &rusqlite::Error) {
        if !is_damage(error) || *self.met.borrow() {
            return;
        }
        tracing::error!(error = %error, "the store is damaged; linedown stops, and its next start sets the store aside and copies what can be read into a new one");
        if let Some(mark) = &self.mark
            && let Err(error) = File::create(mark)
        {
            tracing::error!(error = %error, mark = %mark.display(), "cannot leave a mark for the next start; create this file before you start linedown again");
        }
        // Only after the mark is made: whoever waits for this ends the process.
        self.met.send_replace(true);
    }

    /// Waits until damage is met.
    pub(super) async fn met(&self) {
        // We hold the sender ourselves, so the channel is never closed.
        let _ = self.met.subscribe().wait_for(|met| *met).await;
    }
}

/// Whether the mark of damage is there.
pub(super) fn is_marked(database: &Path) -> bool {
    beside(database, ".damaged").exists()
}

/// Removes the mark: there was no damage.
pub(super) fn unmark(database: &Path) -> io::Result<()> {
    unless_missing(fs::remove_file(beside(database, ".damaged")))
}

/// Where a new store is made before it takes the place of a damaged one.
pub(super) fn successor(database: &Path) -> PathBuf {
    beside(database, ".new")
}

/// Removes what is left of an earlier successor whose making was cut short.
pub(super) fn clear_successor(database: &Path) -> io::Result<()> {
    let new = successor(database);
    ["", "-wal", "-shm", "-journal"].iter().try_for_each(|end| unless_missing(fs::remove_file(beside(&new, end))))
}

/// Sets a store aside at this path and puts its closed successor in its place.
pub(super) fn replace(database: &Path, aside: &Path) -> io::Result<()> {
    unless_missing(fs::rename(database, aside))?;
    take_place(database, aside)
}

/// Finishes a replacement that a crash cut short: the damaged store is set aside, but its successor is not yet in its
/// place.
pub(super) fn end_replacing(database: &Path, now: Timestamp) -> io::Result<()> {
    if !database.exists() && successor(database).exists() {
        take_place(database, &aside(database, now))
    } else {
        Ok(())
    }
}

/// Moves the old store's other files aside and renames the successor.
fn take_place(database: &Path, aside: &Path) -> io::Result<()> {
    // Nothing of the old store may be taken for a part of the new one.
    for end in ["-wal", "-journal"] {
        unless_missing(fs::rename(beside(database, end), beside(aside, end)))?;
    }
    unless_missing(fs::remove_file(beside(database, "-shm")))?;
    fs::rename(successor(database), database)?;
    unmark(database)?;
    match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Where a damaged store is kept.
pub(super) fn aside(database: &Path, now: Timestamp) -> PathBuf {
    beside(database, &now.strftime(".damaged-%Y%m%dT%H%M%SZ").to_string())
}

/// What is lost, for people.
pub(super) fn describe(taken: &Taken, aside: &Path) -> String {
    let lost = match taken {
        Taken { broken, .. } if broken.is_empty() => "no row is lost".to_owned(),
        Taken { rows: 0, .. } => "every row is lost".to_owned(),
        Taken { broken, .. } => format!("rows of {} may be lost", broken.join(", ")),
    };
    format!("{lost}; {}", named(aside.file_name().unwrap_or_default().display()))
}

/// Writes into a store what was lost of the one before it.
pub(super) fn note(connection: &Connection, lost: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('lost', ?)", [lost]).map(|_| ())
}

/// The damaged stores before this one that are still kept, and what was lost of each, as far as that is known. Fails if
/// their folder cannot be read.
pub(super) fn lost(connection: &Connection, database: &Path) -> rusqlite::Result<BTreeMap<String, String>> {
    let latest = "SELECT value FROM meta WHERE key = 'lost'";
    let Some(latest) = connection.query_row(latest, [], |row| row::text(row, 0)).optional()? else {
        return Ok(BTreeMap::new());
    };
    let kept = kept(database).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let known = |name: &String| if latest.ends_with(name) { latest.clone() } else { named(name) };
    Ok(kept.into_iter().map(|name| (name.clone(), known(&name))).collect())
}

/// The names of the damaged stores that are kept beside this one.
fn kept(database: &Path) -> io::Result<Vec<String>> {
    let Some(name) = database.file_name() else { return Ok(Vec::new()) };
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let start = format!("{}.damaged-", name.display());
    let names = fs::read_dir(folder)?.flatten().map(|entry| entry.file_name().display().to_string());
    let is_store =
        |name: &String| name.starts_with(&start) && !["-wal", "-shm", "-journal"].iter().any(|end| name.ends_with(end));
    Ok(names.filter(is_store).collect())
}

fn named(name: impl Display) -> String {
    format!("the damaged store is {name}")
}

/// Not an error: what is to be removed or renamed is not there.
pub(super) fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;
    use crate::store::{Sqlite, Store};

    #[tokio::test]
    async fn what_a_crash_cut_short_is_ended_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        drop(Sqlite::open(&successor(&database)).unwrap());
        // The writer's thread closes the file after its last request.
        while beside(&successor(&database), "-wal").exists() {
            tokio::task::yield_now().await;
        }
        fs::write(beside(&database, "-wal"), "of the old one").unwrap();
        fs::write(beside(&database, ".damaged"), "").unwrap();

        let store = Sqlite::open(&database).unwrap();
        store.writable().await.unwrap();
        assert!(!is_marked(&database) && !successor(&database).exists());
        let kept = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<_> = kept.filter(|path| path.display().to_string().contains(".damaged-")).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(fs::read(&kept[0]).unwrap(), b"of the old one");
    }

    #[test]
    fn what_is_lost_is_said_of_each_damaged_store_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let aside = aside(&database, from_millis(1_795_527_075_000));
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../schema.sql")).unwrap();
        fs::write(&aside, "").unwrap();
        assert!(lost(&connection, &database).unwrap().is_empty(), "this store never took another's place");
        let name = "x.db.damaged-20261124T133115Z";
        for (taken, words) in [
            (Taken { rows: 7, broken: vec![] }, "no row is lost"),
            (Taken { rows: 0, broken: vec!["meta", "event"] }, "every row is lost"),
            (Taken { rows: 7, broken: vec!["event", "notification"] }, "rows of event, notification may be lost"),
        ] {
            note(&connection, &describe(&taken, &aside)).unwrap();
            let expected = format!("{words}; the damaged store is {name}");
            assert_eq!(lost(&connection, &database).unwrap(), BTreeMap::from([(name.to_owned(), expected)]));
        }
        let former = "x.db.damaged-20261101T000000Z";
        fs::write(database.with_file_name(former), "").unwrap();
        let lost_of = |name: &str| lost(&connection, &database).unwrap().remove(name);
        assert_eq!(lost_of(former), Some(format!("the damaged store is {former}")));
        assert!(lost_of(name).is_some_and(|why| why.starts_with("rows of event, notification may be lost; ")));
        fs::rename(&aside, beside(&aside, "-wal")).unwrap();
        fs::write(beside(&aside, "-shm"), "left by whoever has looked into it").unwrap();
        assert_eq!((lost_of(name), lost_of(former).is_some()), (None, true));
    }

    #[test]
    fn a_name_has_the_time_in_it() {
        let kept = aside(Path::new("/x/y.db"), from_millis(1_795_527_075_000));
        assert_eq!(kept, Path::new("/x/y.db.damaged-20261124T133115Z"));
    }
}
