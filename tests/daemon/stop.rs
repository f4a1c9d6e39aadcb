//! The end: what is in progress is finished, and nothing new begins.

use std::fs;
use std::io::{ErrorKind, Write};
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::daemon::{BINARY, Daemon, HOOK, JSON, eventually};
use crate::held::Held;
use crate::http::{ask_without_reading, exchange, read, request};
use crate::payload::down;
use crate::sections::{CONSOLE, chat, tell};

#[test]
fn sigterm_finishes_what_is_in_flight_and_takes_nothing_new() {
    let far_side = Held::new();
    let mut daemon = Daemon::start(&format!("{}{}", chat("chat", &far_side.url()), tell(&["chat"])));
    daemon.accept(&down("A"));
    let delivery = far_side.take();
    let body = down("B").to_string();
    let (begin, end) = body.split_at(20);
    let mut webhook = daemon.connect();
    let head = request("POST", HOOK, &[JSON, ("content-length", &body.len().to_string())], begin.as_bytes());
    webhook.write_all(&head).expect("it reads");
    // An answer on a later connection: the earlier one has been accepted.
    assert_eq!(daemon.get("/healthz").status, 200);

    daemon.term();
    eventually("the port to be closed", || daemon.refuses_connections().then_some(()));
    webhook.write_all(end.as_bytes()).expect("it still reads");
    assert_eq!(read(&webhook).expect("an answer").status, 200);
    delivery.accept();
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(far_side.is_quiet(), "nothing new was begun");

    daemon.launch();
    far_side.take().accept();
    let delivered = daemon.wait_for_deliveries("delivered", 2);
    assert!(delivered.iter().all(|row| row["tries"] == 1), "{delivered:?}");
}

#[test]
fn who_has_connected_before_the_end_is_answered() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let (connected, silent) = (daemon.connect(), daemon.connect());
    // An answer on a later connection: the earlier ones have been accepted.
    assert_eq!(daemon.get("/healthz").status, 200);
    daemon.term();
    eventually("the port to be closed", || daemon.refuses_connections().then_some(()));
    let webhook = request("POST", HOOK, &[JSON], down("A").to_string().as_bytes());
    let answer = exchange(connected, &webhook).expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // A silent connection is closed earlier than one with a request in progress.
    assert_eq!(read(&silent), None);
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(daemon.logged("stopped before everything").is_empty());
}

#[test]
fn only_who_has_sent_a_whole_head_is_waited_for_at_the_end() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let (mut half_a_head, reads_nothing, mut webhook) = (daemon.connect(), daemon.connect(), daemon.connect());
    half_a_head.write_all(b"POST /hooks").expect("it reads");
    let gave_up = ask_without_reading(&reads_nothing, Duration::from_secs(1));
    assert_eq!(gave_up.kind(), ErrorKind::WouldBlock, "it waits to be read");
    let body = down("A").to_string();
    let (begin, end) = body.split_at(20);
    let head = request("POST", HOOK, &[JSON, ("content-length", &body.len().to_string())], begin.as_bytes());
    webhook.write_all(&head).expect("it reads");
    // An answer on a later connection: the earlier ones have been accepted.
    assert_eq!(daemon.get("/healthz").status, 200);
    let started = Instant::now();
    daemon.term();
    assert_eq!(read(&half_a_head), None);
    webhook.write_all(end.as_bytes()).expect("it still reads");
    assert_eq!(read(&webhook).expect("an answer").status, 200);
    assert_eq!(daemon.ended().code(), Some(0));
    // Left to themselves, half a head would have been closed after 10 s, and what nobody reads never.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(daemon.logged("stopped before everything").is_empty());
}

/// Opening takes long when a large store is converted to a new format or checked for damage.
#[test]
fn sigterm_is_heard_while_the_store_opens() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    let store = rusqlite::Connection::open(daemon.path("linedown.db")).expect("it opens");
    store.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");

    let mut opening = process::Command::new(BINARY);
    opening.args(["--config", &daemon.path("linedown.toml"), "serve"]).env_clear();
    let mut opening = opening.stderr(Stdio::null()).spawn().expect("the binary can be started");
    let files = format!("/proc/{}/fd", opening.id());
    eventually("it to wait for the store", || {
        let files = fs::read_dir(&files).expect("it runs");
        let names = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        names.into_iter().any(|name| name.ends_with("linedown.db")).then_some(())
    });
    kill_process(Pid::from_child(&opening), Signal::TERM).expect("it can be told");
    let ended = eventually("its end", || opening.try_wait().expect("a child can be asked"));
    assert_eq!(ended.code(), Some(0), "it did not wait for the store");
}

#[test]
fn a_second_sigterm_waits_for_nothing() {
    let far_side = Held::new();
    let mut daemon = Daemon::start(&format!("{}{}", chat("chat", &far_side.url()), tell(&["chat"])));
    daemon.accept(&down("A"));
    let hangs = far_side.take();
    daemon.term();
    daemon.wait_for_log("stopping");
    daemon.term();
    let started = Instant::now();
    assert_eq!(daemon.ended().code(), Some(1));
    // After the first SIGTERM, linedown would have waited 20 s for the delivery.
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    drop(hangs);

    daemon.launch();
    far_side.take().accept();
    let delivered = daemon.wait_for_deliveries("delivered", 1);
    let story = daemon.json(&["incident", "1"]);
    assert_eq!(
        (&delivered[0]["tries"], &story["deliveries"][0]["attempts"][0]["outcome"]),
        (&json!(2), &json!("interrupted"))
    );
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let idle = daemon.connect();
    let body = down("A").to_string();
    let answer = exchange(&idle, &request("POST", HOOK, &[JSON], body.as_bytes())).expect("an answer");
    assert_eq!(answer.status, 200);
    let started = Instant::now();
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    // Without SIGTERM, the idle connection would have been closed after 10 s.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}
