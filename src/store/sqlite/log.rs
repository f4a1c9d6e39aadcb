//! SQLite's write-ahead log, after a sync that failed.
//!
//! The system takes what it could not write for written then: a later sync says yes and leaves it out. SQLite writes
//! what failed anew, but not what it committed before without a sync, nor what it finds in the log at its start. So
//! the log is written over with itself, as long as it is in memory, and synced; only then is it built upon.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is read and written in one go.
const BLOCK: usize = 1024 * 1024;

/// The log of a database.
pub(super) fn beside(database: &Path) -> PathBuf {
    super::beside(database, "-wal")
}

/// Writes the log over with itself, and syncs it. Nobody may write to it meanwhile.
pub(super) fn rewrite(log: &Path) -> io::Result<()> {
    let file = match File::options().read(true).write(true).open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    loop {
        let length = file.read_at(&mut block, at)?;
        if length == 0 {
            break;
        }
        file.write_all_at(&block[..length], at)?;
        at += length as u64;
    }
    if at > 0 { file.sync_all() } else { Ok(()) }
}
