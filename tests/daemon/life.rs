//! The daemon's life: readiness, reloads, shutdown.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use linedown_standins::{Command, Does, Smtp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::daemon::{BINARY, CANARY, Daemon, HOOK, JSON, SECRET, eventually};
use crate::held::Held;
use crate::http::{ask_without_reading, exchange, read, request};
use crate::payload::{down, up};
use crate::sections::{CONSOLE, QUICK, chat, email, tell};

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
    daemon.launch_without_file_size_signal();
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
fn sigterm_finishes_what_is_in_flight_and_takes_nothing_new() {
    let far_side = Held::new();
    let mut daemon = Daemon::start(&format!("{}{}", chat("chat", &far_side.url()), tell(&["chat"])));
    daemon.accept(&down("A"));
    let delivery = far_side.take();
    let body = down("B").to_string();
    let (begin, end) = body.split_at(20);
    let mut webhook = daemon.connect();
    let head = request("POST", HOOK, &[JSON, ("content-length", &body.len().to_string())], begin.as_bytes());
    webhook.write_all(&head).expect("it reads");
    // An answer on a later connection: the earlier one has been accepted.
    assert_eq!(daemon.get("/healthz").status, 200);

    daemon.term();
    eventually("the port to be closed", || daemon.refuses_connections().then_some(()));
    webhook.write_all(end.as_bytes()).expect("it still reads");
    assert_eq!(read(&webhook).expect("an answer").status, 200);
    delivery.accept();
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(far_side.is_quiet(), "nothing new was begun");

    daemon.launch();
    far_side.take().accept();
    let delivered = daemon.wait_for_deliveries("delivered", 2);
    assert!(delivered.iter().all(|row| row["tries"] == 1), "{delivered:?}");
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
fn who_has_connected_before_the_end_is_answered() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let (connected, silent) = (daemon.connect(), daemon.connect());
    // An answer on a later connection: the earlier ones have been accepted.
    assert_eq!(daemon.get("/healthz").status, 200);
    daemon.term();
    eventually("the port to be closed", || daemon.refuses_connections().then_some(()));
    let webhook = request("POST", HOOK, &[JSON], down("A").to_string().as_bytes());
    let answer = exchange(connected, &webhook).expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // A silent connection is closed earlier than one with a request in progress.
    assert_eq!(read(&silent), None);
    assert_eq!(daemon.ended().code(), Some(0));
    assert!(daemon.logged("stopped before everything").is_empty());
}

#[test]
fn only_who_has_sent_a_whole_head_is_waited_for_at_the_end() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let (mut half_a_head, reads_nothing, mut webhook) = (daemon.connect(), daemon.connect(), daemon.connect());
    half_a_head.write_all(b"POST /hooks").expect("it reads");
    let gave_up = ask_without_reading(&reads_nothing, Duration::from_secs(1));
    assert_eq!(gave_up.kind(), ErrorKind::WouldBlock, "it waits to be read");
    let body = down("A").to_string();
    let (begin, end) = body.split_at(20);
    let head = request("POST", HOOK, &[JSON, ("content-length", &body.len().to_string())], begin.as_bytes());
    webhook.write_all(&head).expect("it reads");
    // An answer on a later connection: the earlier ones have been accepted.
    assert_eq!(daemon.get("/healthz").status, 200);
    let started = Instant::now();
    daemon.term();
    assert_eq!(read(&half_a_head), None);
    webhook.write_all(end.as_bytes()).expect("it still reads");
    assert_eq!(read(&webhook).expect("an answer").status, 200);
    assert_eq!(daemon.ended().code(), Some(0));
    // Left to themselves, half a head would have been closed after 10 s, and what nobody reads never.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(daemon.logged("stopped before everything").is_empty());
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

#[test]
fn a_reload_brings_new_sinks_and_rules() {
    let relay = Smtp::new();
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("before"));
    daemon.wait_for_told(1);
    let line = "[instances.after]\nname = \"Loja Centro\"\n";
    daemon.configure(&format!("{line}{CONSOLE}{}{}", email("ops", &relay), tell(&["ops"])));
    daemon.reload();
    daemon.accept(&down("after"));
    assert!(relay.wait_for(1)[0].header("Subject").expect("a subject").contains("Loja Centro"));
    assert_eq!(daemon.told().len(), 1);
}

/// Stops the posting threads, also when the test fails.
struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn reloads_under_load_lose_no_request() {
    const CLIENTS: usize = 2;
    const RELOADS: usize = 20;
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let (done, posted) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let done = StopOnDrop(&done);
        for client in 0..CLIENTS {
            let (daemon, done, posted) = (&daemon, done.0, &posted);
            scope.spawn(move || {
                for count in 0.. {
                    daemon.accept(&down(&format!("{client}-{count}")));
                    posted.fetch_add(1, Ordering::SeqCst);
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        for number in 0..RELOADS {
            daemon.configure(&format!(
                "{CONSOLE}[[rules]]\nname = \"rule {number}\"\nnotify = [\"console\"]\ngroup_interval = \"0s\"\n"
            ));
            daemon.reload();
            // The request that each client has in flight may still be routed by the previous rule.
            let before = posted.load(Ordering::SeqCst);
            eventually("a post after the reload", || (posted.load(Ordering::SeqCst) > before + CLIENTS).then_some(()));
        }
    });
    let posted = posted.into_inner();
    let told = daemon.wait_for_told(posted);
    let lines: BTreeSet<_> = told.iter().map(|line| line["instance"].to_string()).collect();
    assert_eq!((told.len(), lines.len()), (posted, posted));
    for number in 0..RELOADS {
        assert!(told.iter().any(|line| line["rule"] == format!("rule {number}")), "rule {number} was never used");
    }
}

/// In the same words as `linedown check`.
#[test]
fn a_doubtful_config_is_served_and_the_log_says_what_is_doubtful() {
    let rule = "[[rules]]\nname = \"all\"\nnotify = [\"console\", \"console\"]\nhold = \"60ms\"\n";
    let daemon = Daemon::start(&format!("{CONSOLE}[troubles]\ndisk_free_below = \"100%\"\n{rule}"));
    let said = |words: &str| {
        let record = daemon.wait_for_log(&format!("config: {words}"));
        assert!(record["file"].as_str().is_some_and(|file| file.ends_with("test.toml")), "{record}");
        let field = |name: &str| record.get(name).map(|value| value.as_str().unwrap_or_default().to_owned());
        (field("expected"), field("hint"))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(said("at 100%"), (some("at most \"83%\""), None));
    assert_eq!(said("`console` is named twice"), (None, some("take it out, or name the sink that was meant")));
    assert_eq!(said("60ms is short"), (some("at least 1s"), some("did you mean `60m`?")));
}

#[test]
fn a_reload_keeps_what_is_in_flight_and_what_waits_for_a_retry() {
    let (far_side, relay) = (Held::new(), Smtp::new());
    relay.plan(Command::Connect, Does::Reply("421 4.3.2 later"), 1_000_000);
    let sinks = format!("{}{}{QUICK}", chat("chat", &far_side.url()), email("ops", &relay));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["chat", "ops"])));
    daemon.accept(&down("A"));
    let in_flight = far_side.take();
    eventually("a retry", || {
        let rows = daemon.rows(&["deliveries", "--sink", "ops"]);
        (rows[0]["tries"].as_u64() > Some(1)).then_some(())
    });
    daemon.reload();
    in_flight.accept();
    relay.behave();
    relay.wait_for(1);
    let delivered = daemon.wait_for_deliveries("delivered", 2);
    let tries = |sink| delivered.iter().find(|row| row["sink"] == sink).and_then(|row| row["tries"].as_u64());
    assert_eq!(tries("chat"), Some(1));
    assert!(tries("ops") > Some(2), "{delivered:?}");
    assert!(far_side.is_quiet());
}

#[test]
fn a_restart_is_owed_until_the_config_is_again_as_at_the_start() {
    let everybody = format!("{CONSOLE}{}", tell(&["console"]));
    let daemon = Daemon::start(&everybody);
    for (connections, warnings) in [("", 0), ("max_connections = 7", 1), ("max_connections = 7", 2), ("", 2)] {
        daemon.configure(&format!("[server]\n{connections}\n{everybody}"));
        daemon.reload();
        let warned = daemon.logged("this change takes effect after a restart");
        assert_eq!(warned.len(), warnings, "{connections:?}: {warned:?}");
    }
}

#[test]
fn a_broken_config_changes_nothing_and_says_where_it_is_broken() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.configure(&format!("{CONSOLE}{}", tell(&["consle"])));
    daemon.hup();
    let record = daemon.wait_for_log("the config was not reloaded");
    let words = record["message"].as_str().expect("words");
    assert!(words.contains("conf.d/test.toml:6:11: error: "), "{words}");
    assert!(words.contains("did you mean `console`?"), "{words}");
    assert_eq!(record["level"], "ERROR");
    assert_eq!(daemon.metric("linedown_config_reload_ok"), None, "a figure with a fraction");
    let told = || daemon.get("/metrics").body.contains("linedown_config_reload_ok 0").then_some(());
    eventually("the figure of the reload", told);
    daemon.accept(&down("A"));
    daemon.wait_for_told(1);
}

#[test]
fn what_a_removed_sink_still_owed_is_told_elsewhere() {
    let relay = Smtp::new();
    relay.go_away();
    let sections = format!("{}{QUICK}{CONSOLE}{}", email("ops", &relay), tell(&["ops"]));
    let daemon = Daemon::start(&sections);
    daemon.accept(&down("A"));
    eventually("a try", || (daemon.rows(&["deliveries"])[0]["tries"].as_u64() > Some(0)).then_some(()));
    daemon.configure(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.reload();
    let told = &daemon.wait_for_told(1)[0];
    assert_eq!((&told["kind"], &told["undelivered"]["sink"]), (&"undelivered".into(), &"ops".into()), "{told}");
    assert!(told["undelivered"]["why"].to_string().contains("no longer in the config"), "{told}");
    let dead = daemon.wait_for_deliveries("dead", 1).remove(0);
    assert_eq!(daemon.metric("linedown_sink_failing{sink=\"ops\"}"), None, "there is no such sink");

    relay.come_back();
    daemon.configure(&sections);
    daemon.reload();
    assert_eq!(daemon.logged("the sink is failing").len(), 1);
    assert!(daemon.logged("the sink is back").is_empty(), "what stood in for it has taken nothing");
    assert_eq!(daemon.command(&["retry", &dead["id"].to_string()]).code, Some(0));
    relay.wait_for(1);
}

#[test]
fn what_a_sink_owes_that_left_before_the_last_start_is_told_elsewhere() {
    let relay = Smtp::new();
    let mut daemon = Daemon::start(&format!("{}{CONSOLE}{}", email("ops", &relay), tell(&["ops"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    daemon.kill();
    daemon.configure(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.launch();
    // No notification waits for the old sink, so it has no worker.
    daemon.accept(&up("A"));
    let told = &daemon.wait_for_told(1)[0];
    assert_eq!((&told["kind"], &told["undelivered"]["sink"]), (&"undelivered".into(), &"ops".into()), "{told}");
    daemon.wait_for_deliveries("dead", 1);

    daemon.kill();
    daemon.launch();
    let again = daemon.command(&["retry", "--dead"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), "0 notifications are sent again\n"));
    assert!(again.err.contains("the config has no sink \"ops\" any more; put it back"), "{again:?}");
    let dead = daemon.rows(&["deliveries", "--state", "dead"]);
    assert!(dead.len() == 1 && dead[0]["tries"] == 1, "{dead:?}");
}

#[test]
fn outages_of_a_source_that_left_the_config_are_warned_of() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("A"));
    daemon.kill();
    let main = daemon.path("linedown.toml");
    let config = std::fs::read_to_string(&main).expect("the config is there");
    assert!(daemon.logged("lines are down whose source").is_empty());
    std::fs::write(&main, config.replace("[sources.z-api]", "[sources.gateway]")).expect("it can be written");
    daemon.launch();
    let warned = daemon.wait_for_log("lines are down whose source");
    assert_eq!((&warned["source"], &warned["incidents"]), (&"z-api".into(), &1.into()), "{warned}");
}

/// Opening takes long when a large store is converted to a new format or checked for damage.
#[test]
fn sigterm_is_heard_while_the_store_opens() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    let store = rusqlite::Connection::open(daemon.path("linedown.db")).expect("it opens");
    store.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");

    let mut opening = process::Command::new(BINARY);
    opening.args(["--config", &daemon.path("linedown.toml"), "serve"]).env_clear();
    let mut opening = opening.stderr(Stdio::null()).spawn().expect("the binary can be started");
    let files = format!("/proc/{}/fd", opening.id());
    eventually("it to wait for the store", || {
        let files = fs::read_dir(&files).expect("it runs");
        let names = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        names.into_iter().any(|name| name.ends_with("linedown.db")).then_some(())
    });
    kill_process(Pid::from_child(&opening), Signal::TERM).expect("it can be told");
    let ended = eventually("its end", || opening.try_wait().expect("a child can be asked"));
    assert_eq!(ended.code(), Some(0), "it did not wait for the store");
}

#[test]
fn a_second_sigterm_waits_for_nothing() {
    let far_side = Held::new();
    let mut daemon = Daemon::start(&format!("{}{}", chat("chat", &far_side.url()), tell(&["chat"])));
    daemon.accept(&down("A"));
    let hangs = far_side.take();
    daemon.term();
    daemon.wait_for_log("stopping");
    daemon.term();
    let started = Instant::now();
    assert_eq!(daemon.ended().code(), Some(1));
    // After the first SIGTERM, linedown would have waited 20 s for the delivery.
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    drop(hangs);

    daemon.launch();
    far_side.take().accept();
    let delivered = daemon.wait_for_deliveries("delivered", 1);
    let story = daemon.json(&["incident", "1"]);
    assert_eq!(
        (&delivered[0]["tries"], &story["deliveries"][0]["attempts"][0]["outcome"]),
        (&json!(2), &json!("interrupted"))
    );
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let idle = daemon.connect();
    let body = down("A").to_string();
    let answer = exchange(&idle, &request("POST", HOOK, &[JSON], body.as_bytes())).expect("an answer");
    assert_eq!(answer.status, 200);
    let started = Instant::now();
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    // Without SIGTERM, the idle connection would have been closed after 10 s.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn a_reload_takes_over_a_new_secret_and_forgets_the_old_one() {
    let everybody = format!("{CONSOLE}{}", tell(&["console"]));
    let daemon = Daemon::start(&everybody);
    daemon.configure(&format!("[sources.z-api]\nsecret = \"{CANARY}-another-e81c\"\n{everybody}"));
    daemon.reload();
    let to = |secret: &str| {
        let body = down("A").to_string();
        daemon.send(&request("POST", &format!("/hooks/z-api/{secret}"), &[JSON], body.as_bytes())).status
    };
    assert_eq!((to(SECRET), to(&format!("{CANARY}-another-e81c"))), (404, 200));
}
