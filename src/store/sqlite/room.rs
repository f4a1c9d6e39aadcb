//! How large the store is, and how much room its file system has left.

use std::path::Path;

use super::super::{Room, StoreError};
use super::beside;

/// Looks at the store's files and at the file system that they are on.
pub(super) fn look(path: &Path) -> Result<Room, StoreError> {
    let size = ["", "-wal", "-shm"].into_iter().map(|end| {
        // A missing file takes no room.
        std::fs::metadata(beside(path, end)).map_or(0, |metadata| metadata.len())
    });
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = rustix::fs::statvfs(folder)
        .map_err(|error| StoreError::Open { path: folder.display().to_string(), source: error.into() })?;
    let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
    Ok(Room { size: size.sum(), free: bytes(system.f_bavail), capacity: bytes(system.f_blocks) })
}
