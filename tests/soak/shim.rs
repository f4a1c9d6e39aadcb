//! The daemon's disk, clock and resolver, as the test wants them: `shim.c`, compiled here and preloaded there.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("shim.c");

/// A number that the shim reads or writes, by its place in `struct control`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    /// What writes fail with; 0: they do not.
    WriteError = 0,
    /// What syncs fail with.
    SyncError = 1,
    /// How many of a thousand fail.
    PerMille = 2,
    /// How much longer each takes, in microseconds.
    Slow = 3,
    /// By how many milliseconds the wall clock is off.
    Clock = 4,
    /// Whether no name resolves.
    NoNames = 5,
    /// How many writes, syncs and truncations there were.
    Steps = 6,
    /// The one that fails.
    FailStep = 7,
    /// What it fails with.
    FailError = 8,
    /// How many were made to fail.
    Failed = 9,
    /// The sync that fails with the same, counted apart.
    FailSync = 11,
    /// How many seconds more than one the wall clock goes on in each second.
    Haste = 12,
    /// What reads fail with; 13 is the shim's own.
    ReadError = 14,
}

const NUMBERS: usize = 15;

/// A compiled shim and its numbers.
pub(crate) struct Shim {
    library: PathBuf,
    numbers: PathBuf,
    file: File,
}

impl Shim {
    /// Compiles it into a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let (source, library, numbers) = (folder.join("shim.c"), folder.join("shim.so"), folder.join("numbers"));
        fs::write(&source, SOURCE).expect("a file can be written");
        let compiled = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
        let compiled = compiled.expect("the shim needs a C compiler: install Debian's packages gcc and libc6-dev");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        fs::write(&numbers, [0; NUMBERS * 8]).expect("a file can be written");
        let file = File::options().read(true).write(true).open(&numbers).expect("it is there");
        Self { library, numbers, file }
    }

    /// What the daemon needs in its environment.
    pub(crate) fn environment(&self, store: &Path) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.library.clone()),
            ("SOAK_CONTROL", self.numbers.clone()),
            ("SOAK_STORE", store.to_owned()),
        ]
    }

    pub(crate) fn set(&self, number: Number, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), number as u64 * 8).expect("it can be written");
    }

    pub(crate) fn get(&self, number: Number) -> i64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, number as u64 * 8).expect("it can be read");
        i64::from_ne_bytes(bytes)
    }

    /// Nothing fails any more, and the clock is right.
    pub(crate) fn behave(&self) {
        for number in
            [Number::WriteError, Number::SyncError, Number::ReadError, Number::Slow, Number::Clock, Number::NoNames]
        {
            self.set(number, 0);
        }
        self.set(Number::FailStep, 0);
        self.set(Number::FailSync, 0);
        self.set(Number::FailError, 0);
    }
}
