//! SQLite's write-ahead log, after a sync that failed.
//!
//! After a failed sync, the system takes what it could not write for written: a later sync succeeds and leaves it out.
//! SQLite writes what failed again, but not what it committed earlier without a sync, nor what it finds in the log at
//! its start. So linedown overwrites the log with its own content, as long as that is in memory, and syncs it. Only
//! then is anything more written to the log.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is read and written in one go.
const BLOCK: usize = 1024 * 1024;

/// The path of a database's log.
pub(super) fn beside(database: &Path) -> PathBuf {
    super::beside(database, "-wal")
}

/// Overwrites the log with its own content, and syncs it. Nobody else may write to it meanwhile. A missing log is fine.
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
