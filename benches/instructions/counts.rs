//! The accepted counts, in `counts.txt` beside this file: one line for each, `TOOLCHAIN: STEP COUNT`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

const HEAD: &str =
    "# Instructions of each step, by toolchain. `make instructions ACCEPT=1` writes those of the one at hand.\n";

/// The accepted counts of all toolchains.
pub(crate) struct Counts {
    /// The compilers and the machine with which the program was built.
    pub(crate) toolchain: String,
    all: BTreeMap<(String, String), u64>,
}

impl Counts {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(file()).expect("the counts can be read");
        let all = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let read = || {
                let (toolchain, counted) = line.split_once(": ")?;
                let (step, count) = counted.split_once(' ')?;
                Some(((toolchain.to_owned(), step.to_owned()), count.parse().ok()?))
            };
            read().unwrap_or_else(|| panic!("{}: not a count: {line}", file().display()))
        });
        Self { toolchain: toolchain(), all: all.collect() }
    }

    /// The accepted count of a step for the present toolchain.
    pub(crate) fn of(&self, step: &str) -> Option<u64> {
        self.all.get(&(self.toolchain.clone(), step.to_owned())).copied()
    }

    /// Replaces the counts of the present toolchain.
    pub(crate) fn accept(&mut self, counts: Vec<(String, u64)>) {
        let toolchain = self.toolchain.clone();
        self.all.extend(counts.into_iter().map(|(step, count)| ((toolchain.clone(), step), count)));
    }

    pub(crate) fn write(&self) {
        let mut text = HEAD.to_owned();
        for ((toolchain, step), count) in &self.all {
            let _ = writeln!(text, "{toolchain}: {step} {count}");
        }
        std::fs::write(file(), text).expect("the counts can be written");
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/counts.txt")
}

/// Names the toolchain: the Rust compiler, the C compiler (for SQLite) and the machine.
fn toolchain() -> String {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let rustc = said("rustc", "--version");
    let rustc: Vec<&str> = rustc.split_whitespace().take(2).collect();
    let cc = said("cc", "-dumpversion");
    format!("{}, cc {cc}, {}", rustc.join(" "), std::env::consts::ARCH)
}
