//! The heartbeat: a watcher elsewhere hears from linedown as long as all is well.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use linedown_standins::Port;

use crate::daemon::{CANARY, Daemon, eventually};
use crate::sections::{CONSOLE, tell};

/// Starts a watcher. Returns it, and how many beats it has heard.
fn watcher() -> (Port, Arc<AtomicUsize>) {
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let port = Port::serve(move |mut stream| {
        let mut request = [0; 2048];
        while let Ok(length @ 1..) = stream.read(&mut request) {
            assert!(request[..length].starts_with(b"GET /ping/"));
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (port, heard)
}

#[test]
fn the_watcher_hears_while_all_is_well_and_misses_us_when_the_store_cannot_write() {
    let (watcher, heard) = watcher();
    let url = format!("http://127.0.0.1:{}/ping/{CANARY}", watcher.number());
    let count = || heard.load(Ordering::SeqCst);
    let sections = format!("[heartbeat]\nurl = \"{url}\"\nevery = \"1s\"\n{CONSOLE}{}", tell(&["console"]));
    let mut daemon = Daemon::prepare(&sections);
    daemon.launch();
    eventually("two beats", || (count() >= 2).then_some(()));
    let beats = |outcome| daemon.metric(&format!("linedown_heartbeats_total{{outcome=\"{outcome}\"}}"));
    assert!(beats("taken").is_some_and(|count| count >= 1) && beats("withheld").is_none());

    daemon.largest_file(Some(0));
    eventually("it not to be ready", || (daemon.get("/readyz").status == 503).then_some(()));
    // Once a beat is withheld, those before it have arrived.
    let withheld = |most| beats("withheld").filter(|count| *count >= most);
    eventually("a beat to be withheld", || withheld(1));
    let before = count();
    eventually("three more beats to be withheld", || withheld(4));
    assert_eq!(count(), before, "a watcher that hears would think that all is well");

    daemon.largest_file(None);
    eventually("it to beat again", || (count() > before).then_some(()));
    daemon.configure(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.reload();
    let last = count();
    thread::sleep(Duration::from_secs(4));
    // One may have been in flight.
    assert!(count() <= last + 1, "it is not in the config any more");
}
