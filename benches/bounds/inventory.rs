//! How much memory a large reseller's inventory takes: after it was read, and after reloads, during each of which there
//! are two of them for a moment.

use crate::daemon::{Daemon, configure};
use crate::scale::{LINES, inventory};
use crate::{megabytes, row};

/// The number of reloads.
const RELOADS: usize = 5;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sections = "[sinks.console]\ntype = \"stdout\"\n[[rules]]\nnotify = [\"console\"]\n".to_owned();
    let daemon = Daemon::start(&configure(folder.path(), &(sections + &inventory(LINES))));
    row("memory with 100,000 lines in the inventory, MB", megabytes(daemon.resident()), 64.0);
    let peak = daemon.peak();
    (0..RELOADS).for_each(|_| daemon.reload());
    row(&format!("memory after {RELOADS} reloads, MB"), megabytes(daemon.resident()), 64.0);
    println!("at most {:.1} MB until it was ready, {:.1} MB since", megabytes(peak), megabytes(daemon.peak()));
}
