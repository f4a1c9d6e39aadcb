//! Crowds of useless connections, with webhooks among them.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use linedown_standins::{Smtp, StopOnDrop, lock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::case::{chunked_webhook, webhook};
use super::{Before, GROWTH, MAX_BODY, accept_in_time, open_files, start};
use crate::daemon::{Daemon, HOOK};
use crate::http::exchange;
use crate::payload::gzip;
use crate::sections::{email, tell};

/// Silent connections, if the machine lets a process have that many.
const SILENT: u64 = 10_000;
/// Connections that never finish their request.
const SLOW: usize = 2_000;
/// Clients that send too much, all at the same time.
const HEAVY: usize = 16;
/// How much memory ten thousand open connections may take together, in KiB. Each takes some 16 KiB.
const CROWD_GROWTH: u64 = 256 * 1024;

/// One crowd at a time: all crowds share this process's limit on open files.
static CROWD: Mutex<()> = Mutex::new(());

/// Raises the limit on open files of this process, and of the daemons that it starts from now on, as far as the machine
/// allows, and makes other crowds wait. Returns how many connections a crowd may have.
fn many_files() -> (MutexGuard<'static, ()>, u64) {
    let alone = lock(&CROWD);
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a soft limit can be raised");
    // The other tests need some files as well.
    (alone, maximum.map_or(SILENT, |most| SILENT.min(most / 2)))
}

/// Opens silent connections, and posts a webhook before every five hundredth of them.
fn silent_crowd(daemon: &Daemon, count: u64) -> Vec<TcpStream> {
    let among = |number: u64| {
        if number.is_multiple_of(500) {
            accept_in_time(daemon, &format!("among {number}"));
        }
        daemon.connect()
    };
    (0..count).map(among).collect()
}

#[test]
fn ten_thousand_silent_connections_keep_no_webhook_out() {
    let (_alone, count) = many_files();
    println!("{count} silent connections");
    let daemon = start("");
    let before = Before::of(&daemon);
    let crowd = silent_crowd(&daemon, count);
    accept_in_time(&daemon, "at the end");
    drop(crowd);
    before.holds(&daemon, GROWTH);
}

#[test]
fn ten_thousand_connections_that_may_all_stay_open_cost_little() {
    let (_alone, count) = many_files();
    let daemon = start(&format!("max_connections = {}\n", count + 100));
    let before = Before::of(&daemon);
    let crowd = silent_crowd(&daemon, count);
    accept_in_time(&daemon, "at the end");
    drop(crowd);
    before.holds(&daemon, CROWD_GROWTH);
}

#[test]
fn connections_leave_room_for_deliveries_where_few_files_may_be_open() {
    let relay = Smtp::new();
    let ops = format!("{}limits = {{ in_flight = 40 }}\n", email("ops", &relay));
    let sections = format!("[server]\nmax_connections = 10000\n{ops}{}", tell(&["ops"]));
    let mut daemon = Daemon::prepare(&sections);
    daemon.launch_with_few_files(100, 300);
    let fewer = daemon.wait_for_log("the limit on open files leaves room for fewer connections");
    assert_eq!(fewer["connections"], 300 - 128 - 2 * 40, "its deliveries under way, and what they keep, have room");
    let crowd: Vec<TcpStream> = (0..1_000)
        .map(|number| {
            if number % 100 == 99 {
                accept_in_time(&daemon, &format!("among {number}"));
            }
            daemon.connect()
        })
        .collect();
    // More than its soft limit at the start.
    let open = open_files(daemon.pid());
    assert!(open > 100, "{open} files are open");
    relay.wait_for(10);
    accept_in_time(&daemon, "at the end");
    relay.wait_for(11);
    drop(crowd);
}

#[test]
fn two_thousand_slow_clients_keep_no_webhook_out() {
    let _alone = many_files();
    let daemon = start("");
    let before = Before::of(&daemon);
    let whole = webhook(&["x: y"], b"{}");
    let mut crowd: Vec<TcpStream> = (0..SLOW)
        .map(|number| {
            let mut stream = daemon.connect();
            // Half a head, or a request with a wrong secret whose body never comes.
            let said = match number % 3 {
                0 => whole[..number % 90].to_vec(),
                1 => b"G".to_vec(),
                _ => webhook(&["content-length: 5"], b"").replace_secret(),
            };
            let _ = stream.write_all(&said);
            stream
        })
        .collect();
    // Writing fails on connections that the daemon has closed in favour of newer ones.
    for round in 0..20 {
        for stream in crowd.iter_mut().skip(1).step_by(3) {
            let _ = stream.write_all(b"E");
        }
        accept_in_time(&daemon, &format!("round {round}"));
    }
    drop(crowd);
    before.holds(&daemon, GROWTH);
}

/// A request's bytes with another secret in its address.
trait ReplaceSecret {
    fn replace_secret(self) -> Vec<u8>;
}

impl ReplaceSecret for Vec<u8> {
    fn replace_secret(self) -> Vec<u8> {
        String::from_utf8(self).expect("heads are ASCII").replace(HOOK, "/hooks/z-api/guess").into_bytes()
    }
}

#[test]
fn bombs_and_floods_keep_no_webhook_out() {
    let daemon = start(&format!("max_body = {MAX_BODY}\n"));
    let before = Before::of(&daemon);
    let bomb = gzip(&vec![b' '; 10_000_000]);
    let flood = [b"4000\r\n", &vec![b' '; 0x4000][..], b"\r\n"].concat().repeat(20);
    let heavy = [
        webhook(&["content-encoding: gzip"], &bomb),
        webhook(&["content-encoding: gzip"], &[gzip(b"{"), bomb.clone()].concat()),
        webhook(&[], &vec![b' '; 40 * MAX_BODY]),
        chunked_webhook("chunked", &flood),
    ];
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let enough = StopOnDrop(&enough);
        for client in 0..HEAVY {
            let (daemon, heavy, enough) = (&daemon, &heavy, enough.0);
            scope.spawn(move || {
                let mut number = client;
                while !enough.load(Ordering::Relaxed) {
                    // A client that is still writing when the connection is closed may miss the answer.
                    let status = exchange(daemon.connect(), &heavy[number % heavy.len()]).map(|answer| answer.status);
                    assert!(matches!(status, None | Some(413)), "{status:?}");
                    number += 1;
                }
            });
        }
        for round in 0..50 {
            accept_in_time(&daemon, &format!("round {round}"));
        }
    });
    before.holds(&daemon, GROWTH);
}
