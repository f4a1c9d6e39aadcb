//! Hostile input. Whatever is sent, the daemon refuses it or closes the connection, does not grow, and still accepts
//! webhooks.
//!
//! The cases come from a seed. `LINEDOWN_HOSTILE=1000000` asks for more of them, `LINEDOWN_HOSTILE_SEED=7` for others;
//! a failure names its seed and number.

mod body;
mod case;
mod crowd;
mod head;
mod judge;

use std::env;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::json;

use self::case::Case;
use crate::daemon::{Daemon, HOOK, JSON, eventually};
use crate::http::request;
use crate::payload::down;
use crate::sections::CONSOLE;

/// The number of cases by default.
const CASES: usize = 10_000;
/// Clients at the same time.
const CLIENTS: usize = 16;
/// The run ends after this many failures; the first say enough.
const SHOWN: usize = 10;
/// The largest body that the daemon under test takes, in bytes.
const MAX_BODY: usize = 16 * 1024;
/// The most by which the daemon's memory may ever grow, in KiB. The crowds need about half of it; they send ten times
/// as much.
const GROWTH: u64 = 64 * 1024;

/// The longest that a webhook may take among all that. Gateways wait for longer.
const BOUND: Duration = Duration::from_secs(10);

/// Rules: the tests' own lines are told on the console; lines that hostile requests name go to a sink without
/// recipients.
const TOLD: &str = "[[rules]]\nmatch = { instance = \"told*\" }\nnotify = [\"console\"]\ngroup_interval = \"0s\"\n\
                    [[rules]]\nnotify = [\"nobody\"]\n[sinks.nobody]\ntype = \"email\"\nserver = \"file:/dev/null/x\"\n\
                    from = \"a@example.com\"\nto = \"{{ instance.labels.nobody }}\"\n";

fn start(server: &str) -> Daemon {
    Daemon::start(&format!("[server]\n{server}{CONSOLE}{TOLD}"))
}

/// Posts a webhook, which must be accepted within [`BOUND`].
fn accept_in_time(daemon: &Daemon, line: &str) {
    let begun = Instant::now();
    daemon.accept(&down(line));
    assert!(begun.elapsed() < BOUND, "{line}: {:?}", begun.elapsed());
}

fn setting(name: &str) -> Option<usize> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The memory of a process, in KiB: `VmRSS` is what it has now, `VmHWM` the most that it ever had.
fn memory(process: Pid, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_pid())).expect("the daemon is alive");
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).expect(figure);
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

/// How many files and sockets a process has open.
fn open_files(process: Pid) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.as_raw_pid())).expect("the daemon is alive").count()
}

/// A daemon's memory and open files before a test.
struct Before {
    memory: u64,
    files: usize,
}

impl Before {
    fn of(daemon: &Daemon) -> Self {
        daemon.accept(&down("told before"));
        daemon.wait_for_told(1);
        Self { memory: memory(daemon.pid(), "VmRSS"), files: open_files(daemon.pid()) }
    }

    /// Asserts that the daemon has not grown, has no more files open, and still does its work.
    fn holds(&self, daemon: &Daemon, growth: u64) {
        let grown = memory(daemon.pid(), "VmHWM").saturating_sub(self.memory);
        println!("memory grew by {grown} KiB from {} KiB", self.memory);
        assert!(grown < growth, "memory grew by {grown} KiB, not by less than {growth}");
        eventually("its files to be closed", || (open_files(daemon.pid()) <= self.files).then_some(()));
        daemon.accept(&down("told after"));
        let told = eventually("the last webhook to be told", || {
            daemon.told().into_iter().find(|line| line["instance"] == "told after")
        });
        assert_eq!(told["kind"], "down", "{told}");
        let guess = || daemon.send(&request("POST", "/hooks/z-api/guess", &[JSON], b"{}")).status;
        assert!((0..20).any(|_| guess() == 429), "a guesser is never told to wait");
        assert_eq!(
            daemon.send(&request("POST", HOOK, &[JSON], json!({ "type": "x" }).to_string().as_bytes())).status,
            200
        );
    }
}

#[test]
fn ten_thousand_hostile_requests() {
    let cases = setting("LINEDOWN_HOSTILE").unwrap_or(CASES);
    let seed = setting("LINEDOWN_HOSTILE_SEED").unwrap_or(20_261_124);
    println!("{cases} hostile requests; LINEDOWN_HOSTILE_SEED={seed}");
    let daemon = start(&format!("max_body = {MAX_BODY}\n"));
    let before = Before::of(&daemon);

    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases || failures.lock().expect("no client panics").len() >= SHOWN {
                        break;
                    }
                    let case = Case::generate(seed, number);
                    if let Err(why) = judge::send(&daemon, &case) {
                        failures.lock().expect("no client panics").push(format!("case {number}: {case}\n  {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no client panics");
    assert!(failures.is_empty(), "LINEDOWN_HOSTILE_SEED={seed}\n{}", failures.join("\n"));
    before.holds(&daemon, GROWTH);
}
