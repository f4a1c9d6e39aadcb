//! `linedown explain`: what would be decided, without a daemon.

use std::time::SystemTime;

use crate::daemon::Daemon;
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

#[test]
fn explain_tells_the_decision_without_a_daemon() {
    let rules = "[[rules]]\nname = \"banned\"\nmatch = { reason = \"number-blocked\" }\nnotify = [\"console\"]\n";
    let daemon =
        Daemon::prepare(&format!("[instances.A]\nname = \"Loja Centro\"\n{CONSOLE}{rules}{}", tell(&["console"])));
    let ended = daemon.command_with_input(&["explain", "-"], &down("A").to_string());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for words in ["disconnected", "device-disconnected", "- \"banned\"", "+ \"all\"", "Loja Centro is down"] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    assert!(ended.out.starts_with("owed: console now\nevent: disconnected A at z-api\n"), "{}", ended.out);
    let file = daemon.path("payload.json");
    std::fs::write(&file, down("A").to_string()).expect("a file can be written");
    let explained = daemon.json(&["explain", &file]);
    assert_eq!(explained["rules"][0]["matched"], false, "{explained}");
    assert_eq!(explained["event"]["phone"], "5544*****9999", "people's numbers are masked: {explained}");
    assert_eq!(explained["notifications"][0]["sink"], "console", "{explained}");
    assert!(
        ended.out.ends_with("silences are not taken into account; `linedown silence list` shows them\n"),
        "{}",
        ended.out
    );
    let ended = daemon.command_with_input(&["explain", "-"], "[]");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.starts_with("error: the standard input") && ended.err.contains("not an object"), "{}", ended.err);
    let large = format!("{}{}", down("A"), " ".repeat(1024 * 1024));
    let ended = daemon.command_with_input(&["explain", "-"], &large);
    assert!(ended.code == Some(1) && ended.err.contains("caused by: it is larger than 1 MiB"), "{ended:?}");
    let cut = daemon.command_with_input(&["explain", "-"], "{\"type\"");
    assert!(
        cut.err.contains("caused by: the body is not valid JSON (line 1, column 7)\n  hint: give the complete body"),
        "{cut:?}"
    );
    let foreign = daemon.command_with_input(&["explain", "-", "--json"], "{\"type\":\"ReceivedCallback\"}").out;
    let foreign: serde_json::Value = serde_json::from_str(&foreign).expect("JSON");
    assert!(foreign["event"].is_null() && foreign["change"].as_str().is_some_and(|said| said.contains("dropped")));
    assert!(daemon.told().is_empty());
}

#[test]
fn explain_shows_every_message_as_it_would_be_sent_when_it_is_due() {
    let rules = "[[rules]]\nname = \"all\"\nnotify = [\"mail\", \"lost\"]\nremind = [\"1h\", \"4h\"]\n\
                 escalate = [{ after = \"15m\", notify = [\"mail\"] }]\n";
    let mail = "type = \"email\"\nserver = \"file:/nowhere\"\nfrom = \"a@example.com\"\nto = ";
    let lost = format!("[sinks.lost]\n{mail}\"{{{{ instance.labels.owner }}}}\"\n");
    let mail = format!("[sinks.mail]\n{mail}\"b@example.com\"\n{lost}");
    let daemon = Daemon::prepare(&format!("[server]\npublic_url = \"https://alerts.example\"\n{mail}{rules}"));
    let ended = daemon.command_with_input(&["explain", "-"], &down("A").to_string());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for words in [
        "now: mail to b@example.com",
        "in 15m (escalation of 15m): mail to b@example.com",
        "has been down for 15 min and nobody has taken it",
        "in 1h (reminder): mail to b@example.com",
        "I am on it: https://alerts.example/ack/",
        "now: lost, by rule \"all\":\n    Not sent: no recipient",
    ] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
}

#[test]
fn explain_says_what_quiet_hours_hold_back() {
    let quiet = |from: &str, to: &str| format!("[[quiet]]\nname = \"rest\"\nfrom = \"{from}\"\nto = \"{to}\"\n");
    let hours = [quiet("00:00", "12:00"), quiet("12:00", "00:00")].concat();
    let daemon = Daemon::prepare(&format!("{CONSOLE}{}{hours}", tell(&["console"])));
    let ended = daemon.command_with_input(&["explain", "-"], &down("A").to_string());
    assert!(
        ended.out.contains("\nnow, but not before ") && ended.out.contains("(quiet hours \"rest\"): console"),
        "{ended:?}"
    );
}

/// A step counts from the first message, and so do the words of both.
#[test]
fn explain_counts_steps_from_a_first_message_that_is_held_back() {
    #[expect(clippy::disallowed_methods, reason = "quiet hours are set around the time at which explain runs")]
    let hour = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs() / 3600;
    let at = |hour: u64| format!("{:02}:00", hour % 24);
    let quiet = format!(
        "[[quiet]]\nname = \"rest\"\nfrom = \"{}\"\nto = \"{}\"\ntime_zone = \"UTC\"\n",
        at(hour + 23),
        at(hour + 2)
    );
    let step = "escalate = [{ after = \"15m\", notify = [\"console\"] }]\n";
    let daemon = Daemon::prepare(&format!("{CONSOLE}{}{step}{quiet}", tell(&["console"])));
    let explained = daemon.command_with_input(&["explain", "-", "--json"], &down("A").to_string()).out;
    let explained: serde_json::Value = serde_json::from_str(&explained).expect("JSON");
    let when = |index: usize| explained["notifications"][index]["when"].as_str().unwrap_or_default();
    let minute = |index: usize| -> u32 { when(index).split(':').nth(1).expect("a time").parse().expect("a minute") };
    assert!(when(0).contains("(quiet hours \"rest\")"), "{explained}");
    assert!(when(1).contains("(the first message is held back)"), "{explained}");
    assert_eq!((minute(0) + 15) % 60, minute(1), "{explained}");
}

#[test]
fn explain_asks_which_of_several_sources_is_meant() {
    let second = "[sources.second]\ntype = \"z-api\"\nsecret = \"0123456789abcdef\"\n";
    let daemon = Daemon::prepare(&format!("{second}{CONSOLE}{}", tell(&["console"])));
    let ended = daemon.command_with_input(&["explain", "-"], &down("A").to_string());
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.err.contains("second, z-api"), "{}", ended.err);
    let ended = daemon.command_with_input(&["explain", "-", "--source", "second"], &down("A").to_string());
    assert!(ended.out.contains("disconnected A at second"), "{ended:?}");
}
