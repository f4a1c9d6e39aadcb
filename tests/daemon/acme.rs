//! Automatic certificates from a real ACME server, which validates each name at the daemon's port.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use std::{fs, path::Path};

use linedown_standins::Pebble;

use crate::daemon::{Daemon, HOOK, JSON, eventually};
use crate::http::{Answer, exchange, request};
use crate::payload::down;
use crate::sections::{CONSOLE, tell};
use crate::tls::connect;

const NAME: &str = "alerts.example.com";
const YEAR: Duration = Duration::from_hours(365 * 24);
const ISSUED: &str = "a new certificate is served";
const NONE: &str = "no certificate, so webhooks cannot come in";
const CONTACT: &str = "mailto:ops@example.com";

/// A daemon, the socket on which it is started, and the authority that connects to it there.
struct Setting {
    // The first field, so that it is dropped before the server that it talks to.
    daemon: Daemon,
    socket: TcpListener,
    pebble: Pebble,
}

impl Setting {
    fn new(names: &[&str], life: Duration) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = socket.local_addr().expect("a bound socket has an address").port();
        let pebble = Pebble::new(port, life);
        let mut daemon = Daemon::prepare(&sections(&pebble.directory(), names, CONTACT));
        daemon.environment(&[("SSL_CERT_FILE", &pebble.ca().display().to_string())]);
        Self { daemon, socket, pebble }
    }

    fn launch(&mut self) {
        self.daemon.launch_on(&self.socket);
    }

    fn restart(&mut self) {
        self.daemon.term();
        assert_eq!(self.daemon.ended().code(), Some(0));
        self.launch();
    }

    /// Configures other names and reloads.
    fn rename(&self, names: &[&str]) {
        self.daemon.configure(&sections(&self.pebble.directory(), names, CONTACT));
        self.daemon.reload();
    }

    /// Configures another contact and reloads.
    fn change_contact(&self, names: &[&str]) {
        self.daemon.configure(&sections(&self.pebble.directory(), names, "mailto:others@example.com"));
        self.daemon.reload();
    }

    /// Waits until the daemon serves its `count`th certificate.
    fn wait_for_issued(&self, count: usize) {
        eventually("a certificate", || (self.daemon.logged(ISSUED).len() >= count).then_some(()));
    }

    /// Posts a webhook as a gateway that trusts the authority.
    fn post(&self, name: &str) -> Option<Answer> {
        exchange(connect(&self.daemon, &self.pebble.root(), name), &webhook("A"))
    }
}

fn sections(directory: &str, names: &[&str], contact: &str) -> String {
    format!(
        "[server.tls.acme]\nnames = {names:?}\ndirectory = \"{directory}\"\ncontact = \"{contact}\"\n\
         agree_to_terms = true\n{CONSOLE}{}",
        tell(&["console"])
    )
}

fn webhook(line: &str) -> Vec<u8> {
    request("POST", HOOK, &[JSON], down(line).to_string().as_bytes())
}

#[test]
fn a_certificate_comes_by_itself_and_is_kept() {
    let mut setting = Setting::new(&[NAME], YEAR);
    setting.launch();
    let record = setting.daemon.wait_for_log(ISSUED);
    assert_eq!(record["names"], NAME);
    assert_eq!(setting.post(NAME).expect("an answer").status, 200);
    let ready = exchange(connect(&setting.daemon, &setting.pebble.root(), NAME), &request("GET", "/readyz", &[], b""));
    assert_eq!(ready.expect("an answer").status, 200);
    let kept = setting.daemon.path("linedown.acme.json");
    let mode = |file: &str| fs::metadata(Path::new(file)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&kept), 0o600);

    // A kept certificate is served at once, also while the authority is away.
    setting.pebble.go_away();
    setting.restart();
    assert_eq!(setting.post(NAME).expect("an answer").status, 200);
    setting.daemon.reload();
    assert_eq!(setting.post(NAME).expect("an answer").status, 200);
    assert_eq!(setting.pebble.orders(), 1);
}

#[test]
fn it_is_renewed_under_open_connections() {
    let mut setting = Setting::new(&[NAME], Duration::from_secs(10));
    setting.launch();
    setting.wait_for_issued(1);
    let connect = || connect(&setting.daemon, &setting.pebble.root(), NAME);
    let mut before = connect();
    let mut half = connect();
    assert_eq!(exchange(&mut before, &webhook("A")).expect("an answer").status, 200);
    let body = webhook("B");
    let (begin, end) = body.split_at(body.len() - 5);
    std::io::Write::write_all(&mut half, begin).expect("it reads");

    let mut asked = Instant::now();
    eventually("another certificate", || {
        // An idle connection might be closed in the meantime.
        if asked.elapsed() > Duration::from_secs(1) {
            let healthy = exchange(&mut before, &request("GET", "/healthz", &[], b""));
            assert_eq!(healthy.expect("an answer").status, 200);
            asked = Instant::now();
        }
        (setting.daemon.logged(ISSUED).len() >= 2).then_some(())
    });
    assert_eq!(exchange(&mut half, end).expect("an answer").status, 200);
    assert_eq!(exchange(&mut before, &webhook("C")).expect("an answer").status, 200);
    let mut after = connect();
    assert_eq!(exchange(&mut after, &webhook("D")).expect("an answer").status, 200);
    let shown = |stream: &rustls::StreamOwned<rustls::ClientConnection, _>| {
        stream.conn.peer_certificates().expect("TLS shows certificates")[0].clone().into_owned()
    };
    assert!(shown(&before) == shown(&half) && shown(&before) != shown(&after));
}

#[test]
fn other_names_need_another_certificate() {
    let mut setting = Setting::new(&[NAME], YEAR);
    setting.launch();
    setting.wait_for_issued(1);
    assert_eq!(setting.post("hooks.example.com"), None, "not that name's");
    setting.rename(&["Hooks.example.com", NAME]);
    setting.wait_for_issued(2);
    for name in [NAME, "hooks.example.com"] {
        assert_eq!(setting.post(name).expect("an answer").status, 200, "{name}");
    }
}

#[test]
fn an_authority_that_fails_ends_nothing() {
    let mut setting = Setting::new(&[NAME], YEAR);
    setting.pebble.go_away();
    setting.launch();
    let failure = setting.daemon.wait_for_log(NONE);
    assert!(failure["hint"].as_str().is_some_and(|hint| hint.contains("online")), "{failure}");
    assert!(failure["why"].as_str().is_some_and(|why| why.starts_with("it cannot be reached: ")), "{failure}");
    assert_eq!(failure["level"], "ERROR");
    assert_eq!(setting.post(NAME), None);

    // A restart does not make it ask again.
    setting.restart();
    let waits = |record: &serde_json::Value| {
        let reason = record["reason"].as_str().unwrap_or_default();
        reason.starts_with("there is no certificate yet: linedown asks https://") && reason.contains(" for one at 20")
    };
    eventually("it to wait", || setting.daemon.logged("not ready").iter().any(waits).then_some(()));

    // Nor does a reload, unless it changes what is asked for.
    let failures = setting.daemon.logged(NONE).len();
    setting.daemon.reload();
    setting.pebble.come_back();
    setting.change_contact(&[NAME]);
    setting.wait_for_issued(1);
    assert_eq!(setting.daemon.logged(NONE).len(), failures);
    assert_eq!(setting.post(NAME).expect("an answer").status, 200);

    // The old certificate is still served, and linedown registers again with an authority that has lost its account.
    let root = fs::read(setting.pebble.root()).expect("it is there");
    setting.pebble.go_away();
    setting.rename(&["hooks.example.com"]);
    let failure = setting.daemon.wait_for_log("no new certificate; the one that is served is still valid");
    assert_eq!(failure["level"], "WARN");
    assert_eq!(setting.post(NAME).expect("an answer").status, 200);
    setting.pebble.come_back();
    assert_ne!(fs::read(setting.pebble.root()).expect("it is there"), root);
    setting.change_contact(&["hooks.example.com"]);
    setting.wait_for_issued(2);
    assert_eq!(setting.post("hooks.example.com").expect("an answer").status, 200);
}

#[test]
fn what_a_restart_breaks_off_begins_anew() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    silent.set_nonblocking(true).expect("a mode can be set");
    let directory = format!("https://{}/dir", silent.local_addr().expect("a bound socket has an address"));
    let mut daemon = Daemon::start(&sections(&directory, &[NAME], CONTACT));
    let _asked = eventually("it to ask", || silent.accept().ok());
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.launch();
    eventually("it to ask again", || silent.accept().ok());
}

#[test]
fn a_name_that_leads_elsewhere_is_named() {
    let mut setting = Setting::new(&[NAME, "elsewhere.example.com"], YEAR);
    setting.launch();
    let failure = setting.daemon.wait_for_log(NONE);
    let why = failure["why"].as_str().expect("words");
    assert!(why.starts_with("elsewhere.example.com could not be validated: "), "{why}");
    assert!(failure["hint"].as_str().is_some_and(|hint| hint.contains("port 443")), "{failure}");
    setting.rename(&[NAME]);
    setting.wait_for_issued(1);
    assert_eq!(setting.post(NAME).expect("an answer").status, 200);
}
