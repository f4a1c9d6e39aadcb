//! The daemon of the demo: a child process that runs this program in the demo's folder, without any settings of the
//! user's.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::{Code, CommandError};
use super::{CONFIG_FILE, PATIENCE, failed};

/// How many of the daemon's latest log records are kept, to explain a failure.
const KEPT: usize = 5;
/// The message that the daemon logs, with its address, when it is ready.
const READY: &str = "accepting webhooks";
/// Environment variables that are meant for another daemon.
const FOREIGN: [&str; 9] = [
    "LINEDOWN_CONFIG",
    "LINEDOWN_LOG_FORMAT",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_PID",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
];

/// The running daemon.
pub(super) struct Daemon {
    folder: PathBuf,
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    log: Log,
    /// The address at which it accepts webhooks.
    pub(super) address: SocketAddr,
}

/// The latest log records.
type Log = Arc<Mutex<VecDeque<String>>>;

impl Daemon {
    /// Starts the daemon in a folder, and waits until it accepts webhooks.
    pub(super) async fn start(folder: &Path) -> Result<Self, CommandError> {
        let mut command = command(folder).map_err(|error| failed("cannot find this program's own file", &error))?;
        command.args(["serve", "--log-format", "json"]).env("LINEDOWN_LOG", "info").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|error| failed("cannot start the daemon", &error))?;
        let (Some(stdout), Some(stderr)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(CommandError::new(Code::Failed, "the daemon has no output"));
        };
        let log = Log::default();
        let (sender, ready) = oneshot::channel();
        tokio::spawn(follow(stderr, Arc::clone(&log), sender));
        match timeout(PATIENCE, ready).await {
            Ok(Ok(address)) => {
                let output = BufReader::new(stdout).lines();
                Ok(Self { folder: folder.to_owned(), process, output, log, address })
            }
            _ => Err(with_log(CommandError::new(Code::Failed, "the daemon did not get ready"), &log)),
        }
    }

    /// The next line that the console sink prints. Never returns if there is none.
    pub(super) async fn line(&mut self) -> String {
        match self.output.next_line().await {
            Ok(Some(line)) => line,
            _ => std::future::pending().await,
        }
    }

    /// The JSON output of one of the program's commands.
    pub(super) async fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, CommandError> {
        let what = || format!("`linedown {}` failed", arguments.join(" "));
        let mut command = command(&self.folder).map_err(|error| failed(what(), &error))?;
        command.args(arguments).arg("--json").stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let Output { status, stdout, stderr } = output.map_err(|error| failed(what(), &error))?;
        if !status.success() {
            let said = String::from_utf8_lossy(&stderr).into_owned();
            return Err(self.explain(failed(what(), &io::Error::other(said.trim().to_owned()))));
        }
        serde_json::from_slice(&stdout).map_err(|error| failed(what(), &error))
    }

    /// Kills it without a warning, as a power cut would.
    pub(super) async fn kill(mut self) -> Result<(), CommandError> {
        self.process.kill().await.map_err(|error| failed("cannot kill the daemon", &error))
    }

    /// Tells it to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<ExitStatus, CommandError> {
        let asked = match self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            Some(id) => kill_process(id, Signal::TERM).map_err(io::Error::from),
            None => Err(io::Error::other("it has ended by itself")),
        };
        asked.map_err(|error| self.explain(failed("cannot stop the daemon", &error)))?;
        let ended = timeout(PATIENCE, self.process.wait()).await;
        let ended = ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        ended.map_err(|error| self.explain(failed("the daemon did not end", &error)))
    }

    /// Adds the daemon's latest log records to an error.
    pub(super) fn explain(&self, error: CommandError) -> CommandError {
        with_log(error, &self.log)
    }
}

/// This program, set up to run in the folder.
fn command(folder: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.current_dir(folder).args(["--config", CONFIG_FILE]);
    let overrides =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("LINEDOWN__"));
    for name in overrides.chain(FOREIGN.map(Into::into)) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Reads the log to its end, and sends the address as soon as it is known.
async fn follow(stderr: impl AsyncRead + Unpin, log: Log, ready: oneshot::Sender<SocketAddr>) {
    let mut ready = Some(ready);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let record: Value = serde_json::from_str(&line).unwrap_or_default();
        if record["message"] == READY
            && let Some(address) = record["address"].as_str().and_then(|address| address.parse().ok())
            && let Some(ready) = ready.take()
        {
            // If nobody waits any more, the address is not needed.
            let _ = ready.send(address);
        }
        let mut log = log.lock();
        if log.len() == KEPT {
            log.pop_front();
        }
        log.push_back(line);
    }
}

fn with_log(error: CommandError, log: &Log) -> CommandError {
    let lines = log.lock();
    lines.iter().fold(error, |error, line| error.caused_by(&io::Error::other(format!("the daemon's log: {line}"))))
}
