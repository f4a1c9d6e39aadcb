//! A webhook that got a 200 is on disk: after a crash, and with a disk that takes no writes.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use linedown_standins::{Command, Does, Smtp};
use serde_json::Value;

use crate::daemon::{Daemon, eventually};
use crate::held::Held;
use crate::payload::down;
use crate::sections::{CONSOLE, QUICK, chat, email, tell};

/// Posts webhooks of `count` lines, eight at a time.
fn post_concurrently(daemon: &Daemon, count: usize) {
    thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                for number in (client..count).step_by(8) {
                    daemon.accept(&down(&format!("line-{number}")));
                }
            });
        }
    });
}

fn instances(rows: &[Value]) -> BTreeSet<&str> {
    rows.iter().filter_map(|row| row["instance"].as_str()).collect()
}

#[test]
fn every_200_survives_a_crash() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    post_concurrently(&daemon, 200);
    daemon.kill();
    daemon.launch();
    assert_eq!(instances(&daemon.rows(&["incidents", "--limit", "1000"])).len(), 200);
    let told = eventually("everybody to be told", || Some(daemon.told()).filter(|told| instances(told).len() == 200));
    // A message that was in flight at the crash may come again, with the same key.
    let keys: BTreeSet<_> = told.iter().map(|line| line["key"].as_str()).collect();
    assert_eq!(keys.len(), 200);
}

#[test]
fn the_same_webhook_many_times_at_once_tells_once() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let payload = down("A");
    let first = thread::scope(|scope| {
        let posts: Vec<_> = (0..16).map(|_| scope.spawn(|| daemon.post(&payload).json())).collect();
        let answers = posts.into_iter().map(|post| post.join().expect("an answer"));
        answers.filter(|answer| answer["duplicate"] == false).count()
    });
    assert_eq!(first, 1);
    daemon.accept(&down("B"));
    let told = daemon.wait_for_told(2);
    assert_eq!((told.len(), instances(&told).len()), (2, 2), "{told:?}");
}

#[test]
fn a_crash_with_a_thousand_undelivered_loses_none() {
    let relay = Smtp::new();
    // The relay takes messages and never answers, so four are in flight.
    relay.plan(Command::Dot, Does::Hang, 1000);
    let mut daemon = Daemon::start(&format!("{}{QUICK}{}", email("ops", &relay), tell(&["ops"])));
    post_concurrently(&daemon, 1000);
    let in_flight: BTreeSet<_> = relay.wait_for(4).iter().map(|mail| mail.header("Message-ID")).collect();
    daemon.kill();
    relay.behave();
    daemon.launch();
    relay.wait_for(1004);
    let mut copies = BTreeMap::<_, usize>::new();
    for mail in relay.received() {
        *copies.entry(mail.header("Message-ID")).or_default() += 1;
    }
    assert_eq!(copies.len(), 1000);
    let twice: BTreeSet<_> = copies.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id).collect();
    assert_eq!(twice, in_flight, "only what was in flight came twice");
    daemon.wait_for_deliveries("delivered", 1000);
}

#[test]
fn a_disk_that_takes_nothing_refuses_webhooks_and_forgets_nothing() {
    let chat_side = Held::new();
    let sections = format!("{}{QUICK}{CONSOLE}{}", chat("chat", &chat_side.url()), tell(&["chat", "console"]));
    let mut daemon = Daemon::prepare(&sections);
    daemon.launch();
    daemon.accept(&down("before"));
    let in_flight = chat_side.take();
    daemon.wait_for_told(1);

    daemon.largest_file(Some(0));
    let refused = daemon.post(&down("full"));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{refused:?}");
    assert!(refused.json()["error"].is_string());
    eventually("it not to be ready", || (daemon.get("/readyz").status == 503).then_some(()));
    assert_eq!(daemon.get("/healthz").status, 200);
    in_flight.accept();
    daemon.wait_for_log("cannot record how an attempt ended");

    daemon.largest_file(None);
    eventually("it to be ready again", || (daemon.get("/readyz").status == 200).then_some(()));
    daemon.accept(&down("after"));
    daemon.wait_for_told(2);
    assert_eq!(instances(&daemon.rows(&["incidents"])), BTreeSet::from(["before", "after"]));
    let story = daemon.json(&["incident", "1"]);
    let delivered = eventually("the record of the delivery", || {
        let rows = daemon.rows(&["deliveries", "--sink", "chat", "--state", "delivered"]);
        rows.into_iter().find(|row| row["instance"] == "before")
    });
    assert_eq!(delivered["tries"], 1, "nobody was told twice: {story}");
}
