//! What an idle daemon costs, and how long a webhook takes when they come one after another.

use std::time::Instant;

use crate::daemon::{Daemon, configure};
use crate::latency::Latencies;
use crate::{BINARY, megabytes, row, timed};

/// The number of webhooks, accepted one after another on one connection.
const ACCEPTED: usize = 500;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = configure(folder.path(), "[sinks.console]\ntype = \"stdout\"\n[[rules]]\nnotify = [\"console\"]\n");
    // The first start makes the store; the one that is measured is a usual one.
    drop(Daemon::start(&config));
    let started = Instant::now();
    let daemon = Daemon::start(&config);
    let ready = started.elapsed();
    let idle = daemon.resident();
    let mut connection = daemon.connect();
    let accepted = (0..ACCEPTED).map(|number| timed(|| daemon.post_on(&mut connection, &format!("accepted {number}"))));
    let accepted = Latencies::of(accepted);
    let size = std::fs::metadata(BINARY).map(|file| file.len()).unwrap_or_default();

    row("memory when idle, MB", megabytes(idle), 20.0);
    row("ready after the start, ms", ready.as_secs_f64() * 1e3, 200.0);
    row("size of the program, MB", megabytes(size), 15.0);
    println!("webhooks accepted one after the other, each after its own sync: {accepted}");
}
