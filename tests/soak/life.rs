//! A long life under load and faults, without a restart: once the store is as full as it gets, nothing grows.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use linedown_standins::{DEADLINE, StopOnDrop};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::gateway::Gateway;
use crate::judge::{Case, judge};
use crate::service::Service;
use crate::shim::{Number, Shim};
use crate::sides::Sides;
use crate::storm::{calm, number, seed};
use crate::weather::{ENDLESS, Weather};

/// How long the daemon lives: in the short form, and for each ten kills (`SOAK_KILLS`) in the long one.
const SHORT: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_secs(3);
/// How long that is by the daemon's own clock, which runs fast, in either form.
const BY_THE_CLOCK: Duration = Duration::from_hours(6);
/// Incidents that have been over for longer are forgotten, by that clock.
const KEEP: &str = "[store]\nkeep = \"1h\"\n";
/// How often the daemon is looked at during its life. After a sixth of it, the store is as full as it gets.
const LOOKS: u32 = 24;
/// Gateways that post at the same time.
const GATEWAYS: u64 = 8;

/// How much more memory and store the daemon may use in the last third of its life than in the second, in KiB: the
/// allocator still takes memory for the worst moment so far. In the short form, SQLite's caches and its log are still
/// filling.
const MORE: u64 = 4 * 1024;
const MORE_IN_SHORT: u64 = 8 * 1024;
/// How much the store keeps for ever of each line, in bytes: the times of its last reports, by the gateway's clock.
const BYTES_OF_A_LINE: u64 = 128;

/// What a process uses.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// Memory of its own in KiB, without its program.
    kilobytes: u64,
    files: u64,
    threads: u64,
    store: u64,
    log: u64,
    webhooks: u64,
    /// Outages that the store once had and has forgotten.
    forgotten: u64,
}

impl Use {
    fn of(service: &Service, gateway: &Gateway) -> Self {
        let process = format!("/proc/{}", service.pid().expect("it runs"));
        let status = fs::read_to_string(format!("{process}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
            line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("it is a number")
        };
        let size = |end: &str| {
            let path = format!("{}{end}", service.store().display());
            fs::metadata(path).map_or(0, |file| file.len())
        };
        Self {
            kilobytes: number("RssAnon:"),
            threads: number("Threads:"),
            files: fs::read_dir(format!("{process}/fd")).expect("it runs").count() as u64,
            store: size(""),
            log: size("-wal"),
            webhooks: gateway.promised(),
            forgotten: forgotten(service),
        }
    }

    /// The most of each figure.
    fn most(looks: &[Self]) -> Self {
        looks.iter().fold(Self::default(), |most, look| Self {
            kilobytes: most.kilobytes.max(look.kilobytes),
            files: most.files.max(look.files),
            threads: most.threads.max(look.threads),
            store: most.store.max(look.store),
            log: most.log.max(look.log),
            webhooks: most.webhooks.max(look.webhooks),
            forgotten: most.forgotten.max(look.forgotten),
        })
    }
}

#[test]
fn a_long_life_under_load_and_faults_uses_no_more_than_a_short_one() {
    let kills = number("SOAK_KILLS");
    let life = kills.map_or(SHORT, |kills| (LONG * u32::try_from(kills).expect("it is small") / 10).max(SHORT));
    let haste = u32::try_from(BY_THE_CLOCK.as_millis() / life.as_millis()).expect("it is small");
    let (seed, sides, mut service) = (seed(), Sides::new(), Service::new());
    let shim = Shim::new(service.folder());
    let mut environment = shim.environment(&service.store());
    environment.push(sides.environment());
    service.environment(environment);
    let mut weather = Weather::new(&sides, &shim, seed, ENDLESS);
    service.also(KEEP);
    service.configure(&weather.config());
    shim.set(Number::Haste, haste.into());
    service.start_and_wait();
    let (gateway, stop, address) = (Gateway::hasty(haste), AtomicBool::new(false), service.address());
    let (begun, mut looks) = (Instant::now(), Vec::new());
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for number in 1..=GATEWAYS {
            let (gateway, stop) = (&gateway, &stop);
            scope.spawn(move || gateway.run(address, seed ^ number, stop));
        }
        while begun.elapsed() < life {
            weather.clear();
            if weather.rng.u8(..30) == 0 {
                weather.turn(&service);
            }
            if begun.elapsed() > life / LOOKS * u32::try_from(looks.len()).expect("they are few") {
                looks.push(Use::of(&service, &gateway));
                // linedown forgets every hour by the monotonic clock, which does not run fast, and at each reload.
                service.hup();
            }
            thread::sleep(Duration::from_millis(20));
            assert!(service.ended().is_none(), "it ended: {}", service.end_of_log());
        }
    });
    for (number, look) in (0..).zip(&looks) {
        println!("after {:?}: {look:?}", life / LOOKS * number);
    }
    let third = looks.len() / 3;
    let (early, late) = (Use::most(&looks[third..2 * third]), Use::most(&looks[2 * third..]));
    let more = if kills.is_some() { MORE } else { MORE_IN_SHORT };
    assert!(late.webhooks > looks[third].webhooks, "nothing was taken any more: {early:?} {late:?}");
    assert!(late.forgotten > 0, "nothing was forgotten: {late:?}");
    assert!(late.kilobytes < early.kilobytes + more, "memory grows: {early:?} {late:?}");
    assert!(late.files < early.files + 40, "files are left open: {early:?} {late:?}");
    assert!(late.threads < early.threads + 20, "threads are left: {early:?} {late:?}");
    assert!(late.log < 32 * 1024 * 1024, "the log is not taken into the database: {late:?}");
    // The load varies, and with it the amount that the store keeps.
    let (kept_early, kept) = (most_kept(&looks[..2 * third]), most_kept(&looks));
    let room = early.store * kept / kept_early * 5 / 4 + (late.webhooks - early.webhooks) * BYTES_OF_A_LINE;
    assert!(late.store < room + more * 1024, "the store grows by more than it keeps: {early:?} {late:?}");

    shim.behave();
    sides.behave();
    // By the fast clock, all outages are soon old, except those of lines that did not come back before the end.
    let (ever, deadline) = (incidents(&service).0, Instant::now() + DEADLINE);
    while forgotten(&service) + 2 * GATEWAYS < ever {
        assert!(Instant::now() < deadline, "{} of {ever} forgotten: {}", forgotten(&service), service.end_of_log());
        thread::sleep(Duration::from_millis(100));
        service.hup();
    }
    calm(&mut service, &gateway, &sides);
    let mut case = Case::of(&service, &gateway, &sides);
    // The store has forgotten most dead letters by now, but the log has them.
    case.dead = given_up(&service);
    let verdict = judge(&case);
    println!("{} webhooks promised, {} promises broken", verdict.promised, verdict.broken.len());
    assert!(verdict.broken.is_empty(), "SOAK_SEED={seed}: {:#?}", verdict.broken.iter().take(20).collect::<Vec<_>>());
}

/// The number of outages that the store ever had, and of those that it has now.
fn incidents(service: &Service) -> (u64, u64) {
    let store = Connection::open_with_flags(service.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
    store.busy_timeout(DEADLINE).expect("it can wait");
    let both = "SELECT coalesce(max(id), 0), count(*) FROM incident";
    let row = store.query_row(both, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (ever, now): (u32, u32) = row.expect("it reads");
    (ever.into(), now.into())
}

/// The number of outages that the store once had and has forgotten.
fn forgotten(service: &Service) -> u64 {
    let (ever, now) = incidents(service);
    ever - now
}

/// The most webhooks of any hour by the fast clock.
fn most_kept(looks: &[Use]) -> u64 {
    let hour = looks.windows(usize::try_from(LOOKS / 6).expect("it is small") + 1);
    hour.map(|looks| looks[looks.len() - 1].webhooks - looks[0].webhooks).max().unwrap_or_default().max(1)
}

/// The log's records of messages given up, one for each message.
fn given_up(service: &Service) -> Vec<Value> {
    let log = service.log();
    let records = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.filter(|record| record["message"] == "given up").collect()
}
