//! `file:DIR`: a file a message, for trying things out and for mail systems that pick up from a folder.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{Failure, FailureKind, Receipt};

/// A folder of `.eml` files.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes `KEY.eml`, whole or not at all. A repeated attempt replaces the same file.
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

/// How the name of a file ends that is being written.
const UNFINISHED: &str = ".unfinished";

fn write(folder: &Path, name: &str, attempt: u32, message: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // The dot hides it from whoever picks up.
    let hidden = format!(".{name}.");
    if attempt > 1 {
        clear(folder, &hidden);
    }
    // An attempt that took too long may still write, so each has a file of its own.
    let unfinished = folder.join(format!("{hidden}{:016x}{UNFINISHED}", fastrand::u64(..)));
    let written = fill(&unfinished, message).and_then(|()| std::fs::rename(&unfinished, folder.join(name)));
    if written.is_err() {
        // It may never have been there, or the next attempt has taken it away.
        let _ = std::fs::remove_file(&unfinished);
    }
    written?;
    File::open(folder)?.sync_all()
}

/// Takes away, as far as that can be done, what attempts before have left: one that still writes finishes nothing then.
fn clear(folder: &Path, hidden: &str) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(hidden) && name.ends_with(UNFINISHED)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn fill(path: &Path, message: &[u8]) -> io::Result<()> {
    let mut output = File::create_new(path)?;
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
