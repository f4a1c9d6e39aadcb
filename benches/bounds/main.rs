//! The bounds that the daemon keeps, measured on the machine at hand: each figure beside its limit and the ratio of
//! the two. `make bench` runs it in a release build; `make bench PARTS="storm …"` only those parts.

#![expect(clippy::cast_precision_loss, reason = "figures are for people")]

mod daemon;
mod intake;
mod load;
mod one;
mod storm;
mod watch;

use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_linedown");
const SECRET: &str = "a-secret-for-measuring";

/// What is measured, in this order.
const PARTS: [(&str, fn()); 4] =
    [("one", one::measure), ("storm", storm::measure), ("watch", watch::measure), ("intake", intake::measure)];

fn main() {
    if std::env::args().nth(1).as_deref() == Some(intake::SERVE) {
        return intake::serve();
    }
    // Cargo adds options of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
        let parts = PARTS.map(|(name, _)| name).join(", ");
        eprintln!("there is no part called {unknown}; there are {parts}");
        std::process::exit(64);
    }
    println!("{:<44} {:>10} {:>10} {:>6}", "figure", "measured", "limit", "ratio");
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            measure();
        }
    }
}

fn row(what: &str, measured: f64, limit: f64) {
    println!("{what:<44} {measured:>10.1} {limit:>10.1} {:>6.2}", measured / limit);
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}
