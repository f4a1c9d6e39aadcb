//! A long life under load and faults, without a restart: nothing grows but the store, and that by what it keeps.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::gateway::{Fate, Gateway};
use crate::judge::{Case, judge};
use crate::service::Service;
use crate::shim::Shim;
use crate::sides::Sides;
use crate::storm::{StopOnDrop, calm, number, seed};
use crate::weather::{Counts, Weather, config};

/// How long it lives, in the short form and, for each ten kills, in the long one.
const SHORT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(2);

/// What a process uses.
#[derive(Clone, Copy, Debug)]
struct Use {
    kilobytes: u64,
    files: u64,
    threads: u64,
    store: u64,
    log: u64,
    webhooks: u64,
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
        let accepted = gateway.lines().values().filter(|line| line.down == Fate::Promised).count();
        Self {
            kilobytes: number("VmRSS:"),
            threads: number("Threads:"),
            files: fs::read_dir(format!("{process}/fd")).expect("it runs").count() as u64,
            store: size(""),
            log: size("-wal"),
            webhooks: accepted as u64,
        }
    }
}

#[test]
fn a_long_life_under_load_and_faults_uses_no_more_than_a_short_one() {
    let life = number("SOAK_KILLS").map_or(SHORT, |kills| LONG * u32::try_from(kills / 10).expect("it is small"));
    let (seed, sides, mut service) = (seed(), Sides::new(), Service::new());
    let shim = Shim::new(service.folder());
    let mut environment = shim.environment(&service.store());
    environment.push(sides.environment());
    service.environment(environment);
    let mut rng = Rng::with_seed(seed);
    service.configure(&config(&sides, &mut rng));
    service.start_and_wait();
    let (gateway, stop, address) = (Gateway::default(), AtomicBool::new(false), service.address());
    let mut weather =
        Weather { sides: &sides, shim: &shim, rng, counts: Counts::new(), mended: Vec::new(), disk_failed: false };
    let (begun, mut early) = (Instant::now(), None);
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for number in 1..=4 {
            let (gateway, stop) = (&gateway, &stop);
            scope.spawn(move || gateway.run(address, seed ^ number, stop));
        }
        while begun.elapsed() < life {
            weather.clear();
            if weather.rng.u8(..10) == 0 {
                weather.turn(&service);
            }
            if begun.elapsed() > life / 3 && early.is_none() {
                early = Some(Use::of(&service, &gateway));
            }
            thread::sleep(Duration::from_millis(20));
            assert!(service.ended().is_none(), "it ended: {}", service.end_of_log());
        }
    });
    let (early, late) = (early.expect("it lived so long"), Use::of(&service, &gateway));
    println!("after {:?}: {early:?}", life / 3);
    println!("after {life:?}: {late:?}");
    // A third of the load is behind it at the first look: what grows with the load would have tripled.
    assert!(late.kilobytes * 2 < early.kilobytes * 3, "memory grows: {early:?} {late:?}");
    assert!(late.files < early.files + 40, "files are left open: {early:?} {late:?}");
    assert!(late.threads < early.threads + 20, "threads are left: {early:?} {late:?}");
    assert!(late.log < 32 * 1024 * 1024, "the log is not taken into the database: {late:?}");
    assert!(late.store < 1024 * 1024 + late.webhooks * 8192, "the store grows by more than it keeps: {late:?}");

    shim.behave();
    sides.behave();
    calm(&mut service, &gateway, &sides);
    let verdict = judge(&Case::of(&service, &gateway, &sides));
    assert!(verdict.broken.is_empty(), "SOAK_SEED={seed}: {:#?}", verdict.broken.iter().take(20).collect::<Vec<_>>());
}
