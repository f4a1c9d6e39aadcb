//! What people get wrong or try out: mistyped commands, silences that are too wide, sinks that are tested before the
//! first start, files that are somebody else's.

use std::fs;

use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended};
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

fn console() -> String {
    format!("{CONSOLE}{}", tell(&["console"]))
}

/// A sink that writes its messages to a folder, with these recipients.
fn folder(name: &str, path: &str, to: &str) -> String {
    format!(
        "[sinks.{name}]\ntype = \"email\"\nserver = \"file:{path}\"\nfrom = \"a@example.com\"\nto = {to}\n\
         fallback = \"console\"\n"
    )
}

#[test]
fn explain_answers_with_the_first_time_at_which_each_is_told() {
    let rules = "[[rules]]\nname = \"gold\"\nnotify = [\"mail\"]\nescalate = [{ after = \"15m\", notify = [\"console\"] }]\n\
                 continue = true\n";
    let mail = folder("mail", "/nowhere", "\"b@example.com\"");
    let daemon = Daemon::prepare(&format!("{CONSOLE}{mail}{rules}{}", tell(&["console"])));
    let ended = daemon.command_with_input(&["explain", "-"], &down("A").to_string());
    assert!(ended.out.starts_with("owed: mail to b@example.com now; console now\n"), "{ended:?}");
}

#[test]
fn explain_says_what_is_too_large_for_the_daemon() {
    let daemon = Daemon::prepare(&format!("[server]\nmax_body = 2048\n{}", console()));
    let mut payload = down("A");
    payload["x"] = "x".repeat(3000).into();
    let ended = daemon.command_with_input(&["explain", "-"], &payload.to_string());
    assert!(ended.code == Some(1) && ended.out.is_empty(), "{ended:?}");
    for words in ["error: the standard input is too large for a webhook: linedown answers it with 413", "is 2048\n"] {
        assert!(ended.err.contains(words), "{ended:?}");
    }
}

#[test]
fn a_silence_of_all_that_lack_something_is_refused() {
    let daemon = Daemon::start(&format!("[instances.A]\nlabels = {{ customer = \"acme\" }}\n{}", console()));
    for (matchers, words) in [
        (
            &["labels.customer="][..],
            "error: \"labels.customer=\" has no value\n  hint: is a variable of the shell empty?",
        ),
        (&["labels.customer=\"\""], "error: this silences every line that lacks what it names\n  hint: "),
        (&["instance=~I.*"], "  hint: write 'instance={ regex = \"I.*\" }'\n"),
        (&["labels.tier!=gold"], "  hint: write 'labels.tier={ not = \"gold\" }'\n"),
    ] {
        let ended = daemon.command(&[&["silence", "add"], matchers, &["--for", "1h"]].concat());
        assert!(ended.code == Some(64) && ended.err.contains(words), "{matchers:?}: {ended:?}");
    }
    assert!(daemon.rows(&["silence", "list"]).is_empty());
    let all = daemon.command(&["silence", "add", "instance=*", "--for", "1h"]);
    assert_eq!(all.code, Some(0), "{all:?}");
    assert!(all.err.starts_with("warning: this silences every line, and linedown's own troubles\n"), "{all:?}");
    assert_eq!(daemon.json(&["silence", "expire", "1"]), json!({ "id": 1 }));
}

#[test]
fn who_has_an_outage_already_may_say_so_again() {
    let daemon = Daemon::start(&console());
    daemon.accept(&down("A"));
    let ack = |who: &str| daemon.command(&["ack", "1", "1", "--as", who]);
    let first = ack("ana");
    assert!(first.code == Some(0) && first.out.ends_with("1: it is yours already\n"), "{first:?}");
    assert_eq!(ack("ana").out, "1: it is yours already\n1: it is yours already\n");
    let other = ack("bia");
    assert!(other.code == Some(1) && other.err.contains("ana has taken it already"), "{other:?}");
    assert_eq!(daemon.json(&["ack", "1", "--as", "ana"])["acknowledged"], true);
}

#[test]
fn wrong_usage_says_what_is_expected() {
    let daemon = Daemon::prepare(&console());
    let period = "a duration without a unit\n  expected: a duration such as \"500ms\"";
    for (arguments, words) in [
        (&["incident", "x"][..], "'x' for '<ID>': not a number\n  expected: a number such as 12"),
        (&["ack", "x"], "not a number\n  expected: "),
        (&["retry", "x"], "not a number\n  expected: "),
        (&["silence", "expire", "x"], "not a number\n  expected: "),
        (&["incidents", "--limit", "x"], "not a number of rows\n  expected: 1 to 10000\n"),
        (&["silence", "add", "instance=A", "--for", "5"], period),
        (&["replay", "--since", "7"], period),
        (&["deliveries", "--state", "ded"], "\n  hint: a similar value exists: 'dead'\n"),
        (
            &["deliveries", "--stat", "dead"],
            "\n  hint: a similar argument exists: '--state'\n\nUsage: linedown deliveries",
        ),
        (&["sevre"], "error: unrecognized subcommand 'sevre'\n  hint: a similar subcommand exists: 'serve'\n"),
    ] {
        let Ended { code, out, err } = daemon.command(arguments);
        assert_eq!((code, &*out), (Some(64), ""), "{arguments:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(words), "{arguments:?}: {err}");
        assert!(err.contains("\n  hint: ") && !err.contains("tip:"), "{arguments:?}: {err}");
    }
}

/// A command that runs as root would leave files behind that the daemon's user may not write.
#[test]
fn send_test_goes_through_the_daemon_of_this_config_and_through_no_other() {
    let daemon = Daemon::start(&console());
    let ended = daemon.command(&["send-test", "console"]);
    assert!(ended.code == Some(0) && ended.out.starts_with("console: delivered"), "{ended:?}");
    assert_eq!(daemon.wait_for_told(1)[0]["kind"], "test");
    assert!(!ended.out.contains("\"kind\""), "the command itself wrote nothing: {ended:?}");
    // Another config that finds this daemon, as one for trials finds the service.
    let api = daemon.path("linedown.sock");
    let trial =
        [("LINEDOWN__STORE__URL", &*format!("sqlite://{}", daemon.path("trial.db"))), ("LINEDOWN__SERVER__API", &*api)];
    let ended = daemon.command_with(&["send-test", "console"], &trial, "");
    assert!(ended.code == Some(0) && ended.out.contains("\"kind\":\"test\""), "{ended:?}");
    assert_eq!(daemon.told().len(), 1);
}

#[test]
fn a_sink_without_credentials_can_be_tried_before_the_first_start() {
    let chat = "[sinks.chat]\ntype = \"slack\"\nwebhook_url = { credential = \"chat\" }\nfallback = \"console\"\n";
    let daemon = Daemon::prepare(&format!("{CONSOLE}{chat}{}", tell(&["console", "chat"])));
    let ended = daemon.command(&["send-test", "console"]);
    assert!(ended.code == Some(0) && ended.out.contains("\"kind\":\"test\""), "{ended:?}");
    let ended = daemon.command(&["send-test", "chat"]);
    assert!(ended.code == Some(69) && ended.err.contains("hint: start it"), "{ended:?}");
}

#[test]
fn recipients_from_labels_are_tested_with_a_line_that_has_them() {
    let line = "[instances.A]\nlabels = { owner = \"dono@example.com\" }\n";
    let mut daemon = Daemon::prepare("");
    let path = daemon.path("mail");
    let owners = folder("owners", &path, "\"{{ instance.labels.owner }}\"");
    let mixed = folder("mixed", &path, "[\"ops@example.com\", \"{{ instance.labels.owner }}\"]");
    daemon.configure(&format!("{line}{CONSOLE}{owners}{mixed}{}", tell(&["console", "owners", "mixed"])));
    let hint = "hint: test them with a line of the inventory that has these labels: --instance ID\n";
    let addresses = |daemon: &Daemon, sink: &str| -> Vec<Value> {
        let rows = daemon.rows(&["send-test", sink, "--instance", "A"]);
        assert!(rows.iter().all(|row| row["delivered"] == true), "{rows:?}");
        rows.into_iter().map(|row| row["recipient"].clone()).collect()
    };
    for is_running in [false, true] {
        if is_running {
            daemon.launch();
        }
        let nobody = daemon.command(&["send-test", "owners"]);
        assert!(nobody.code == Some(1) && nobody.err.ends_with(hint), "{nobody:?}");
        let some = daemon.command(&["send-test", "mixed"]);
        let warning = format!("warning: not tested: the recipients that come from labels.owner\n  {hint}");
        assert_eq!((some.code, some.err), (Some(0), warning), "{}", some.out);
        assert_eq!(addresses(&daemon, "owners"), ["dono@example.com"]);
        assert_eq!(addresses(&daemon, "mixed"), ["ops@example.com", "dono@example.com"]);
        let unknown = daemon.command(&["send-test", "owners", "--instance", "B"]);
        assert!(unknown.code == Some(64) && unknown.err.contains("no instance \"B\""), "{unknown:?}");
    }
}

#[test]
fn a_file_of_somebody_elses_is_not_taken_for_the_store() {
    let daemon = Daemon::prepare("");
    let notes = daemon.path("notes.txt");
    fs::write(&notes, "my notes").expect("a file can be written");
    let other = daemon.path("other.db");
    let tables = "CREATE TABLE bookmark (url); PRAGMA user_version = 9";
    rusqlite::Connection::open(&other).and_then(|other| other.execute_batch(tables)).expect("it can be made");
    for path in [notes, other] {
        let before = fs::read(&path).expect("it is there");
        daemon.configure(&format!("[store]\nurl = \"sqlite://{path}\"\n{}", console()));
        let ended = daemon.command(&["serve"]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(
            ended.err.contains(&format!("{path} is not a store of linedown\n  hint: set `store.url`")),
            "{ended:?}"
        );
        assert_eq!(fs::read(&path).expect("it is there"), before);
    }
    let names = fs::read_dir(daemon.path("")).expect("it is there").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains(['-', '~'])).collect();
    assert!(left.is_empty() && !fs::exists(daemon.path("notes.txt.lock")).expect("it can be asked"), "{left:?}");
}

#[test]
fn a_type_of_blanks_is_no_type() {
    let daemon = Daemon::start(&console());
    for blanks in ["", "  ", "\t"] {
        let answer = daemon.post(&json!({ "type": blanks }));
        assert!(answer.status == 422 && answer.body.contains("no usable `type`"), "{answer:?}");
    }
}

#[test]
fn systemd_may_hand_over_no_socket_at_all() {
    let mut daemon = Daemon::prepare(&console());
    daemon.launch_with_no_socket_of_systemd();
    daemon.accept(&down("A"));
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "A");
}
