//! The daemon that is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use linedown_standins::Certificates;
use rustix::process::{Pid, Signal, kill_process};

use crate::{BINARY, SECRET};

/// How long a measurement waits before it gives up.
const PATIENCE: Duration = Duration::from_mins(5);

/// The pause between two looks while it waits.
const LOOK: Duration = Duration::from_millis(20);

/// Writes a config with a port, a store, a source and these further sections into a folder.
pub(crate) fn configure(folder: &Path, sections: &str) -> PathBuf {
    let config = folder.join("linedown.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://{}/linedown.db\"\n\
         [sources.z-api]\ntype = \"z-api\"\nsecret = \"{SECRET}\"\n{sections}",
        folder.display()
    );
    std::fs::write(&config, text).expect("the config can be written");
    config
}

/// A daemon and its port.
pub(crate) struct Daemon {
    child: Child,
    address: String,
    /// How often it has reloaded its config.
    reloads: Arc<AtomicUsize>,
}

impl Daemon {
    /// Starts a daemon with this config, and waits until it is ready.
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_with(config, &[])
    }

    /// Starts a daemon that trusts this authority instead of the system's.
    pub(crate) fn start_trusting(config: &Path, certificates: &Certificates) -> Self {
        Self::start_with(config, &[("SSL_CERT_FILE", certificates.ca())])
    }

    fn start_with(config: &Path, environment: &[(&str, PathBuf)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["--config".as_ref(), config.as_os_str()])
            .args(["serve", "--log-format", "json"])
            .env_clear()
            .envs(environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).expect("the log can be read") > 0, "the daemon ended");
            let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if record["message"] == "accepting webhooks" {
                break record["address"].as_str().expect("it has one").to_owned();
            }
        };
        let reloads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reloads);
        std::thread::spawn(move || {
            let records = log.lines().map_while(Result::ok).filter(|record| record.contains("config reloaded"));
            for _ in records {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let daemon = Self { child, address, reloads };
        assert!(daemon.ask("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
        daemon
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it accepts");
        stream.set_nodelay(true).expect("it can be set");
        stream
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Posts a disconnection of this instance, which must be answered with 200.
    pub(crate) fn post_on(&self, stream: &mut TcpStream, instance: &str) {
        let body = format!("{{\"type\":\"DisconnectedCallback\",\"instanceId\":\"{instance}\"}}");
        let head = format!(
            "POST /hooks/z-api/{SECRET} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("it reads");
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).expect("it answers");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
    }

    /// Notifications delivered so far.
    pub(crate) fn delivered(&self) -> usize {
        self.figure("linedown_notifications_total", "state=\"delivered\"")
    }

    /// Waits until exactly this many notifications are pending.
    pub(crate) fn wait_for_pending(&self, count: usize) {
        let begun = Instant::now();
        loop {
            let pending = self.figure("linedown_notifications_pending", "");
            if pending == count {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{pending} are pending, and {count} were to be");
            sleep(LOOK);
        }
    }

    /// The sum of a metric over the rows that contain this label.
    fn figure(&self, metric: &str, label: &str) -> usize {
        let figures = self.ask("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let rows = figures.lines().filter(|row| row.split('{').next() == Some(metric) && row.contains(label));
        rows.filter_map(|row| row.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    }

    /// Waits until at least this many notifications are delivered, and returns when that was seen.
    pub(crate) fn wait_for_delivered(&self, count: usize) -> Instant {
        let begun = Instant::now();
        while self.delivered() < count {
            assert!(begun.elapsed() < PATIENCE, "{} of {count} were delivered", self.delivered());
            sleep(LOOK);
        }
        Instant::now()
    }

    /// Makes it reload its config, and waits until it has.
    pub(crate) fn reload(&self) {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("it runs");
        let (before, begun) = (self.reloads.load(Ordering::Relaxed), Instant::now());
        kill_process(process, Signal::HUP).expect("it is ours");
        while self.reloads.load(Ordering::Relaxed) == before {
            assert!(begun.elapsed() < PATIENCE, "it did not reload");
            sleep(LOOK);
        }
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it ever had, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or_default() * 1024
    }

    /// The processor time used so far, from the kernel's clock ticks (proc(5): a hundredth of a second each).
    pub(crate) fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The process's name, in parentheses, may contain anything.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
