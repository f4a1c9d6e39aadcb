//! Several recipients of one sink: none is told less because of another.

use std::collections::BTreeSet;
use std::time::Instant;

use linedown_standins::{Command, Does, Smtp};

use crate::daemon::{Daemon, eventually};
use crate::payload::{down, up};
use crate::sections::{CONSOLE, QUICK, email_to, tell};

#[test]
fn one_bad_recipient_stops_no_other() {
    let relay = Smtp::new();
    let to = ["550-5.1.1-gone@example.com", "ana@example.com", "451-late@example.com"];
    let sinks = format!("{}{QUICK}fallback = \"console\"\n{CONSOLE}", email_to("ops", &relay, &to));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["ops"])));
    daemon.accept(&down("A"));
    assert_eq!(relay.wait_for(1)[0].to, ["ana@example.com"]);
    let told = &daemon.wait_for_told(1)[0];
    assert_eq!(told["undelivered"]["recipient"], to[0], "{told}");
    daemon.accept(&down("B"));
    relay.wait_for(2);
    let late = eventually("retries of the late one", || {
        let pending = daemon.rows(&["deliveries", "--state", "pending"]);
        pending.into_iter().find(|row| row["tries"].as_u64() > Some(1))
    });
    assert_eq!(late["recipient"], to[2], "{late}");
}

/// The relay's answers sound as if it failed for everybody.
#[test]
fn a_recipient_at_whom_the_relay_fails_delays_no_other() {
    let patient = "retry = { first = \"10m\", max = \"10m\", give_up_after = \"1h\" }\n";
    for bad in
        ["451-4.3.0-late@example.com", "421-4.7.0-late@example.com", "452-4.3.1-late@example.com", "cut-late@x.example"]
    {
        let relay = Smtp::new();
        let daemon = Daemon::start(&format!(
            "{}{patient}{}",
            email_to("ops", &relay, &[bad, "ana@example.com"]),
            tell(&["ops"])
        ));
        daemon.accept(&down("line 0"));
        let of_bad = || {
            let pending = daemon.rows(&["deliveries", "--state", "pending"]);
            pending.into_iter().filter(|row| row["recipient"] == bad).collect::<Vec<_>>()
        };
        eventually("a failure", || {
            of_bad().iter().find(|row| row["in_flight"] == false && row["tries"] == 1).map(drop)
        });
        for line in 1..8 {
            relay.wait_for(line);
            daemon.accept(&down(&format!("line {line}")));
        }
        assert!(relay.wait_for(8).iter().all(|mail| mail.to == ["ana@example.com"]));
        daemon.wait_for_deliveries("delivered", 8);
        let waiting = eventually("why they wait", || {
            Some(of_bad()).filter(|rows| rows.len() == 8 && rows.iter().all(|row| !row["detail"].is_null()))
        });
        let tries: Option<u64> = waiting.iter().map(|row| row["tries"].as_u64()).sum();
        assert_eq!(tries, Some(1), "{waiting:?}");
    }
}

#[test]
fn a_relay_that_fails_at_every_recipient_is_probed_and_gets_everything_when_it_is_back() {
    let owned = |line| format!("[instances.line-{line}]\nlabels = {{ owner = \"owner-{line}@x.example\" }}\n");
    let lines = (0..60).map(owned).collect::<Vec<_>>().concat();
    for to in ["ops@example.com", "{{ instance.labels.owner }}"] {
        let relay = Smtp::new();
        relay.plan(Command::Rcpt, Does::Reply("421 4.3.2 down for maintenance"), 1_000_000);
        let daemon = Daemon::start(&format!("{lines}{}{QUICK}{}", email_to("ops", &relay, &[to]), tell(&["ops"])));
        let since = Instant::now();
        for line in 0..60 {
            daemon.accept(&down(&format!("line-{line}")));
        }
        let tries = || daemon.rows(&["deliveries"]).iter().filter_map(|row| row["tries"].as_u64()).sum::<u64>();
        let probes = eventually("some probes", || Some(tries()).filter(|tries| *tries >= 12));
        // The four that it bears at once, and then two at most, one who failed before and one who did not, with a pause
        // that begins with 50 ms and may be a fifth shorter.
        let most = 4 + 2 * (1 + u64::try_from(since.elapsed().as_millis() / 40).expect("it is soon"));
        assert!(probes <= most, "{probes} in {:?}", since.elapsed());
        daemon.wait_for_log("the sink is failing");
        relay.behave();
        let told: BTreeSet<_> = relay.wait_for(60).iter().filter_map(|mail| mail.header("Subject")).collect();
        assert_eq!(told.len(), 60, "to {to}");
        daemon.wait_for_log("the sink is back");
    }
}

#[test]
fn a_line_without_the_label_that_names_its_owner_is_told_elsewhere() {
    let relay = Smtp::new();
    let ops = email_to("ops", &relay, &["{{ instance.labels.owner }}"]);
    let line = "[instances.A]\nlabels = { owner = \"dono@acme.example\" }\n";
    let daemon = Daemon::start(&format!("{line}{ops}fallback = \"console\"\n{CONSOLE}{}", tell(&["ops"])));
    daemon.accept(&down("A"));
    assert_eq!(relay.wait_for(1)[0].to, ["dono@acme.example"]);
    daemon.accept(&down("B"));
    let told = &daemon.wait_for_told(1)[0];
    assert!(told["instance"] == "B" && told["undelivered"]["why"].to_string().contains("no recipient"), "{told}");
}

#[test]
fn what_is_no_address_among_a_lines_owners_keeps_nobody_else_from_being_told() {
    let relay = Smtp::new();
    let ops = email_to("ops", &relay, &["{{ instance.labels.owner }}"]);
    let line = "[instances.A]\nlabels = { owner = \"dono@acme.example, ask Ana,\" }\n";
    let daemon = Daemon::start(&format!("{line}{ops}fallback = \"console\"\n{CONSOLE}{}", tell(&["ops"])));
    daemon.accept(&down("A"));
    assert_eq!(relay.wait_for(1)[0].to, ["dono@acme.example"]);
    let told = &daemon.wait_for_told(1)[0];
    let why = told["undelivered"]["why"].to_string();
    assert!(told["instance"] == "A" && why.contains("\\\"ask Ana\\\" is not an email address"), "{told}");
    let dead = daemon.wait_for_deliveries("dead", 1);
    assert!(dead[0]["sink"] == "ops" && dead[0]["recipient"] == "ask Ana", "{dead:?}");

    let line = line.replace("ask Ana", "ana@acme.example");
    daemon.configure(&format!("{line}{ops}fallback = \"console\"\n{CONSOLE}{}", tell(&["ops"])));
    daemon.reload();
    assert_eq!(daemon.command(&["retry", "--dead"]).out, "1 notification is sent again\n");
    assert_eq!(relay.wait_for(2)[1].to, ["ana@acme.example"], "and nobody else again");
}

/// The label is added while the outage is in progress: this message goes to its addresses, and so do later ones.
#[test]
fn who_had_no_address_is_told_once_there_is_one() {
    let relay = Smtp::new();
    let ops = email_to("ops", &relay, &["{{ instance.labels.owner }}"]);
    let sinks = format!("{ops}fallback = \"console\"\n{CONSOLE}{}", tell(&["ops"]));
    let daemon = Daemon::start(&format!("[instances.A]\n{sinks}"));
    daemon.accept(&down("A"));
    daemon.wait_for_told(1);
    for arguments in [&["retry", "1"][..], &["retry", "--dead"]] {
        let refused = daemon.command(arguments);
        assert!(refused.err.contains("1: no recipient; correct the line's label"), "{refused:?}");
    }
    daemon.configure(&format!("[instances.A]\nlabels = {{ owner = \"ana@example.com, bia@example.com\" }}\n{sinks}"));
    daemon.reload();
    assert_eq!(daemon.command(&["retry", "1"]).out, "2 notifications are sent again\n");
    let to = |count| relay.wait_for(count).iter().flat_map(|mail| mail.to.clone()).collect::<BTreeSet<_>>();
    assert_eq!(to(2), BTreeSet::from(["ana@example.com".to_owned(), "bia@example.com".to_owned()]));
    daemon.wait_for_deliveries("delivered", 3);
    daemon.accept(&up("A"));
    let back = relay.wait_for(4);
    assert!(
        back[2..].iter().all(|mail| mail.header("Subject").is_some_and(|title| title.contains("is back"))),
        "{back:?}"
    );
    let told: Vec<_> = daemon.wait_for_told(2).iter().map(|line| line["kind"].to_string()).collect();
    assert_eq!(told, ["\"undelivered\"", "\"resolved\""], "it was told once that nobody could be written to");
}
