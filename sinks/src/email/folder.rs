//! `file:DIR`: writes each message to a file, for trials and for mail systems that pick messages up from a folder.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{Failure, FailureKind, Receipt};

/// A folder of `.eml` files.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes `KEY.eml`, whole or not at all. A further attempt replaces the file.
    pub(super) async fn put(&self, key: &str, attempt: u32, message: Vec<u8>) -> Result<Receipt, Failure> {
        let (folder, name) = (self.0.clone(), format!("{key}.eml"));
        let receipt = Receipt(crate::excerpt(&format!("written to {}", folder.join(&name).display())));
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, attempt, &message));
        match written.await {
            Ok(Ok(())) => Ok(receipt),
            Ok(Err(error)) => Err(failure(&self.0, error)),
            Err(error) => Err(Failure::new(FailureKind::Busy, "the writing was interrupted").caused_by(error)),
        }
    }
}

/// The mode of a message's file: for its owner, and for the group that collects it. Anybody who reads it can use its links.
const MODE: u32 = 0o640;
/// The end of the name of a file that is still being written.
const UNFINISHED: &str = ".unfinished";

fn write(folder: &Path, name: &str, attempt: u32, message: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // The dot hides the unfinished file from whatever picks messages up.
    let hidden = format!(".{name}.");
    if attempt > 1 {
        clear(folder, &hidden);
    }
    // An attempt that has timed out may still be writing, so each attempt has a file of its own.
    let unfinished = folder.join(format!("{hidden}{:016x}{UNFINISHED}", fastrand::u64(..)));
    let written = fill(&unfinished, message).and_then(|()| std::fs::rename(&unfinished, folder.join(name)));
    if written.is_err() {
        // The file may never have been created, or the next attempt has removed it.
        let _ = std::fs::remove_file(&unfinished);
    }
    written?;
    File::open(folder)?.sync_all()
}

/// Removes the unfinished files of earlier attempts, as far as possible. An attempt that is still writing can then not
/// finish: its file is gone when it comes to rename it.
fn clear(folder: &Path, hidden: &str) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(hidden) && name.ends_with(UNFINISHED)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn fill(path: &Path, message: &[u8]) -> io::Result<()> {
    let mut output = File::options().write(true).create_new(true).mode(MODE).open(path)?;
    // The umask may have taken away the group's part. A file system without modes refuses this, and needs it as little.
    let _ = output.set_permissions(Permissions::from_mode(MODE));
    output.write_all(message)?;
    output.sync_all()
}

fn failure(folder: &Path, error: io::Error) -> Failure {
    let (kind, what) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (FailureKind::Busy, "no space left in"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            (FailureKind::Unauthorised, "not allowed to write to")
        }
        _ => (FailureKind::Unreachable, "cannot write to"),
    };
    Failure::new(kind, format!("{what} {}", folder.display())).caused_by(error)
}
