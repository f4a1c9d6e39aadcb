//! The sink `exec`, from the gateway's post to the program.

use std::fs;

use rustix::process::{Pid, test_kill_process};

use crate::daemon::{CANARY, Daemon, eventually};
use crate::payload::down;
use crate::sections::{QUICK, tell};

/// A sink that runs this script, which the daemon's folder holds.
fn running(daemon: &Daemon, script: &str) -> String {
    fs::write(daemon.path("script"), script).expect("the script can be written");
    let command = ["/bin/sh".to_owned(), daemon.path("script"), daemon.path("told")];
    format!("[sinks.pager]\ntype = \"exec\"\ncommand = {command:?}\n{QUICK}{}", tell(&["pager"]))
}

#[test]
fn a_program_that_says_later_is_run_again_for_the_same_notification() {
    let daemon = Daemon::prepare("");
    let script = "cat >>\"$1\"\n\
                  [ \"$LINEDOWN_ATTEMPT\" != 1 ] || { echo 'the line is busy' >&2; exit 75; }\n\
                  echo \"paged $LINEDOWN_KEY\"\necho debug $TOKEN >&2\n";
    let token = format!("[sinks.pager.environment]\nTOKEN = \"{CANARY}\"\n");
    daemon.configure(&format!("{}{token}", running(&daemon, script)));
    let mut daemon = daemon;
    daemon.launch();
    daemon.accept(&down("A"));
    let row = daemon.wait_for_deliveries("delivered", 1).remove(0);
    let told = fs::read_to_string(daemon.path("told")).expect("the program was run");
    let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["key"], told[1]["key"]);
    assert_eq!((&told[0]["attempt"], &told[1]["attempt"]), (&1.into(), &2.into()));
    assert_eq!(told[1]["last_failure"], "deferred: the program ended with exit code 75: the line is busy");
    let receipt = format!("paged {}", told[0]["key"].as_str().expect("a key"));
    assert!(row["tries"] == 2 && row["detail"] == receipt.as_str(), "{row}");
}

/// A stopping daemon waits longer than a program may run, so no program is left behind.
#[test]
fn a_program_that_hangs_does_not_outlive_the_daemon() {
    let mut daemon = Daemon::prepare("");
    daemon.configure(&running(&daemon, "sleep 3600 &\necho $$ $! >\"$1\"\nwait\n"));
    daemon.launch();
    daemon.accept(&down("A"));
    let told = eventually("the program to start", || {
        fs::read_to_string(daemon.path("told")).ok().filter(|told| told.ends_with('\n'))
    });
    daemon.term();
    assert!(daemon.ended().success());
    let recorded = &daemon.logged("not delivered")[0];
    assert!(recorded.to_string().contains("did not end within 15 s"), "{recorded}");
    for pid in told.split_whitespace() {
        let pid = Pid::from_raw(pid.parse().expect("a number")).expect("not zero");
        // Whoever inherited a dead process may not have collected it yet.
        let dead = || test_kill_process(pid).is_err() || command_line(pid).is_empty();
        eventually("the program's processes to be gone", || dead().then_some(()));
    }
}

/// A process's command line; a zombie has none.
fn command_line(pid: Pid) -> Vec<u8> {
    fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default()
}
