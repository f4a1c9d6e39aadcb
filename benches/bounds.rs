//! The bounds that the daemon keeps, measured on the machine at hand: each figure beside its limit and the ratio of
//! the two. `make bench` runs it in a release build.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use linedown_standins::Slack;

const BINARY: &str = env!("CARGO_BIN_EXE_linedown");
const SECRET: &str = "a-secret-for-measuring";
/// How often a webhook is followed to Slack; the sink itself keeps more than a second between two.
const FOLLOWED: usize = 15;
/// Webhooks accepted one after the other, on one connection.
const ACCEPTED: usize = 500;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let slack = Slack::new();
    let config = folder.path().join("linedown.toml");
    std::fs::write(&config, text(folder.path(), &slack)).expect("the config can be written");
    // Once to make the store, so that the start that is measured is the usual one.
    drop(Daemon::start(&config));
    let started = Instant::now();
    let daemon = Daemon::start(&config);
    let ready = started.elapsed();
    let idle = daemon.resident();

    let mut to_slack: Vec<Duration> = (0..FOLLOWED).map(|number| daemon.follow(number, &slack)).collect();
    let mut connection = daemon.connect();
    let mut accepted: Vec<Duration> =
        (0..ACCEPTED).map(|number| timed(|| daemon.post_on(&mut connection, &format!("accepted {number}")))).collect();
    to_slack.sort_unstable();
    accepted.sort_unstable();
    let size = std::fs::metadata(BINARY).map(|file| file.len()).unwrap_or_default();

    println!("{:<44} {:>10} {:>10} {:>6}", "figure", "measured", "limit", "ratio");
    row("memory when idle, MB", megabytes(idle), 20.0);
    row("ready after the start, ms", ready.as_secs_f64() * 1e3, 200.0);
    row("webhook to Slack, median, ms", to_slack[to_slack.len() / 2].as_secs_f64() * 1e3, 10.0);
    row("size of the program, MB", megabytes(size), 15.0);
    println!();
    let median = accepted[accepted.len() / 2].as_secs_f64() * 1e3;
    let late = accepted[accepted.len() * 99 / 100].as_secs_f64() * 1e3;
    println!("webhooks accepted on one connection: median {median:.2} ms, p99 {late:.2} ms, each after its own sync");
}

fn row(what: &str, measured: f64, limit: f64) {
    println!("{what:<44} {measured:>10.1} {limit:>10.1} {:>6.2}", measured / limit);
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn text(folder: &Path, slack: &Slack) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://{}/linedown.db\"\n\
         [sources.z-api]\ntype = \"z-api\"\nsecret = \"{SECRET}\"\n",
        folder.display()
    );
    let url = slack.url();
    let _ = write!(
        text,
        "[sinks.slack]\ntype = \"slack\"\nwebhook_url = \"{url}\"\n[[rules]]\nname = \"followed\"\n\
         match = {{ instance = \"followed*\" }}\nnotify = [\"slack\"]\ngroup_interval = \"0s\"\n\
         [sinks.console]\ntype = \"stdout\"\n[[rules]]\nname = \"rest\"\nnotify = [\"console\"]\n"
    );
    text
}

struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["--config".as_ref(), config.as_os_str()])
            .args(["serve", "--log-format", "json"])
            .env_clear()
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
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let daemon = Self { child, address };
        assert!(daemon.ask("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
        daemon
    }

    fn connect(&self) -> TcpStream {
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

    fn post_on(&self, stream: &mut TcpStream, instance: &str) {
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

    /// From the first byte of a webhook to its arrival at Slack.
    fn follow(&self, number: usize, slack: &Slack) -> Duration {
        let mut stream = self.connect();
        let started = Instant::now();
        self.post_on(&mut stream, &format!("followed {number}"));
        let posts = slack.wait_for(number + 1);
        let took = posts[number].at.saturating_duration_since(started);
        // The next one must not wait for the sink's own pace.
        std::thread::sleep(Duration::from_millis(1300));
        took
    }

    /// Resident memory, in bytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or_default() * 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
