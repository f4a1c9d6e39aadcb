//! Finds out whether a store is damaged, or its disk could only not be read for a while: SQLite mistakes one for the
//! other. To set aside a sound store would lose what cannot be read just now.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How often a disk that cannot be read is tried, and the pause in between: ten seconds in all. A disk that is no
/// better by then is as good as damaged.
const TRIES: usize = 50;
const REST: Duration = Duration::from_millis(200);
/// How often in a row SQLite has to fail with `SQLITE_CORRUPT`, instead of reporting what is damaged, to be believed.
const DOUBTS: usize = 20;
/// `SQLITE_IOERR`: the lower byte of every error between SQLite and the disk.
const DISK: i32 = 10;

/// Whether the whole store reads as it was written. Waits for a disk that cannot be read.
pub(super) fn is_sound(database: &Path) -> bool {
    let mut doubts = 0;
    for _ in 0..TRIES {
        match check(database) {
            Ok(said) if said == "ok" => return true,
            Ok(said) if !blames_disk(&said) => return false,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => return false,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                doubts += 1;
                if doubts == DOUBTS {
                    return false;
                }
            }
            _ => {
                doubts = 0;
                thread::sleep(REST);
            }
        }
    }
    false
}

/// Whether SQLite finds nothing wrong with a store.
pub(super) fn is_whole(database: &Path) -> bool {
    check(database).is_ok_and(|said| said == "ok")
}

/// SQLite's own report: `ok`, or what is wrong.
fn check(database: &Path) -> rusqlite::Result<String> {
    // Opened for writing, because SQLite may have to go through its log first; but nothing is written.
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // (`quick_check` does not compare indexes with their tables: damage that it misses would end the daemon at each
    // start.)
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let said: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(said.join("\n"))
}

/// Whether a report blames the disk: "Page 9: unable to get the page. error code=8458"
fn blames_disk(said: &str) -> bool {
    let codes = said.split("error code=").skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<i32>().ok()
    });
    codes.into_iter().any(|code| code & 0xff == DISK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_got_is_the_disks_fault() {
        assert!(blames_disk("*** in database main ***\nPage 9: unable to get the page. error code=8458"));
        assert!(blames_disk("Page 9: unable to get the page. error code=11\nPage 10: … error code=266"));
        assert!(!blames_disk("Page 9: unable to get the page. error code=11"));
        assert!(!blames_disk("*** in database main ***\nTree 3 page 9: btreeInitPage() returns error code 11"));
    }
}
