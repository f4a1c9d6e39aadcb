//! The socket that systemd hands over, which is used instead of `server.listen` and stays open across a restart; and
//! the socket for commands.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::daemon::{Daemon, HOOK, JSON, eventually};
use crate::http::{exchange, read, request};
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

#[test]
fn a_restart_on_a_socket_of_systemd_refuses_nobody() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    let taken = format!("[server]\nlisten = \"{address}\"\n{CONSOLE}{}", tell(&["console"]));
    let mut daemon = Daemon::prepare(&taken);
    daemon.launch_on(&socket);
    daemon.accept(&down("A"));

    // One half of the webhook comes before SIGTERM, the other half after it.
    let body = down("B").to_string();
    let (begin, end) = body.split_at(20);
    let mut under_way = TcpStream::connect(address).expect("it listens");
    let head = request("POST", HOOK, &[JSON, ("content-length", &body.len().to_string())], begin.as_bytes());
    under_way.write_all(&head).expect("it reads");
    assert_eq!(daemon.get("/healthz").status, 200);
    daemon.term();
    daemon.wait_for_log("stopping");
    under_way.write_all(end.as_bytes()).expect("it still reads");
    assert_eq!(read(&under_way).expect("an answer").status, 200);
    assert_eq!(daemon.ended().code(), Some(0));

    // No daemon runs now; a client that connects waits.
    let waiting = TcpStream::connect(address).expect("systemd keeps the socket");
    daemon.launch_on(&socket);
    let webhook = request("POST", HOOK, &[JSON], down("C").to_string().as_bytes());
    assert_eq!(exchange(waiting, &webhook).expect("an answer").status, 200);
    eventually("what came before, meanwhile and after", || (daemon.rows(&["incidents"]).len() == 3).then_some(()));
}

#[test]
fn a_socket_that_cannot_be_used_is_an_error_in_words() {
    let daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    let ended = daemon.ends_on(std::process::Stdio::null());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in [
        "error: cannot listen on the socket that systemd hands over",
        "caused by: it is not a listening TCP socket",
        "hint:",
    ] {
        assert!(ended.err.contains(words), "{ended:?}");
    }
}

/// Such as one from a command that is newer than the daemon: without the unknown part, it would silence every line.
#[test]
fn a_silence_that_the_daemon_does_not_understand_is_refused() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let silence = json!({
        "id": 0, "matcher": { "reason": "sim-swapped" }, "comment": "", "made_by": "ana",
        "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2100-01-01T00:00:00Z", "made_at": "2020-01-01T00:00:00Z",
    });
    let socket = UnixStream::connect(daemon.path("linedown.sock")).expect("it listens");
    let body = silence.to_string();
    let answer = exchange(socket, &request("POST", "/silences", &[JSON], body.as_bytes())).expect("an answer");
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("reason: unknown reason `sim-swapped`"), "{answer:?}");
    assert!(daemon.rows(&["silence", "list"]).is_empty());
}

#[test]
fn the_commands_socket_takes_the_place_of_a_dead_one_and_of_nothing_else() {
    let mut daemon = Daemon::prepare("");
    let path = daemon.path("api.sock");
    daemon.configure(&format!("[server]\napi = \"{path}\"\n{CONSOLE}{}", tell(&["console"])));
    fs::write(&path, "precious").expect("a file can be written");
    let ended = daemon.command(&["serve"]);
    assert!(ended.code == Some(1) && ended.err.contains("the file there is not a socket"), "{ended:?}");
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "precious");

    fs::remove_file(&path).expect("it is there");
    let other = UnixListener::bind(&path).expect("a socket can be bound");
    let ended = daemon.command(&["serve"]);
    assert!(ended.code == Some(1) && ended.err.contains("another program listens there"), "{ended:?}");
    UnixStream::connect(&path).expect("it still listens there");

    // The socket stays behind, as after a kill.
    drop(other);
    daemon.launch();
    assert_eq!(daemon.rows(&["incidents"]).len(), 0);
}

/// Such as the socket of a trial that was killed before the service was started.
#[test]
fn a_dead_socket_hides_no_running_daemon() {
    let mut daemon = Daemon::prepare(&format!("{CONSOLE}{}", tell(&["console"])));
    drop(UnixListener::bind(daemon.path("linedown.sock")).expect("a socket can be bound"));
    let runtime = daemon.path("run");
    fs::create_dir(&runtime).expect("a folder can be made");
    let of_the_service = [("RUNTIME_DIRECTORY", &*runtime)];
    let ended = daemon.command_with(&["incidents"], &of_the_service, "");
    assert!(ended.code == Some(69) && ended.err.contains("the daemon is not running"), "{ended:?}");
    assert!(ended.err.contains("hint: start it: systemctl start linedown, or `linedown serve`"), "{ended:?}");
    daemon.environment(&of_the_service);
    daemon.launch();
    let ended = daemon.command_with(&["incidents"], &of_the_service, "");
    assert_eq!((ended.code, &*ended.out), (Some(0), "no outages\n"), "{ended:?}");
}

#[test]
fn a_request_that_is_not_understood_is_told_why() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    let far_too_long = (2 * 1024 * 1024).to_string();
    for (request, status, words) in [
        (request("GET", "/incidents?limit=abc", &[], b""), 400, "Invalid query"),
        (request("POST", "/ack", &[JSON, ("content-length", "2")], b"{}"), 400, "missing field `incident`"),
        (request("POST", "/retry", &[JSON, ("content-length", &far_too_long)], b""), 413, "too large"),
        (request("DELETE", "/incidents", &[], b""), 405, "method not allowed"),
        (request("GET", "/nothing", &[], b""), 404, "no such request"),
    ] {
        let socket = UnixStream::connect(daemon.path("linedown.sock")).expect("it listens");
        let answer = exchange(socket, &request).expect("an answer");
        assert!(answer.status == status && answer.body.contains(words), "{words}: {answer:?}");
    }
}

#[test]
fn commands_that_hang_do_not_hold_up_the_end() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    // As many as the daemon serves at the same time.
    let held: Vec<UnixStream> =
        (0..32).map(|_| UnixStream::connect(daemon.path("linedown.sock")).expect("it listens")).collect();
    let started = Instant::now();
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    // Without SIGTERM, they would have been closed after 10 s.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    drop(held);
}
