//! Every step of the disk fails once, with an error or for lack of space, and then the power fails as well. And power
//! losses in one life after another, under load and faults.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use linedown_standins::{DEADLINE, StopOnDrop, lock};
use serde_json::{Value, json};

use crate::gateway::{Gateway, now_ms, request, rules, status};
use crate::judge::{Case, judge};
use crate::power::Disk;
use crate::service::Service;
use crate::shim::{Number, Shim};
use crate::sides::Sides;
use crate::storm::{calm, number, seed, wait_for_an_answer};

/// Everything is told on the console.
const CONFIG: &str = "[sinks.console]\ntype = \"stdout\"\nformat = \"json\"\n\
    retry = { first = \"50ms\", max = \"200ms\", give_up_after = \"1h\" }\n\
    [[rules]]\nname = \"all\"\nnotify = [\"console\"]\ngroup_interval = \"0s\"\n";
/// The errors with which steps fail: EIO and ENOSPC.
const ERRORS: [i64; 2] = [5, 28];
/// In the short form, one in this many steps is tried.
const LEFT_OUT: usize = 17;
/// How long to wait for the disk to come to rest, at most: retries may keep it busy.
const RESTLESS: Duration = Duration::from_secs(1);
/// The number of lives that end with a power loss, in the short form.
const LIVES: u64 = 8;

#[test]
fn whichever_step_of_the_disk_fails_nothing_promised_is_lost_even_if_the_power_fails_too() {
    let stride = if is_long() { 1 } else { LEFT_OUT };
    let seed = seed();
    let tried = try_each(seed, Number::FailStep, usize::try_from(seed).expect("it is small") % stride + 1, stride);
    assert!(tried.refused > 0, "{tried:?}");
}

#[test]
fn whichever_sync_fails_nothing_promised_is_lost_even_if_the_power_fails_too() {
    let seed = seed();
    for round in 0..if is_long() { 10 } else { 1 } {
        let tried = try_each(seed ^ round << 32, Number::FailSync, 1, 1);
        assert!(tried.refused > 0, "{tried:?}");
    }
}

fn is_long() -> bool {
    number("SOAK_KILLS").is_some()
}

#[derive(Debug, Default)]
struct Tried {
    runs: usize,
    /// The number of runs in which a webhook was not promised.
    refused: usize,
}

/// Runs trials in which step `first` fails, then the one `stride` further on, and so on until there are no more steps.
fn try_each(seed: u64, what: Number, first: usize, stride: usize) -> Tried {
    let (next, last, tried) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX), Mutex::new(Tried::default()));
    let work = || {
        loop {
            let number = first + stride * next.fetch_add(1, Ordering::SeqCst);
            if number > last.load(Ordering::SeqCst) {
                return;
            }
            let mut reached = false;
            let ways = [(ERRORS[0], false), (ERRORS[1], true), (ERRORS[0], true), (ERRORS[1], false)];
            for (error, is_stopped) in ways.into_iter().take(if is_long() { 4 } else { 2 }) {
                let outcome = Trial::new(seed ^ number as u64).run(what, number, error, is_stopped);
                reached |= outcome.reached;
                let mut tried = lock(&tried);
                tried.runs += 1;
                tried.refused += usize::from(outcome.refused);
            }
            if !reached {
                last.fetch_min(number, Ordering::SeqCst);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let tried = tried.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} runs in which one of {} steps or syncs fails ({what:?}); in {} a webhook was refused",
        tried.runs,
        last.into_inner(),
        tried.refused
    );
    tried
}

/// One small life with one failing step.
struct Trial {
    service: Service,
    shim: Shim,
    disk: Disk,
    rng: Rng,
    starts: usize,
}

struct Outcome {
    /// Whether there were enough steps for one to fail.
    reached: bool,
    /// Whether a webhook was not promised.
    refused: bool,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let mut service = Service::new();
        let shim = Shim::new(service.folder());
        let disk = Disk::new(&service.store(), service.folder().join("journal"));
        let mut environment = shim.environment(&service.store());
        environment.push(disk.environment());
        service.environment(environment);
        service.configure(CONFIG);
        Self { service, shim, disk, rng: Rng::with_seed(seed), starts: 0 }
    }

    fn run(mut self, which: Number, step: usize, error: i64, is_stopped: bool) -> Outcome {
        let end = if is_stopped { "SIGTERM" } else { "SIGKILL" };
        let what = format!("{which:?} {step} with {error}, then {end}");
        self.shim.set(Number::FailError, error);
        self.shim.set(which, i64::try_from(step).expect("it is small"));
        let mut promised = BTreeMap::new();
        for (kind, name) in [("down", "a"), ("down", "b"), ("up", "a"), ("down", "c")] {
            let body = webhook(kind, name);
            let status = self.post(&body);
            // Half of the time, a crash follows the failure, and the next daemon finds what was written.
            if status != Some(200) && self.rng.bool() {
                self.service.kill();
            }
            promised.insert((kind, name), (status, body));
            self.wait_for_rest();
        }
        if is_stopped && self.service.pid().is_some() {
            self.service.term();
            assert!(self.service.ended_within(DEADLINE).is_some(), "{what}: it does not end");
        }
        self.service.kill();
        let reached = self.shim.get(Number::Failed) > 0;
        self.shim.behave();
        self.disk.lose_power(&mut self.rng);

        let refused = promised.values().any(|(status, _)| *status != Some(200));
        for ((kind, name), (status, body)) in &promised {
            if *status != Some(200) {
                assert_eq!(self.post(body), Some(200), "{what}: {kind} {name}, again");
            }
        }
        assert_eq!(self.post(&webhook("down", "d")), Some(200), "{what}: something new");
        let expected = BTreeSet::from(["a down", "a back", "b down", "c down", "d down"].map(str::to_owned));
        let deadline = Instant::now() + DEADLINE;
        let mut told = BTreeMap::new();
        while !expected.iter().all(|news| told.contains_key(news)) {
            assert!(Instant::now() < deadline, "{what}: {told:?}\n{}", self.service.end_of_log());
            thread::sleep(Duration::from_millis(5));
            told = self.told();
        }
        for (news, keys) in &told {
            assert!(expected.contains(news) && keys.len() == 1, "{what}: {told:?}");
        }
        Outcome { reached, refused }
    }

    /// Waits until nothing has been written for a moment, so that leases and outcomes have their turn.
    fn wait_for_rest(&self) {
        let (begun, mut before) = (Instant::now(), None);
        while before != Some(self.shim.get(Number::Steps)) && begun.elapsed() < RESTLESS {
            before = Some(self.shim.get(Number::Steps));
            thread::sleep(Duration::from_millis(15));
        }
    }

    /// The news on the console ("a down", "a back"), each with the keys of its messages.
    fn told(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in self.service.told() {
            let (instance, key) = (text(&line, "instance"), text(&line, "key"));
            // If an outage is over by the time its message is sent, that message tells both.
            let is_over = !line["closed_at"].is_null();
            let news = if line["kind"] == "resolved" { "back" } else { "down" };
            if is_over && news == "down" {
                told.entry(format!("{instance} back")).or_default().insert(key.clone());
            }
            if !(is_over && news == "back" && told.contains_key(&format!("{instance} back"))) {
                told.entry(format!("{instance} {news}")).or_default().insert(key);
            }
        }
        told
    }

    /// Posts a webhook, and restarts the daemon whenever it ends, as systemd does.
    fn post(&mut self, body: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(self.service.address()).expect("the socket is open");
        stream.set_read_timeout(Some(Duration::from_millis(10))).expect("a timeout can be set");
        stream.write_all(request(body).as_bytes()).ok()?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
        let deadline = Instant::now() + DEADLINE;
        loop {
            if self.service.ended().is_some() || self.service.pid().is_none() {
                self.starts += 1;
                assert!(self.starts < 10, "it does not start: {}", self.service.end_of_log());
                self.service.start();
            }
            match stream.read(&mut buffer) {
                Ok(0) => return status(&answer),
                Ok(length) => answer.extend(&buffer[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    assert!(Instant::now() < deadline, "no answer: {}", self.service.end_of_log());
                }
                Err(_) => return status(&answer),
            }
        }
    }
}

fn webhook(kind: &str, name: &str) -> String {
    // A minute apart, so that their order is known whenever they are posted.
    let (kind, ago) = if kind == "up" { ("ConnectedCallback", 0) } else { ("DisconnectedCallback", 60_000) };
    json!({ "type": kind, "instanceId": name, "momment": now_ms() - ago }).to_string()
}

fn text(line: &Value, key: &str) -> String {
    line[key].as_str().unwrap_or_default().to_owned()
}

#[test]
fn power_that_fails_again_and_again_takes_nothing_that_was_promised() {
    let lives = number("SOAK_KILLS").map_or(LIVES, |kills| kills / 4);
    let mut rng = Rng::with_seed(seed());
    let sides = Sides::new();
    let mut service = Service::new();
    let shim = Shim::new(service.folder());
    let mut disk = Disk::new(&service.store(), service.folder().join("journal"));
    let with = |journal: Option<(&'static str, PathBuf)>, store: &std::path::Path| {
        let mut environment = shim.environment(store);
        environment.push(sides.environment());
        environment.extend(journal);
        environment
    };
    service.environment(with(Some(disk.environment()), &service.store()));
    service.configure(&format!("{}{}", sides.config("1h"), rules("rule")));
    let (gateway, stop, address) = (Gateway::default(), AtomicBool::new(false), service.address());
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for number in 0..3 {
            let (gateway, stop, seed) = (&gateway, &stop, rng.u64(..) ^ number);
            scope.spawn(move || gateway.run(address, seed, stop));
        }
        for _ in 0..lives {
            shim.set(Number::PerMille, rng.i64(1..100));
            shim.set(Number::SyncError, if rng.bool() { ERRORS[0] } else { 0 });
            shim.set(Number::WriteError, if rng.u8(..4) == 0 { ERRORS[rng.usize(..2)] } else { 0 });
            service.start();
            // Otherwise the power fails while the daemon starts, or just after.
            if rng.u8(..4) > 0 {
                wait_for_an_answer(&mut service, &gateway);
            }
            thread::sleep(Duration::from_millis(rng.u64(..400)));
            if rng.u8(..5) == 0 {
                service.term();
                let _ = service.ended_within(Duration::from_millis(rng.u64(..300)));
            }
            service.kill();
            disk.lose_power(&mut rng);
        }
        shim.behave();
        service.start();
    });
    let promised = gateway.promised();
    calm(&mut service, &gateway, &sides);
    let verdict = judge(&Case::of(&service, &gateway, &sides));
    println!("{lives} power losses: {} webhooks promised, {} promises broken", verdict.promised, verdict.broken.len());
    assert!(promised > lives, "hardly anything was promised, {promised} in {lives} lives: {verdict:?}");
    assert!(verdict.broken.is_empty(), "{:#?}", verdict.broken.iter().take(20).collect::<Vec<_>>());
}
