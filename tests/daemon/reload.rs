//! A config that changes while the daemon runs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use linedown_standins::{Command, Does, Smtp, StopOnDrop};

use crate::daemon::{CANARY, Daemon, JSON, SECRET, eventually};
use crate::held::Held;
use crate::http::request;
use crate::payload::{down, up};
use crate::sections::{CONSOLE, QUICK, chat, email, tell};

#[test]
fn a_reload_brings_new_sinks_and_rules() {
    let relay = Smtp::new();
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("before"));
    daemon.wait_for_told(1);
    let line = "[instances.after]\nname = \"Loja Centro\"\n";
    daemon.configure(&format!("{line}{CONSOLE}{}{}", email("ops", &relay), tell(&["ops"])));
    daemon.reload();
    daemon.accept(&down("after"));
    assert!(relay.wait_for(1)[0].header("Subject").expect("a subject").contains("Loja Centro"));
    assert_eq!(daemon.told().len(), 1);
}

#[test]
fn reloads_under_load_lose_no_request() {
    const CLIENTS: usize = 2;
    const RELOADS: usize = 20;
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let (done, posted) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let done = StopOnDrop(&done);
        for client in 0..CLIENTS {
            let (daemon, done, posted) = (&daemon, done.0, &posted);
            scope.spawn(move || {
                for count in 0.. {
                    daemon.accept(&down(&format!("{client}-{count}")));
                    posted.fetch_add(1, Ordering::SeqCst);
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        for number in 0..RELOADS {
            daemon.configure(&format!(
                "{CONSOLE}[[rules]]\nname = \"rule {number}\"\nnotify = [\"console\"]\ngroup_interval = \"0s\"\n"
            ));
            daemon.reload();
            // The request that each client has in flight may still be routed by the previous rule.
            let before = posted.load(Ordering::SeqCst);
            eventually("a post after the reload", || (posted.load(Ordering::SeqCst) > before + CLIENTS).then_some(()));
        }
    });
    let posted = posted.into_inner();
    let told = daemon.wait_for_told(posted);
    let lines: BTreeSet<_> = told.iter().map(|line| line["instance"].to_string()).collect();
    assert_eq!((told.len(), lines.len()), (posted, posted));
    for number in 0..RELOADS {
        assert!(told.iter().any(|line| line["rule"] == format!("rule {number}")), "rule {number} was never used");
    }
}

/// In the same words as `linedown check`.
#[test]
fn a_doubtful_config_is_served_and_the_log_says_what_is_doubtful() {
    let rule = "[[rules]]\nname = \"all\"\nnotify = [\"console\", \"console\"]\nhold = \"60ms\"\n";
    let daemon = Daemon::start(&format!("{CONSOLE}[troubles]\ndisk_free_below = \"100%\"\n{rule}"));
    let said = |words: &str| {
        let record = daemon.wait_for_log(&format!("config: {words}"));
        assert!(record["file"].as_str().is_some_and(|file| file.ends_with("test.toml")), "{record}");
        let field = |name: &str| record.get(name).map(|value| value.as_str().unwrap_or_default().to_owned());
        (field("expected"), field("hint"))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(said("at 100%"), (some("at most \"83%\""), None));
    assert_eq!(daemon.wait_for_log("config: at 100%")["key"], "troubles.disk_free_below");
    assert_eq!(said("`console` is named twice"), (None, some("take it out, or name the sink that was meant")));
    assert_eq!(said("60ms is short"), (some("at least 1s"), some("did you mean `60m`?")));
}

#[test]
fn a_reload_keeps_what_is_in_flight_and_what_waits_for_a_retry() {
    let (far_side, relay) = (Held::new(), Smtp::new());
    relay.plan(Command::Connect, Does::Reply("421 4.3.2 later"), 1_000_000);
    let sinks = format!("{}{}{QUICK}", chat("chat", &far_side.url()), email("ops", &relay));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["chat", "ops"])));
    daemon.accept(&down("A"));
    let in_flight = far_side.take();
    eventually("a retry", || {
        let rows = daemon.rows(&["deliveries", "--sink", "ops"]);
        (rows[0]["tries"].as_u64() > Some(1)).then_some(())
    });
    daemon.reload();
    in_flight.accept();
    relay.behave();
    relay.wait_for(1);
    let delivered = daemon.wait_for_deliveries("delivered", 2);
    let tries = |sink| delivered.iter().find(|row| row["sink"] == sink).and_then(|row| row["tries"].as_u64());
    assert_eq!(tries("chat"), Some(1));
    assert!(tries("ops") > Some(2), "{delivered:?}");
    assert!(far_side.is_quiet());
}

#[test]
fn a_restart_is_owed_until_the_config_is_again_as_at_the_start() {
    let everybody = format!("{CONSOLE}{}", tell(&["console"]));
    let daemon = Daemon::start(&everybody);
    for (connections, warnings) in [("", 0), ("max_connections = 7", 1), ("max_connections = 7", 2), ("", 2)] {
        daemon.configure(&format!("[server]\n{connections}\n{everybody}"));
        daemon.reload();
        let warned = daemon.logged("this change takes effect after a restart");
        assert_eq!(warned.len(), warnings, "{connections:?}: {warned:?}");
    }
}

#[test]
fn a_broken_config_changes_nothing_and_says_where_it_is_broken() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.configure(&format!("{CONSOLE}{}", tell(&["consle"])));
    daemon.hup();
    let record = daemon.wait_for_log("the config was not reloaded");
    let words = record["message"].as_str().expect("words");
    assert!(words.contains("conf.d/test.toml:6:11: error: "), "{words}");
    assert!(words.contains("did you mean `console`?"), "{words}");
    assert_eq!(record["level"], "ERROR");
    assert_eq!(daemon.metric("linedown_config_reload_ok"), None, "a figure with a fraction");
    let told = || daemon.get("/metrics").body.contains("linedown_config_reload_ok 0").then_some(());
    eventually("the figure of the reload", told);
    daemon.accept(&down("A"));
    daemon.wait_for_told(1);
}

#[test]
fn what_a_removed_sink_still_owed_is_told_elsewhere() {
    let relay = Smtp::new();
    relay.go_away();
    let sections = format!("{}{QUICK}{CONSOLE}{}", email("ops", &relay), tell(&["ops"]));
    let daemon = Daemon::start(&sections);
    daemon.accept(&down("A"));
    eventually("a try", || (daemon.rows(&["deliveries"])[0]["tries"].as_u64() > Some(0)).then_some(()));
    daemon.configure(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.reload();
    let told = &daemon.wait_for_told(1)[0];
    assert_eq!((&told["kind"], &told["undelivered"]["sink"]), (&"undelivered".into(), &"ops".into()), "{told}");
    assert!(told["undelivered"]["why"].to_string().contains("no longer in the config"), "{told}");
    let dead = daemon.wait_for_deliveries("dead", 1).remove(0);
    assert_eq!(daemon.metric("linedown_sink_failing{sink=\"ops\"}"), None, "there is no such sink");

    relay.come_back();
    daemon.configure(&sections);
    daemon.reload();
    assert_eq!(daemon.logged("the sink is failing").len(), 1);
    assert!(daemon.logged("the sink is back").is_empty(), "what stood in for it has taken nothing");
    assert_eq!(daemon.command(&["retry", &dead["id"].to_string()]).code, Some(0));
    relay.wait_for(1);
}

#[test]
fn what_a_sink_owes_that_left_before_the_last_start_is_told_elsewhere() {
    let relay = Smtp::new();
    let mut daemon = Daemon::start(&format!("{}{CONSOLE}{}", email("ops", &relay), tell(&["ops"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.kill();
    daemon.configure(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.launch();
    // No notification waits for the old sink, so it has no worker.
    daemon.accept(&up("A"));
    let told = &daemon.wait_for_told(1)[0];
    assert_eq!((&told["kind"], &told["undelivered"]["sink"]), (&"undelivered".into(), &"ops".into()), "{told}");
    daemon.wait_for_deliveries("dead", 1);

    daemon.kill();
    daemon.launch();
    let again = daemon.command(&["retry", "--dead"]);
    assert_eq!((again.code, again.out.as_str()), (Some(1), "0 notifications are sent again\n"));
    assert!(again.err.contains("the config has no sink \"ops\" any more; put it back"), "{again:?}");
    let dead = daemon.rows(&["deliveries", "--state", "dead"]);
    assert!(dead.len() == 1 && dead[0]["tries"] == 1, "{dead:?}");
}

#[test]
fn outages_of_a_source_that_left_the_config_are_warned_of() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("A"));
    daemon.kill();
    let main = daemon.path("linedown.toml");
    let config = std::fs::read_to_string(&main).expect("the config is there");
    assert!(daemon.logged("lines are down whose source").is_empty());
    std::fs::write(&main, config.replace("[sources.z-api]", "[sources.gateway]")).expect("it can be written");
    daemon.launch();
    let warned = daemon.wait_for_log("lines are down whose source");
    assert_eq!((&warned["source"], &warned["incidents"]), (&"z-api".into(), &1.into()), "{warned}");
}

#[test]
fn a_reload_takes_over_a_new_secret_and_forgets_the_old_one() {
    let everybody = format!("{CONSOLE}{}", tell(&["console"]));
    let daemon = Daemon::start(&everybody);
    daemon.configure(&format!("[sources.z-api]\nsecret = \"{CANARY}-another-e81c\"\n{everybody}"));
    daemon.reload();
    let to = |secret: &str| {
        let body = down("A").to_string();
        daemon.send(&request("POST", &format!("/hooks/z-api/{secret}"), &[JSON], body.as_bytes())).status
    };
    assert_eq!((to(SECRET), to(&format!("{CANARY}-another-e81c"))), (404, 200));
}
