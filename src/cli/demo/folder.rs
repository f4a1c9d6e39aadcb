//! The demo's folder. Nobody else can read it, and it is removed with the demo.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most attempts to remove it, and the pause between them.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// A folder that is removed when it is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Creates a folder among the system's temporary files.
    pub(super) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("linedown-demo-{:08x}", fastrand::u32(..)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.0.join(name))?;
        file.write_all(text.as_bytes())
    }

    /// Removes it, with everything in it.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A daemon that was killed a moment ago may still be writing.
        for _ in 0..TRIES {
            match self.remove() {
                Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(PAUSE),
                _ => return,
            }
        }
    }
}
