//! The real binary in a folder of its own, driven through its port, its signals and its commands.
//!
//! Every secret it is given holds [`CANARY`]; when a test ends, nothing that it or its commands printed may.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

use linedown_standins::{Certificates, DEADLINE};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Answer};

/// Part of every secret, Slack's address included.
pub(crate) const CANARY: &str = "0canary";
/// The secret in the webhook's address.
pub(crate) const SECRET: &str = "0canary-webhook-7d9e5f0c2a";
/// The path of the webhook.
pub(crate) const HOOK: &str = "/hooks/z-api/0canary-webhook-7d9e5f0c2a";
/// A password for the relay.
pub(crate) const PASSWORD: &str = "0canary-smtp-81b3e6f4a2";
/// What a webhook comes with.
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_linedown");
const ACCEPTING: &str = "accepting webhooks";

/// A daemon and its folder.
pub(crate) struct Daemon {
    folder: TempDir,
    child: Option<Child>,
    environment: Vec<(String, String)>,
    /// The authority that it and its commands trust instead of the system's.
    trusted: Option<Certificates>,
    address: SocketAddr,
    log: Arc<Lines>,
    told: Arc<Lines>,
    /// Threads that read what it prints, until it ends.
    readers: Vec<JoinHandle<()>>,
    /// What commands printed and requests were answered.
    seen: Mutex<String>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Asks until there is an answer, within the deadline.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

impl Daemon {
    /// Running, with a source, a store, and these further sections.
    pub(crate) fn start(sections: &str) -> Self {
        let mut daemon = Self::prepare(sections);
        daemon.launch();
        daemon
    }

    /// A folder with a config, and nothing running.
    pub(crate) fn prepare(sections: &str) -> Self {
        let daemon = Self {
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            child: None,
            environment: Vec::new(),
            trusted: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log: Arc::default(),
            told: Arc::default(),
            readers: Vec::new(),
            seen: Mutex::default(),
        };
        let store = daemon.path("linedown.db");
        let base = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://{store}\"\n\
             [sources.z-api]\ntype = \"z-api\"\nsecret = \"{SECRET}\"\n\
             [troubles]\ndisk_free_below = \"0%\"\n"
        );
        fs::write(daemon.path("linedown.toml"), base).expect("the config can be written");
        let only_ours = fs::Permissions::from_mode(0o600);
        fs::set_permissions(daemon.path("linedown.toml"), only_ours).expect("a mode can be set");
        fs::create_dir(daemon.path("conf.d")).expect("a folder can be made");
        daemon.configure(sections);
        daemon
    }

    /// Replaces the further sections of the config.
    pub(crate) fn configure(&self, sections: &str) {
        fs::write(self.path("conf.d/test.toml"), sections).expect("the config can be written");
    }

    /// A file in the daemon's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts it, and waits until it accepts.
    pub(crate) fn launch(&mut self) {
        let mut command = Command::new(BINARY);
        command.stdin(Stdio::null());
        self.launch_as(command);
    }

    /// Starts it where an authority of the test's own is the one that the system trusts.
    pub(crate) fn launch_trusting(&mut self, certificates: &Certificates) {
        let mut trusting = Command::new("/usr/bin/env");
        trusting.arg(format!("SSL_CERT_FILE={}", certificates.ca().display())).arg(BINARY);
        self.launch_as(trusting);
    }

    /// Starts it as a child of the shell's making, where writing beyond a limit fails instead of killing it.
    pub(crate) fn launch_without_file_size_signal(&mut self) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$@\" </dev/null", "sh", BINARY]);
        self.launch_as(shell);
    }

    /// Starts it where a process may have so many files open, and so many if it asks for more.
    pub(crate) fn launch_with_few_files(&mut self, few: u32, most: u32) {
        let mut shell = Command::new("/bin/sh");
        let limit = format!("ulimit -S -n {few}; ulimit -H -n {most}; exec \"$@\" </dev/null");
        shell.args(["-c", &limit, "sh", BINARY]);
        self.launch_as(shell);
    }

    /// Starts it as systemd does, with a socket that it did not open itself.
    pub(crate) fn launch_on(&mut self, socket: &TcpListener) {
        let socket = socket.try_clone().expect("a socket can be shared");
        self.launch_as(handed(OwnedFd::from(socket)));
    }

    /// Starts it as systemd would with something that is no socket; answers how it ended.
    pub(crate) fn ends_on(&self, handed_over: impl Into<Stdio>) -> Ended {
        let mut shell = handed(handed_over);
        shell.args(["--config", &self.path("linedown.toml"), "serve"]);
        let output = shell.output().expect("the shell can be started");
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn launch_as(&mut self, mut command: Command) {
        let before = self.log.read(Vec::len);
        command.args(["--config", &self.path("linedown.toml"), "serve"]).env_clear();
        command.envs(self.environment.iter().cloned());
        command.envs(self.trusted.iter().map(|certificates| ("SSL_CERT_FILE", certificates.ca())));
        command.envs([("LINEDOWN_LOG_FORMAT", "json"), ("LINEDOWN_LOG", "trace")]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        self.readers.push(self.told.follow(child.stdout.take().expect("the output is piped")));
        self.readers.push(self.log.follow(child.stderr.take().expect("the log is piped")));
        let record = eventually("the daemon to accept webhooks", || {
            let accepting = |record: &&Value| record["message"] == ACCEPTING;
            self.log.read(|lines| records(&lines[before..]).iter().find(accepting).cloned()).or_else(|| {
                let ended = child.try_wait().expect("a child can be asked");
                assert!(ended.is_none(), "it ended with {ended:?}: {}", self.log.text());
                None
            })
        });
        self.address = record["address"].as_str().and_then(|text| text.parse().ok()).expect("the address is logged");
        self.child = Some(child);
    }

    /// What systemd would put into its environment, from the next start on.
    pub(crate) fn environment(&mut self, variables: &[(&str, &str)]) {
        self.environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    /// Trusts an authority of the test's own instead of the system's, from now on.
    pub(crate) fn trust(&mut self, certificates: Certificates) {
        self.trusted = Some(certificates);
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    /// SIGTERM: finish and end.
    pub(crate) fn term(&self) {
        kill_process(self.pid(), Signal::TERM).expect("it can be told");
    }

    /// SIGHUP: read the config again.
    pub(crate) fn hup(&self) {
        kill_process(self.pid(), Signal::HUP).expect("it can be told");
    }

    /// Reads the config again, and waits until it is in force.
    pub(crate) fn reload(&self) {
        let before = self.logged("config reloaded").len();
        self.hup();
        eventually("the reload", || (self.logged("config reloaded").len() > before).then_some(()));
    }

    /// SIGKILL, as a crash or a power cut would end it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it has ended");
        }
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        eventually("the daemon to end", || child.try_wait().expect("a child can be asked"))
    }

    /// A new connection to its port.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        stream
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it refuses new connections.
    pub(crate) fn refuses_connections(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    /// A request on a connection of its own, and its answer.
    pub(crate) fn send(&self, request: &[u8]) -> Answer {
        let answer = http::exchange(self.connect(), request).expect("an answer");
        self.note(&format!("{answer:?}"));
        answer
    }

    /// What stands at an address.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&http::request("GET", path, &[], b""))
    }

    /// A webhook's answer.
    pub(crate) fn post(&self, payload: &Value) -> Answer {
        self.send(&http::request("POST", HOOK, &[JSON], payload.to_string().as_bytes()))
    }

    /// A webhook that must be taken.
    pub(crate) fn accept(&self, payload: &Value) {
        let answer = self.post(payload);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Runs a command with this daemon's config.
    pub(crate) fn command(&self, arguments: &[&str]) -> Ended {
        self.command_with_input(arguments, "")
    }

    /// Runs a command with this daemon's config and something on its standard input.
    pub(crate) fn command_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        self.command_with(arguments, &[], input)
    }

    /// The same, with variables in its environment.
    pub(crate) fn command_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ended {
        let mut command = Command::new(BINARY);
        command.args(["--config", &self.path("linedown.toml")]).args(arguments).env_clear();
        command.envs(variables.iter().copied());
        command.envs(self.trusted.iter().map(|certificates| ("SSL_CERT_FILE", certificates.ca())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        // A command that does not read its input is as well.
        let _ = child.stdin.take().expect("the input is piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("a command ends");
        let text = |bytes| String::from_utf8(bytes).expect("commands print UTF-8");
        let ended = Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        self.note(&format!("{ended:?}"));
        ended
    }

    /// What a command shows on a terminal.
    pub(crate) fn on_a_terminal(&self, arguments: &[&str]) -> String {
        let command = [&[BINARY, "--config", &self.path("linedown.toml")], arguments].concat().join(" ");
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).stdin(Stdio::null()).env_clear();
        script.envs(self.trusted.iter().map(|certificates| ("SSL_CERT_FILE", certificates.ca())));
        let output = script.output().expect("script, of bsdutils, can be started");
        let text = String::from_utf8(output.stdout).expect("commands print UTF-8");
        self.note(&text);
        text
    }

    /// The rows that a command lists as JSON.
    pub(crate) fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        match self.json(arguments) {
            Value::Array(rows) => rows,
            other => panic!("{arguments:?} lists rows, not {other}"),
        }
    }

    /// What a command prints as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.command(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.out).expect("--json prints JSON")
    }

    /// Notifications in a state, as soon as there are so many.
    pub(crate) fn wait_for_deliveries(&self, state: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} {state} notifications"), || {
            let rows = self.rows(&["deliveries", "--limit", "10000", "--state", state]);
            (rows.len() >= count).then_some(rows)
        })
    }

    /// What the stdout sink has told so far.
    pub(crate) fn told(&self) -> Vec<Value> {
        self.told.read(|lines| records(lines))
    }

    /// What the stdout sink has told, as soon as it is so much.
    pub(crate) fn wait_for_told(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} lines of the stdout sink"), || {
            Some(self.told()).filter(|told| told.len() >= count)
        })
    }

    /// The log's records that begin with these words.
    pub(crate) fn logged(&self, words: &str) -> Vec<Value> {
        let begins = |record: &Value| record["message"].as_str().is_some_and(|message| message.starts_with(words));
        self.log.read(|lines| records(lines)).into_iter().filter(begins).collect()
    }

    /// The first record that begins with these words.
    pub(crate) fn wait_for_log(&self, words: &str) -> Value {
        eventually(&format!("the log to say {words:?}"), || self.logged(words).into_iter().next())
    }

    /// What happens while nobody reads its log.
    pub(crate) fn without_reading_its_log<T>(&self, during: impl FnOnce() -> T) -> T {
        // Who reads stops at the next line.
        self.log.read(|_| during())
    }

    /// A figure of `/metrics`, by its name and labels as they stand there.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = self.get("/metrics").body;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Whether some text stands anywhere in the store's files.
    pub(crate) fn stores(&self, text: &str) -> bool {
        ["linedown.db", "linedown.db-wal"].iter().any(|name| {
            let bytes = fs::read(self.path(name)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    fn note(&self, text: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        for reader in self.readers.drain(..) {
            // It reads to the end and no further.
            let _ = reader.join();
        }
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log.text());
            return;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, text) in [("log", &self.log.text()), ("output", &self.told.text()), ("commands or answers", &*seen)]
        {
            let place = text.find(CANARY).map(|at| text[..at].lines().count());
            assert_eq!(place, None, "a secret is in the {what}, at this line of:\n{text}");
        }
    }
}

/// The binary with something handed over as its third file, as systemd does with sockets.
fn handed(what: impl Into<Stdio>) -> Command {
    let mut shell = Command::new("/bin/sh");
    let hand_over = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    shell.args(["-c", hand_over, "sh", BINARY]).stdin(what);
    shell
}

/// Lines that arrive.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Lines {
    fn follow(self: &Arc<Self>, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                lines.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Vec<String>) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn text(&self) -> String {
        self.read(|lines| lines.join("\n"))
    }
}

fn records(lines: &[String]) -> Vec<Value> {
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
