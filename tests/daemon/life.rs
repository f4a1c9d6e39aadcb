//! Starts, those that fail too, and what the daemon says of itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::daemon::{BINARY, Daemon, eventually};
use crate::http::request;
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

/// For that many webhooks, the log is more than twice 64 KiB: it fills the pipe and the buffer before it.
const MORE_THAN_A_PIPE_HOLDS: usize = 300;

#[test]
fn it_says_that_it_lives_and_that_it_is_ready() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/", 404), ("/incidents", 404)] {
        assert_eq!(daemon.get(path).status, status, "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = daemon.send(&request(method, path, &[], b""));
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some("GET, HEAD")),
                "{method} {path}: {answer:?}"
            );
            assert!(answer.json()["error"].as_str().is_some_and(|words| words.contains("GET")), "{answer:?}");
        }
        assert_eq!(daemon.send(&request("HEAD", path, &[("connection", "close")], b"")).status, 200, "{path}");
        assert_eq!(daemon.send(&request("POST", &format!("{path}/x"), &[], b"")).status, 404, "{path}/x");
    }
    daemon.accept(&down("A"));
    daemon.wait_for_told(1);
    assert_eq!(daemon.metric("linedown_webhooks_total{source=\"z-api\",result=\"accepted\"}"), Some(1));
    let delivered = "linedown_notifications_total{sink=\"console\",kind=\"down\",state=\"delivered\"}";
    eventually("the figure of what was delivered", || daemon.metric(delivered).filter(|count| *count == 1));
}

#[test]
fn metrics_and_reasons_may_be_for_some_networks_alone() {
    let server = |keys: &str| format!("[server]\n{keys}{CONSOLE}{}", tell(&["console"]));
    let some = "trusted_proxies = [\"127.0.0.1\"]\nmetrics_for = [\"10.0.0.0/8\", \"::1\"]\n";
    let mut daemon = Daemon::prepare(&server(some));
    daemon.launch();
    let ask = |daemon: &Daemon, method: &str, path: &str, from: &str| {
        let answer = daemon.send(&request(method, path, &[("x-forwarded-for", from)], b""));
        (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    let nothing = ask(&daemon, "GET", "/nothing", "203.0.113.5");
    assert_eq!(nothing.0, 404);
    for (method, from) in
        [("GET", "203.0.113.5"), ("POST", "203.0.113.5"), ("GET", "10.1.2.3, 203.0.113.5"), ("GET", "")]
    {
        assert_eq!(ask(&daemon, method, "/metrics", from), nothing, "{method} {from:?}");
    }
    for (method, from, status) in [("GET", "10.1.2.3", 200), ("GET", "::1", 200), ("POST", "10.1.2.3", 405)] {
        assert_eq!(ask(&daemon, method, "/metrics", from).0, status, "{method} {from}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&daemon, "GET", path, "203.0.113.5").0, 200, "{path}");
    }

    daemon.largest_file(Some(0));
    let not_ready = |from: &str| {
        eventually("it not to be ready", || {
            Some(ask(&daemon, "GET", "/readyz", from)).filter(|(status, _)| *status == 503)
        })
        .1
    };
    assert_eq!(not_ready("203.0.113.5"), "not ready");
    assert!(not_ready("10.1.2.3").starts_with("cannot write to the store"));
    daemon.largest_file(None);

    daemon.configure(&server("metrics_for = []\n"));
    daemon.reload();
    assert_eq!(daemon.get("/metrics").status, 404, "they are for nobody");
    daemon.configure(&server(""));
    daemon.reload();
    assert_eq!(daemon.get("/metrics").status, 200, "by default for everybody");
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.without_reading_its_log(|| {
        for line in 0..MORE_THAN_A_PIPE_HOLDS {
            daemon.accept(&down(&format!("line {line}")));
        }
        daemon.wait_for_told(MORE_THAN_A_PIPE_HOLDS);
    });
    let accepted = || (daemon.logged("webhook accepted").len() == MORE_THAN_A_PIPE_HOLDS).then_some(());
    eventually("the log to say all of it", accepted);
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let second = daemon.command(&["serve"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("in use by another linedown") && second.err.contains("hint:"), "{second:?}");
    daemon.accept(&down("A"));
    assert_eq!(daemon.rows(&["incidents"]).len(), 1, "the first one's socket is still there");
}

#[test]
fn a_folder_in_the_place_of_the_lock_is_to_be_removed() {
    let daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    fs::create_dir(daemon.path("linedown.db.lock")).expect("a folder can be made");
    let ended = daemon.command(&["serve"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("linedown.db.lock") && ended.err.contains("hint: that is a folder: remove it"),
        "{ended:?}"
    );
}

#[test]
fn a_store_that_others_can_get_at_is_warned_about() {
    let mut daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    let folder = daemon.path("");
    fs::write(daemon.path("linedown.db"), "").expect("a file can be written");
    fs::hard_link(daemon.path("linedown.db"), daemon.path("other.db")).expect("a link can be made");
    for (path, mode) in [(folder, 0o755), (daemon.path("linedown.db"), 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
    }
    daemon.launch();
    for words in ["everybody on this machine can read the store", "the store's file has another name"] {
        assert_eq!(daemon.wait_for_log(words)["level"], "WARN");
    }
}

#[test]
fn a_start_that_fails_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let taken = taken.local_addr().map(|address| (taken, address)).expect("a bound socket has an address");
    let newer = Daemon::prepare("");
    let store = rusqlite::Connection::open(newer.path("newer.db")).expect("a database can be made");
    store.pragma_update(None, "user_version", 99).expect("it can be written");
    drop(store);
    for (section, what, hint) in [
        (format!("server.listen = \"{}\"", taken.1), "cannot listen on", "another program uses the port"),
        // An address for documentation (RFC 5737): no machine has it.
        ("server.listen = \"192.0.2.7:8080\"".into(), "cannot listen on", "this machine has no such address"),
        (format!("store.url = \"sqlite://{}\"", newer.path("newer.db")), "has format 99", "the version that wrote it"),
        (format!("store.url = \"sqlite://{}\"", newer.path("conf.d")), "cannot open the store", "that is a folder"),
        ("store.url = \"sqlite:///nowhere/x.db\"".into(), "cannot open the store", "the folder must exist"),
    ] {
        let daemon = Daemon::prepare(&format!("{section}\n{CONSOLE}{}", tell(&["console"])));
        let ended = daemon.command(&["serve"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let hints: Vec<&str> = ended.err.lines().filter(|line| line.starts_with("  hint: ")).collect();
        assert!(ended.err.contains(what) && ended.err.contains("caused by:"), "{ended:?}");
        assert!(matches!(hints[..], [only] if only.contains(hint)), "{section}: wanted {hint:?}: {ended:?}");
    }
}

#[test]
fn a_filter_of_the_log_that_is_none_is_refused_instead_of_silencing_it() {
    let daemon = Daemon::prepare("[sinks");
    for (filter, hint) in [
        ("inof", Some("did you mean `info`?")),
        ("=bogus", Some("one of `off`, `error`, `warn`, `info`, `debug`, `trace`")),
        ("linedown=inof", Some("did you mean `info`?")),
        ("info,linedown", Some("linedown::store=debug")),
        ("", None),
        ("warn", None),
        ("WARN, linedown::delivery=debug", None),
    ] {
        let serve = [BINARY, "--config", &daemon.path("linedown.toml"), "serve"];
        let output =
            std::process::Command::new("/usr/bin/env").arg(format!("LINEDOWN_LOG={filter}")).args(serve).output();
        let output = output.expect("the binary can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        // With a good filter, linedown gets as far as the config, which has a mistake.
        assert_eq!(output.status.code(), Some(if hint.is_some() { 64 } else { 78 }), "{filter}: {said}");
        assert!(said.contains(hint.unwrap_or("unclosed table")), "{filter}: {said}");
        assert_eq!(hint.is_some(), said.contains("error: LINEDOWN_LOG"), "{filter}: {said}");
    }
}
