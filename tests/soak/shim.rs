//! Controls the daemon's disk, clock and resolver through `shim.c`, which is compiled here and preloaded into the
//! daemon.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("shim.c");

/// A number that the shim reads or writes, by its place in `struct control`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    /// The error with which writes fail; 0 if they do not.
    WriteError = 0,
    /// The error with which syncs fail; 0 if they do not.
    SyncError = 1,
    /// How many in a thousand of these fail.
    PerMille = 2,
    /// How much longer each step takes, in microseconds.
    Slow = 3,
    /// How far the wall clock is off, in milliseconds.
    Clock = 4,
    /// Whether names do not resolve.
    NoNames = 5,
    /// The number of steps so far: writes, syncs and truncations.
    Steps = 6,
    /// The number of the step that fails; 0 for none.
    FailStep = 7,
    /// The error with which that step, or the sync of `FailSync`, fails.
    FailError = 8,
    /// How many calls were made to fail.
    Failed = 9,
    /// The number of the sync that fails, counting syncs alone; 0 for none. (10 is the shim's count of syncs.)
    FailSync = 11,
    /// How many seconds the wall clock gains in each second.
    Haste = 12,
    /// The error with which reads fail; 0 if they do not. (13 is the shim's own.)
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

    /// The variables that preload the shim into the daemon.
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

    /// Makes everything work again, and sets the clock right.
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
