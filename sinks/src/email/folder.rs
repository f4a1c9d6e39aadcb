//! `file:DIR`: a file a message, for trying things out and for mail systems that pick up from a folder.

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
    pub(super) async fn put(&self, key: &str, message: Vec<u8>) -> Result<Receipt, Failure> {
        let folder = self.0.clone();
        let file = folder.join(format!("{key}.eml"));
        let receipt = Receipt(crate::excerpt(&format!("written to {}", file.display())));
        let written = tokio::task::spawn_blocking(move || write(&folder, &file, &message));
        match written.await {
            Ok(Ok(())) => Ok(receipt),
            Ok(Err(error)) => Err(failure(&self.0, error)),
            Err(error) => Err(Failure::new(FailureKind::Busy, "the writing was broken off").caused_by(error)),
        }
    }
}

fn write(folder: &Path, file: &Path, message: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // Two attempts at one notification never run at the same time, so the name is ours. The dot hides it from
    // whoever picks up.
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = folder.join(format!(".{name}.unfinished"));
    let mut output = std::fs::File::create(&unfinished)?;
    output.write_all(message)?;
    output.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    std::fs::File::open(folder)?.sync_all()
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
