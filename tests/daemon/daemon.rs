//! The real binary in a folder of its own, driven through its port, its signals and its commands.
//!
//! Every secret that it is given contains [`CANARY`]. When a test ends, nothing that the daemon or its commands printed
//! may contain it.

mod asking;
mod launch;
mod lines;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

use linedown_standins::{Certificates, DEADLINE, lock};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use lines::{Lines, records};

/// Part of every secret, Slack's address included.
pub(crate) const CANARY: &str = "0canary";

/// The secret in the webhook's address.
pub(crate) const SECRET: &str = "0canary-webhook-7d9e5f0c2a";

/// The path of the webhook.
pub(crate) const HOOK: &str = "/hooks/z-api/0canary-webhook-7d9e5f0c2a";

/// The password for the relay.
pub(crate) const PASSWORD: &str = "0canary-smtp-81b3e6f4a2";

/// The header of every webhook.
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_linedown");

const ACCEPTING: &str = "accepting webhooks";

/// A daemon and its folder.
pub(crate) struct Daemon {
    folder: TempDir,
    child: Option<Child>,
    environment: Vec<(String, String)>,
    /// The authority that the daemon and its commands trust instead of the system's.
    trusted: Option<Certificates>,
    address: SocketAddr,
    log: Arc<Lines>,
    told: Arc<Lines>,
    /// Threads that read what the daemon prints, until it ends.
    readers: Vec<JoinHandle<()>>,
    /// All output of commands and all answers to requests.
    seen: Mutex<String>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Calls `look` until it returns something. Panics after [`DEADLINE`]; `what` names what was waited for.
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

/// The kinds of the messages that the stdout sink wrote.
pub(crate) fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().filter_map(|line| line["kind"].as_str()).collect()
}

impl Daemon {
    /// Starts a daemon with a source, a store, and these further sections of the config.
    pub(crate) fn start(sections: &str) -> Self {
        let mut daemon = Self::prepare(sections);
        daemon.launch();
        daemon
    }

    /// Prepares the folder and the config, and starts nothing.
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

    /// The path of a file in the daemon's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Sets the environment, as systemd would, from the next start on.
    pub(crate) fn environment(&mut self, variables: &[(&str, &str)]) {
        self.environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    /// Trusts an authority of the test's own instead of the system's, from now on.
    pub(crate) fn trust(&mut self, certificates: Certificates) {
        self.trusted = Some(certificates);
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    /// Sends SIGTERM: finish and end.
    pub(crate) fn term(&self) {
        kill_process(self.pid(), Signal::TERM).expect("it can be told");
    }

    /// Sends SIGHUP: read the config again.
    pub(crate) fn hup(&self) {
        kill_process(self.pid(), Signal::HUP).expect("it can be told");
    }

    /// Lets it sleep for a time, as a machine that is suspended would, and does something meanwhile.
    pub(crate) fn asleep(&self, time: Duration, meanwhile: impl FnOnce()) {
        kill_process(self.pid(), Signal::STOP).expect("it can be stopped");
        meanwhile();
        thread::sleep(time);
        kill_process(self.pid(), Signal::CONT).expect("it can be woken");
    }

    /// Reloads the config, and waits until it is in force.
    pub(crate) fn reload(&self) {
        let before = self.logged("config reloaded").len();
        self.hup();
        eventually("the reload", || (self.logged("config reloaded").len() > before).then_some(()));
    }

    /// Kills it with SIGKILL, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it has ended");
        }
    }

    /// From now on, no file that it writes can grow beyond this many bytes, as on a full disk.
    pub(crate) fn largest_file(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(self.pid()), Resource::Fsize, limit).expect("a limit can be set");
    }

    /// Waits until it ends, and returns how.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        eventually("the daemon to end", || child.try_wait().expect("a child can be asked"))
    }

    /// The lines that the stdout sink has written so far.
    pub(crate) fn told(&self) -> Vec<Value> {
        self.told.read(|lines| records(lines))
    }

    /// Waits until the stdout sink has written at least `count` lines, and returns them.
    pub(crate) fn wait_for_told(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} lines of the stdout sink"), || {
            Some(self.told()).filter(|told| told.len() >= count)
        })
    }

    /// The log's records whose message begins with these words.
    pub(crate) fn logged(&self, words: &str) -> Vec<Value> {
        let begins = |record: &Value| record["message"].as_str().is_some_and(|message| message.starts_with(words));
        self.log.read(|lines| records(lines)).into_iter().filter(begins).collect()
    }

    /// Waits for the first record of the log whose message begins with these words.
    pub(crate) fn wait_for_log(&self, words: &str) -> Value {
        eventually(&format!("the log to say {words:?}"), || self.logged(words).into_iter().next())
    }

    /// Runs `during` while nobody reads the daemon's log.
    pub(crate) fn without_reading_its_log<T>(&self, during: impl FnOnce() -> T) -> T {
        // The reader waits for this lock at the next line.
        self.log.read(|_| during())
    }

    /// Whether the store's files contain a text anywhere.
    pub(crate) fn stores(&self, text: &str) -> bool {
        ["linedown.db", "linedown.db-wal"].iter().any(|name| {
            let bytes = fs::read(self.path(name)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    fn note(&self, text: &str) {
        lock(&self.seen).push_str(text);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        for reader in self.readers.drain(..) {
            // The daemon is dead, so its output ends, and so does the reader.
            let _ = reader.join();
        }
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log.text());
            return;
        }
        let seen = lock(&self.seen);
        for (what, text) in [("log", &self.log.text()), ("output", &self.told.text()), ("commands or answers", &*seen)]
        {
            let place = text.find(CANARY).map(|at| text[..at].lines().count());
            assert_eq!(place, None, "a secret is in the {what}, at this line of:\n{text}");
        }
    }
}
