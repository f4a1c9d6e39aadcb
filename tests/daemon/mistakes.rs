//! Commands while the daemon runs well but the config on disk has mistakes by now.

use std::fs;

use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended};
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

/// Mistakes, each with the words that `linedown check` says of it.
const MISTAKES: [(&str, &str); 5] = [
    ("[sinks.console]\ntype = \"stdout\"\nfromat = \"json\"\n", "unknown key `fromat`"),
    ("[server]\ntls = { certificate = \"/nowhere/a.pem\", key = \"/nowhere/a.key\" }\n", "/nowhere/a.pem"),
    (
        "[sinks.chat]\ntype = \"slack\"\nwebhook_url = { env = \"ONLY_THE_SERVICE_HAS_IT\" }\n",
        "ONLY_THE_SERVICE_HAS_IT",
    ),
    ("[store]\nkeep = \"1\"\nkepe = \"2d\"\n[server]\nmax_body = 1\n", "unknown key `kepe`"),
    ("[sinks.console\ntype = \"stdout\"\n", "unclosed"),
];

fn sound() -> String {
    format!("{CONSOLE}{}", tell(&["console"]))
}

fn json_of(ended: &Ended) -> Value {
    assert!(ended.code == Some(0) && ended.err.is_empty(), "{ended:?}");
    serde_json::from_str(&ended.out).expect("--json prints JSON")
}

#[test]
fn operators_commands_work_whatever_mistake_is_on_disk() {
    let daemon = Daemon::start(&sound());
    for (id, (mistake, words)) in (1..).zip(MISTAKES) {
        daemon.accept(&down(&format!("L{id}")));
        daemon.wait_for_deliveries("delivered", id);
        daemon.configure(mistake);
        let check = daemon.command(&["check"]);
        assert!(check.code == Some(78) && check.out.contains(words), "{check:?}");
        let listed = |arguments: &[&str]| json_of(&daemon.command(&[arguments, &["--json"]].concat()));
        assert_eq!(listed(&["incidents"])[0]["instance"], format!("L{id}"), "{mistake}");
        assert_eq!(listed(&["incident", "1"])["incident"]["id"], 1, "{mistake}");
        assert_eq!(listed(&["deliveries"])[0]["state"], "delivered", "{mistake}");
        assert_eq!(listed(&["retry", "--dead"]), json!([]), "{mistake}");
        let test = daemon.command(&["send-test", "console"]);
        let warning =
            "warning: the config has mistakes, so the daemon tests the sink by the config that it loaded last\n";
        assert!(test.code == Some(0) && test.err.starts_with(warning), "{mistake}: {test:?}");
        assert_eq!(listed(&["ack", &id.to_string()])["acknowledged"], true, "{mistake}");
        let made = daemon.command(&["silence", "add", "instance=A", "--for", "1h", "--json"]);
        assert!(
            made.code == Some(0) && made.err.starts_with("warning: the config has mistakes, so linedown cannot tell"),
            "{made:?}"
        );
        let id = serde_json::from_str::<Value>(&made.out).expect("JSON")["id"].to_string();
        assert!(listed(&["silence", "list"]).as_array().is_some_and(|all| !all.is_empty()), "{mistake}");
        assert_eq!(daemon.command(&["silence", "expire", &id]).code, Some(0), "{mistake}");
    }
}

#[test]
fn that_there_may_be_no_such_sink_is_said_where_nobody_can_know() {
    let daemon = Daemon::start(&sound());
    daemon.configure(MISTAKES[0].0);
    for arguments in [&["deliveries", "--sink", "consol"][..], &["retry", "--dead", "--sink", "consol"]] {
        let ended = daemon.command(arguments);
        let words = "warning: the config has mistakes, so linedown cannot tell whether it has a sink \"consol\"\n  hint: `linedown check`";
        assert!(ended.code == Some(0) && ended.err.starts_with(words), "{ended:?}");
    }
}

#[test]
fn without_a_daemon_the_mistakes_are_why_it_does_not_start() {
    let daemon = Daemon::prepare(&sound());
    daemon.configure(MISTAKES[3].0);
    let ended = daemon.command(&["incidents", "--json"]);
    assert!(ended.code == Some(69) && ended.out.is_empty(), "{ended:?}");
    let why = "error: the daemon is not running, or not with this config\n  \
               caused by: the daemon cannot start with this config, which has 5 errors\n  hint: `linedown check` shows them; then start it: ";
    assert!(ended.err.starts_with(why), "{ended:?}");
}

#[test]
fn where_the_file_that_names_the_socket_cannot_be_read_the_usual_places_are_looked_at() {
    let mut daemon = Daemon::prepare(&sound());
    let runtime = daemon.path("run");
    fs::create_dir(&runtime).expect("a folder can be made");
    let of_the_service = [("RUNTIME_DIRECTORY", &*runtime)];
    daemon.environment(&of_the_service);
    daemon.launch();
    let main = daemon.path("linedown.toml");
    let text = fs::read_to_string(&main).expect("it is there");
    let last = text.lines().count() + 2;
    fs::write(&main, format!("x = \"\"\"\n{text}")).expect("it can be written");
    let ended = daemon.command_with(&["incidents", "--json"], &of_the_service, "");
    assert_eq!((ended.code, &*ended.out), (Some(0), "[]\n"), "{ended:?}");
    let asked = format!(
        "warning: {main}:{last}:1: invalid multi-line basic string\n  \
         asked the daemon at {runtime}/linedown.sock, which is the right one unless that file names another \
         socket\n  hint: `linedown check`"
    );
    assert!(ended.err.starts_with(&asked), "{ended:?}");
    // The daemon there may be that of another config, so commands change nothing.
    let unsure = format!(
        "error: cannot tell whether the daemon at {runtime}/linedown.sock is the one of this config\n  \
         caused by: {main}:{last}:1: invalid multi-line basic string\n  hint: correct that file (`linedown check` shows what is \
         wrong), or "
    );
    let changes = [
        &["ack", "1"][..],
        &["retry", "--dead"],
        &["silence", "add", "instance=A", "--for", "1h"],
        &["silence", "expire", "1"],
    ];
    for arguments in changes {
        let ended = daemon.command_with(arguments, &of_the_service, "");
        assert_eq!((ended.code, &*ended.out), (Some(78), ""), "{ended:?}");
        assert!(ended.err.starts_with(&unsure), "{ended:?}");
    }
    let named = [("LINEDOWN__SERVER__API", &*format!("{runtime}/linedown.sock"))];
    let made = daemon.command_with(changes[2], &named, "");
    assert!(made.code == Some(0) && made.out.starts_with("silence 1 until "), "{made:?}");
    // Another file of the config names the socket, so there is no doubt.
    daemon.configure(&format!("[server]\napi = \"{runtime}/linedown.sock\"\n"));
    fs::write(&main, "[sinks\n").expect("it can be written");
    assert_eq!(json_of(&daemon.command(&["incidents", "--json"])), json!([]));
}

/// The daemon of this config is not at the usual places.
#[test]
fn where_nobody_is_at_the_usual_places_the_file_that_cannot_be_read_is_why() {
    let daemon = Daemon::start(&sound());
    let main = daemon.path("linedown.toml");
    let text = fs::read_to_string(&main).expect("it is there");
    let last = text.lines().count() + 2;
    fs::write(&main, format!("x = \"\"\"\n{text}")).expect("it can be written");
    let elsewhere = daemon.path("elsewhere");
    let usual = [("STATE_DIRECTORY", &*elsewhere), ("RUNTIME_DIRECTORY", &*elsewhere)];
    for arguments in [&["incidents"][..], &["ack", "1"]] {
        let ended = daemon.command_with(arguments, &usual, "");
        let why = format!(
            "error: no daemon was found in the usual places, and the config may name another one\n  caused by: \
             {main}:{last}:1: invalid multi-line basic string\n  hint: correct that file (`linedown check` shows what is wrong), or "
        );
        assert!(ended.code == Some(69) && ended.err.starts_with(&why), "{ended:?}");
        let looked = format!("looked for its socket at {elsewhere}/linedown.sock, /run/linedown/linedown.sock\n");
        assert!(ended.err.ends_with(&looked) && !ended.err.contains("start it"), "{ended:?}");
    }
}

#[test]
fn a_config_that_is_not_there_is_no_mistake_to_look_past() {
    let daemon = Daemon::start(&sound());
    fs::remove_file(daemon.path("linedown.toml")).expect("it is there");
    let ended = daemon.command(&["incidents"]);
    assert!(
        ended.code == Some(78) && ended.err.contains("there is no such file\n  hint: name the config"),
        "{ended:?}"
    );
}
