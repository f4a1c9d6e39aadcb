//! Asking the daemon: requests to its port, and commands.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use linedown_standins::DEADLINE;
use serde_json::Value;

use super::{BINARY, Daemon, Ended, HOOK, JSON, eventually};
use crate::http::{self, Answer};

impl Daemon {
    /// Opens a new connection to its port.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        stream
    }

    /// The address on which it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it refuses new connections.
    pub(crate) fn refuses_connections(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    /// Sends a request on a connection of its own, and returns the answer.
    pub(crate) fn send(&self, request: &[u8]) -> Answer {
        let answer = http::exchange(self.connect(), request).expect("an answer");
        self.note(&format!("{answer:?}"));
        answer
    }

    /// Sends a GET request.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&http::request("GET", path, &[], b""))
    }

    /// Posts a webhook, and returns the answer.
    pub(crate) fn post(&self, payload: &Value) -> Answer {
        self.send(&http::request("POST", HOOK, &[JSON], payload.to_string().as_bytes()))
    }

    /// Posts a webhook that must be answered with 200.
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
        // A command that does not read its input closes it: no mistake.
        let _ = child.stdin.take().expect("the input is piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("a command ends");
        let text = |bytes| String::from_utf8(bytes).expect("commands print UTF-8");
        let ended = Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        self.note(&format!("{ended:?}"));
        ended
    }

    /// Runs a command on a terminal of that many columns, and returns what it shows.
    pub(crate) fn on_a_terminal(&self, columns: usize, arguments: &[&str]) -> String {
        let command = [&[BINARY, "--config", &self.path("linedown.toml")], arguments].concat().join(" ");
        let command = format!("stty cols {columns}; {command}");
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).stdin(Stdio::null()).env_clear();
        script.envs(self.trusted.iter().map(|certificates| ("SSL_CERT_FILE", certificates.ca())));
        let output = script.output().expect("script, of bsdutils, can be started");
        let text = String::from_utf8(output.stdout).expect("commands print UTF-8");
        self.note(&text);
        text
    }

    /// Runs a command that lists rows as JSON.
    pub(crate) fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        match self.json(arguments) {
            Value::Array(rows) => rows,
            other => panic!("{arguments:?} lists rows, not {other}"),
        }
    }

    /// Runs a command that must succeed with `--json`, and returns the JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.command(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.out).expect("--json prints JSON")
    }

    /// Waits until there are at least `count` notifications in a state, and returns them.
    pub(crate) fn wait_for_deliveries(&self, state: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} {state} notifications"), || {
            let rows = self.rows(&["deliveries", "--limit", "10000", "--state", state]);
            (rows.len() >= count).then_some(rows)
        })
    }

    /// A value from `/metrics`, by its name and labels as written there.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = self.get("/metrics").body;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}
