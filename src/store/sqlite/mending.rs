//! Mends a store whose schema cannot be read: SQLite then knows of no table, and every row would be lost.
//!
//! Two stores that were made by the same version have their schema on the same pages, and their tables begin on the same
//! ones; those that were damaged once have another schema ([`COUNT`]), but all the same one. So the schema of a new store
//! may take the place of the damaged one. That it is the right one is not believed but shown: SQLite's own check compares
//! every row with its table and with its indexes. If it finds anything (also if there is other damage, or another version
//! made the store), nothing is mended.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::damage::{successor, unless_missing};
use super::takeover::COUNT;
use super::{beside, soundness};

/// Where SQLite's own header of a file ends. It is about the whole file, and stays.
const HEADER: usize = 100;
/// The part of the header that is the same for all stores: SQLite's name, and the size of a page.
const SAME: usize = 18;

/// Mends a copy of a damaged store with the schema of a new one, if only the schema is damaged. Returns the path of the
/// copy.
pub(super) fn mended(damaged: &Path, new: &Connection) -> rusqlite::Result<Option<PathBuf>> {
    let copy = beside(&successor(damaged), ".mended");
    for before in ["", COUNT] {
        new.execute_batch(before)?;
        let schema = schema(new)?;
        match clear(&copy).and_then(|()| mend(damaged, &copy, &successor(damaged), &schema)) {
            Ok(true) if soundness::is_whole(&copy) => return Ok(Some(copy)),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %error, "cannot copy the damaged store to find out whether only its schema is damaged");
            }
        }
    }
    // What is left of it is removed before the next attempt.
    let _ = clear(&copy);
    Ok(None)
}

/// Removes a mended copy.
pub(super) fn clear(copy: &Path) -> io::Result<()> {
    ["", "-wal", "-shm"].iter().try_for_each(|end| unless_missing(fs::remove_file(beside(copy, end))))
}

/// The pages of a store's schema, after everything is written into its file.
fn schema(store: &Connection) -> rusqlite::Result<Vec<u32>> {
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let mut pages = store.prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'")?;
    pages.query_map([], |row| row.get(0))?.collect()
}

/// Copies a damaged store, but takes these pages from a new one. Returns false if its header is damaged as well.
fn mend(damaged: &Path, copy: &Path, new: &Path, pages: &[u32]) -> io::Result<bool> {
    let new = fs::read(new)?;
    let mut header = [0; SAME];
    match File::open(damaged)?.read_exact_at(&mut header, 0) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    if new.get(..SAME) != Some(&header) {
        return Ok(false);
    }
    fs::copy(damaged, copy)?;
    unless_missing(fs::copy(beside(damaged, "-wal"), beside(copy, "-wal")).map(|_| ()))?;
    let size = usize::from(u16::from_be_bytes([header[16], header[17]]));
    let file = File::options().write(true).open(copy)?;
    for page in pages {
        let from = (*page as usize - 1) * size;
        let kept = if *page == 1 { HEADER } else { 0 };
        let Some(bytes) = new.get(from + kept..from + size) else { return Ok(false) };
        file.write_all_at(bytes, (from + kept) as u64)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::damage::successor;
    use super::super::opening::{connect, replace};
    use super::super::takeover::has_schema;
    use super::*;

    /// A store of one incident, which may have been damaged before, and a new one that is to follow it.
    fn stores(folder: &Path, was_damaged: bool) -> (PathBuf, Connection) {
        let damaged = folder.join("x.db");
        let (store, _) = connect(&damaged).unwrap();
        let incident = "INSERT INTO incident (id, source, instance, labels, reason, opened_at) \
                        VALUES (7, 'z-api', 'A', '{}', 'other', 1)";
        store.execute(incident, []).unwrap();
        store.close().unwrap();
        if was_damaged {
            replace(&damaged).unwrap();
        }
        let (new, _) = connect(&successor(&damaged)).unwrap();
        (damaged, new)
    }

    fn damage(path: &Path, page: u64) {
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&[0x5a; 3996], (page - 1) * 4096 + 100).unwrap();
    }

    #[test]
    fn a_store_of_which_only_the_schema_is_damaged_loses_no_row() {
        for (was_damaged, place) in
            [false, true].into_iter().flat_map(|before| (0..4).map(move |place| (before, place)))
        {
            let folder = tempfile::tempdir().unwrap();
            let (damaged, new) = stores(folder.path(), was_damaged);
            let store = Connection::open(&damaged).unwrap();
            let pages = schema(&store).unwrap();
            store.close().unwrap();
            damage(&damaged, pages[place].into());
            assert!(!has_schema(&damaged));
            let copy = mended(&damaged, &new).unwrap().expect("it can be mended");
            let count = "SELECT count(*) FROM incident WHERE id = 7";
            let store = Connection::open(&copy).unwrap();
            assert_eq!(store.query_row(count, [], |row| row.get::<_, u32>(0)).unwrap(), 1);
            drop(store);
            clear(&copy).unwrap();
            assert!(!copy.exists());
        }
    }

    #[test]
    fn what_is_damaged_elsewhere_or_made_otherwise_is_not_mended() {
        let folder = tempfile::tempdir().unwrap();
        let (damaged, new) = stores(folder.path(), false);
        let store = Connection::open(&damaged).unwrap();
        // As in a store of a former format, the table begins on another page.
        store.execute_batch("CREATE TABLE other AS SELECT * FROM incident; DROP TABLE incident").unwrap();
        store.close().unwrap();
        damage(&damaged, 1);
        assert_eq!(mended(&damaged, &new).unwrap(), None);
        fs::write(&damaged, "").unwrap();
        assert_eq!(mended(&damaged, &new).unwrap(), None);
        fs::write(&damaged, [0xa5; 10_000]).unwrap();
        assert_eq!(mended(&damaged, &new).unwrap(), None);
    }
}
