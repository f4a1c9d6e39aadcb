//! The real binary as systemd runs it, on a socket that stays open when the process ends.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use linedown_standins::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_linedown");
/// The secret in the webhook's address.
pub(crate) const SECRET: &str = "soak-webhook-7d9e5f0c2a";

/// A daemon, its folder and its socket.
pub(crate) struct Service {
    folder: TempDir,
    socket: TcpListener,
    environment: Vec<(&'static str, PathBuf)>,
    child: Option<Child>,
}

impl Service {
    /// Prepares a folder with a base config, and starts nothing. The store is in a folder of its own.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let socket = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let service = Self { folder, socket, environment: Vec::new(), child: None };
        fs::create_dir(service.path("store")).expect("a folder can be made");
        fs::create_dir(service.path("conf.d")).expect("a folder can be made");
        let text = format!(
            "[server]\napi = \"{}\"\n[store]\nurl = \"sqlite://{}\"\n[sources.z-api]\ntype = \"z-api\"\nsecret = \"{SECRET}\"\n\
             [troubles]\ndisk_free_below = \"0%\"\n",
            service.path("api.sock").display(),
            service.store().display(),
        );
        fs::write(service.path("linedown.toml"), text).expect("the config can be written");
        let only_ours = fs::Permissions::from_mode(0o600);
        fs::set_permissions(service.path("linedown.toml"), only_ours).expect("a mode can be set");
        service
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The store's file.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("store/linedown.db")
    }

    /// The address for webhooks.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    /// Sets the environment of its processes, from the next start on.
    pub(crate) fn environment(&mut self, variables: Vec<(&'static str, PathBuf)>) {
        self.environment = variables;
    }

    /// Replaces all sections of the config but the base.
    pub(crate) fn configure(&self, sections: &str) {
        // A daemon that starts at this moment must find a whole file.
        fs::write(self.path("conf.d/unfinished"), sections).expect("the config can be written");
        fs::rename(self.path("conf.d/unfinished"), self.path("conf.d/soak.toml")).expect("a file can be renamed");
    }

    /// Adds to the base of the config.
    pub(crate) fn also(&self, section: &str) {
        fs::write(self.path("conf.d/also.toml"), section).expect("the config can be written");
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn start(&mut self) {
        let append = |name: &str| {
            let file = File::options().create(true).append(true).open(self.path(name));
            Stdio::from(file.expect("a file can be opened"))
        };
        let socket = OwnedFd::from(self.socket.try_clone().expect("a socket can be shared"));
        let hand_over = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", hand_over, "sh", "/usr/bin/env"]);
        // `env` sets the variables, so that LD_PRELOAD does not affect the shell.
        shell.args(self.environment.iter().map(|(name, value)| format!("{name}={}", value.display())));
        shell.arg(BINARY).arg("--config").arg(self.path("linedown.toml")).arg("serve").env_clear();
        shell.envs([("LINEDOWN_LOG_FORMAT", "json"), ("LINEDOWN_LOG", "info")]);
        shell.stdin(socket).stdout(append("told.jsonl")).stderr(append("log.jsonl"));
        self.child = Some(shell.spawn().expect("the binary can be started"));
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it has ended");
        }
    }

    /// Sends SIGTERM: finish and end.
    pub(crate) fn term(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGHUP: read the config again.
    pub(crate) fn hup(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it was started and has not ended. Unlike [`Service::ended`], leaves its exit status to be asked for.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a child can be asked").is_none())
    }

    /// Returns how it ended, if it has, and forgets the process.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().expect("a child can be asked")?;
        self.child = None;
        Some(ended)
    }

    /// Waits until it ends, and returns how; none if it does not in time.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(ended) = self.ended() {
                return Some(ended);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start_and_wait(&mut self) {
        self.start();
        self.wait_until_it_answers();
    }

    pub(crate) fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        while self.command(&["incidents", "--limit", "1"]).0 != Some(0) {
            assert!(self.ended().is_none(), "it ended: {}", self.end_of_log());
            assert!(Instant::now() < deadline, "it does not answer: {}", self.end_of_log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a command. Returns its exit code, and its output if it succeeded or its errors if not.
    pub(crate) fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(BINARY);
        command.arg("--config").arg(self.path("linedown.toml")).args(arguments).env_clear();
        let output = command.stdin(Stdio::null()).output().expect("the binary can be started");
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs a command that lists rows, and returns all of them.
    pub(crate) fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, text) = self.command(&[arguments, &["--limit", "10000", "--json"]].concat());
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        let rows: Vec<Value> = serde_json::from_str(&text).expect("--json prints JSON");
        assert!(rows.len() < 10_000, "{arguments:?}: more than can be listed");
        rows
    }

    /// The lines that the sink `console` has written, over all lives.
    pub(crate) fn told(&self) -> Vec<Value> {
        records(&fs::read_to_string(self.path("told.jsonl")).unwrap_or_default())
    }

    /// The log and everything else written to the standard error, over all lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log.jsonl")).unwrap_or_default()
    }

    /// The last 40 lines of the log, for messages about failures.
    pub(crate) fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Keeps the folder for somebody to look at.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("kept to be looked at: {}", self.keep().display());
        }
    }
}

fn records(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
