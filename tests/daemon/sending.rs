//! What people send by hand: `linedown send-test` and `linedown retry`.

use linedown_standins::{Scripted, Slack, Smtp};
use serde_json::json;

use crate::daemon::{Daemon, eventually};
use crate::payload::down;
use crate::sections::{CONSOLE, QUICK, email, slack, tell};

#[test]
fn send_test_says_what_the_far_side_answered() {
    let (relay, chat) = (Smtp::new(), Slack::new());
    let sinks = format!("{}{}", email("ops", &relay), slack("chat", &chat));
    let daemon = Daemon::prepare(&format!("{sinks}{}", tell(&["ops", "chat"])));
    let ended = daemon.command(&["send-test", "ops"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("ops to ops@example.com: delivered") && ended.out.contains("queued as"), "{ended:?}");
    assert!(relay.wait_for(1)[0].header("Subject").expect("a subject").contains("linedown test"));

    assert_eq!(daemon.json(&["send-test", "chat"])[0]["delivered"], true);
    chat.script(Scripted::answer(403, "invalid_token"));
    let refused = daemon.command(&["send-test", "chat"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let (because, hint) = (
        "answered 403 invalid_token",
        "create a new webhook and set `webhook_url` (a credential needs a restart), or let apps post to its channel again",
    );
    assert!(
        refused.err.ends_with(&format!("{because}\n  hint: {hint}\n")),
        "what to do stands in its place: {refused:?}"
    );
    assert!(refused.out.is_empty(), "{refused:?}");
    chat.script(Scripted::answer(503, "not now"));
    let busy = daemon.command(&["send-test", "chat"]);
    assert!(busy.err.contains("503 not now\n  hint: try it again in a while\n"), "{busy:?}");
    chat.script(Scripted::answer(503, "not now"));
    let busy = daemon.command(&["send-test", "chat", "--json"]);
    assert_eq!(busy.code, Some(75), "{busy:?}");
    let said: serde_json::Value = serde_json::from_str(&busy.out).expect("JSON");
    assert_eq!(said[0]["failure"], "busy", "{said}");
    relay.go_away();
    assert_eq!(daemon.command(&["send-test", "ops"]).code, Some(69));
}

/// Only the daemon has the credentials that systemd gave it. A sink's name may contain anything.
#[test]
fn send_test_asks_the_daemon_for_what_only_that_can_read() {
    let chat = Slack::new();
    let name = "ops/night? #1 %2F";
    let sink = format!("[sinks.{name:?}]\ntype = \"slack\"\nwebhook_url = {{ credential = \"chat\" }}\n");
    let mut daemon = Daemon::prepare(&format!("{sink}{}", tell(&[name])));
    std::fs::write(daemon.path("chat"), chat.url()).expect("a file can be written");
    daemon.environment(&[("CREDENTIALS_DIRECTORY", &daemon.path(""))]);
    daemon.launch();
    let ended = daemon.command(&["send-test", name]);
    assert!(ended.code == Some(0) && ended.out.contains("delivered"), "{ended:?}");
    chat.wait_for(1);
}

#[test]
fn send_test_as_json_prints_nothing_else() {
    let daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    assert_eq!(daemon.json(&["send-test", "console"])[0]["delivered"], true);
    assert!(daemon.command(&["send-test", "console"]).out.contains("linedown test"));
}

#[test]
fn retry_sends_the_dead_again() {
    let (relay, chat) = (Smtp::new(), Slack::new().without_rate_limit());
    for _ in 0..3 {
        chat.script(Scripted::answer(404, "no_service"));
    }
    let sinks = format!("{}{QUICK}fallback = \"ops\"\n{}", slack("chat", &chat), email("ops", &relay));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["chat"])));
    for line in ["A", "B", "C"] {
        daemon.accept(&down(line));
    }
    let dead = daemon.wait_for_deliveries("dead", 3);
    assert_eq!(daemon.json(&["retry", "--dead", "--sink", "ops"]), json!([]));
    let one = dead[2]["id"].to_string();
    let ended = daemon.command(&["retry", &one]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1 notification is sent again\n"), "{ended:?}");
    chat.wait_for(4);
    assert_eq!(daemon.rows(&["retry", "--dead", "--sink", "chat"]).len(), 2);
    let posts = chat.wait_for(6);
    assert!(posts[3..].iter().all(|post| post.status == Some(200)), "{posts:?}");
    eventually("no dead letter to be left", || {
        daemon.rows(&["deliveries", "--state", "dead"]).is_empty().then_some(())
    });
    let again = daemon.command(&["retry", &one]);
    let said = format!("error: not sent again: {one}\n  caused by: {one}: delivered already\n");
    assert_eq!((again.code, again.err), (Some(1), said));
    let unknown = daemon.command(&["retry", "998", &one, "999"]);
    let said = format!(
        "error: not sent again: {one}, 998, 999\n  caused by: {one}: delivered already\n\
         \x20 caused by: 998, 999: there is no such notification; `linedown deliveries` lists them\n"
    );
    assert_eq!((unknown.code, unknown.err), (Some(1), said));
}

#[test]
fn a_retry_that_the_store_breaks_off_says_how_many_are_left() {
    let chat = Slack::new();
    chat.script(Scripted::answer(404, "no_service"));
    let mut daemon = Daemon::start(&format!("{}{}", slack("chat", &chat), tell(&["chat"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("dead", 1);
    daemon.kill();
    let store = rusqlite::Connection::open(daemon.path("linedown.db")).expect("the store can be opened");
    let columns = "incident, rule, sink, recipient, kind, wants_resolved, state, created_at, owed_at, due_at, \
                   grouping, class, attempts, detail, settled_at";
    // Of several to one recipient about one outage, only one would be sent again.
    let with_numbers = columns.replace("recipient", "number");
    let copies = format!(
        "WITH RECURSIVE copy (number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM copy WHERE number < 1200) \
         INSERT INTO notification ({columns}) SELECT {with_numbers} FROM notification, copy; \
         CREATE TRIGGER break_off BEFORE UPDATE ON notification WHEN old.state = 'dead' AND new.id > 1100 \
         BEGIN SELECT raise(ABORT, 'no more'); END"
    );
    store.execute_batch(&copies).expect("it can be written");
    drop(store);
    daemon.launch();
    let ended = daemon.command(&["retry", "--dead"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), "1000 notifications are sent again\n"), "{ended:?}");
    assert!(ended.err.contains("200 are not sent again") && ended.err.contains("hint:"), "{ended:?}");
    assert_eq!(daemon.wait_for_deliveries("dead", 200).len(), 200);
}

#[test]
fn retry_wants_numbers_or_all_that_are_dead_and_says_so() {
    let daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    let usage = "Usage: linedown retry [OPTIONS] <ID>...\n       linedown retry [OPTIONS] --dead [--sink <NAME>]\n";
    for (arguments, missing) in [
        (&["retry"][..], "<ID|--dead>"),
        (&["retry", "--sink", "console"], "<ID|--dead>"),
        (&["retry", "7", "--sink", "console"], "cannot be used with"),
        (&["retry", "7", "--dead"], "cannot be used with"),
    ] {
        let ended = daemon.command(arguments);
        assert!(ended.code == Some(64) && ended.err.contains(usage), "{arguments:?}: {}", ended.err);
        let error = ended.err.split("Usage:").next().unwrap_or_default();
        assert!(error.contains(missing), "{arguments:?}: {error}");
    }
}

#[test]
fn send_test_names_the_reload_that_failed() {
    let chat = Slack::new();
    let sink = |name: &str| format!("[sinks.{name}]\ntype = \"slack\"\nwebhook_url = {{ credential = \"{name}\" }}\n");
    let mut daemon = Daemon::prepare(&format!("{}{}", sink("chat"), tell(&["chat"])));
    std::fs::write(daemon.path("chat"), chat.url()).expect("a file can be written");
    daemon.environment(&[("CREDENTIALS_DIRECTORY", &daemon.path(""))]);
    daemon.launch();
    daemon.configure(&format!("{}{}{}", sink("chat"), sink("other"), tell(&["chat", "other"])));
    let hint = |daemon: &Daemon| {
        let ended = daemon.command(&["send-test", "other"]);
        assert!(ended.code == Some(1) && ended.err.contains("has no sink \"other\""), "{ended:?}");
        ended.err.lines().find_map(|line| line.trim().strip_prefix("hint: ").map(str::to_owned)).expect("a hint")
    };
    assert_eq!(hint(&daemon), "reload it if you have just added it: systemctl reload linedown");
    // The new sink's credential is not there, so the reload fails.
    daemon.hup();
    daemon.wait_for_log("the config was not reloaded");
    eventually("the hint to name it", || hint(&daemon).starts_with("its last reload failed").then_some(()));
    std::fs::write(daemon.path("other"), chat.url()).expect("a file can be written");
    daemon.reload();
    assert_eq!(daemon.command(&["send-test", "other"]).code, Some(0));
}
