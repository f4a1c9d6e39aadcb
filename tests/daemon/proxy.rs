//! Behind a TCP proxy that names its clients by the PROXY protocol: a real `haproxy`, and bytes by hand.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

use linedown_standins::{Certificates, DEADLINE};
use tempfile::TempDir;

use crate::daemon::{Daemon, HOOK, JSON, eventually};
use crate::http::{exchange, request};
use crate::payload::down;
use crate::sections::{CONSOLE, tell};
use crate::tls::encrypted;

/// The address from which the proxy connects; the tests themselves connect from 127.0.0.1.
const PROXY: &str = "127.0.0.9";

fn sections(server: &str, trusted: &str) -> String {
    let proxied = format!("[server]\nproxy_protocol = true\ntrusted_proxies = {trusted}\n{server}");
    format!("{proxied}{CONSOLE}{}", tell(&["console"]))
}

fn guess(headers: &[(&str, &str)]) -> Vec<u8> {
    request("POST", "/hooks/z-api/guess", &[&[JSON], headers].concat(), b"{}")
}

fn webhook(line: &str) -> Vec<u8> {
    request("POST", HOOK, &[JSON], down(line).to_string().as_bytes())
}

/// A header of the PROXY protocol, version 1.
fn header(from: &str) -> String {
    format!("PROXY TCP4 {from} 10.0.0.1 4660 443\r\n")
}

/// The addresses logged for wrong guesses, in order.
fn guessers(daemon: &Daemon) -> Vec<String> {
    let records = daemon.logged("a webhook came with a wrong source or secret");
    records.iter().filter_map(|record| record["peer"].as_str().map(str::to_owned)).collect()
}

/// A proxy in front of a daemon. It takes the same protocol from its own clients, so that a test can choose its
/// address.
struct Haproxy {
    folder: TempDir,
    listener: TcpListener,
    child: Child,
}

impl Haproxy {
    fn before(daemon: &Daemon, sends: &str) -> Self {
        Self::in_mode("tcp", daemon, sends)
    }

    fn in_mode(mode: &str, daemon: &Daemon, sends: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (config, control) = (folder.path().join("haproxy.cfg"), folder.path().join("control"));
        let (control, server) = (control.display(), daemon.address());
        let text = format!(
            "global\n stats socket {control}\n\
             defaults\n mode {mode}\n timeout connect 30s\n timeout client 60s\n timeout server 60s\n\
             frontend webhooks\n bind fd@0 accept-proxy\n default_backend linedown\n\
             backend linedown\n option httpchk GET /readyz\n\
             server one {server} source {PROXY} {sends} check inter 100ms\n"
        );
        fs::write(&config, text).expect("a file can be written");
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let shared = OwnedFd::from(listener.try_clone().expect("a socket can be shared"));
        let child = Command::new("haproxy").arg("-db").arg("-f").arg(config).stdin(shared).spawn();
        Self { folder, listener, child: child.expect("haproxy is there: packaging/setup tests") }
    }

    /// Opens a new connection as a client from that address.
    fn connect(&self, from: &str) -> TcpStream {
        let address = self.listener.local_addr().expect("a bound socket has an address");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        stream.write_all(header(from).as_bytes()).expect("it reads");
        stream
    }

    /// The proxy's table of servers, with the results of its health checks.
    fn servers(&self) -> Option<String> {
        let mut control = UnixStream::connect(self.folder.path().join("control")).ok()?;
        control.write_all(b"show stat\n").ok()?;
        let mut table = String::new();
        control.read_to_string(&mut table).ok().map(|_| table)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn haproxy_says_whom_it_speaks_for() {
    for sends in ["send-proxy", "send-proxy-v2"] {
        let daemon = Daemon::start(&sections("", &format!("[\"{PROXY}\"]")));
        let proxy = Haproxy::before(&daemon, sends);
        assert_eq!(exchange(proxy.connect("203.0.113.5"), &webhook("A")).expect("an answer").status, 200, "{sends}");
        // An address that the client writes itself is not believed.
        let wrong = guess(&[("x-forwarded-for", "198.51.100.7")]);
        let refused = (0..20).find_map(|_| {
            let status = exchange(proxy.connect("203.0.113.5"), &wrong).expect("an answer").status;
            (status != 404).then_some(status)
        });
        assert_eq!(refused, Some(429), "{sends}: a guesser's patience ends");
        assert_eq!(exchange(proxy.connect("203.0.113.6"), &wrong).expect("an answer").status, 404, "{sends}");
        eventually("a record of both", || {
            let guessers = guessers(&daemon);
            (guessers.first()? == "203.0.113.5" && guessers.last()? == "203.0.113.6").then_some(())
        });
        // The proxy's own health checks get through as well.
        eventually("a look that finds us well", || proxy.servers().filter(|table| table.contains("L7OK")));
        assert!(daemon.logged("closed a connection from a trusted proxy").is_empty(), "{sends}");
    }
}

#[test]
fn haproxy_writes_whom_it_speaks_for() {
    let server = format!("[server]\ntrusted_proxies = [\"{PROXY}\"]\n");
    let daemon = Daemon::start(&format!("{server}{CONSOLE}{}", tell(&["console"])));
    let proxy = Haproxy::in_mode("http\n option forwardfor", &daemon, "");
    let lie = guess(&[("x-forwarded-for", "198.51.100.7")]);
    assert_eq!(exchange(proxy.connect("203.0.113.5"), &lie).expect("an answer").status, 404);
    eventually("a record of it", || (guessers(&daemon) == ["203.0.113.5"]).then_some(()));
}

#[test]
fn haproxy_passes_tls_on_after_it_has_said_for_whom() {
    let certificates = Certificates::new();
    let (certificate, key) = (certificates.certificate(), certificates.key());
    let (certificate, key) = (certificate.display(), key.display());
    let tls = format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n");
    let daemon = Daemon::start(&sections(&tls, &format!("[\"{PROXY}\"]")));
    let proxy = Haproxy::before(&daemon, "send-proxy-v2 check-ssl verify none");
    let stream = encrypted(proxy.connect("203.0.113.5"), &certificates.ca(), "localhost");
    assert_eq!(exchange(stream, &webhook("A")).expect("an answer").status, 200);
    let stream = encrypted(proxy.connect("203.0.113.5"), &certificates.ca(), "localhost");
    assert_eq!(exchange(stream, &guess(&[])).expect("an answer").status, 404);
    eventually("a record of it", || (guessers(&daemon) == ["203.0.113.5"]).then_some(()));
    eventually("a look that finds us well", || proxy.servers().filter(|table| table.contains("L7OK")));
}

#[test]
fn proxies_of_both_kinds_stand_behind_each_other() {
    let daemon = Daemon::start(&sections("", "[\"127.0.0.1\", \"10.0.0.0/8\"]"));
    let from = |named: &str, chain: &str| {
        let bytes = [header(named).as_bytes(), &guess(&[("x-forwarded-for", chain)])].concat();
        assert_eq!(daemon.send(&bytes).status, 404);
    };
    from("203.0.113.5", "198.51.100.7");
    from("10.1.2.3", "198.51.100.7, 203.0.113.6");
    eventually("a record of both", || (guessers(&daemon) == ["203.0.113.5", "203.0.113.6"]).then_some(()));
}

/// A proxy that does not say for whom it connects: what the client says about itself is not the proxy's word.
#[test]
fn who_is_not_named_cannot_name_himself() {
    let server = "metrics_for = [\"198.51.100.0/24\"]\n";
    let v2 = |rest: &[u8]| [b"\r\n\r\n\0\r\nQUIT\n", rest].concat();
    let socket = [&[0x21, 0x31, 0, 216][..], &[0; 216]].concat();
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(&[0x20, 0, 0, 0]), v2(&[0x21, 0, 0, 0]), v2(&socket)] {
        let daemon = Daemon::start(&sections(server, "[\"127.0.0.1\"]"));
        let status = |request: &[u8]| daemon.send(&[&header, request].concat()).status;
        let lie = ("x-forwarded-for", "198.51.100.7");
        assert_eq!(status(&request("GET", "/metrics", &[lie], b"")), 404, "{header:?}");
        assert_eq!(status(&webhook("A")), 200, "{header:?}");
        let named = |client: u8| format!("198.51.100.{client}");
        let refused = (0..20).find(|client| status(&guess(&[("x-forwarded-for", &named(*client))])) == 429);
        assert!(refused.is_some(), "a guesser's patience ends, whatever names he gives: {header:?}");
    }
}

#[test]
fn a_trusted_proxy_without_a_header_is_closed_and_complained_of() {
    let daemon = Daemon::start(&sections("", "[\"127.0.0.1\"]"));
    let long = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec(), vec![0; 5000]].concat();
    for bytes in [webhook("A"), b"PROXY TCP4 nonsense\r\n".to_vec(), long] {
        assert_eq!(exchange(daemon.connect(), &bytes), None);
    }
    let complaint = daemon.wait_for_log("closed a connection from a trusted proxy");
    assert_eq!((complaint["peer"].as_str(), complaint["level"].as_str()), (Some("127.0.0.1"), Some("WARN")));
    // The complaints are rate limited: not one record for each connection.
    for _ in 0..50 {
        assert_eq!(exchange(daemon.connect(), b"nonsense"), None);
    }
    assert_eq!(
        exchange(daemon.connect(), &[header("203.0.113.5").as_bytes(), &webhook("B")].concat())
            .map(|answer| answer.status),
        Some(200)
    );
    daemon.wait_for_log("webhook accepted");
    let complaints = daemon.logged("closed a connection from a trusted proxy").len();
    assert!((10..20).contains(&complaints), "{complaints} records");
}

#[test]
fn a_stranger_is_taken_as_who_he_is_and_a_reload_turns_it_on() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("before"));
    daemon.configure(&sections("", &format!("[\"{PROXY}\"]")));
    daemon.reload();
    daemon.accept(&down("after"));
    let lying = [header("203.0.113.5").as_bytes(), &webhook("lied")].concat();
    assert_eq!(daemon.send(&lying).status, 400, "no HTTP");
    assert_eq!(daemon.rows(&["incidents"]).len(), 2);
    daemon.configure(&sections("", "[\"127.0.0.1\"]"));
    daemon.reload();
    assert_eq!(exchange(daemon.connect(), &webhook("C")), None);
    assert_eq!(daemon.send(&[header("203.0.113.5").as_bytes(), &webhook("D")].concat()).status, 200);
}
