//! The demo's mailbox: a folder that receives every email.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::letter::Letter;

/// The folder, and the files that have been read so far.
pub(super) struct Mailbox {
    path: PathBuf,
    seen: BTreeSet<PathBuf>,
}

impl Mailbox {
    /// The folder need not be there yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, seen: BTreeSet::new() }
    }

    /// The letters that have come since the last call.
    pub(super) fn new_letters(&mut self) -> Vec<Letter> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            path.extension().is_some_and(|extension| extension == "eml") && !hidden && !self.seen.contains(path)
        });
        files.sort();
        let letters = files.iter().filter_map(|path| fs::read_to_string(path).ok()).map(|text| Letter::read(&text));
        let letters = letters.collect();
        self.seen.extend(files);
        letters
    }

    /// How many letters have been read.
    pub(super) fn count(&self) -> usize {
        self.seen.len()
    }

    /// Makes deliveries fail, as if the relay were down: moves the folder away and puts a file in its place.
    pub(super) fn close(&self) -> io::Result<()> {
        fs::rename(&self.path, self.aside())?;
        fs::write(&self.path, "closed")
    }

    /// Moves the folder back.
    pub(super) fn open(&self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        fs::rename(self.aside(), &self.path)
    }

    fn aside(&self) -> PathBuf {
        self.path.with_extension("aside")
    }
}
