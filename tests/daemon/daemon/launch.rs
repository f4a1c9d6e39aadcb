//! Starting the daemon in every way.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use linedown_standins::Certificates;
use serde_json::Value;

use super::lines::records;
use super::{ACCEPTING, BINARY, Daemon, Ended, eventually};

impl Daemon {
    /// Starts it, and waits until it accepts webhooks.
    pub(crate) fn launch(&mut self) {
        let mut command = Command::new(BINARY);
        command.stdin(Stdio::null());
        self.launch_as(command);
    }

    /// Starts it on a system that trusts only the test's own authority.
    pub(crate) fn launch_trusting(&mut self, certificates: &Certificates) {
        let mut trusting = Command::new("/usr/bin/env");
        trusting.arg(format!("SSL_CERT_FILE={}", certificates.ca().display())).arg(BINARY);
        self.launch_as(trusting);
    }

    /// Starts it with a soft limit of `few` open files and a hard limit of `most`.
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

    /// Starts it as systemd would if it handed over no socket, and said so.
    pub(crate) fn launch_with_no_socket_of_systemd(&mut self) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=0 exec \"$@\" </dev/null", "sh", BINARY]);
        self.launch_as(shell);
    }

    /// Starts it as systemd would, but with something that is no socket, and returns how it ended.
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
}

/// The command that starts the binary with `what` as file descriptor 3, as systemd hands over sockets.
fn handed(what: impl Into<Stdio>) -> Command {
    let mut shell = Command::new("/bin/sh");
    let hand_over = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    shell.args(["-c", hand_over, "sh", BINARY]).stdin(what);
    shell
}
