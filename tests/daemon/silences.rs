//! Silences: made, listed and ended by a person, and what they hold back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::daemon::{Daemon, eventually};
use crate::payload::down;
use crate::timing::timed;

#[test]
fn a_silence_is_made_listed_and_ended() {
    let daemon = Daemon::start(&timed("group_interval = \"0s\"\n"));
    let made =
        daemon.command(&["silence", "add", "instance=A", "--for", "1h", "--comment", "moving house", "--as", "Ana"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    daemon.accept(&down("A"));
    daemon.accept(&down("B"));
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "B");
    let held = eventually("the silence to hold it", || {
        daemon.rows(&["deliveries", "--state", "pending"]).pop().filter(|row| !row["held_by"].is_null())
    });
    assert_eq!(held["held_by"], "silence 1");
    assert!(daemon.command(&["silence", "list"]).out.contains("moving house"));
    assert_eq!(daemon.command(&["silence", "expire", "1"]).code, Some(0));
    assert_eq!(daemon.wait_for_told(2)[1]["instance"], "A");
    assert_eq!(daemon.command(&["silence", "expire", "1"]).code, Some(1));
    let several = daemon.json(&["silence", "add", "instance=B", "labels.shop=1", "labels.shop=2", "--for", "1h"]);
    assert_eq!(several["matcher"], json!({ "instance": "B", "labels": { "shop": ["1", "2"] } }));
    assert_eq!(daemon.command(&["silence", "add", "instance=A", "--for", "0s"]).code, Some(64));
    let wrong = daemon.command(&["silence", "add", "town=A", "--for", "1h"]);
    assert_eq!(wrong.code, Some(64), "{}", wrong.err);
}

/// It is not to jump when the time comes that it would have had.
#[test]
fn a_step_shows_when_it_comes_while_a_silence_holds_the_first_message() {
    let step = "escalate = [{ after = \"15m\", notify = [\"console\"] }]\n";
    let daemon = Daemon::start(&timed(&format!("group_interval = \"0s\"\n{step}")));
    daemon.json(&["silence", "add", "instance=A", "--for", "1h"]);
    daemon.accept(&down("A"));
    let of_first = eventually("the silence to hold the first message", || {
        let rows = daemon.rows(&["deliveries", "--state", "pending"]);
        rows.into_iter().find(|row| row["held_by"] == "silence 1")
    });
    let time = |row: &Value| row["due_at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).expect("a time");
    let story = daemon.json(&["incident", "1"]);
    let listed = daemon.rows(&["deliveries", "--state", "pending"]);
    for rows in [story["deliveries"].as_array().expect("rows"), &listed] {
        let step = rows.iter().find(|row| row["kind"] == "escalation").expect("a step");
        assert_eq!(step["held_by"], "escalation of 15m");
        assert_eq!(time(step).duration_since(time(&of_first)).as_secs(), 15 * 60, "{step}");
    }
}

#[test]
fn a_silence_that_can_hold_nothing_back_is_warned_of() {
    let known = "[instances.A]\nname = \"Loja Centro\"\nsource = \"z-api\"\nlabels = { customer = \"acme\" }\n";
    let daemon = Daemon::start(&format!("{known}{}", timed("group_interval = \"0s\"\n")));
    for (matcher, words) in [
        ("source=z-apo", "warning: source: there is no source `z-apo`\n  expected: "),
        (
            "labels.custmer=acme",
            "warning: labels.custmer: no instance of the inventory has the label `custmer`\n  hint: did you mean `customer`?",
        ),
        ("phone=+55 44", "warning: phone: no phone number matches this"),
        ("name=Loja centro", "warning: "),
        ("labels.customer=[acme,beta]", "warning: no instance of the inventory matches this\n  hint: "),
        ("name={ not = \"Loja Centro\" }", "warning: this silences everything but what it names\n  hint: "),
        ("name=Loja*", ""),
        ("labels.customer=acme", ""),
        ("source=z-api", ""),
    ] {
        let made = daemon.command(&["silence", "add", matcher, "--for", "1h"]);
        assert!(made.code == Some(0) && made.out.starts_with("silence "), "{matcher}: {made:?}");
        assert!(made.err.starts_with(words) && made.err.is_empty() == words.is_empty(), "{matcher}: {}", made.err);
    }
}

#[test]
fn a_silence_takes_whatever_a_rule_takes() {
    let daemon = Daemon::start(&timed("group_interval = \"0s\"\n"));
    let made =
        daemon.json(&["silence", "add", "instance={ regex = \"A|B\" }", "reason={ not = \"other\" }", "--for", "1h"]);
    assert_eq!(made["matcher"], json!({ "instance": { "regex": "A|B" }, "reason": { "not": "other" } }));
    let list = daemon.json(&["silence", "add", "instance=[\"D\", \"E*\"]", "source = \"z-api\"", "--for", "1h"]);
    assert_eq!(list["matcher"], json!({ "instance": ["D", "E*"], "source": "z-api" }));
    for glob in ["{X,Y}*", "[XY]*"] {
        let made = daemon.json(&["silence", "add", &format!("instance={glob}"), "--for", "1h"]);
        assert_eq!(made["matcher"], json!({ "instance": glob }));
    }
    let wrong = daemon.command(&["silence", "add", "instance={ regx = \"A\" }", "--for", "1h"]);
    assert!(wrong.code == Some(64) && wrong.err.contains("instance.regx: unknown key `regx`"), "{wrong:?}");
    for line in ["A", "B", "D", "E1", "X", "Y", "C"] {
        daemon.accept(&down(line));
    }
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "C");
}

/// A worker that nobody wakes looks by itself after half a minute.
#[test]
fn what_the_end_of_a_silence_has_freed_is_sent_although_the_store_fails_then() {
    let daemon = Daemon::start(&timed("group_interval = \"0s\"\n"));
    assert_eq!(daemon.command(&["silence", "add", "instance=A", "--for", "1h"]).code, Some(0));
    daemon.accept(&down("A"));
    eventually("the silence to hold it", || {
        daemon.rows(&["deliveries", "--state", "pending"]).pop().filter(|row| !row["held_by"].is_null())
    });
    let store = rusqlite::Connection::open(daemon.path("linedown.db")).expect("it opens");
    let columns =
        "incident, rule, sink, recipient, kind, wants_resolved, created_at, owed_at, due_at, held_by, grouping, class";
    let with_numbers = columns.replace("recipient", "number");
    let copies = format!(
        "WITH RECURSIVE copy (number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM copy WHERE number < 1200) \
         INSERT INTO notification ({columns}) SELECT {with_numbers} FROM notification, copy; \
         CREATE TRIGGER break_off BEFORE UPDATE OF due_at ON notification WHEN new.id > 1100 \
         BEGIN SELECT raise(ABORT, 'no more'); END"
    );
    store.execute_batch(&copies).expect("it can be written");
    let ended = Instant::now();
    assert_ne!(daemon.command(&["silence", "expire", "1"]).code, Some(0));
    daemon.wait_for_told(1);
    assert!(ended.elapsed() < Duration::from_secs(20), "{:?}", ended.elapsed());
}
