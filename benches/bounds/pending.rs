//! The only sink is down and many notifications are pending: what that costs, and how soon a daemon started then is
//! ready.

use std::time::Instant;

use crate::daemon::{Daemon, configure};
use crate::load::{self, Target, Webhooks};
use crate::tools::free_port;
use crate::{megabytes, row};

/// The number of pending notifications.
const PENDING: usize = 100_000;
const CONNECTIONS: usize = 64;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sections = format!(
        "[sinks.mail]\ntype = \"email\"\nserver = \"smtp://127.0.0.1:{}\"\ntls = \"none\"\nfrom = \"linedown@example.com\"\n\
         to = \"ops@example.com\"\n[[rules]]\nname = \"all\"\nnotify = [\"mail\"]\ngroup_interval = \"0s\"\n",
        free_port()
    );
    let config = configure(folder.path(), &sections);
    let daemon = Daemon::start(&config);
    let webhooks = Webhooks::Down(0);
    let intake = load::flood(Target { address: daemon.address(), webhooks }, CONNECTIONS, PENDING);
    daemon.wait_for_pending(PENDING);
    row("memory with 100,000 pending, MB", megabytes(daemon.resident()), 64.0);
    drop(daemon);
    let started = Instant::now();
    let daemon = Daemon::start(&config);
    row("ready with 100,000 pending, ms", started.elapsed().as_secs_f64() * 1e3, 1000.0);
    daemon.wait_for_pending(PENDING);
    row("memory then, MB", megabytes(daemon.resident()), 64.0);
    println!("taken in by {CONNECTIONS} connections, {:.0} a second: {}", intake.rate, intake.took);
}
