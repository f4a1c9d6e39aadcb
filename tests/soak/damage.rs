//! The store itself: damaged pages, disks that cannot be read, and forgetting of old incidents.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use linedown_standins::DEADLINE;
use rusqlite::Connection;
use serde_json::json;

use crate::gateway::{now_ms, post};
use crate::service::Service;
use crate::shim::{Number, Shim};

/// The number of lines that are down when the store is damaged.
const LINES: usize = 300;
const RULE: &str = "[[rules]]\nname = \"all\"\nnotify = [\"people\"]\ngroup_interval = \"0s\"\n";
/// A sink at an address where nobody listens.
const AWAY: &str = "[sinks.people]\ntype = \"slack\"\nwebhook_url = \"http://127.0.0.1:9/x\"\n";
const THERE: &str = "[sinks.people]\ntype = \"stdout\"\nformat = \"json\"\n";

fn down(service: &Service, line: &str) -> Option<u16> {
    let body = json!({ "type": "DisconnectedCallback", "instanceId": line, "momment": now_ms() });
    // The wait includes a start.
    post(service.address(), &body.to_string(), DEADLINE)
}

/// A daemon that is stopped, with all lines down and nobody told; its sink works from the next start on.
fn with_lines_down() -> Service {
    let mut service = Service::new();
    service.configure(&format!("{AWAY}{RULE}"));
    service.start_and_wait();
    for number in 0..LINES {
        assert_eq!(down(&service, &format!("line-{number}")), Some(200));
    }
    service.term();
    assert!(service.ended_within(DEADLINE).is_some());
    service.configure(&format!("{THERE}{RULE}"));
    service
}

/// Waits until the sink was told this many times. Restarts the daemon whenever it ends with 75, as systemd does.
fn wait_for_told(service: &mut Service, count: usize) {
    let deadline = Instant::now() + DEADLINE;
    while service.told().len() < count {
        if service.pid().is_none() || service.ended().is_some_and(|how| how.code() == Some(75)) {
            service.start();
        }
        assert!(service.ended().is_none(), "it ended: {}", service.end_of_log());
        assert!(Instant::now() < deadline, "{} told: {}", service.told().len(), service.end_of_log());
        thread::sleep(Duration::from_millis(20));
    }
}

/// The damaged stores that were set aside.
fn aside(service: &Service) -> Vec<PathBuf> {
    let folder = fs::read_dir(service.folder().join("store")).expect("the folder is there");
    let paths = folder.map(|entry| entry.expect("it can be read").path());
    let is_aside = |path: &PathBuf| path.extension().is_some_and(|end| end.to_string_lossy().starts_with("damaged-2"));
    paths.filter(|path| is_aside(path) && !path.display().to_string().ends_with("-wal")).collect()
}

/// How many lines are down, besides the trouble that the store was damaged.
fn lines_down(service: &Service) -> usize {
    let open = service.rows(&["incidents", "--open"]);
    open.iter().filter(|row| row["reason"] != "store-damaged").count()
}

#[test]
fn a_damaged_page_is_noticed_and_all_the_rest_is_taken_over() {
    let mut service = with_lines_down();
    damage(&service, "notification");
    wait_for_told(&mut service, LINES - 80);
    assert_eq!(aside(&service).len(), 1, "{:?}", aside(&service));
    let log = service.log();
    assert!(log.contains("the store was damaged: it is set aside") && log.contains("a backup may have more"), "{log}");
    assert_eq!(lines_down(&service), LINES, "only notifications were on that page");
    assert_eq!(down(&service, "fresh"), Some(200));
    let told = service.told().len();
    wait_for_told(&mut service, told + 1);
    let mut keys: Vec<String> = service.told().iter().map(|line| line["key"].to_string()).collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "every message has a name of its own");
}

#[test]
fn a_damaged_page_that_is_met_at_the_start_keeps_no_daemon_from_starting() {
    let mut service = with_lines_down();
    service.start_and_wait();
    wait_for_told(&mut service, LINES);
    assert_eq!(service.command(&["silence", "add", "instance=none", "--for", "1h"]).0, Some(0));
    service.term();
    assert!(service.ended_within(DEADLINE).is_some());
    damage(&service, "silence");
    service.start_and_wait();
    assert_eq!(aside(&service).len(), 1, "{}", service.end_of_log());
    assert_eq!(down(&service, "fresh"), Some(200));
}

#[test]
fn damage_that_is_met_later_ends_the_daemon_and_the_next_start_takes_over_the_rest() {
    let mut service = with_lines_down();
    damage(&service, "event");
    wait_for_told(&mut service, LINES);
    assert_eq!(aside(&service).len(), 0, "nobody has looked there");
    let how = (1..=LINES).find_map(|number| {
        service.command(&["incident", &number.to_string()]);
        service.ended()
    });
    let how = how.or_else(|| service.ended_within(DEADLINE));
    assert_eq!(how.and_then(|how| how.code()), Some(75), "{}", service.end_of_log());
    service.start_and_wait();
    assert_eq!((aside(&service).len(), lines_down(&service)), (1, LINES));
    assert_eq!(down(&service, "fresh"), Some(200));
    // One more is about the damage.
    wait_for_told(&mut service, LINES + 2);
}

#[test]
fn a_store_that_is_no_store_is_set_aside() {
    let mut service = with_lines_down();
    let nonsense = vec![0xa5; 100_000];
    fs::write(service.store(), &nonsense).expect("it can be written");
    service.start_and_wait();
    assert_eq!(down(&service, "fresh"), Some(200));
    // The other is about the damage.
    wait_for_told(&mut service, 2);
    let kept = aside(&service);
    assert_eq!(fs::read(&kept[0]).expect("it is kept"), nonsense, "{kept:?}");
}

#[test]
fn a_disk_that_cannot_be_read_for_a_while_is_no_damage() {
    let mut service = with_lines_down();
    let shim = Shim::new(service.folder());
    service.environment(shim.environment(&service.store()));
    // The mark that a daemon leaves when it meets damage.
    fs::write(service.store().with_extension("db.damaged"), "").expect("a file can be written");
    shim.set(Number::PerMille, 1000);
    shim.set(Number::ReadError, 5);
    service.start();
    let deadline = Instant::now() + DEADLINE;
    while shim.get(Number::Failed) < 3 {
        if service.pid().is_none() || service.ended().is_some() {
            service.start();
        }
        assert!(Instant::now() < deadline, "nothing was read: {}", service.end_of_log());
        thread::sleep(Duration::from_millis(5));
    }
    service.kill();
    shim.behave();
    service.start();
    wait_for_told(&mut service, LINES);
    assert!(service.log().contains("the store is not damaged"), "{}", service.end_of_log());
    assert!(aside(&service).is_empty() && !service.store().with_extension("db.damaged").exists());
}

/// Overwrites a page in the middle of a table.
fn damage(service: &Service, table: &str) {
    let page = leaf(service, table);
    let file = fs::File::options().write(true).open(service.store()).expect("it is there");
    file.write_all_at(&[0x5a; 4096], (page - 1) * 4096).expect("it can be written");
}

/// The number of a page in the middle of a table, or of its only page.
fn leaf(service: &Service, table: &str) -> u64 {
    let store = Connection::open(service.store()).expect("it opens");
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
    let root: u32 = store.query_row(root, [table], |row| row.get(0)).expect("the table is there");
    drop(store);
    let bytes = fs::read(service.store()).expect("it can be read");
    let page = &bytes[(root as usize - 1) * 4096..][..4096];
    let number = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    if page[0] == 13 {
        return u64::from(root);
    }
    assert_eq!(page[0], 5, "a page that leads to others");
    let cell = number(12 + 2 * (number(3) / 2));
    u64::from(u32::from_be_bytes(page[cell..cell + 4].try_into().expect("four bytes")))
}

/// The number of outages that have been over for a long time.
const OLD: i64 = 20_000;
/// How much longer each write takes while they are forgotten, in microseconds: on any machine, that takes seconds.
const SLOW: i64 = 300;

/// A stopped daemon with these outages in its store, on a slow disk.
fn with_the_old() -> (Service, Shim) {
    let mut service = Service::new();
    service.configure(&format!("{THERE}{RULE}"));
    service.start_and_wait();
    service.term();
    assert!(service.ended_within(DEADLINE).is_some());
    let store = Connection::open(service.store()).expect("it opens");
    let numbers = format!("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {OLD})");
    for rows in [
        "INSERT INTO incident (source, instance, labels, reason, opened_at, closed_at) \
         SELECT 'z-api', 'old-' || n, '{}', 'other', 1000, 2000 FROM n",
        "INSERT INTO event (source, instance, kind, reason, at, received_at, incident, change, payload) \
         SELECT 'z-api', 'old-' || n, 'disconnected', 'other', 1000, 1000, n, 'opened', '{}' FROM n",
    ] {
        let (table, values) = rows.split_once(" SELECT ").expect("it selects");
        store.execute(&format!("{table} {numbers} SELECT {values}"), []).expect("rows can be inserted");
    }
    store.close().expect("it closes");
    let shim = Shim::new(service.folder());
    shim.set(Number::Slow, SLOW);
    service.environment(shim.environment(&service.store()));
    (service, shim)
}

const FORGOT: &str = "deleted old data from the store";

#[test]
fn the_old_is_forgotten_in_steps_that_keep_no_webhook_waiting() {
    let (mut service, _shim) = with_the_old();
    service.start();
    // The answer comes after the start.
    assert_eq!(down(&service, "first"), Some(200));
    let (since, mut slowest, mut number) = (Instant::now(), Duration::ZERO, 0);
    while !service.log().contains(FORGOT) {
        let begun = Instant::now();
        assert_eq!(down(&service, &format!("new-{number}")), Some(200));
        slowest = slowest.max(begun.elapsed());
        number += 1;
        assert!(since.elapsed() < 5 * DEADLINE, "it does not come to an end: {}", service.end_of_log());
    }
    let all = since.elapsed();
    println!("while {OLD} old incidents were forgotten in {all:?}, the slowest of {number} webhooks took {slowest:?}");
    // If they were forgotten in one go, one webhook would wait for all of it.
    assert!(number > 1 && slowest < all / 3, "{slowest:?} of {all:?}, {number} webhooks");
    let left = service.rows(&["incidents"]);
    assert!(left.iter().all(|row| row["opened_at"].as_str() > Some("2000")), "the old ones are gone");
}

#[test]
fn who_is_told_to_end_while_the_old_is_forgotten_ends() {
    let (mut service, _shim) = with_the_old();
    service.start();
    assert_eq!(down(&service, "new"), Some(200));
    service.term();
    assert!(service.ended_within(DEADLINE).is_some_and(|how| how.success()), "{}", service.end_of_log());
    assert!(!service.log().contains(FORGOT), "it was forgotten before it could end");
    let store = Connection::open(service.store()).expect("it opens");
    let left: i64 = store.query_row("SELECT count(*) FROM incident", [], |row| row.get(0)).expect("rows");
    assert!((2..=OLD + 1).contains(&left), "{left} are left");
}
