//! The commands that people type: output, exit codes, and what scripts can rely on.

use linedown_standins::{Scripted, Slack, Smtp};
use serde_json::json;

use crate::daemon::{BINARY, CANARY, Daemon, eventually};
use crate::payload::{down, up};
use crate::sections::{CONSOLE, QUICK, email, slack, tell};

#[test]
fn exit_codes() {
    let nobody = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    let somebody = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let broken = Daemon::prepare("[sinks.console]\ntype = \"stdot\"\n");
    for (daemon, arguments, code) in [
        (&nobody, &["check"][..], 0),
        (&nobody, &["--help"], 0),
        (&nobody, &["--version"], 0),
        (&nobody, &["completions", "bash"], 0),
        (&nobody, &["man"], 0),
        (&nobody, &["sevre"], 64),
        (&nobody, &[], 64),
        (&nobody, &["incident", "first"], 64),
        (&nobody, &["retry"], 64),
        (&nobody, &["send-test", "nobody"], 64),
        (&nobody, &["incidents", "--limit", "0"], 64),
        (&nobody, &["deliveries", "--limit", "10001"], 64),
        (&nobody, &["incidents"], 69),
        (&nobody, &["deliveries"], 69),
        (&nobody, &["retry", "1"], 69),
        (&somebody, &["incidents"], 0),
        (&somebody, &["deliveries"], 0),
        (&somebody, &["retry", "--dead"], 0),
        (&somebody, &["incident", "999"], 1),
        (&somebody, &["retry", "999"], 1),
        (&broken, &["check"], 78),
        (&broken, &["serve"], 78),
        (&broken, &["incidents"], 69),
        (&broken, &["send-test", "console"], 78),
        (&broken, &["explain", "-"], 78),
    ] {
        let ended = daemon.command(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        // The report of `check` is its result, so it goes to the standard output.
        let silent = code == 0 || arguments == ["check"];
        assert_eq!(ended.err.is_empty(), silent, "{arguments:?}: {ended:?}");
        assert!(!ended.out.contains('\u{1b}') && !ended.err.contains('\u{1b}'), "no colour in a pipe: {ended:?}");
    }
}

#[test]
fn an_error_that_nobody_reads_is_one_all_the_same() {
    let command = |config: &str| {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
        let mut command = std::process::Command::new(BINARY);
        command.args(["--config", config, "incidents"]).env_clear().stderr(full);
        command.status().expect("the binary can be started").code()
    };
    assert_eq!(command("/nonexistent"), Some(78));
}

#[test]
fn a_list_that_is_cut_says_so() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    for line in ["A", "B"] {
        daemon.accept(&down(line));
    }
    for list in ["incidents", "deliveries"] {
        let cut = "the latest 1; more with --limit\n";
        let ended = daemon.command(&[list, "--limit", "1"]);
        assert!(ended.out.ends_with(cut) && ended.err.is_empty(), "{ended:?}");
        let listed = daemon.command(&[list, "--limit", "1", "--json"]);
        let rows: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
        assert_eq!((rows.as_array().map(Vec::len), &*listed.err), (Some(1), cut), "{listed:?}");
        let whole = daemon.command(&[list, "--limit", "2"]);
        assert!(!whole.out.contains("the latest"), "{whole:?}");
    }
}

#[test]
fn on_a_terminal_no_row_is_wider_than_it_and_in_a_pipe_all_is_there() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let long = "L".repeat(128);
    for line in [&*long, "B"] {
        daemon.accept(&down(line));
    }
    daemon.wait_for_deliveries("delivered", 2);
    for (list, columns) in [("incidents", 80), ("deliveries", 120)] {
        let shown = daemon.on_a_terminal(columns, &[list]);
        let rows: Vec<&str> = shown.lines().map(str::trim_end).collect();
        assert_eq!(rows.len(), 3, "{shown}");
        assert!(rows.iter().all(|row| plain(row).chars().count() <= columns), "{shown}");
        assert!(shown.contains("LLL…") && !shown.contains(&long), "{shown}");
        assert!(daemon.command(&[list]).out.contains(&long));
    }
}

/// A line without its colours.
fn plain(line: &str) -> String {
    line.split('\u{1b}')
        .enumerate()
        .map(|(n, part)| if n == 0 { part } else { part.split_once('m').map_or("", |(_, text)| text) })
        .collect()
}

#[test]
fn times_say_their_zone() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("A"));
    for (zone, shown) in [("America/Sao_Paulo", " -03 "), ("UTC", " UTC ")] {
        for arguments in [&["incidents"][..], &["deliveries"], &["incident", "1"]] {
            let ended = daemon.command_with(arguments, &[("TZ", zone)], "");
            assert!(ended.out.contains(shown), "{ended:?}");
        }
    }
}

#[test]
fn check_lists_every_problem_with_its_place() {
    let daemon =
        Daemon::prepare("[sinks.console]\ntype = \"stdout\"\nfromat = \"json\"\n[[rules]]\nnotify = [\"nobody\"]\n");
    let ended = daemon.command(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let file = daemon.path("conf.d/test.toml");
    for words in ["3:1: error: unknown key `fromat`", "hint: did you mean `format`?", "5:11: error: there is no sink"] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    assert!(ended.out.starts_with(&format!("{file}:")), "{}", ended.out);
    let listed = daemon.command(&["check", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    assert_eq!((listed.code, &rows[0]["line"], &rows[0]["column"]), (Some(78), &json!(3), &json!(1)), "{rows}");
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    for wrong in [
        format!("[sinks.x]\ntype = \"slack\"\nwebhook_url = \"htps://hooks.example.com/{CANARY}\"\n"),
        format!("[sinks.x]\ntype = \"slack\"\nwebhook_url = \"http://hooks.example.com/{CANARY}\"\n"),
        format!(
            "[sinks.x]\ntype = \"email\"\nserver = \"smtp://me:{CANARY}@relay.example.com\"\nfrom = \"a@b.c\"\nto = \"a@b.c\"\n"
        ),
        format!("[store]\nurl = \"postgres://me:{CANARY}@db/linedown\"\n{CONSOLE}"),
        format!("[server]\nmax_body = \"{CANARY}\"\n{CONSOLE}"),
    ] {
        let daemon = Daemon::prepare(&format!("{wrong}[[rules]]\nnotify = [\"x\"]\n"));
        assert_eq!(daemon.command(&["check"]).code, Some(78), "{wrong}");
        assert_eq!(daemon.command(&["serve"]).code, Some(78), "{wrong}");
    }
}

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

#[test]
fn a_sink_that_there_is_none_of_is_no_good_news() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    for (arguments, code) in [
        (&["deliveries", "--sink", "consol"][..], 64),
        (&["deliveries", "--sink", "console"], 0),
        (&["retry", "--dead", "--sink", "consol"], 64),
        (&["retry", "--dead", "--sink", "console"], 0),
    ] {
        let ended = daemon.command(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert_eq!(ended.err.contains("did you mean console?"), code == 64, "{ended:?}");
    }
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

#[test]
fn a_variable_without_a_value_says_nothing() {
    let daemon = Daemon::prepare("[sinks.console]\ntype = \"stdot\"\n");
    let empty = [("LINEDOWN_CONFIG", ""), ("LINEDOWN_LOG_FORMAT", "")];
    assert_eq!(daemon.command_with(&["man"], &empty, "").code, Some(0));
    assert_eq!(daemon.command_with(&["serve"], &empty, "").code, Some(78), "the config is wrong, and nothing else is");
    let ended = daemon.command_with(&["serve"], &[("LINEDOWN_LOG_FORMAT", "jsn")], "");
    assert_eq!(ended.code, Some(64));
    assert!(ended.err.contains("LINEDOWN_LOG_FORMAT") && ended.err.contains("hint:"), "{}", ended.err);
}

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
        "create a new webhook and set `webhook_url`, or let apps post to its channel again",
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
    let copies = format!(
        "WITH RECURSIVE copy (number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM copy WHERE number < 1200) \
         INSERT INTO notification ({columns}) SELECT {columns} FROM notification, copy; \
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

#[test]
fn a_long_list_says_nothing_of_tries_that_it_did_not_look_for() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("A"));
    let listed = daemon.wait_for_deliveries("delivered", 1).remove(0);
    assert_eq!((&listed["tries"], listed.get("attempts")), (&json!(1), None), "{listed}");
    let story = daemon.json(&["incident", "1"]);
    assert_eq!(story["deliveries"][0]["attempts"].as_array().map(Vec::len), Some(1), "{story}");
}

#[test]
fn incidents_tell_their_story() {
    let (relay, chat) = (Smtp::new(), Slack::new());
    chat.script(Scripted::answer(503, "unavailable"));
    let sinks = format!("{}{QUICK}{}", slack("chat", &chat), email("ops", &relay));
    let daemon = Daemon::start(&format!("[instances.A]\nname = \"Loja Centro\"\n{sinks}{}", tell(&["chat", "ops"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 2);
    let story = daemon.json(&["incident", "1"]);
    let chat_delivery = story["deliveries"].as_array().expect("a list").iter().find(|row| row["sink"] == "chat");
    let attempts = &chat_delivery.expect("it is owed")["attempts"];
    assert_eq!((&attempts[0]["outcome"], &attempts[1]["outcome"]), (&json!("busy"), &json!("delivered")), "{story}");
    assert_eq!(story["incident"]["phone"], "5544*****9999", "people's numbers are masked");
    let shown = daemon.command(&["incident", "1"]).out;
    for words in ["Loja Centro", "device-disconnected", "chat", "ops@example.com", "503", "queued as"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    daemon.accept(&up("A"));
    assert_eq!(daemon.rows(&["incidents", "--open"]).len(), 0);
    assert!(daemon.command(&["incidents"]).out.contains("Loja Centro"));
    assert_eq!(daemon.command(&["incidents", "--open"]).out, "no line is down\n");
}
