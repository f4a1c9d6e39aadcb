//! How many notifications a second linedown delivers to a fast sink, beside what that sink takes from a load tool.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bare::Bare;
use crate::daemon::{Daemon, configure};
use crate::load::{self, Target, Webhooks};
use crate::tools::{Server, tool};
use crate::{row, timed};

/// The number of deliveries at the same time, and how many are measured.
const LOADS: [(usize, usize); 3] = [(1, 4_000), (8, 10_000), (64, 15_000)];
/// The number of messages that the load tool for SMTP sends.
const NATIVE: usize = 20_000;
/// How long the load tool for HTTP runs.
const NATIVE_FOR: &str = "3s";
/// The size of a linedown message about one line, in bytes: as email, and for Slack.
const MAIL: &str = "4000";
const POST: usize = 700;
/// How long after its webhook a notification is due; by then, all are in the store.
const HOLD: Duration = Duration::from_secs(6);
/// How many notifications are delivered before the clock starts.
const FIRST: usize = 50;
/// The share of the sink's limit that linedown aims at.
const AIM: f64 = 0.7;

pub(crate) fn measure() {
    println!("{:<24} {:>12} {:>12} {:>12}", "deliveries", "in flight", "ours/s", "sink's/s");
    let relay = Server::start(|port| {
        let mut command = tool("smtp-sink");
        // Started as root, it requires another user.
        command.args(["-u", "nobody", &format!("127.0.0.1:{port}"), "1000"]);
        command
    });
    let bare = Bare::start();
    for (in_flight, count) in LOADS {
        let sink = format!(
            "type = \"email\"\nserver = \"smtp://{}\"\ntls = \"none\"\nfrom = \"linedown@example.com\"\n\
             to = \"ops@example.com\"\nlimits.in_flight = {in_flight}\n",
            relay.address()
        );
        show("SMTP", in_flight, deliver(&sink, count), smtp_source(&relay.address(), in_flight));
    }
    for (in_flight, count) in LOADS {
        let url = format!("http://{}/services/x", bare.address);
        let sink = format!(
            "type = \"slack\"\nwebhook_url = \"{url}\"\nlimits = {{ in_flight = {in_flight}, interval = \"0s\" }}\n"
        );
        show("HTTP", in_flight, deliver(&sink, count), wrk(&url, in_flight));
    }
}

fn show(to: &str, in_flight: usize, ours: f64, sinks: f64) {
    println!("{to:<24} {in_flight:>12} {ours:>12.0} {sinks:>12.0}");
    row(&format!("{to}, {in_flight} in flight: the sink is faster by"), sinks / ours, 1.0 / AIM);
}

/// How many notifications a second linedown delivers to this sink when they are in the store already.
fn deliver(sink: &str, count: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sections = format!(
        "[sinks.fast]\n{sink}[[rules]]\nname = \"all\"\nnotify = [\"fast\"]\ngroup_interval = \"0s\"\nhold = \"{}s\"\n",
        HOLD.as_secs()
    );
    let daemon = Daemon::start(&configure(folder.path(), &sections));
    let intake = timed(|| {
        load::flood(Target { address: daemon.address(), webhooks: Webhooks::new("held-") }, 64, count);
    });
    assert!(intake < HOLD, "the webhooks took {intake:?}: the first is due before the last is taken");
    let begun = daemon.wait_for_delivered(FIRST);
    let first = daemon.delivered();
    let ended = daemon.wait_for_delivered(count);
    (count - first) as f64 / ended.duration_since(begun).as_secs_f64()
}

/// How many messages a second the SMTP server takes from Postfix's load tool, on connections that are kept, as linedown
/// keeps them.
fn smtp_source(address: &str, sessions: usize) -> f64 {
    let mut command = tool("smtp-source");
    let (sessions, count) = (sessions.to_string(), NATIVE.to_string());
    command.args(["-d", "-s", &sessions, "-m", &count, "-l", MAIL, "-f", "linedown@example.com"]);
    command.args(["-t", "ops@example.com", address]);
    let begun = Instant::now();
    run(&mut command);
    NATIVE as f64 / begun.elapsed().as_secs_f64()
}

/// How many posts a second the web server takes from wrk.
fn wrk(url: &str, connections: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let script = folder.path().join("post.lua");
    write_script(&script);
    let mut command = tool("wrk");
    command.args(["-t", "1", "-c", &connections.to_string(), "-d", NATIVE_FOR, "-s"]).arg(script).arg(url);
    let report = run(&mut command);
    let rate = report.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok()).unwrap_or_else(|| panic!("wrk says no rate: {report}"))
}

fn write_script(path: &Path) {
    let script = format!(
        "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n\
         wrk.body = '{{\"text\":\"' .. string.rep('x', {POST}) .. '\"}}'\n"
    );
    fs::write(path, script).expect("a file can be written");
}

fn run(command: &mut Command) -> String {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{name} does not start ({error}): packaging/setup bench"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
