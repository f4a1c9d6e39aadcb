//! Files that are not linedown's: a text file that `store.url` names by mistake, or another program's database. They are
//! refused and left as they are. A damaged store of linedown's is not: it is [replaced](super::damage).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::beside;
use super::damage::is_damage;

/// `PRAGMA application_id` of linedown's stores: "ldwn".
pub(super) const APPLICATION: i32 = i32::from_be_bytes(*b"ldwn");

/// What every SQLite database begins with (<https://sqlite.org/fileformat2.html>).
const HEADER: &[u8] = b"SQLite format 3\0";
/// Where the header has the `application_id`, as a big-endian number.
const APPLICATION_AT: usize = 68;

/// A store of this name was called so by linedown, or for it.
const OUR_NAME: &str = "linedown.db";

/// Tables of every format of linedown's. Stores that were made before there was an `application_id` have none.
const TABLES: &str = "SELECT count(*), count(*) FILTER (WHERE name IN ('meta', 'incident', 'notification')) \
                      FROM sqlite_schema WHERE type = 'table'";

/// Whether the file is certainly no store of linedown's: it is no SQLite database and nothing shows that it was a store
/// once, or it is a database with tables of somebody else. Does not change the file.
pub(super) fn is_foreign(database: &Path) -> bool {
    let is_filled = fs::metadata(database).is_ok_and(|found| found.is_file() && found.len() > 0);
    if !is_filled {
        return false;
    }
    let mut head = Vec::new();
    let most = (APPLICATION_AT + 4) as u64;
    if File::open(database).and_then(|file| file.take(most).read_to_end(&mut head)).is_err() {
        // It cannot be read: opening it says why.
        return false;
    }
    // A power failure may leave a new file that is nothing but zeros.
    if head.iter().all(|byte| *byte == 0) {
        return false;
    }
    if !head.starts_with(HEADER) {
        return !(was_in_use(database) || beside(database, "-wal").exists());
    }
    if head.get(APPLICATION_AT..) == Some(APPLICATION.to_be_bytes().as_slice()) {
        return false;
    }
    match look(database) {
        Ok((tables, ours)) => tables > 0 && ours < 3,
        Err(error) => is_damage(&error) && !was_in_use(database),
    }
}

/// Whether linedown's own files, or the name, show that linedown had its store here.
fn was_in_use(database: &Path) -> bool {
    let ours = [".lock", ".damaged"];
    database.file_name().is_some_and(|name| name == OUR_NAME) || ours.iter().any(|end| beside(database, end).exists())
}

/// The number of tables, and how many of those have names of ours.
fn look(database: &Path) -> rusqlite::Result<(u32, u32)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if beside(database, "-wal").exists() {
        Connection::open_with_flags(database, flags)?
    } else {
        // So that SQLite does not create `-wal` and `-shm` beside somebody else's database.
        let address = format!("file:{}?immutable=1", escaped(database));
        Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)?
    };
    connection.query_row(TABLES, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The path as a part of a URI.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            text.push(byte.into());
        } else {
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Sqlite;
    use super::*;
    use crate::store::StoreError;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_somebody_elses_is_refused_and_left_as_it_is() {
        let sql = |path: &Path, statements: &str| Connection::open(path).unwrap().execute_batch(statements).unwrap();
        for (name, make) in [
            ("notes.txt", &(|path: &Path| fs::write(path, "my notes").unwrap()) as &dyn Fn(&Path)),
            ("linedown?.db", &|path| sql(path, "CREATE TABLE incident (a); PRAGMA user_version = 7")),
            ("linedown.db", &|path| sql(path, "PRAGMA journal_mode = WAL; CREATE TABLE a (b)")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            make(&path);
            let (before, files) = (fs::read(&path).unwrap(), names(folder.path()));
            let refused = Sqlite::open(&path).err();
            assert!(matches!(refused, Some(StoreError::Foreign(_))), "{name}: {refused:?}");
            assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (before, files), "{name}");
        }
    }

    #[test]
    fn what_nobody_has_filled_yet_becomes_a_store() {
        for make in [&(|path: &Path| fs::write(path, "").unwrap()) as &dyn Fn(&Path), &|path| {
            Connection::open(path).unwrap().execute_batch("VACUUM").unwrap();
        }] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.db");
            make(&path);
            assert!(Sqlite::open(&path).is_ok());
        }
    }

    #[test]
    fn what_shows_that_linedown_was_here_is_enough() {
        for (name, beside_it) in [("linedown.db", None), ("x.db", Some("x.db.lock")), ("x.db", Some("x.db-wal"))] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            fs::write(&path, vec![0xa5; 8192]).unwrap();
            if let Some(name) = beside_it {
                fs::write(folder.path().join(name), "").unwrap();
            }
            assert!(Sqlite::open(&path).is_ok(), "{name}, {beside_it:?}");
            assert!(names(folder.path()).iter().any(|name| name.contains(".damaged-")), "it is set aside");
        }
    }

    #[test]
    fn a_store_of_ours_is_known_by_its_mark_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        drop(Sqlite::open(&path).unwrap());
        while beside(&path, "-wal").exists() {
            std::thread::yield_now();
        }
        // As after a copy to another machine, with damage to the list of its tables.
        let mut bytes = fs::read(&path).unwrap();
        bytes[100..200].fill(0x5a);
        let copy = folder.path().join("copy.db");
        fs::write(&copy, bytes).unwrap();
        assert!(Sqlite::open(&copy).is_ok());
    }
}
