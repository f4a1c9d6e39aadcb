//! The file that holds the store: where it is, and that no other daemon uses it.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use linedown_sinks::is_public;

use super::super::StoreError;
use super::beside;

/// The path of the file itself, which symbolic links may lead to, also while that file is missing. Two daemons must not
/// take one store for two, and a file is made with the right permissions only under its own name.
pub(super) fn resolved(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        // Also if links lead in a circle.
        done => return done,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (path.read_link(), path.file_name()) {
        (Ok(target), _) => resolved(&folder.join(target)),
        (Err(_), Some(name)) => Ok(folder.canonicalize()?.join(name)),
        (Err(error), None) => Err(error),
    }
}

/// Locks the store for this process; fails with [`StoreError::InUse`] if another one holds the lock.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let open = |path: &Path, source| StoreError::Open { path: path.display().to_string(), source };
    let lock = beside(path, ".lock");
    if path.is_dir() {
        return Err(open(path, ErrorKind::IsADirectory.into()));
    }
    if lock.is_dir() {
        return Err(open(&lock, ErrorKind::AlreadyExists.into()));
    }
    // For its owner alone, since whoever can open it can lock it.
    let file = File::options().create(true).append(true).mode(0o600).open(lock).map_err(|error| open(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.display().to_string())),
        Err(TryLockError::Error(source)) => Err(open(path, source)),
    }
}

/// Warns if others can get at a store that is there already.
pub(super) fn warn_of_others(path: &Path) {
    let Ok(metadata) = path.metadata() else { return };
    let store = path.display();
    if is_public(path, &metadata) {
        tracing::warn!(%store, "everybody on this machine can read the store, which holds phone numbers and the key that signs links; take that away: chmod o-r");
    }
    if metadata.nlink() > 1 {
        tracing::warn!(%store, "the store's file has another name (a hard link); a second daemon that is given that name would not notice this one, and both would spoil it: use a copy instead");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_the_file_itself_even_if_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir(folder.join("data")).unwrap();
        symlink("data/x.db", folder.join("near")).unwrap();
        symlink(folder.join("near"), folder.join("far")).unwrap();
        symlink("circle", folder.join("circle")).unwrap();
        symlink("nowhere/x.db", folder.join("lost")).unwrap();
        let file = folder.join("data/x.db");
        for exists in [false, true] {
            for name in ["near", "far", "data/x.db", "data/../near"] {
                assert_eq!(resolved(&folder.join(name)).unwrap(), file, "{name}, {exists}");
            }
            std::fs::write(&file, "").unwrap();
        }
        for name in ["circle", "lost", "nowhere/x.db"] {
            assert!(resolved(&folder.join(name)).is_err(), "{name}");
        }
    }
}
