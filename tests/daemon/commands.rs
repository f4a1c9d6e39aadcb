//! The commands that people type: output, exit codes, and what scripts can rely on.

use linedown_standins::{Scripted, Slack, Smtp};
use serde_json::json;

use crate::daemon::{BINARY, CANARY, Daemon};
use crate::payload::{Payload, down, up};
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

#[test]
fn what_is_about_one_line_is_found_by_its_instance_and_by_its_name() {
    let names = "[instances.A]\nname = \"Loja Centro\"\n[instances.B]\nname = \"Loja Norte\"\n";
    let daemon = Daemon::start(&format!("{names}{CONSOLE}{}", tell(&["console"])));
    let bodies: [(Payload, &str); 4] = [(down, "A"), (down, "B"), (up, "A"), (down, "A")];
    for (number, (body, line)) in bodies.into_iter().enumerate() {
        daemon.accept(&body(line));
        daemon.wait_for_deliveries("delivered", number + 1);
    }
    let found = |arguments: &[&str], key: &str| -> Vec<i64> {
        daemon.rows(arguments).iter().filter_map(|row| row[key].as_i64()).collect()
    };
    for (line, open, all) in
        [("A", vec![3], vec![3, 1]), ("Loja Centro", vec![3], vec![3, 1]), ("Loja Norte", vec![2], vec![2])]
    {
        assert_eq!(found(&["incidents", "--line", line], "id"), all, "{line}");
        assert_eq!(found(&["incidents", "--open", "--instance", line], "id"), open, "{line}");
        let mut told = found(&["deliveries", "--line", line, "--state", "delivered"], "incident");
        told.dedup();
        assert_eq!(told, all, "{line}");
    }
    assert_eq!(found(&["incidents", "--line", "A", "--limit", "1"], "id"), [3]);
    assert_eq!(found(&["deliveries", "--line", "A", "--state", "pending"], "incident"), [] as [i64; 0]);
    for list in ["incidents", "deliveries"] {
        let none = daemon.command(&[list, "--line", "Loja Cento"]);
        assert_eq!(none.code, Some(0), "{none:?}");
        let said = "warning: no line of the inventory has the instance or the name \"Loja Cento\"\n  hint: did you mean \"Loja Centro\"?\n";
        assert_eq!(none.err, said);
    }
    daemon.accept(&up("B"));
    let up = daemon.command(&["incidents", "--open", "--line", "Loja Norte"]);
    assert_eq!((up.out.as_str(), up.err.as_str()), ("the line is not down\n", ""));
}

#[test]
fn why_an_incident_has_no_notifications_is_not_claimed_to_be_known() {
    let rule = "[[rules]]\nname = \"itself\"\nmatch = { source = \"linedown\" }\nnotify = [\"console\"]\n";
    let daemon = Daemon::start(&format!("{CONSOLE}{rule}"));
    daemon.accept(&down("A"));
    let shown = daemon.command(&["incident", "1"]).out;
    assert!(
        shown.contains("\nno notifications are kept: no rule matched, or they were lost when a damaged "),
        "{shown}"
    );
}
