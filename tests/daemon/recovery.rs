//! A line that comes back or gets worse: who is told what.

use linedown_standins::{Command, Does, Smtp};
use serde_json::Value;

use crate::daemon::{Daemon, eventually, kinds};
use crate::held::Held;
use crate::payload::{blocked, down, down_since, up, up_since};
use crate::sections::{CONSOLE, QUICK, chat, email, tell};

fn changes(daemon: &Daemon, incident: &str) -> Vec<String> {
    let story = daemon.json(&["incident", incident]);
    let events = story["events"].as_array().expect("a list").iter();
    events.filter_map(|event| event["change"].as_str().map(str::to_owned)).collect()
}

#[test]
fn whoever_heard_that_it_is_down_hears_that_it_is_back() {
    let relay = Smtp::new();
    let daemon = Daemon::start(&format!("{}{}", email("ops", &relay), tell(&["ops"])));
    daemon.accept(&down_since("A", 7500));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.accept(&up("A"));
    let mails = relay.wait_for(2);
    let subject = mails[1].header("Subject").expect("a subject");
    assert!(subject.contains("A is back after 2 h 05 min"), "{subject}");
    let thread = |header| mails.iter().map(|mail| mail.header(header)).collect::<Vec<_>>();
    let references = thread("References");
    assert!(references[0].is_some() && references[0] == references[1], "{references:?}");
    assert_eq!(thread("In-Reply-To")[1], references[1]);
    assert_ne!(thread("Message-ID")[0], thread("Message-ID")[1]);
}

#[test]
fn a_line_that_is_back_before_anybody_heard_makes_one_message_that_says_both() {
    let relay = Smtp::new();
    relay.plan(Command::Connect, Does::Reply("421 4.3.2 later"), 1_000_000);
    let daemon = Daemon::start(&format!("{}{QUICK}{}", email("ops", &relay), tell(&["ops"])));
    daemon.accept(&down_since("A", 60));
    eventually("a try", || (daemon.rows(&["deliveries"])[0]["tries"].as_u64() > Some(0)).then_some(()));
    daemon.accept(&up("A"));
    relay.behave();
    daemon.wait_for_deliveries("delivered", 1);
    let mails = relay.received();
    let subject = mails[0].header("Subject").expect("a subject");
    assert!(subject.contains("A was down for 1 min and is back"), "{subject}");
    let text = mails[0].text().expect("a text");
    assert!(text.contains("This message is late") && text.contains("421"), "{text}");
    assert_eq!((mails.len(), daemon.rows(&["deliveries"]).len()), (1, 1));
}

/// Those that follow the first are gathered, and tried in vain as one message.
#[test]
fn lines_that_are_back_before_anybody_heard_are_not_told_as_just_being_back() {
    let relay = Smtp::new();
    relay.plan(Command::Connect, Does::Reply("421 4.3.2 later"), 1_000_000);
    let gathering = tell(&["ops"]).replace("\"0s\"", "\"3s\"");
    let daemon = Daemon::start(&format!("{}{QUICK}{gathering}", email("ops", &relay)));
    let tried = |count: usize| {
        eventually("tries", || {
            let rows = daemon.rows(&["deliveries"]);
            (rows.iter().filter(|row| row["tries"].as_u64() > Some(0)).count() == count).then_some(())
        });
    };
    daemon.accept(&down("A"));
    tried(1);
    for line in ["B", "C", "D"] {
        daemon.accept(&down(line));
        daemon.accept(&up(line));
    }
    tried(4);
    relay.behave();
    daemon.wait_for_deliveries("delivered", 4);
    let mails = relay.received();
    let titles: Vec<_> = mails.iter().filter_map(|mail| mail.header("Subject")).collect();
    let digest = titles.iter().position(|title| title.contains("3 lines were down and are back"));
    let text = mails[digest.unwrap_or_else(|| panic!("{titles:?}"))].text().expect("a text");
    assert!(text.contains("This message is late") && text.contains("421"), "{text}");
    assert_eq!(mails.len(), 2, "{titles:?}");
}

#[test]
fn a_rule_may_leave_out_that_it_is_over() {
    let rule = format!("{}resolved = false\n", tell(&["console"]));
    let daemon = Daemon::start(&format!("{CONSOLE}{rule}"));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.accept(&up("A"));
    assert_ne!(daemon.rows(&["incidents"])[0]["closed_at"], Value::Null);
    assert_eq!(daemon.rows(&["deliveries"]).len(), 1);
    daemon.accept(&down("A"));
    assert_eq!(kinds(&daemon.wait_for_told(2)), ["down", "down"]);
}

#[test]
fn a_worse_reason_is_told_and_the_same_again_is_not() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down_since("A", 9));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.accept(&down_since("A", 6));
    daemon.accept(&blocked("A"));
    let told = daemon.wait_for_told(2);
    assert_eq!((kinds(&told), &told[1]["reason"]), (vec!["down", "worse"], &"number-blocked".into()));
    assert_eq!(changes(&daemon, "1"), ["opened", "repeated", "worsened"]);
}

#[test]
fn a_connect_that_is_older_than_the_outage_does_not_end_it() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down_since("A", 10));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.accept(&up_since("A", 60));
    assert_eq!(daemon.rows(&["incidents", "--open"]).len(), 1);
    daemon.accept(&up("A"));
    assert_eq!(daemon.rows(&["incidents", "--open"]).len(), 0);
    assert_eq!(kinds(&daemon.wait_for_told(2)), ["down", "resolved"]);
}

#[test]
fn a_disconnect_that_was_held_up_until_the_line_was_back_is_still_told() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&up_since("A", 10));
    daemon.accept(&down_since("A", 60));
    let told = &daemon.wait_for_told(1)[0];
    assert!(told["kind"] == "down" && told["closed_at"].is_string(), "{told}");
    assert_eq!(daemon.rows(&["incidents", "--open"]).len(), 0);
}

#[test]
fn what_changes_while_a_message_is_on_its_way_is_told_after_it() {
    let far_side = Held::new();
    let sinks = format!("{}{CONSOLE}", chat("chat", &far_side.url()));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["chat", "console"])));
    daemon.accept(&down_since("A", 60));
    let in_flight = far_side.take();
    daemon.accept(&blocked("A"));
    daemon.wait_for_told(2);
    in_flight.accept();
    let in_flight = far_side.take();
    daemon.accept(&up("A"));
    daemon.wait_for_told(3);
    in_flight.accept();
    far_side.take().accept();
    let delivered = daemon.wait_for_deliveries("delivered", 6);
    for sink in ["chat", "console"] {
        let of_sink = delivered.iter().rev().filter(|row| row["sink"] == sink);
        let kinds: Vec<_> = of_sink.filter_map(|row| row["kind"].as_str()).collect();
        assert_eq!(kinds, ["down", "worse", "resolved"], "{sink}");
    }
}

#[test]
fn a_late_copy_of_a_disconnect_raises_no_alarm() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let first = down_since("A", 5);
    daemon.accept(&first);
    daemon.wait_for_deliveries("delivered", 1);
    daemon.accept(&up("A"));
    daemon.wait_for_deliveries("delivered", 2);
    assert_eq!(daemon.post(&first).json()["duplicate"], true);
    assert_eq!(daemon.rows(&["incidents", "--open"]).len(), 0);
    assert_eq!(daemon.rows(&["deliveries"]).len(), 2);
}
