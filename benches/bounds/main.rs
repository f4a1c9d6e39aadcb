//! Measures the bounds that the daemon keeps, on this machine: each figure beside its limit and the ratio of the two.
//! `make bench` runs it in a release build, `make bench PARTS="storm …"` only those parts.

#![expect(clippy::cast_precision_loss, reason = "figures are for people")]

mod bare;
mod daemon;
mod deliveries;
mod history;
mod intake;
mod inventory;
mod latency;
mod load;
mod one;
mod pending;
mod receiver;
mod rivals;
mod scale;
mod storm;
mod told;
mod tools;
mod watch;

use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_linedown");
const SECRET: &str = "a-secret-for-measuring";

/// The parts that are measured if none is named, in this order.
const PARTS: [(&str, fn()); 9] = [
    ("one", one::measure),
    ("inventory", inventory::measure),
    ("told", told::measure),
    ("deliveries", deliveries::measure),
    ("pending", pending::measure),
    ("scale", scale::measure),
    ("storm", storm::measure),
    ("watch", watch::measure),
    ("intake", intake::measure),
];

/// The parts that are measured only if named: they take long, or much disk space.
const NAMED: [(&str, fn()); 2] = [("scale-large", scale::measure_large), ("rivals", rivals::measure)];

fn main() {
    if std::env::args().nth(1).as_deref() == Some(bare::SERVE) {
        return bare::serve();
    }
    // Cargo adds options of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let parts = || PARTS.iter().chain(&NAMED);
    if let Some(unknown) = wanted.iter().find(|name| parts().all(|(part, _)| part != name)) {
        let parts = parts().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        eprintln!("there is no part called {unknown}; there are {parts}");
        std::process::exit(64);
    }
    println!("{:<44} {:>10} {:>10} {:>6}", "figure", "measured", "limit", "ratio");
    let chosen: Vec<_> = if wanted.is_empty() {
        PARTS.iter().collect()
    } else {
        parts().filter(|(name, _)| wanted.iter().any(|part| part == name)).collect()
    };
    for (_, measure) in chosen {
        measure();
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
