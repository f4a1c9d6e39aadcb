//! Notices when files are replaced, such as a certificate that certbot renews.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The paths of some files, and the state of each when it was looked at. Equal if neither paths nor states differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, Option<Mark>)>);

/// Changes when a file is written or replaced: its inode, its size in bytes, and its modification time in s and ns.
type Mark = (u64, u64, i64, i64);

impl Files {
    /// Records the present state of these files. A missing file is a state, too.
    pub fn look(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), mark(&path))).collect())
    }

    /// Records the present state of the same files.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::look(self.0.iter().map(|(path, _)| path.clone()))
    }

    /// Whether both are about the same paths, whatever their states.
    pub fn are(&self, others: &Self) -> bool {
        self.0.iter().map(|(path, _)| path).eq(others.0.iter().map(|(path, _)| path))
    }
}

/// Follows links, because certbot replaces links rather than files.
fn mark(path: &PathBuf) -> Option<Mark> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_is_written_replaced_linked_elsewhere_or_gone_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), "1").unwrap();
        fs::write(path("two"), "2").unwrap();
        symlink(path("one"), path("live")).unwrap();
        let changed = |change: &dyn Fn()| {
            let before = Files::look([path("live"), path("other")]);
            assert_eq!(before, before.again());
            change();
            let after = before.again();
            assert!(before != after && before.are(&after));
        };
        changed(&|| fs::write(path("one"), "longer").unwrap());
        changed(&|| {
            symlink(path("two"), path("new")).unwrap();
            fs::rename(path("new"), path("live")).unwrap();
        });
        changed(&|| fs::write(path("other"), "").unwrap());
        changed(&|| fs::rename(path("one"), path("two")).unwrap());
        changed(&|| fs::remove_file(path("live")).unwrap());
        assert!(!Files::look([path("live")]).are(&Files::look([path("other")])));
    }
}
