//! Power losses: of the data that were written but not synced, all, some or none may be on the disk afterwards.
//!
//! The shim records every change to the store's files and every sync. From that record, this module makes what a disk
//! could hold: everything that was synced, and a random part of the rest, cut at sectors. Data written before a sync
//! that failed are lost in the same way, even if later syncs succeed: after such a failure, the kernel takes them for
//! written.

use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;

/// The unit that a disk writes whole, in bytes.
const SECTOR: usize = 512;
/// The head of a record in the journal, in bytes: two numbers of four bytes, two of eight.
const HEAD: usize = 24;
/// The store's files, by the numbers that the shim gives them.
const FILES: [&str; 3] = ["", "-wal", "-journal"];

/// The disk under a store.
pub(crate) struct Disk {
    store: PathBuf,
    journal: PathBuf,
    files: [File; 3],
}

/// One file: the synced content, and the changes since.
#[derive(Default)]
struct File {
    exists: bool,
    safe: Vec<u8>,
    unsure: Vec<Change>,
    unlinked: bool,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Disk {
    /// An empty disk, for a store that does not exist yet.
    pub(crate) fn new(store: &Path, journal: PathBuf) -> Self {
        Self { store: store.to_owned(), journal, files: std::array::from_fn(|_| File::default()) }
    }

    /// The variable that makes the shim keep a journal.
    pub(crate) fn environment(&self) -> (&'static str, PathBuf) {
        ("SOAK_JOURNAL", self.journal.clone())
    }

    /// Puts the files of the dead daemon into a state in which a power loss could have left them.
    pub(crate) fn lose_power(&mut self, rng: &mut Rng) {
        self.follow(rng);
        let beside = |end: &str| {
            let mut path = self.store.as_os_str().to_owned();
            path.push(end);
            path
        };
        for (file, end) in self.files.iter_mut().zip(FILES) {
            file.survive(rng);
            if file.exists {
                fs::write(beside(end), &file.safe).expect("a file can be written");
            } else {
                // The file may not exist.
                let _ = fs::remove_file(beside(end));
            }
        }
        let _ = fs::remove_file(beside("-shm"));
    }

    /// Reads and removes the journals written since the last time.
    fn follow(&mut self, rng: &mut Rng) {
        let folder = self.journal.parent().expect("it is in a folder");
        let prefix = self.journal.display().to_string();
        let mut journals: Vec<PathBuf> = fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be read").path())
            .filter(|path| path.display().to_string().starts_with(&prefix))
            .collect();
        // One per process, with its start time in the name.
        journals.sort();
        for path in journals {
            let journal = fs::read(&path).expect("it can be read");
            fs::remove_file(&path).expect("it can be removed");
            self.read(&journal, rng);
        }
    }

    fn read(&mut self, mut rest: &[u8], rng: &mut Rng) {
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let half = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes"));
            let whole = |at: usize| {
                let number = u64::from_ne_bytes(head[at..at + 8].try_into().expect("eight bytes"));
                usize::try_from(number).expect("it fits")
            };
            // A record that a kill has cut short ends the journal; its data were not synced.
            let has_bytes = half(0) == 1;
            let Some((bytes, after)) = after.split_at_checked(if has_bytes { whole(16) } else { 0 }) else { return };
            rest = after;
            let Some(file) = self.files.get_mut(half(4) as usize) else {
                // A sync of the folder makes removals final.
                if half(0) == 3 {
                    self.files.iter_mut().filter(|file| file.unlinked).for_each(|file| *file = File::default());
                }
                continue;
            };
            match half(0) {
                1 => file.change(Change::Write { at: whole(8), bytes: bytes.to_vec() }),
                2 => file.change(Change::Truncate(whole(8))),
                3 => file.sync(),
                4 => file.lose(rng),
                5 => file.unlinked = true,
                other => panic!("the journal has no {other}"),
            }
        }
    }
}

impl File {
    fn change(&mut self, change: Change) {
        if self.unlinked {
            *self = Self::default();
        }
        self.exists = true;
        self.unsure.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsure) {
            self.apply(&change, |_| true);
        }
    }

    /// Keeps each change since the last sync wholly, in part or not at all.
    fn lose(&mut self, rng: &mut Rng) {
        for change in std::mem::take(&mut self.unsure) {
            match rng.u8(..3) {
                0 => {}
                1 => self.apply(&change, |_| true),
                _ => self.apply(&change, |_| rng.bool()),
            }
        }
    }

    fn survive(&mut self, rng: &mut Rng) {
        self.lose(rng);
        // The removal of the file may not have reached the disk.
        if self.unlinked && rng.bool() {
            *self = Self::default();
        }
        self.unlinked = false;
    }

    fn apply(&mut self, change: &Change, mut kept: impl FnMut(usize) -> bool) {
        match change {
            Change::Truncate(length) => {
                if kept(0) {
                    self.safe.resize(*length, 0);
                }
            }
            Change::Write { at, bytes } => {
                let mut from = 0;
                while from < bytes.len() {
                    let to = bytes.len().min((at + from + SECTOR) / SECTOR * SECTOR - at);
                    if kept(from) {
                        self.safe.resize(self.safe.len().max(at + to), 0);
                        self.safe[at + from..at + to].copy_from_slice(&bytes[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(at: usize, length: usize) -> Change {
        Change::Write { at, bytes: vec![b'x'; length] }
    }

    #[test]
    fn what_was_synced_is_there_and_nothing_else_has_to_be() {
        let mut rng = Rng::with_seed(7);
        let lengths: std::collections::BTreeSet<usize> = (0..50)
            .map(|_| {
                let mut file = File::default();
                file.change(write(0, 100));
                file.sync();
                file.change(write(100, 1000));
                file.survive(&mut rng);
                assert_eq!(file.safe[..100], [b'x'; 100]);
                file.safe.len()
            })
            .collect();
        assert!(lengths.contains(&100) && lengths.contains(&512) && lengths.contains(&1100), "{lengths:?}");
    }

    #[test]
    fn what_a_failed_sync_lost_no_later_one_brings_back() {
        let mut rng = Rng::with_seed(7);
        let lost = (0..50).any(|_| {
            let mut file = File::default();
            file.change(write(0, 100));
            file.lose(&mut rng);
            file.sync();
            file.safe.is_empty()
        });
        assert!(lost);
    }
}
