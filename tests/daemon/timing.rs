//! When people are told: holds, digests, reminders, acknowledgement and silences, in real time.

use std::io::Write;

use serde_json::{Value, json};

use crate::daemon::{Daemon, HOOK, JSON, eventually, kinds};
use crate::held::Held;
use crate::http::request;
use crate::payload::{down, up};
use crate::sections::{CONSOLE, chat};

/// One rule for everything, with these keys.
pub(crate) fn timed(timings: &str) -> String {
    format!("{CONSOLE}[[rules]]\nname = \"all\"\nnotify = [\"console\"]\n{timings}")
}

#[test]
fn a_flicker_within_the_hold_is_seen_but_not_told() {
    let daemon = Daemon::start(&timed("hold = \"1h\"\n"));
    daemon.accept(&down("A"));
    let waiting = daemon.rows(&["deliveries", "--state", "pending"]);
    assert_eq!(waiting[0]["held_by"], "hold of 1h");
    daemon.accept(&up("A"));
    assert_eq!(daemon.rows(&["deliveries", "--state", "withdrawn"]).len(), 1);
    assert!(daemon.told().is_empty());
}

#[test]
fn what_is_down_after_the_hold_is_told_even_after_a_crash() {
    let mut daemon = Daemon::start(&timed("hold = \"1s\"\n"));
    daemon.accept(&down("A"));
    daemon.kill();
    daemon.launch();
    assert_eq!(kinds(&daemon.wait_for_told(1)), ["down"]);
}

#[test]
fn a_storm_costs_two_messages_and_each_line_is_findable() {
    // Long enough for a slow machine to take a hundred webhooks within it.
    let daemon = Daemon::start(&timed("group_interval = \"10s\"\n"));
    daemon.accept(&down("first"));
    daemon.wait_for_told(1);
    for line in 0..100 {
        daemon.accept(&down(&format!("line {line}")));
    }
    daemon.wait_for_deliveries("delivered", 101);
    let told = daemon.wait_for_told(2);
    assert_eq!(kinds(&told), ["down", "digest"]);
    assert_eq!(told[1]["items"].as_array().map(Vec::len), Some(100));
    assert_eq!(daemon.rows(&["incidents", "--open"]).len(), 100);
}

#[test]
fn a_line_that_comes_and_goes_is_told_of_twice_however_often_it_does() {
    // Long enough for a slow machine to do all of this within it, the restart included.
    let mut daemon = Daemon::start(&timed("flapping = { count = 2, within = \"10s\" }\ngroup_interval = \"0s\"\n"));
    for told in [1, 3] {
        daemon.accept(&down("A"));
        daemon.wait_for_told(told);
        daemon.accept(&up("A"));
        daemon.wait_for_told(told + 1);
    }
    daemon.accept(&down("A"));
    // What is told but not yet recorded would be told again.
    daemon.wait_for_deliveries("delivered", 5);
    daemon.kill();
    daemon.launch();
    for _ in 0..3 {
        daemon.accept(&up("A"));
        daemon.accept(&down("A"));
    }
    let told = daemon.wait_for_told(6);
    assert_eq!(kinds(&told), ["down", "resolved", "down", "resolved", "flapping", "steady"]);
    assert_eq!(told[4]["flapping"]["outages"], 3);
    assert_eq!(told[5]["flapping"]["outages"], 6);
    assert_eq!(told[5]["incident"]["closed_at"], Value::Null, "it ended up down, and they know");
    let quiet = daemon.rows(&["deliveries", "--state", "withdrawn"]);
    assert_eq!(quiet.len(), 3, "each outage can be found: {quiet:?}");
}

#[test]
fn a_link_shows_a_button_and_only_the_button_acknowledges() {
    let daemon = Daemon::start(&format!(
        "[server]\npublic_url = \"https://alerts.example.com\"\n{}",
        timed("remind = [\"1h\"]\ngroup_interval = \"0s\"\n")
    ));
    daemon.accept(&down("A"));
    let told = daemon.wait_for_told(1);
    let link = told[0]["acknowledge_url"].as_str().expect("the message has a link").to_owned();
    let path = link.strip_prefix("https://alerts.example.com").expect("it leads to us");

    let page = daemon.get(path);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<form method=\"post\">") && page.body.contains("I am on it"), "{}", page.body);
    assert_eq!(daemon.json(&["incident", "1"])["incident"]["acknowledged_by"], Value::Null);

    daemon.wait_for_deliveries("pending", 1);
    assert_eq!(daemon.send(&request("POST", path, &[], b"")).status, 200);
    assert_eq!(daemon.json(&["incident", "1"])["incident"]["acknowledged_by"], "console");
    assert!(daemon.command(&["incident", "1"]).out.contains("taken by console, from the link, opened at 127.0.0.1"));
    assert_eq!(kinds(&daemon.wait_for_told(2)), ["down", "acknowledged"]);
    assert_eq!(daemon.rows(&["deliveries", "--state", "withdrawn"])[0]["kind"], "reminder");

    let taken = daemon.get(path);
    assert!(taken.status == 200 && taken.body.contains("console is on it."), "{}", taken.body);
    assert!(!taken.body.contains("<form"), "there is nothing left to press: {}", taken.body);

    for wrong in [path.replace("/ack/", "/ack/1"), "/ack/x".to_owned(), format!("{path}0")] {
        assert_eq!(daemon.get(&wrong).status, 404, "{wrong}");
    }
}

#[test]
fn whoever_takes_it_by_command_is_named() {
    let daemon = Daemon::start(&timed("group_interval = \"0s\"\n"));
    daemon.accept(&down("A"));
    daemon.wait_for_told(1);
    daemon.wait_for_deliveries("delivered", 1);
    assert_eq!(daemon.command(&["ack", "1", "--as", "Ana"]).code, Some(0));
    let told = daemon.wait_for_told(2);
    assert!(told[1]["title"].as_str().is_some_and(|title| title.contains("Ana")), "{}", told[1]["title"]);
    let again = daemon.command(&["ack", "1", "--as", "Bia"]);
    assert_eq!((again.code, again.err.contains("Ana has taken it already")), (Some(1), true));
    assert_eq!(daemon.command(&["ack", "7"]).code, Some(1));
    daemon.accept(&down("B"));
    let open = daemon.command(&["incidents", "--open"]).out;
    let column = open.find("TAKEN BY").unwrap_or_else(|| panic!("no such column: {open}"));
    let taken: Vec<&str> =
        open.lines().skip(1).map(|row| row[column..].split("  ").next().unwrap_or_default()).collect();
    assert_eq!(taken, ["", "Ana"], "{open}");
    let both = daemon.command(&["ack", "2", "7", "--as", "Bia", "--json"]);
    let answers: Value = serde_json::from_str(&both.out).expect("JSON");
    assert_eq!((&answers[0]["incident"], &answers[1]["incident"]), (&json!(2), &json!(7)), "{answers}");
    daemon.accept(&down("C"));
    let both = daemon.command(&["ack", "3", "7", "--as", "Bia"]);
    assert_eq!((both.code, both.out.starts_with("3: it is yours")), (Some(1), true), "{both:?}");
    assert!(
        both.err.contains("1 of 2 incidents") && both.err.contains("caused by: incident 7 is not yours"),
        "{both:?}"
    );
}

#[test]
fn what_quiet_hours_hold_back_is_heard_once_the_config_says_so() {
    let window = |from: &str, to: &str| format!("[[quiet]]\nname = \"rest\"\nfrom = \"{from}\"\nto = \"{to}\"\n");
    let quiet = [window("00:00", "12:00"), window("12:00", "00:00")].concat();
    let (normal, critical) =
        (timed("group_interval = \"0s\"\n"), timed("group_interval = \"0s\"\nseverity = \"critical\"\n"));
    let mut daemon = Daemon::start(&format!("{quiet}{normal}"));
    let is_held = |daemon: &Daemon| {
        eventually("quiet hours to hold it", || {
            let held = daemon.rows(&["deliveries", "--state", "pending"]).pop()?;
            held["held_by"].as_str()?.starts_with("quiet hours").then_some(())
        });
    };
    daemon.accept(&down("A"));
    is_held(&daemon);
    daemon.configure(&format!("{quiet}{critical}"));
    daemon.reload();
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "A");

    daemon.configure(&format!("{quiet}{normal}"));
    daemon.reload();
    daemon.accept(&down("B"));
    is_held(&daemon);
    daemon.configure(&normal);
    daemon.reload();
    assert_eq!(daemon.wait_for_told(2)[1]["instance"], "B");

    daemon.configure(&format!("{quiet}{normal}"));
    daemon.reload();
    daemon.accept(&down("C"));
    is_held(&daemon);
    daemon.term();
    daemon.ended();
    daemon.configure(&normal);
    daemon.launch();
    assert_eq!(daemon.wait_for_told(3)[2]["instance"], "C");
}

#[test]
fn a_rule_by_another_name_goes_on_reminding_and_one_that_is_gone_is_warned_of() {
    let reminding = timed("remind = [\"1s\"]\ngroup_interval = \"0s\"\n");
    let daemon = Daemon::start(&reminding);
    let warned = || daemon.logged("some open outages have no reminders");
    daemon.accept(&down("A"));
    assert_eq!(kinds(&daemon.wait_for_told(2)), ["down", "reminder"]);
    daemon.configure(&reminding.replace("\"all\"", "\"each\""));
    daemon.reload();
    eventually("a reminder by the rule's new name", || daemon.told().pop().filter(|told| told["rule"] == "each"));
    assert_eq!(warned(), [] as [Value; 0]);

    daemon.configure(&format!(
        "{CONSOLE}[[rules]]\nname = \"others\"\nmatch = {{ instance = \"B\" }}\nnotify = [\"console\"]\n"
    ));
    daemon.reload();
    let warning = daemon.wait_for_log("some open outages have no reminders");
    assert_eq!(
        (&warning["rule"], &warning["sink"], &warning["reminders"]),
        (&json!("each"), &json!("console"), &json!(1))
    );
}

#[test]
fn a_rule_that_reminds_since_a_reload_reminds_of_what_is_down_also_if_it_was_gone_in_between() {
    let silent = timed("group_interval = \"0s\"\n");
    let reminding = timed("group_interval = \"0s\"\nremind = [\"1s\"]\n");
    let mut daemon = Daemon::start(&silent);
    daemon.accept(&down("A"));
    assert_eq!(kinds(&daemon.wait_for_told(1)), ["down"]);
    daemon.configure(&reminding);
    daemon.reload();
    assert_eq!(kinds(&daemon.wait_for_told(2)), ["down", "reminder"]);

    daemon.configure(&silent.replace("\"all\"", "\"others\"\nmatch = { instance = \"B\" }"));
    daemon.reload();
    eventually("a reminder that nobody is to get", || daemon.rows(&["deliveries", "--state", "withdrawn"]).pop());
    let told = daemon.told().len();
    daemon.configure(&reminding);
    daemon.reload();
    daemon.wait_for_told(told + 1);

    daemon.configure(&silent);
    daemon.reload();
    eventually("a reminder that is no more", || {
        (daemon.rows(&["deliveries", "--state", "withdrawn"]).len() > 1).then_some(())
    });
    daemon.term();
    daemon.ended();
    let told = daemon.told().len();
    daemon.configure(&reminding);
    daemon.launch();
    daemon.wait_for_told(told + 1);
}

/// The reminder is delivered between the swap and the next look at the store, which a waiting webhook keeps busy.
#[test]
fn a_reminder_that_ends_as_the_last_one_while_the_config_is_swapped_is_warned_of() {
    let far_side = Held::new();
    let rule = |name: &str, line: &str, rest: &str| {
        format!("[[rules]]\nname = \"{name}\"\nmatch = {{ instance = \"{line}\" }}\ngroup_interval = \"0s\"\n{rest}")
    };
    let window = |from: &str, to: &str| format!("[[quiet]]\nname = \"rest\"\nfrom = \"{from}\"\nto = \"{to}\"\n");
    let quiet = [window("00:00", "12:00"), window("12:00", "00:00")].concat();
    let others =
        [&quiet, CONSOLE, &chat("chat", &far_side.url()), &rule("others", "B", "notify = [\"console\"]\n")].concat();
    let reminding = rule("reminding", "A", "notify = [\"chat\"]\nseverity = \"critical\"\nremind = [\"1s\"]\n");
    let daemon = Daemon::start(&format!("{others}{reminding}"));
    daemon.accept(&down("A"));
    far_side.take().accept();
    let reminder = far_side.take();
    daemon.accept(&down("B"));
    eventually("quiet hours to hold it", || {
        let pending = daemon.rows(&["deliveries", "--state", "pending"]);
        pending.iter().any(|row| row["held_by"].as_str().is_some_and(|by| by.starts_with("quiet"))).then_some(())
    });

    let store = rusqlite::Connection::open(daemon.path("linedown.db")).expect("it opens");
    store.execute_batch("BEGIN IMMEDIATE").expect("it can be locked");
    let webhook = request("POST", HOOK, &[JSON], down("C").to_string().as_bytes());
    let mut waiting = daemon.connect();
    waiting.write_all(&webhook).expect("it listens");
    daemon.configure(&others);
    daemon.reload();
    reminder.accept();
    store.execute_batch("COMMIT").expect("it can be let go");
    let warning = daemon.wait_for_log("some open outages have no reminders");
    assert_eq!(
        (&warning["rule"], &warning["sink"], &warning["reminders"]),
        (&json!("reminding"), &json!("chat"), &json!(1))
    );
}

#[test]
fn whoever_takes_several_hears_of_those_before_the_store_failed() {
    let daemon = Daemon::start(&timed("group_interval = \"0s\"\n"));
    for line in ["A", "B", "C", "D"] {
        daemon.accept(&down(line));
    }
    let store = rusqlite::Connection::open(daemon.path("linedown.db")).expect("it opens");
    let trigger = "CREATE TRIGGER break_off BEFORE UPDATE OF acknowledged_by ON incident WHEN new.id = 3 \
                   BEGIN SELECT raise(ABORT, 'no more'); END";
    store.execute_batch(trigger).expect("it can be written");
    let ended = daemon.command(&["ack", "1", "7", "3", "4", "--as", "Ana", "--json"]);
    let answers: Value = serde_json::from_str(&ended.out).expect("JSON");
    let taken: Vec<_> = answers.as_array().expect("a list").iter().map(|each| &each["acknowledged"]).collect();
    assert_eq!(taken, [true, false], "{ended:?}");
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.err.contains("incident 7 is not yours") && ended.err.contains("not known to be done: 3, 4"),
        "{ended:?}"
    );
    assert_eq!(daemon.json(&["incident", "4"])["acknowledged_by"], Value::Null);
    let alone = daemon.command(&["ack", "3", "--as", "Ana", "--json"]);
    assert_eq!((alone.code == Some(0), alone.out.as_str()), (false, ""), "{alone:?}");
}

#[test]
fn a_config_that_gathers_for_less_time_is_no_clock_that_was_set_back() {
    let mut daemon = Daemon::start(&timed("group_interval = \"1h\"\n"));
    daemon.accept(&down("A"));
    daemon.wait_for_told(1);
    daemon.accept(&down("B"));
    daemon.wait_for_deliveries("pending", 1);
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.configure(&timed("group_interval = \"1s\"\n"));
    daemon.launch();
    daemon.wait_for_deliveries("delivered", 2);
    assert_eq!(daemon.logged("the clock"), [] as [Value; 0]);
}

#[test]
fn a_clock_that_was_set_back_while_it_was_stopped_is_noticed_and_said() {
    let mut daemon = Daemon::start(&timed("hold = \"1h\"\n"));
    daemon.accept(&down("A"));
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    let store = rusqlite::Connection::open(daemon.path("linedown.db")).expect("it opens");
    let tomorrow = "UPDATE line SET heard_at = heard_at + 86400000; \
                    UPDATE incident SET opened_at = opened_at + 86400000, heard_at = heard_at + 86400000; \
                    UPDATE notification SET created_at = created_at + 86400000, due_at = due_at + 86400000, \
                        owed_at = owed_at + 86400000";
    store.execute_batch(tomorrow).expect("it can be written");
    store.close().expect("it closes");
    daemon.launch();
    let warned = daemon.wait_for_log("the clock was set back while linedown was stopped");
    assert_eq!((&warned["level"], &warned["corrected"]), (&json!("WARN"), &json!(2)), "a line and a notification");
    let listed = daemon.command(&["incidents"]).out;
    assert!(listed.contains("the clock was set back"), "{listed}");
}
