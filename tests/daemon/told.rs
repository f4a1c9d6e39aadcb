//! Was somebody told, and if not, why not? One command answers, whatever the far side or the disk does.

use linedown_standins::{Scripted, Slack};
use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended, eventually};
use crate::payload::{down, up};
use crate::sections::{CONSOLE, QUICK, chat, slack, tell};

/// Pauses that outlast every test.
const PATIENT: &str = "retry = { first = \"10m\", max = \"10m\", give_up_after = \"24h\" }\n";
const AT_ONCE: &str = "limits.interval = \"0s\"\n";

/// A Slack that answers like this for as long as the test lasts.
fn answering(scripted: impl Fn() -> Scripted) -> Slack {
    let chat = Slack::new().without_rate_limit();
    (0..100).for_each(|_| chat.script(scripted()));
    chat
}

/// Two lines are down: the first was tried and the second waits behind it. Returns the notification of the second.
fn two_down(daemon: &Daemon) -> Value {
    daemon.accept(&down("A"));
    daemon.wait_for_log("the sink is failing");
    daemon.accept(&down("B"));
    eventually("the second to say what it waits for", || {
        let story = daemon.json(&["incident", "2"]);
        let waits = story["deliveries"][0].clone();
        waits["waits_for"].is_object().then_some(waits)
    })
}

/// Asserts that a text has all these words.
fn says(ended: &Ended, words: &[&str]) {
    for words in words {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
}

#[test]
fn what_waits_behind_a_failing_sink_says_why_and_until_when() {
    let chat = answering(|| Scripted::answer(503, "upstream down"));
    let daemon = Daemon::start(&format!("{}{PATIENT}{AT_ONCE}{}", slack("chat", &chat), tell(&["chat"])));
    let waits = two_down(&daemon);
    assert_eq!((&waits["state"], &waits["tries"], &waits["held_by"]), (&json!("pending"), &json!(0), &Value::Null));
    let why = &waits["waits_for"];
    assert_eq!((&why["reason"], &why["why"]), (&json!("failing"), &json!("busy: Slack answered 503 upstream down")));
    assert!(
        why["since"].as_str() < why["until"].as_str() && why["until"].as_str() > waits["due_at"].as_str(),
        "{waits}"
    );
    let sentence = "pending, chat is failing (busy: Slack answered 503 upstream down), next try in ";
    says(&daemon.command(&["incident", "2"]), &[sentence]);
    says(&daemon.command(&["incident", "1"]), &[sentence]);
    let listed = daemon.command(&["deliveries"]);
    says(&listed, &["pending, chat is failing, next try in "]);
    assert_eq!(listed.out.matches("busy: Slack answered 503 upstream down").count(), 2, "{listed:?}");
}

#[test]
fn what_waits_because_the_sink_asked_for_a_pause_says_until_when() {
    let chat = answering(|| Scripted::rate_limited("600"));
    let daemon = Daemon::start(&format!("{}{QUICK}{AT_ONCE}{}", slack("chat", &chat), tell(&["chat"])));
    let waits = two_down(&daemon);
    assert_eq!(waits["waits_for"]["reason"], "paused", "{waits}");
    let sentence = "pending, chat asked for a pause until 2";
    says(&daemon.command(&["incident", "2"]), &[sentence, "(rate-limited: Slack answered 429 rate_limited)"]);
    says(&daemon.command(&["deliveries"]), &[sentence]);
}

#[test]
fn what_waits_only_for_its_turn_says_so() {
    let chat = Slack::new();
    let slow = "limits.interval = \"30s\"\n";
    let daemon = Daemon::start(&format!("{}{slow}{}", slack("chat", &chat), tell(&["chat"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.accept(&down("B"));
    assert_eq!(daemon.json(&["incident", "2"])["deliveries"][0]["waits_for"], json!({ "reason": "turn" }));
    says(&daemon.command(&["incident", "2"]), &["pending, waits for its turn at chat\n"]);
}

/// It is given up within the pause: what a person then sends again must not die without a try, and leaves when the pause
/// ends.
#[test]
fn what_is_sent_again_in_a_pause_says_until_when_it_waits_and_is_tried_then() {
    let chat = Slack::new().without_rate_limit();
    chat.script(Scripted::rate_limited("12"));
    let hasty = "retry = { first = \"50ms\", max = \"100ms\", give_up_after = \"500ms\" }\n";
    let daemon = Daemon::start(&format!("{}{hasty}{AT_ONCE}{}", slack("chat", &chat), tell(&["chat"])));
    daemon.accept(&down("A"));
    let dead = daemon.wait_for_deliveries("dead", 1);
    assert!(dead[0]["detail"].as_str().is_some_and(|why| why.contains("given up")), "{dead:?}");
    let ended = daemon.command(&["retry", "1"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let pause = "chat asked for a pause until 2";
    assert!(ended.out.starts_with(&format!("1 notification is sent again\n  {pause}")), "{ended:?}");
    let waits = daemon.rows(&["deliveries"]).remove(0);
    assert_eq!(waits["detail"], "rate-limited: Slack answered 429 rate_limited", "{waits}");
    assert_eq!((&waits["waits_for"]["reason"], &waits["waits_for"]["until"]), (&json!("paused"), &waits["due_at"]));
    chat.wait_for(2);
    let story = daemon.wait_for_deliveries("delivered", 1);
    assert_eq!(story[0]["tries"], 2, "{story:?}");
}

#[test]
fn what_is_sent_again_to_a_sink_that_fails_says_so() {
    let chat = answering(|| Scripted::answer(503, "upstream down"));
    let daemon = Daemon::start(&format!("{}{PATIENT}{AT_ONCE}{}", slack("chat", &chat), tell(&["chat"])));
    two_down(&daemon);
    let ended = daemon.command(&["retry", "1", "2"]);
    let said = "2 notifications are sent again\n  chat is failing (busy: Slack answered 503 upstream down): one is tried now, \
                the others once it works\n";
    assert_eq!(ended.out, said, "{ended:?}");
}

#[test]
fn what_is_sent_again_and_waits_says_for_what_and_until_when() {
    let chat = Slack::new().without_rate_limit();
    chat.script(Scripted::answer(404, "no_service"));
    let rule = "[[rules]]\nname = \"all\"\nnotify = [\"chat\"]\ngroup_interval = \"1h\"\n";
    let daemon = Daemon::start(&format!("{}{AT_ONCE}{rule}", slack("chat", &chat)));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("dead", 1);
    daemon.json(&["silence", "add", "instance=A", "--for", "1h"]);
    let silenced = daemon.command(&["retry", "1"]);
    let (said, end) = (silenced.out.split_once(" until 2").expect("until when"), " UTC\n");
    assert_eq!(said.0, "1 notification is sent again\n  it waits for silence 1", "{silenced:?}");
    assert!(said.1.ends_with(end) && silenced.code == Some(0), "{silenced:?}");
    let held = daemon.command(&["retry", "1"]);
    assert!(
        held.err.starts_with("error: not sent again: 1\n  caused by: 1: held back by silence 1 until 2"),
        "{held:?}"
    );

    daemon.accept(&down("B"));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.accept(&down("C"));
    daemon.accept(&down("D"));
    let gathered = daemon.command(&["retry", "3", "4"]);
    assert!(
        gathered.out.starts_with("2 notifications are sent again\n  2 wait with their group until 2"),
        "{gathered:?}"
    );
    assert_eq!(chat.posts().len(), 2);
}

/// Nobody is said to have been told who was not.
#[test]
fn who_could_not_be_told_instead_is_not_said_to_have_been() {
    let refusing = answering(|| Scripted::answer(404, "no_service"));
    let (chat, other) = (slack("chat", &refusing), slack("other", &refusing));
    let daemon = Daemon::start(&format!("{chat}fallback = \"other\"\n{other}{}", tell(&["chat"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("dead", 2);
    let words =
        ["  not told either: notification 2 to other, dead\n", "  nobody was told instead: no other sink was left\n"];
    says(&daemon.command(&["incident", "1"]), &words);
}

#[test]
fn what_was_given_up_says_when_and_why_and_who_was_told_instead() {
    let chat = answering(|| Scripted::rate_limited("600"));
    let hasty = "retry = { first = \"50ms\", max = \"100ms\", give_up_after = \"500ms\" }\n";
    let sink = format!("{}{hasty}{AT_ONCE}", slack("chat", &chat));
    for (fallback, told) in [
        (format!("fallback = \"console\"\n{CONSOLE}"), "  told instead: notification 2 to console, delivered\n"),
        (String::new(), "  nobody was told instead: chat has no fallback\n"),
    ] {
        let daemon = Daemon::start(&format!("{sink}{fallback}{}", tell(&["chat"])));
        daemon.accept(&down("A"));
        daemon.wait_for_deliveries("dead", 1);
        if !fallback.is_empty() {
            daemon.wait_for_deliveries("delivered", 1);
        }
        let shown = daemon.command(&["incident", "1"]);
        says(&shown, &[told, "given up after ", "s, while the sink was failing\n"]);
        let (first_try, end) = (shown.out.find("  try 1: rate-limited"), shown.out.find("  given up after "));
        assert!(first_try.is_some() && first_try < end, "{shown:?}");
        let logged = daemon.wait_for_log("gave up");
        assert_eq!(logged["untold"], u64::from(fallback.is_empty()), "{logged}");
    }
}

#[test]
fn the_log_says_of_what_is_given_up_whether_anybody_was_told_instead() {
    let chat = answering(|| Scripted::answer(404, "no_service"));
    for (fallback, untold) in [(format!("fallback = \"console\"\n{CONSOLE}"), 0), (String::new(), 1)] {
        let daemon = Daemon::start(&format!("{}{fallback}{}", slack("chat", &chat), tell(&["chat"])));
        daemon.accept(&down("A"));
        let logged = daemon.wait_for_log("given up");
        assert_eq!((&logged["untold"], &logged["notification"]), (&json!(untold), &json!(1)), "{logged}");
        let shown = daemon.command(&["incident", "1"]);
        says(&shown, &["  given up: trying again cannot help\n"]);
    }
}

#[test]
fn of_the_reminders_of_one_outage_only_the_latest_is_sent_again() {
    let chat = Slack::new().without_rate_limit();
    chat.script(Scripted::answer(200, "ok"));
    (0..2).for_each(|_| chat.script(Scripted::answer(404, "no_service")));
    let remind = "remind = [\"1s\", \"2s\", \"1h\"]\n";
    let daemon = Daemon::start(&format!("{}{AT_ONCE}{}{remind}", slack("chat", &chat), tell(&["chat"])));
    daemon.accept(&down("A"));
    assert_eq!(daemon.wait_for_deliveries("dead", 2).len(), 2);
    let ended = daemon.command(&["retry", "--dead"]);
    assert_eq!(ended.out, "1 notification is sent again, 1 is withdrawn\n", "{ended:?}");
    let why = "another notification that is sent again tells the same recipient the same";
    assert_eq!(ended.err, format!("not sent again: 2: withdrawn now: {why}\n"));
    daemon.wait_for_deliveries("delivered", 2);
    let shown = daemon.command(&["incident", "1"]);
    let (tried, withdrawn) = (shown.out.find("  try 1: unauthorised"), shown.out.find(why));
    assert!(tried.is_some() && tried < withdrawn, "in the order in which it happened: {shown:?}");
    assert_eq!(chat.posts().len(), 4);
}

#[test]
fn what_need_not_be_sent_any_more_is_not_counted_as_sent_again() {
    let chat = Slack::new().without_rate_limit();
    chat.script(Scripted::answer(200, "ok"));
    (0..2).for_each(|_| chat.script(Scripted::answer(404, "no_service")));
    let remind = "remind = [\"1s\", \"1h\"]\n";
    let daemon = Daemon::start(&format!("{}{AT_ONCE}{}{remind}", slack("chat", &chat), tell(&["chat"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("dead", 1);
    daemon.accept(&up("A"));
    assert_eq!(daemon.wait_for_deliveries("dead", 2).len(), 2);
    let ended = daemon.command(&["retry", "--dead", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&ended.out).expect("JSON").as_array().map(Vec::len), Some(1), "{ended:?}");
    assert!(ended.err.starts_with("not sent again: 2: withdrawn now: "), "{ended:?}");
    daemon.wait_for_deliveries("delivered", 2);
    assert_eq!(chat.posts().len(), 4);
}

#[test]
fn commands_say_that_the_store_cannot_be_written_to() {
    let mut daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.launch();
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.largest_file(Some(0));
    let warning = "warning: the store cannot be written to since 2";
    let end = ": webhooks are refused, so outages may be missing here\n";
    let warned = |arguments: &[&str]| {
        let ended = daemon.command(arguments);
        ended.err.lines().any(|line| line.starts_with(warning) && format!("{line}\n").ends_with(end))
    };
    eventually("the warning", || warned(&["incidents"]).then_some(()));
    for arguments in [&["incident", "1"][..], &["deliveries", "--json"], &["retry", "--dead"]] {
        assert!(warned(arguments), "{arguments:?}");
    }
    assert_eq!(daemon.rows(&["incidents"]).len(), 1, "and lists what it has");
    daemon.largest_file(None);
    eventually("the warning to end", || daemon.command(&["incidents"]).err.is_empty().then_some(()));
}

#[test]
fn a_folder_that_cannot_be_written_to_says_what_the_system_says() {
    let mail = "[sinks.box]\ntype = \"email\"\nserver = \"file:/dev/null/box\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\n";
    let daemon = Daemon::start(&format!("{mail}{PATIENT}{}", tell(&["box"])));
    daemon.accept(&down("A"));
    let logged = daemon.wait_for_log("the sink is failing");
    let why = "cannot write to /dev/null/box: Not a directory";
    assert!(logged["failure"].as_str().is_some_and(|failure| failure.contains(why)), "{logged}");
    let row = eventually("the failure", || {
        let row = daemon.rows(&["deliveries"]).remove(0);
        row["detail"].is_string().then_some(row)
    });
    assert_eq!(row["detail"].as_str().map(|detail| detail.matches("Not a directory").count()), Some(1), "{row}");
    let tried = daemon.command(&["send-test", "box"]);
    assert_eq!(tried.err.matches("Not a directory").count(), 1, "{tried:?}");
}

/// A sink that nothing listens for is one that fails, as any other.
#[test]
fn a_sink_that_cannot_be_reached_says_so_once() {
    let sink = chat("chat", "http://127.0.0.1:1/services/x");
    let daemon = Daemon::start(&format!("{sink}{PATIENT}{}", tell(&["chat"])));
    daemon.accept(&down("A"));
    daemon.wait_for_log("the sink is failing");
    let shown = eventually("it to say so", || {
        let shown = daemon.command(&["incident", "1"]);
        shown.out.contains("pending, chat is failing (unreachable: ").then_some(shown)
    });
    let first = shown.out.lines().find(|line| line.contains("pending, chat")).unwrap_or_default();
    assert_eq!(first.matches("onnection refused").count(), 1, "{shown:?}");
}
