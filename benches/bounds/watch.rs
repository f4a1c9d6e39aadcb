//! Watching ten thousand lines over HTTPS, each asked about every minute: what that costs while nothing happens.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use linedown_standins::{Certificates, ZApi};

use crate::daemon::{Daemon, configure};
use crate::{megabytes, row};

/// The number of lines.
const LINES: usize = 10_000;
/// How often each is asked about.
const EVERY: Duration = Duration::from_mins(1);
/// The number of rounds that are measured, after a first one that is not.
const ROUNDS: u32 = 3;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let certificates = Certificates::new();
    let gateway = ZApi::over_tls(&certificates).without_record();
    // The first keys belong to the source's section, which `configure` ends with.
    let mut text = format!(
        "api = \"{}\"\nwatch = {{ every = \"{}s\" }}\naudit = {{ on = false }}\n\
         [sinks.console]\ntype = \"stdout\"\n[[rules]]\nname = \"all\"\nnotify = [\"console\"]\n",
        gateway.url(),
        EVERY.as_secs()
    );
    for line in 0..LINES {
        let (id, token) = (format!("39ECB{line:08}"), format!("F00D{line:08}"));
        gateway.add(&id, &token);
        let _ = write!(text, "[instances.{id}]\nname = \"Loja {line}\"\ntoken = \"{token}\"\n");
    }
    let daemon = Daemon::start_trusting(&configure(folder.path(), &text), &certificates);
    let at_first = daemon.resident();
    sleep(EVERY);
    let (begun, busy, asked, before) = (Instant::now(), daemon.busy(), gateway.count(), daemon.resident());
    sleep(EVERY * ROUNDS);
    let (took, busy) = (begun.elapsed(), daemon.busy().saturating_sub(busy));
    let (asked, after) = (gateway.count() - asked, daemon.resident());
    row("watching 10,000 lines at 60 s, % of a core", busy.as_secs_f64() / took.as_secs_f64() * 100.0, 5.0);
    row("memory meanwhile, MB", megabytes(after), 100.0);
    println!(
        "{asked} questions in {:.0} s, {} at once at most on {} connections; memory at the start {:.1} MB, after a round {:.1} MB, \
         after {} rounds {:.1} MB",
        took.as_secs_f64(),
        gateway.most_at_once(),
        gateway.connections(),
        megabytes(at_first),
        megabytes(before),
        ROUNDS + 1,
        megabytes(after)
    );
}
