//! Webhooks over HTTPS, with a certificate from files.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linedown_standins::Certificates;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::daemon::{Daemon, HOOK, JSON};
use crate::http::{Answer, exchange, request};
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

/// The sections of a config with this certificate that tells of everything on the console.
pub(crate) fn sections(certificates: &Certificates) -> String {
    let (certificate, key) = (certificates.certificate(), certificates.key());
    let (certificate, key) = (certificate.display(), key.display());
    let tls = format!("[server]\ntls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n");
    format!("{tls}{CONSOLE}{}", tell(&["console"]))
}

/// Posts a webhook as a gateway that trusts one authority.
fn post(daemon: &Daemon, trusted: &Certificates) -> Option<Answer> {
    let body = down("A").to_string();
    send(daemon, trusted, &request("POST", HOOK, &[JSON], body.as_bytes()))
}

/// Sends a GET request as a client that trusts one authority.
pub(crate) fn get(daemon: &Daemon, trusted: &Certificates, path: &str) -> Option<Answer> {
    send(daemon, trusted, &request("GET", path, &[], b""))
}

fn send(daemon: &Daemon, trusted: &Certificates, request: &[u8]) -> Option<Answer> {
    exchange(connect(daemon, &trusted.ca(), "localhost"), request)
}

/// Opens a TLS connection to the daemon under some name, trusting only this authority.
pub(crate) fn connect(daemon: &Daemon, trusted: &Path, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    encrypted(daemon.connect(), trusted, name)
}

/// TLS over a connection, to a server of some name, trusting only this authority.
pub(crate) fn encrypted(stream: TcpStream, trusted: &Path, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let authority = CertificateDer::from_pem_file(trusted).expect("the authority is in its file");
    let mut roots = RootCertStore::empty();
    roots.add(authority).expect("it is an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring has them").with_root_certificates(roots).with_no_client_auth();
    let name = name.to_owned().try_into().expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(client, stream)
}

#[test]
fn webhooks_come_over_https_and_not_without() {
    let certificates = Certificates::new();
    let daemon = Daemon::start(&sections(&certificates));
    assert_eq!(daemon.wait_for_log("accepting webhooks")["scheme"], "https");
    assert_eq!(post(&daemon, &certificates).expect("an answer").status, 200);
    let plain = exchange(daemon.connect(), &request("POST", HOOK, &[JSON], down("B").to_string().as_bytes()));
    assert_eq!(plain, None, "plain HTTP gets no answer");
    let lines: Vec<_> = daemon.rows(&["incidents"]).iter().map(|row| row["instance"].clone()).collect();
    assert_eq!(lines, ["A"]);
}

#[test]
fn who_has_connected_before_the_end_may_shake_hands_and_ask() {
    let certificates = Certificates::new();
    let mut daemon = Daemon::start(&sections(&certificates));
    // The handshake has not begun.
    let connected = encrypted(daemon.connect(), &certificates.ca(), "localhost");
    // An answer on a later connection: the earlier one has been accepted.
    assert_eq!(get(&daemon, &certificates, "/healthz").expect("an answer").status, 200);
    daemon.term();
    daemon.wait_for_log("stopping");
    let webhook = request("POST", HOOK, &[JSON], down("A").to_string().as_bytes());
    assert_eq!(exchange(connected, &webhook).expect("an answer").status, 200);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn a_renewed_certificate_is_served_after_a_reload() {
    let (old, new) = (Certificates::new(), Certificates::new());
    let daemon = Daemon::start(&sections(&old));
    assert_eq!(post(&daemon, &new), None, "not trusted");
    daemon.configure(&sections(&new));
    daemon.reload();
    assert_eq!(post(&daemon, &new).expect("an answer").status, 200);
}

/// Replaces one file as tools that renew certificates do: writes a new one and renames it.
fn replace(files: &Certificates, by: &Certificates, what: fn(&Certificates) -> PathBuf) {
    let aside = what(files).with_extension("new");
    fs::copy(what(by), &aside).and_then(|_| fs::rename(&aside, what(files))).expect("a file is replaced");
}

#[test]
fn a_certificate_that_is_replaced_in_its_files_is_served_by_itself() {
    let (files, old, new) = (Certificates::new(), Certificates::new(), Certificates::new());
    let place = |certificates: &Certificates, what: fn(&Certificates) -> PathBuf| replace(&files, certificates, what);
    place(&old, Certificates::certificate);
    place(&old, Certificates::key);
    let daemon = Daemon::start(&sections(&files));
    // A new certificate without its key is not taken.
    place(&new, Certificates::certificate);
    let refused = daemon.wait_for_log("the certificate was replaced in its files, but the new one cannot be used");
    assert!(
        refused["message"].as_str().is_some_and(|text| text.contains("is not that of the certificate")),
        "{refused}"
    );
    assert_eq!(post(&daemon, &old).expect("an answer").status, 200);

    let mut open = connect(&daemon, &old.ca(), "localhost");
    let healthy = request("GET", "/healthz", &[], b"");
    assert_eq!(exchange(&mut open, &healthy).expect("an answer").status, 200);
    place(&new, Certificates::key);
    daemon.wait_for_log("the certificate was replaced in its files; new connections");
    assert_eq!(post(&daemon, &new).expect("an answer").status, 200);
    assert_eq!(post(&daemon, &old), None, "the former one is not served any more");
    assert_eq!(exchange(&mut open, &healthy).expect("an answer").status, 200, "who is connected stays so");
}

#[test]
fn a_certificate_that_is_replaced_while_somebody_edits_the_config_is_served_once_that_is_whole_again() {
    let (files, new) = (Certificates::new(), Certificates::new());
    let daemon = Daemon::start(&sections(&files));
    daemon.configure(&format!("{}[[rules", sections(&files)));
    replace(&files, &new, Certificates::certificate);
    replace(&files, &new, Certificates::key);
    let refused = "the certificate was replaced in its files, but the new one cannot be used";
    daemon.wait_for_log(refused);
    daemon.configure(&sections(&files));
    daemon.wait_for_log("the certificate was replaced in its files; new connections");
    assert_eq!(post(&daemon, &new).expect("an answer").status, 200);
    assert_eq!(daemon.logged(refused).len(), 1, "what is known is not said again");
}
