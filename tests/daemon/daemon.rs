//! The real binary in a folder of its own, driven through its port, its signals and its commands.
//!
//! Every secret it is given holds [`CANARY`]; when a test ends, nothing that it or its commands printed may.

mod asking;
mod launch;
mod lines;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

use linedown_standins::{Certificates, DEADLINE};
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

/// Which kinds of messages were told.
pub(crate) fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().filter_map(|line| line["kind"].as_str()).collect()
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

    /// From now on it cannot write beyond so many bytes of any file, as on a disk that is full.
    pub(crate) fn largest_file(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(self.pid()), Resource::Fsize, limit).expect("a limit can be set");
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        eventually("the daemon to end", || child.try_wait().expect("a child can be asked"))
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
