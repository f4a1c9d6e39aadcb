//! Counts the instructions of a webhook on its way into the store, and of a notification on its way out. Unlike times,
//! they are the same on a busy machine. `make instructions` compares them with those accepted for the toolchain in
//! `counts.txt`; `make instructions ACCEPT=1` accepts the present ones.
//!
//! Valgrind's callgrind counts. Each step is run a few times and many times; the difference leaves out everything that
//! happens only once.

mod counts;
mod steps;

use std::process::{Command, ExitCode};

use counts::Counts;

/// How often a step is done in the two runs.
const FEW: u64 = 200;
const MANY: u64 = 1_200;
/// The change, in percent, that may come from chance: another order of threads, another layout of hash tables.
const TOLERANCE: f64 = 5.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [step, count] => {
            steps::run(step, count.parse().expect("a number"));
            ExitCode::SUCCESS
        }
        [] => compare(),
        ["accept"] => {
            let mut counts = Counts::read();
            counts.accept(measure());
            counts.write();
            println!("accepted for {}", counts.toolchain);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: instructions [accept]");
            ExitCode::from(64)
        }
    }
}

fn compare() -> ExitCode {
    let counts = Counts::read();
    let mut good = true;
    println!("instructions with {}", counts.toolchain);
    for (step, count) in measure() {
        let Some(accepted) = counts.of(&step) else {
            println!("{step:<14} {count:>10}, and none are accepted for this toolchain: make instructions ACCEPT=1");
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
        let change = (count as f64 / accepted as f64 - 1.0) * 100.0;
        println!("{step:<14} {count:>10}, accepted {accepted:>10}: {change:+.1} %");
        good &= change.abs() <= TOLERANCE;
    }
    if good {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "The hot path has changed by more than {TOLERANCE} %. If that is meant, or it is for the better, accept it and \
         commit benches/instructions/counts.txt:\n    make instructions ACCEPT=1\n\
         To see where they go: valgrind --tool=callgrind {} webhook {MANY}, then callgrind_annotate",
        std::env::current_exe().unwrap_or_default().display()
    );
    ExitCode::FAILURE
}

/// Counts the instructions of each step.
fn measure() -> Vec<(String, u64)> {
    let each = |step: &str| (counted(step, MANY) - counted(step, FEW)) / (MANY - FEW);
    let webhook = each("webhook");
    vec![("webhook".to_owned(), webhook), ("notification".to_owned(), each("both") - webhook)]
}

/// Counts the instructions of a whole run.
fn counted(step: &str, times: u64) -> u64 {
    let this = std::env::current_exe().expect("it has a path");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(this).arg(step).arg(times.to_string());
    let output = command.output().expect("valgrind starts: packaging/setup instructions installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("callgrind says no count: {said}"))
}
