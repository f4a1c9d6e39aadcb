//! One line goes down on an idle daemon: how soon Slack hears of it, and what the daemon costs meanwhile.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use linedown_standins::Slack;

use crate::daemon::Daemon;
use crate::{BINARY, SECRET, megabytes, row, timed};

/// How often a webhook is followed to Slack; the sink itself keeps more than a second between two.
const FOLLOWED: usize = 15;
/// Webhooks accepted one after the other, on one connection.
const ACCEPTED: usize = 500;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let slack = Slack::new();
    let config = folder.path().join("linedown.toml");
    std::fs::write(&config, text(folder.path(), &slack)).expect("the config can be written");
    // Once to make the store, so that the start that is measured is the usual one.
    drop(Daemon::start(&config));
    let started = Instant::now();
    let daemon = Daemon::start(&config);
    let ready = started.elapsed();
    let idle = daemon.resident();

    let mut to_slack: Vec<Duration> = (0..FOLLOWED).map(|number| daemon.follow(number, &slack)).collect();
    let mut connection = daemon.connect();
    let mut accepted: Vec<Duration> =
        (0..ACCEPTED).map(|number| timed(|| daemon.post_on(&mut connection, &format!("accepted {number}")))).collect();
    to_slack.sort_unstable();
    accepted.sort_unstable();
    let size = std::fs::metadata(BINARY).map(|file| file.len()).unwrap_or_default();

    row("memory when idle, MB", megabytes(idle), 20.0);
    row("ready after the start, ms", ready.as_secs_f64() * 1e3, 200.0);
    row("webhook to Slack, median, ms", to_slack[to_slack.len() / 2].as_secs_f64() * 1e3, 10.0);
    row("size of the program, MB", megabytes(size), 15.0);
    let median = accepted[accepted.len() / 2].as_secs_f64() * 1e3;
    let late = accepted[accepted.len() * 99 / 100].as_secs_f64() * 1e3;
    println!("webhooks accepted on one connection: median {median:.2} ms, p99 {late:.2} ms, each after its own sync");
}

fn text(folder: &Path, slack: &Slack) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://{}/linedown.db\"\n\
         [sources.z-api]\ntype = \"z-api\"\nsecret = \"{SECRET}\"\n",
        folder.display()
    );
    let url = slack.url();
    let _ = write!(
        text,
        "[sinks.slack]\ntype = \"slack\"\nwebhook_url = \"{url}\"\n[[rules]]\nname = \"followed\"\n\
         match = {{ instance = \"followed*\" }}\nnotify = [\"slack\"]\ngroup_interval = \"0s\"\n\
         [sinks.console]\ntype = \"stdout\"\n[[rules]]\nname = \"rest\"\nnotify = [\"console\"]\n"
    );
    text
}
