//! The state that the daemon reports to systemd.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use linedown_standins::DEADLINE;

use crate::daemon::Daemon;
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

/// systemd's end of the notification socket.
struct Manager(UnixDatagram);

impl Manager {
    /// Prepares a daemon that is not started yet to report here, with a watchdog of one second.
    fn of(daemon: &mut Daemon) -> Self {
        let path = daemon.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket can be bound");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        daemon.environment(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "1000000")]);
        Self(socket)
    }

    /// Waits for the next message that begins with these words.
    fn hears(&self, begin: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut message = [0; 4096];
        while Instant::now() < deadline {
            let length = self.0.recv(&mut message).expect("the daemon tells something");
            let text = String::from_utf8_lossy(&message[..length]);
            if text.starts_with(begin) {
                return text.into_owned();
            }
        }
        panic!("waited {DEADLINE:?} in vain to be told {begin}");
    }
}

#[test]
fn systemd_is_told_how_things_stand() {
    let mut daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    let manager = Manager::of(&mut daemon);
    daemon.launch();
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    manager.hears("STATUS=accepting; 0 lines down; 0 deliveries pending");
    daemon.accept(&down("A"));
    manager.hears("STATUS=accepting; 1 line down; 0 deliveries pending");

    daemon.configure("[sinks.broken]\ntype = 7\n");
    daemon.hup();
    assert!(manager.hears("RELOADING=1").contains("\nMONOTONIC_USEC="), "in one datagram");
    manager.hears("READY=1");
    assert!(
        manager.hears("STATUS=accepting; 1 line").ends_with("; the last reload failed, the former config is in force")
    );
    daemon.term();
    manager.hears("STOPPING=1");
}

#[test]
fn a_full_disk_is_told_and_ends_in_no_circle_of_restarts() {
    let mut daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    let manager = Manager::of(&mut daemon);
    daemon.launch();
    manager.hears("WATCHDOG=1");
    daemon.largest_file(Some(0));
    manager.hears("STATUS=not accepting: cannot write to the store");
    for _ in 0..5 {
        manager.hears("WATCHDOG=1");
    }
    daemon.largest_file(None);
    manager.hears("STATUS=accepting; 0 lines down");
}
