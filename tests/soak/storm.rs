//! The storm: faults of every sort at random, then calm weather, then the judge.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use linedown_standins::StopOnDrop;
use rustix::process::Signal;

use crate::gateway::{CLASSES, Gateway};
use crate::judge::{Case, Verdict, judge};
use crate::service::Service;
use crate::shim::{Number, Shim};
use crate::sides::Sides;
use crate::weather::{Counts, LITTLE, Weather};

/// How often the daemon is killed, unless `SOAK_KILLS` says otherwise.
const KILLS: usize = 40;
/// Gateways that post at the same time.
const GATEWAYS: u64 = 6;
/// The name under which kills are counted.
const KILL: &str = "SIGKILL";
/// How long to wait in calm weather while the number of pending notifications does not change.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to wait for an answer in a life; on a failing disk there may be none.
const UNANSWERED: Duration = Duration::from_secs(5);
/// The number of new lines in calm weather.
const FRESH: usize = 20;

/// The number in an environment variable, if it is set.
pub(crate) fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The seed of the short form: every change must pass the same faults.
const SEED: u64 = 20_261_126;

/// Returns and prints the seed: `SOAK_SEED`, or else [`SEED`] in the short form and a random one in the long form.
pub(crate) fn seed() -> u64 {
    let usual = if number("SOAK_KILLS").is_some() { fastrand::u64(..1_000_000_000) } else { SEED };
    let seed = number("SOAK_SEED").unwrap_or(usual);
    println!("SOAK_SEED={seed}");
    seed
}

#[test]
fn every_promise_is_kept_through_kills_and_faults_of_every_sort() {
    let kills = number("SOAK_KILLS").map_or(KILLS, |kills| usize::try_from(kills).expect("it is small enough"));
    let seed = seed();
    let begun = Instant::now();
    let sides = Sides::new();
    let mut service = Service::new();
    let shim = Shim::new(service.folder());
    let mut environment = shim.environment(&service.store());
    environment.push(sides.environment());
    service.environment(environment);
    let mut weather = Weather::new(&sides, &shim, seed, LITTLE);
    service.configure(&weather.config());
    service.start_and_wait();

    let (gateway, stop) = (Gateway::default(), AtomicBool::new(false));
    let address = service.address();
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for number in 1..=GATEWAYS {
            let (gateway, stop) = (&gateway, &stop);
            scope.spawn(move || gateway.run(address, seed ^ number, stop));
        }
        while weather.counts.get(KILL).is_none_or(|count| *count < kills) {
            live(&mut service, &mut weather, &gateway);
        }
    });
    let (stormed, promised) = (begun.elapsed(), gateway.promised());
    shim.behave();
    sides.behave();
    calm(&mut service, &gateway, &sides);
    let verdict = judge(&Case::of(&service, &gateway, &sides));
    assert!(!service.log().contains("panicked"), "the daemon panicked");
    for (what, number) in
        [("writes and syncs of the store", Number::Steps), ("reads, writes and syncs that failed", Number::Failed)]
    {
        weather.counts.insert(what.to_owned(), usize::try_from(shim.get(number)).unwrap_or_default());
    }
    show(&weather.counts, &gateway.answers(), &verdict);
    println!("{kills} kills in {:.1} s, {:.1} s with the calm", stormed.as_secs_f64(), begun.elapsed().as_secs_f64());
    assert!(promised > kills as u64 / 4, "hardly anything was promised, {promised} in {kills} lives: {verdict:?}");
    let first = verdict.broken.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(verdict.broken.is_empty(), "SOAK_SEED={seed}: {} broken:\n{first}", verdict.broken.len());
}

/// Waits until the daemon answers a webhook or has ended, for [`UNANSWERED`] at most.
pub(crate) fn wait_for_an_answer(service: &mut Service, gateway: &Gateway) {
    let (before, begun) = (gateway.answered(), Instant::now());
    while gateway.answered() == before && service.is_running() && begun.elapsed() < UNANSWERED {
        thread::sleep(Duration::from_millis(5));
    }
}

/// One life of the daemon, from its start to its end.
fn live(service: &mut Service, weather: &mut Weather<'_>, gateway: &Gateway) {
    weather.begin();
    if service.pid().is_none() {
        service.start();
    }
    let life = match weather.rng.u8(..100) {
        // Three in ten are killed while they start, or just after.
        0..30 => weather.rng.u64(..60),
        // The others do something first, however long their start takes.
        other => {
            wait_for_an_answer(service, gateway);
            if other < 90 { weather.rng.u64(..250) } else { weather.rng.u64(250..1500) }
        }
    };
    let end = Instant::now() + Duration::from_millis(life);
    let mut turns = weather.rng.u8(..6);
    while Instant::now() < end {
        weather.clear();
        if turns > 0 && weather.rng.u8(..4) == 0 {
            turns -= 1;
            weather.turn(service);
        }
        thread::sleep(Duration::from_millis(10).min(end.saturating_duration_since(Instant::now())));
    }
    let was_told = weather.rng.u8(..10) == 0;
    if was_told {
        weather.count("SIGTERM");
        service.term();
        if service.ended_within(Duration::from_millis(weather.rng.u64(..800))).is_some() {
            return;
        }
        if weather.rng.bool() {
            weather.count("a second SIGTERM");
            service.term();
            let _ = service.ended_within(Duration::from_millis(300));
        }
    }
    match service.ended() {
        None => {
            weather.count(KILL);
            service.kill();
        }
        Some(_) if was_told => {}
        // Only before the daemon listens for signals, when systemd sends none.
        Some(how) if how.signal() == Some(Signal::HUP.as_raw()) => weather.count("SIGHUP before it listens for it"),
        Some(how) if weather.config_broken && how.code() == Some(78) => weather.count("started with a broken config"),
        Some(how) => {
            assert!(weather.disk_failed, "it ended by itself, with {how:?}: {}", service.end_of_log());
            weather.count("could not start on a disk that fails");
        }
    }
}

/// In calm weather, waits until everything pending is delivered, and asserts that new messages come once.
pub(crate) fn calm(service: &mut Service, gateway: &Gateway, sides: &Sides) {
    service.kill();
    service.start_and_wait();
    let mut rng = Rng::with_seed(u64::MAX);
    let stop = AtomicBool::new(false);
    let fresh: Vec<String> =
        (0..FRESH).map(|number| gateway.post_one(service.address(), CLASSES[number % 3].0, &mut rng, &stop)).collect();
    // A Slack may have asked linedown to wait an hour; a person cuts that short.
    let waiting = service.rows(&["deliveries", "--state", "pending", "--sink", "safe"]);
    let ids: Vec<String> = waiting.iter().map(|row| row["id"].to_string()).collect();
    if !ids.is_empty() {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (code, text) = service.command(&[&["retry"], ids.as_slice()].concat());
        // Some may have been delivered in the meantime.
        assert!(code == Some(0) || text.contains("not sent again"), "{text}");
    }
    let (mut left, mut moved) = (usize::MAX, Instant::now());
    while left > 0 && moved.elapsed() < PATIENCE {
        let now = service.rows(&["deliveries", "--state", "pending"]).len();
        if now != left {
            (left, moved) = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(100));
    }
    let told = sides.told(service);
    for name in fresh {
        let alarms = told.iter().filter(|told| told.instance == name && told.kind.as_deref() == Some("down"));
        let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
        alarms.for_each(|told| *copies.entry(told.sink).or_default() += 1);
        assert!(copies.values().all(|count| *count == 1), "{name}, in calm weather, came so often: {copies:?}");
    }
}

fn show(faults: &Counts, answers: &BTreeMap<u16, usize>, verdict: &Verdict) {
    let row = |what: &str, count: usize| println!("{what:<64} {count:>8}");
    println!();
    for (what, count) in faults {
        row(what, *count);
    }
    println!();
    for (status, count) in answers {
        let what =
            if *status == 0 { "webhooks without an answer".to_owned() } else { format!("webhooks answered {status}") };
        row(&what, *count);
    }
    println!();
    row("webhooks promised to be on disk", verdict.promised);
    row("messages that these owed and that arrived", verdict.delivered);
    row("messages given up, and somebody else told", verdict.told_elsewhere);
    row("copies of a message, under its id", verdict.repeated);
    row("promises broken", verdict.broken.len());
}
