//! Pebble, Let's Encrypt's ACME server for testing clients, unchanged: it validates every name at the name's address.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::{Certificates, DEADLINE};

/// The server; it ends when this is dropped.
pub struct Pebble {
    child: Option<Child>,
    folder: TempDir,
    /// The certificate with which it serves its own API.
    certificates: Certificates,
    resolver: SocketAddr,
    ports: [u16; 2],
    /// The port at which it validates names.
    validated_port: u16,
    life: Duration,
}

impl Pebble {
    /// Starts a server that validates names at a port of this machine, and whose certificates are valid for `life`.
    /// Every name resolves to 127.0.0.1, except that one with `elsewhere` in it resolves to 127.0.0.2.
    pub fn new(validated_port: u16, life: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (certificates, resolver) = (Certificates::new(), resolver());
        let mut pebble = Self { child: None, folder, certificates, resolver, ports: [0, 0], validated_port, life };
        // A port that was free a moment ago may have been taken since.
        let started = (0..10).any(|_| {
            pebble.ports = free_ports();
            pebble.start()
        });
        assert!(started, "Pebble does not start:\n{}", pebble.log());
        pebble
    }

    /// The address of the ACME directory.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.ports[0])
    }

    /// The file (PEM) with the authority that signed the certificate of its own API.
    pub fn ca(&self) -> PathBuf {
        self.certificates.ca()
    }

    /// The file (PEM) with the authority that signs the certificates it issues: a new one after each start.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// How many certificates have been ordered since it first started.
    pub fn orders(&self) -> usize {
        self.log().matches("POST /order-plz ").count()
    }

    /// Ends it.
    pub fn go_away(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it has ended");
        }
    }

    /// Starts it again at the same address. It remembers nothing.
    pub fn come_back(&mut self) {
        assert!(self.start(), "Pebble does not start again:\n{}", self.log());
    }

    fn start(&mut self) -> bool {
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.ports[0]),
            "managementListenAddress": format!("127.0.0.1:{}", self.ports[1]),
            "certificate": self.certificates.certificate(),
            "privateKey": self.certificates.key(),
            "tlsPort": self.validated_port,
            "certificateValidityPeriod": self.life.as_secs(),
        }});
        let file = self.folder.path().join("config.json");
        fs::write(&file, config.to_string()).expect("a file can be written");
        let log = File::options().append(true).create(true).open(self.folder.path().join("log"));
        let log = log.expect("a file can be written");
        let child = Command::new("pebble")
            .args(["-strict", "-dnsserver", &self.resolver.to_string(), "-config"])
            .arg(file)
            // By default it waits before it validates, rejects nonces and reuses earlier validations, all at random.
            .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0"), ("PEBBLE_AUTHZREUSE", "0")])
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the ACME server is missing: apt-get install pebble");
        self.child = Some(child);
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline && self.lives() {
            if let (Some(root), Some(_)) = (self.get(self.ports[1], "/roots/0"), self.get(self.ports[0], "/dir")) {
                fs::write(self.root(), root).expect("a file can be written");
                return self.lives();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.go_away();
        false
    }

    fn lives(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a child can be asked").is_none())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn get(&self, port: u16, path: &str) -> Option<String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).ok()?).ok()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), "localhost".try_into().ok()?).ok()?;
        let mut stream = StreamOwned::new(client, stream);
        write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.go_away();
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("there is a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address").port())
}

/// Starts a DNS server that answers as long as the tests run.
fn resolver() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = resolved(&query[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

/// The answer to a query (RFC 1035, 4): an address if the query asks for IPv4, otherwise no record.
fn resolved(query: &[u8]) -> Option<Vec<u8>> {
    let (id, name) = (query.get(..2)?, query.get(12..)?);
    let end = 12 + name.iter().position(|byte| *byte == 0)? + 5;
    let question = query.get(12..end)?;
    let asks_for_ipv4 = question.ends_with(&[0, 1, 0, 1]);
    let answers = u8::from(asks_for_ipv4);
    let mut answer = [id, &[0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0], question].concat();
    if asks_for_ipv4 {
        let elsewhere = question.windows(9).any(|part| part == b"elsewhere");
        let address = Ipv4Addr::new(127, 0, 0, if elsewhere { 2 } else { 1 });
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
