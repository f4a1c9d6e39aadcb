//! How long it takes from a webhook's first byte until its message is at Slack or at an SMTP server: with an idle
//! daemon, and with one under half of the load that it can take.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use linedown_standins::{Slack, Smtp};

use crate::daemon::{Daemon, configure};
use crate::latency::Latencies;
use crate::load::{self, Target, Webhooks};
use crate::row;

/// The number of Slacks: several, since each takes one message a second at most.
const SLACKS: usize = 10;
/// The number of webhooks followed to each Slack.
const ROUNDS: usize = 20;
/// The number of webhooks followed to the SMTP server.
const MAILS: usize = 200;
/// Longer than a Slack sink's pause between two messages.
const PAUSE: Duration = Duration::from_millis(1300);
/// Connections of the load that keeps the daemon busy.
const CONNECTIONS: usize = 64;
/// The number of webhooks that show how much load the daemon can take.
const FLOOD: usize = 30_000;
/// How long the daemon is kept busy: longer than it takes to follow the webhooks.
const BUSY: Duration = Duration::from_secs(45);

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let slacks: Vec<Slack> = (0..SLACKS).map(|_| Slack::new()).collect();
    let relay = Smtp::new();
    let daemon = Daemon::start(&configure(folder.path(), &sections(&slacks, &relay)));

    show("idle", [10.0, 25.0], &follow(&daemon, &slacks, &relay, "idle"));

    let most =
        load::flood(Target { address: daemon.address(), webhooks: Webhooks::new("flood-") }, CONNECTIONS, FLOOD).rate;
    let (address, rate) = (daemon.address().to_owned(), most / 2.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is a small positive number")]
    let requests = (rate * BUSY.as_secs_f64()) as usize;
    let load = thread::spawn(move || {
        load::steady(Target { address: &address, webhooks: Webhooks::new("busy-") }, CONNECTIONS, requests, rate);
    });
    let followed = follow(&daemon, &slacks, &relay, "busy");
    assert!(!load.is_finished(), "the load ended before all were followed");
    show("busy", [20.0, 50.0], &followed);
    println!("busy: {rate:.0} other webhooks a second meanwhile, half of the {most:.0} that it took at most");
    load.join().expect("the load ends");
}

/// One rule for each sink, and one for all other lines.
fn sections(slacks: &[Slack], relay: &Smtp) -> String {
    let mut text = format!(
        "[sinks.mail]\ntype = \"email\"\nserver = \"{}\"\ntls = \"none\"\nfrom = \"linedown@example.com\"\n\
         to = \"ops@example.com\"\n[sinks.console]\ntype = \"stdout\"\nformat = \"json\"\n",
        relay.url()
    );
    let rule = |name: &str| {
        format!(
            "[[rules]]\nname = \"{name}\"\nmatch = {{ instance = \"{name}-*\" }}\nnotify = [\"{name}\"]\n\
             group_interval = \"0s\"\n"
        )
    };
    let _ = write!(text, "{}", rule("mail"));
    for (number, slack) in slacks.iter().enumerate() {
        let name = format!("slack{number}");
        let _ = write!(text, "[sinks.{name}]\ntype = \"slack\"\nwebhook_url = \"{}\"\n{}", slack.url(), rule(&name));
    }
    text + "[[rules]]\nname = \"rest\"\nnotify = [\"console\"]\n"
}

/// Posts webhooks one after another, and waits for the message of each: at the Slacks, then at the SMTP server. Returns
/// how long these took.
fn follow(daemon: &Daemon, slacks: &[Slack], relay: &Smtp, name: &str) -> [Latencies; 2] {
    let mut to_slack = Vec::with_capacity(SLACKS * ROUNDS);
    for round in 0..ROUNDS {
        for (number, slack) in slacks.iter().enumerate() {
            let before = slack.posts().len();
            let started = Instant::now();
            daemon.post_on(&mut daemon.connect(), &format!("slack{number}-{name}-{round}"));
            let posts = slack.wait_for(before + 1);
            to_slack.push(posts[before].at.saturating_duration_since(started));
        }
        thread::sleep(PAUSE);
    }
    let before = relay.received().len();
    let to_relay = (before..before + MAILS).map(|number| {
        let started = Instant::now();
        daemon.post_on(&mut daemon.connect(), &format!("mail-{name}-{number}"));
        relay.wait_for(number + 1);
        started.elapsed()
    });
    [Latencies::of(to_slack), Latencies::of(to_relay)]
}

fn show(state: &str, limits: [f64; 2], followed: &[Latencies; 2]) {
    for (to, latencies) in ["Slack", "SMTP"].into_iter().zip(followed) {
        for (percent, limit) in [50, 99].into_iter().zip(limits) {
            row(&format!("webhook to {to}, {state}, p{percent}, ms"), latencies.percentile(percent), limit);
        }
    }
}
