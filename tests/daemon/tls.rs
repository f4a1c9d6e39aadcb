//! Webhooks over HTTPS, with a certificate from files.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use linedown_standins::Certificates;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::daemon::{Daemon, HOOK, JSON};
use crate::http::{Answer, exchange, request};
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

fn sections(certificates: &Certificates) -> String {
    let (certificate, key) = (certificates.certificate(), certificates.key());
    let (certificate, key) = (certificate.display(), key.display());
    let tls = format!("[server]\ntls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n");
    format!("{tls}{CONSOLE}{}", tell(&["console"]))
}

/// Posts as a gateway that trusts one authority does.
fn post(daemon: &Daemon, trusted: &Certificates) -> Option<Answer> {
    let body = down("A").to_string();
    send(daemon, trusted, &request("POST", HOOK, &[JSON], body.as_bytes()))
}

/// What stands at an address.
pub(crate) fn get(daemon: &Daemon, trusted: &Certificates, path: &str) -> Option<Answer> {
    send(daemon, trusted, &request("GET", path, &[], b""))
}

fn send(daemon: &Daemon, trusted: &Certificates, request: &[u8]) -> Option<Answer> {
    exchange(connect(daemon, &trusted.ca(), "localhost"), request)
}

/// A new connection to a daemon of some name, for whoever trusts this authority.
pub(crate) fn connect(daemon: &Daemon, trusted: &Path, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let authority = CertificateDer::from_pem_file(trusted).expect("the authority is in its file");
    let mut roots = RootCertStore::empty();
    roots.add(authority).expect("it is an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring has them").with_root_certificates(roots).with_no_client_auth();
    let name = name.to_owned().try_into().expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(client, daemon.connect())
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
fn a_renewed_certificate_is_served_after_a_reload() {
    let (old, new) = (Certificates::new(), Certificates::new());
    let daemon = Daemon::start(&sections(&old));
    assert_eq!(post(&daemon, &new), None, "not trusted");
    daemon.configure(&sections(&new));
    daemon.reload();
    assert_eq!(post(&daemon, &new).expect("an answer").status, 200);
}
