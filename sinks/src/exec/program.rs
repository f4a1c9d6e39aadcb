//! Runs a program once, within bounds of time and memory.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program may run: less than the daemon waits for what is in progress when it stops.
pub(super) const TIME: Duration = Duration::from_secs(15);
/// How many bytes are kept of each output; the rest is read and forgotten.
const KEPT: usize = 4096;
/// How many bytes are read at once: as many as a pipe of Linux holds (pipe(7)).
const PIPE: usize = 64 * 1024;
/// Where the program finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program with its arguments and its environment.
#[derive(Clone)]
pub(super) struct Program {
    /// The full path and the arguments.
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(String, SecretString)>,
}

/// How a program ended.
pub(super) struct Ended {
    pub(super) how: How,
    /// The beginning of what it wrote to its standard output.
    pub(super) output: String,
    /// The end of what it wrote to its standard error.
    pub(super) errors: String,
}

/// Whether a program ended by itself.
pub(super) enum How {
    /// It could not be started, or not be waited for.
    NotStarted(io::Error),
    /// With an exit code, or killed by a signal.
    With(ExitStatus),
    /// Killed after [`TIME`].
    TooLate,
}

impl Program {
    /// Runs the program with these variables as well, and this input. If the future is dropped, the program and all
    /// processes of its group are killed.
    pub(super) async fn run(&self, variables: &[(&str, String)], input: &[u8]) -> Ended {
        let started = self.command(variables).spawn().map(Running::new);
        let mut running = match started {
            Ok(running) => running,
            Err(error) => return Ended { how: How::NotStarted(error), output: String::new(), errors: String::new() },
        };
        let how = match timeout(TIME, running.end(input)).await {
            Ok(Ok(status)) => How::With(status),
            Ok(Err(error)) => How::NotStarted(error),
            Err(_elapsed) => How::TooLate,
        };
        Ended { how, output: running.output.text(), errors: running.errors.text() }
    }

    fn command(&self, variables: &[(&str, String)]) -> Command {
        let mut command = Command::new(self.command.first().map_or("", String::as_str));
        command.args(self.command.iter().skip(1)).current_dir("/");
        command.env_clear().env("PATH", PATH).envs(variables.iter().map(|(name, value)| (name, value)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value.expose_secret())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// A program that was started; killed with its group if it has not ended when this is dropped.
struct Running {
    child: Child,
    output: Kept<ChildStdout>,
    errors: Kept<ChildStderr>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let output = Kept { stream: child.stdout.take(), end: End::First, bytes: Vec::new() };
        let errors = Kept { stream: child.stderr.take(), end: End::Last, bytes: Vec::new() };
        Self { child, output, errors }
    }

    /// Waits until the program ends, and reads what it writes meanwhile, so that it never has to wait. A process that it
    /// left in the background may hold the outputs open; it is not waited for.
    async fn end(&mut self, input: &[u8]) -> io::Result<ExitStatus> {
        let stdin = self.child.stdin.take();
        let talk = async {
            tokio::join!(feed(stdin, input), self.output.follow(), self.errors.follow());
            pending::<Infallible>().await
        };
        let status = tokio::select! {
            status = self.child.wait() => status?,
            never = talk => match never {},
        };
        self.output.finish();
        self.errors.finish();
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // There is no number any more once it has ended, and another process may have it.
        let group = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Hands over the input. A program need not read it.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

/// One of a program's outputs, of which the first or the last bytes are kept.
struct Kept<S> {
    stream: Option<S>,
    end: End,
    bytes: Vec<u8>,
}

/// Which bytes are kept.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

impl<S: AsyncRead + AsFd + Unpin> Kept<S> {
    /// Reads until nobody holds the output open any more.
    async fn follow(&mut self) {
        let mut buffer = vec![0; PIPE];
        while let Some(stream) = &mut self.stream
            && let Ok(read @ 1..) = stream.read(&mut buffer).await
        {
            self.keep(&buffer[..read]);
        }
    }

    /// Reads what the program had written before it ended: no more than a pipe holds, and without waiting.
    fn finish(&mut self) {
        let mut buffer = vec![0; PIPE];
        if let Some(stream) = self.stream.take()
            && let Ok(read) = rustix::io::read(&stream, &mut buffer[..])
        {
            self.keep(&buffer[..read]);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let excess = self.bytes.len().saturating_sub(KEPT);
        match self.end {
            End::First => self.bytes.truncate(KEPT),
            End::Last => drop(self.bytes.drain(..excess)),
        }
    }

    /// What is kept, in whole lines if it is the end of more: a secret that was cut in two could not be recognised.
    fn text(&self) -> String {
        let start = match self.end {
            End::Last if self.bytes.len() >= KEPT => {
                self.bytes.iter().position(|byte| *byte == b'\n').unwrap_or(self.bytes.len())
            }
            End::First | End::Last => 0,
        };
        String::from_utf8_lossy(&self.bytes[start..]).into_owned()
    }
}
