//! Every answer that a webhook can get.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::thread;

use linedown_standins::DEADLINE;
use serde_json::json;

use crate::daemon::{Daemon, HOOK, JSON, SECRET, eventually};
use crate::http::{Answer, ask_without_reading, exchange, read, request};
use crate::payload::{down, gzip, up};
use crate::sections::{CONSOLE, tell};

/// A daemon with a small bound on bodies that tells of everything on the console.
fn start() -> Daemon {
    Daemon::start(&format!("[server]\nmax_body = 1024\n{CONSOLE}{}", tell(&["console"])))
}

fn post(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request("POST", HOOK, headers, body)
}

fn chunked(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

fn error(answer: &Answer) -> Option<String> {
    answer.json()["error"].as_str().map(str::to_owned)
}

#[test]
fn what_is_taken() {
    let daemon = start();
    let body = |instance: &str| down(instance).to_string().into_bytes();
    let gzipped = gzip(&body("gzipped"));
    let in_address = json!({ "type": "DisconnectedCallback", "connected": false }).to_string();
    let in_address = request("POST", &format!("{HOOK}/loja%20centro"), &[JSON], in_address.as_bytes());
    for (instance, bytes) in [
        ("posted", post(&[JSON], &body("posted"))),
        ("put", request("PUT", HOOK, &[JSON], &body("put"))),
        ("loja centro", in_address),
        ("in a folder", request("POST", &format!("{HOOK}/"), &[JSON], &body("in a folder"))),
        ("utf-8", post(&[("content-type", "Application/JSON; charset=utf-8")], &body("utf-8"))),
        ("marked", post(&[JSON], &[b"\xef\xbb\xbf", &*body("marked")].concat())),
        ("gzipped", post(&[JSON, ("content-encoding", "gzip")], &gzipped)),
        ("chunked", post(&[JSON, ("transfer-encoding", "chunked")], &chunked(&body("chunked")))),
        (
            "upgradable",
            post(
                &[
                    JSON,
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("upgrade", "h2c"),
                    ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
                ],
                &body("upgradable"),
            ),
        ),
    ] {
        let answer = daemon.send(&bytes);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{instance}");
        let id = answer.json()["id"].as_str().and_then(|id| id.parse::<u64>().ok()).expect(instance);
        assert_eq!(answer.body, format!("{{\"id\":\"{id}\",\"duplicate\":false}}"));
        assert_eq!(daemon.rows(&["incidents", "--limit", "1"])[0]["instance"], *instance);
    }
}

#[test]
fn what_is_refused() {
    let daemon = start();
    let body = down("A").to_string().into_bytes();
    let too_long = [body.clone(), vec![b' '; 1025 - body.len()]].concat();
    let cut = gzip(&body);
    let cut = &cut[..cut.len() - 9];
    let bomb = gzip(&vec![b' '; 500_000]);
    assert!(bomb.len() < 1024);
    for (what, bytes, status) in [
        ("GET", request("GET", HOOK, &[], b""), 405),
        ("DELETE", request("DELETE", HOOK, &[JSON], &body), 405),
        ("plain text", post(&[("content-type", "text/plain")], &body), 415),
        ("a form", post(&[("content-type", "application/x-www-form-urlencoded")], &body), 415),
        ("no type", post(&[], &body), 415),
        ("brotli", post(&[JSON, ("content-encoding", "br")], &body), 415),
        ("announced too large", post(&[JSON, ("content-length", "1025")], b""), 413),
        ("announced huge", post(&[JSON, ("content-length", "999999999999")], b""), 413),
        ("too large without a word", post(&[JSON, ("transfer-encoding", "chunked")], &chunked(&too_long)), 413),
        ("a bomb", post(&[JSON, ("content-encoding", "gzip")], &bomb), 413),
        ("nothing", post(&[JSON], b""), 400),
        ("no JSON", post(&[JSON], b"{\"type\":\"DisconnectedCallback\","), 400),
        ("a list", post(&[JSON], b"[]"), 400),
        ("damaged gzip", post(&[JSON, ("content-encoding", "gzip")], cut), 400),
        ("gzip that is none", post(&[JSON, ("content-encoding", "gzip")], &body), 400),
        ("no type at all", post(&[JSON], b"{}"), 422),
        ("a type that is no text", post(&[JSON], b"{\"type\":7}"), 422),
        ("another path", request("POST", "/hook", &[JSON], &body), 404),
    ] {
        let answer = daemon.send(&bytes);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(error(&answer).is_some_and(|words| words.len() > 10), "{what}: {answer:?}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST, PUT"), "{what}");
    }
    assert_eq!(daemon.rows(&["incidents"]), [json!(null); 0]);
}

#[test]
fn a_guesser_learns_nothing_and_does_not_hinder_the_gateway() {
    let daemon = start();
    let to = |path: &str| daemon.send(&request("POST", path, &[JSON], down("A").to_string().as_bytes()));
    let wrong_secret = to("/hooks/z-api/guess");
    assert_eq!(wrong_secret.status, 404);
    for path in [&format!("/hooks/evolution/{SECRET}"), "/hooks/z-api", "/hooks/", "/hooks/z-api/guess/A"] {
        let answer = to(path);
        assert_eq!((answer.status, &answer.body), (404, &wrong_secret.body), "{path}");
    }
    let answer = (0..20).map(|_| to("/hooks/z-api/guess")).find(|answer| answer.status != 404).expect("patience ends");
    assert_eq!(answer.status, 429, "{answer:?}");
    let wait: u64 = answer.header("retry-after").expect("429 says when").parse().expect("seconds");
    assert!((1..=60).contains(&wait) && error(&answer).is_some(), "{answer:?}");
    assert_eq!(to(HOOK).status, 200, "the right secret is never refused");
}

#[test]
fn behind_a_proxy_each_guesser_has_patience_of_its_own() {
    let proxied = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let daemon = Daemon::start(&format!("{proxied}{CONSOLE}{}", tell(&["console"])));
    let guess = |from: &str| {
        let headers = [JSON, ("x-forwarded-for", from)];
        daemon.send(&request("POST", "/hooks/z-api/guess", &headers, b"{}")).status
    };
    let refused = (0..20).any(|_| guess("192.0.2.1, 203.0.113.5") == 429);
    assert!(refused, "a guesser's patience ends, whatever it wrote in front");
    assert_eq!(guess("203.0.113.6"), 404, "another one's does not");
}

#[test]
fn the_same_webhook_again_is_a_duplicate_and_tells_nobody() {
    let daemon = start();
    let payload = down("A");
    let first = daemon.post(&payload).json();
    assert_eq!(daemon.post(&payload).json(), json!({ "id": first["id"], "duplicate": true }));
    daemon.accept(&down("B"));
    let told: Vec<_> = daemon.wait_for_told(2).into_iter().map(|line| line["instance"].clone()).collect();
    assert_eq!(told, ["A", "B"]);
}

#[test]
fn what_is_none_of_ours_is_dropped_unread() {
    let daemon = start();
    let private = json!({ "type": "ReceivedCallback", "instanceId": "A", "text": { "message": "meet me at noon" } });
    let answer = daemon.post(&private);
    assert_eq!((answer.status, answer.json()["duplicate"].clone()), (200, json!(false)), "{answer:?}");
    assert_eq!(daemon.metric("linedown_webhooks_total{source=\"z-api\",result=\"foreign\"}"), Some(1));
    daemon.accept(&down("stored"));
    assert!(daemon.stores("stored") && !daemon.stores("meet me"));
    daemon.wait_for_log("webhook accepted");
    assert!(daemon.logged("").iter().all(|record| !record.to_string().contains("meet me")));
}

#[test]
fn a_body_may_wait_for_leave() {
    let daemon = start();
    let body = down("A").to_string();
    let expecting = |length: &str| post(&[JSON, ("expect", "100-continue"), ("content-length", length)], b"");
    let mut stream = daemon.connect();
    let leave = exchange(&stream, &expecting(&body.len().to_string())).expect("leave");
    assert_eq!(leave.status, 100);
    stream.write_all(body.as_bytes()).expect("the daemon reads on");
    assert_eq!(read(&stream).expect("an answer").status, 200);
    assert_eq!(exchange(daemon.connect(), &expecting("1025")).expect("an answer").status, 413);
}

#[test]
fn one_connection_carries_many_webhooks() {
    let daemon = start();
    let stream = daemon.connect();
    for (order, payload) in [down("A"), up("A"), down("A")].iter().enumerate() {
        let answer = exchange(&stream, &post(&[JSON], payload.to_string().as_bytes())).expect("an answer");
        assert_eq!(answer.status, 200, "{order}: {answer:?}");
    }
}

#[test]
fn who_hangs_up_once_its_webhook_is_sent_is_heard_all_the_same() {
    let rule = "[[rules]]\nmatch = { instance = \"A\" }\nnotify = [\"console\"]\n";
    let daemon = Daemon::start(&format!("{CONSOLE}{rule}"));
    for instance in ["A", "B"] {
        let webhook = post(&[JSON], down(instance).to_string().as_bytes());
        daemon.connect().write_all(&webhook).expect("the daemon reads");
    }
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "A");
    eventually("both to be counted and logged", || {
        let accepted = daemon.metric("linedown_webhooks_total{source=\"z-api\",result=\"accepted\"}");
        let unrouted = daemon.metric("linedown_incidents_unrouted_total");
        let logged = daemon.logged("webhook accepted").len();
        ((accepted, unrouted, logged) == (Some(2), Some(1), 2)).then_some(())
    });
}

#[test]
fn who_says_that_nothing_more_comes_is_answered() {
    let daemon = start();
    let stream = daemon.connect();
    (&stream).write_all(&post(&[JSON], down("A").to_string().as_bytes())).expect("the daemon reads");
    stream.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(read(&stream).expect("an answer").status, 200);
    assert_eq!(read(&stream), None, "then the connection ends");
}

#[test]
fn slow_clients_are_left() {
    let daemon = start();
    let half = post(&[JSON, ("content-length", "200")], b"{\"type\"");
    thread::scope(|scope| {
        let clients = [
            ("half a head", b"POST /hooks".to_vec(), None),
            ("half a body", half, Some(408)),
            ("nothing", Vec::new(), None),
        ];
        for (what, bytes, status) in clients {
            let daemon = &daemon;
            scope.spawn(move || {
                let answer = exchange(daemon.connect(), &bytes);
                assert_eq!(answer.map(|answer| answer.status), status, "{what}");
            });
        }
        scope.spawn(|| {
            let idle = daemon.connect();
            let first = exchange(&idle, &post(&[JSON], down("A").to_string().as_bytes()));
            assert_eq!(first.map(|answer| answer.status), Some(200));
            assert_eq!(read(&idle), None, "an idle connection is closed");
        });
        scope.spawn(|| {
            let closed = ask_without_reading(&daemon.connect(), DEADLINE);
            let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&closed.kind());
            assert!(gone, "who reads no answer is left: {closed}");
        });
    });
}

#[test]
fn a_crowd_of_silent_clients_does_not_keep_webhooks_out() {
    let daemon = Daemon::start(&format!("[server]\nmax_connections = 4\n{CONSOLE}{}", tell(&["console"])));
    let crowd: Vec<_> = (0..40).map(|_| daemon.connect()).collect();
    daemon.accept(&down("A"));
    // The oldest were closed; otherwise each of these reads would wait for its timeout.
    let cut = crowd.iter().take(36).filter(|silent| read(*silent).is_none()).count();
    assert_eq!(cut, 36);
}
