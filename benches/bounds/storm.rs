//! All lines of a large reseller are down at once: how much memory that takes, and how long webhooks take while their
//! reminders go out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, configure};
use crate::{megabytes, row, timed};

/// The number of lines that are down.
const LINES: usize = 100_000;
/// Clients that report them.
const CLIENTS: usize = 64;
/// The time from an outage to its reminder.
const REMIND: Duration = Duration::from_secs(40);
/// How long webhooks are measured from the first reminder on.
const ROUND: Duration = Duration::from_secs(40);

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sections = format!(
        "[sinks.console]\ntype = \"stdout\"\n\
         [[rules]]\nname = \"all\"\nnotify = [\"console\"]\nremind = [\"{}s\"]\ngroup_interval = \"1s\"\n",
        REMIND.as_secs()
    );
    let daemon = Daemon::start(&configure(folder.path(), &sections));
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = daemon.connect();
                while let line @ 0..LINES = next.fetch_add(1, Ordering::Relaxed) {
                    daemon.post_on(&mut connection, &format!("line {line}"));
                }
            });
        }
    });
    let rate = f64::from(u32::try_from(LINES).unwrap_or_default()) / begun.elapsed().as_secs_f64();
    let quiet = begun + REMIND.saturating_sub(Duration::from_secs(5));
    thread::sleep(quiet.saturating_duration_since(Instant::now()));
    let round = stalls(&daemon, begun + REMIND + ROUND);
    row("memory with 100,000 lines down, MB", megabytes(daemon.resident()), 200.0);
    row("webhook during their reminders, worst, ms", round[round.len() - 1], 50.0);
    println!(
        "{LINES} lines reported by {CLIENTS} clients: {rate:.0} a second; a webhook during their reminders: \
         median {:.2} ms, p99 {:.2} ms",
        round[round.len() / 2],
        round[round.len() * 99 / 100]
    );
}

/// Posts a webhook every few milliseconds until then. Returns how long each took, in milliseconds, the longest last.
fn stalls(daemon: &Daemon, until: Instant) -> Vec<f64> {
    let mut connection = daemon.connect();
    let mut took = vec![0.0];
    for number in 0.. {
        if Instant::now() >= until {
            break;
        }
        took.push(timed(|| daemon.post_on(&mut connection, &format!("late {number}"))).as_secs_f64() * 1e3);
        thread::sleep(Duration::from_millis(5));
    }
    took.sort_by(f64::total_cmp);
    took
}
