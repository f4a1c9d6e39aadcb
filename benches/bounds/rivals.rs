//! The same load on linedown and on other programs that take webhooks and tell people: Prometheus' Alertmanager and
//! adnanh/webhook, as Debian packages them. In the same run, all post to sinks of the same kind, each message about one
//! line.
//!
//! Alertmanager is configured not to wait for the rest of a group, and to retry failed messages every ten seconds.
//! `webhook` runs curl for each webhook, which tries for two minutes; it is measured once answering at once, as is its
//! default, and once answering when curl is done.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::configure;
use crate::load::{self, Outcome, Target, Webhooks, down};
use crate::receiver::Receiver;
use crate::tools::{Server, tool};
use crate::{BINARY, SECRET};

/// Clients that post at the same time.
const CONNECTIONS: usize = 64;
/// Webhooks posted at full speed.
const FAST: usize = 4_000;
/// Webhooks posted while something goes wrong.
const FEW: usize = 500;
/// How long after the first webhook the program is killed while its sink is away.
const STRIKE: Duration = Duration::from_secs(5);
/// How long the sink is away.
const AWAY: Duration = Duration::from_mins(1);
/// If nothing has come for this long, nothing more will: this is longer than the pause between two attempts of any of
/// the programs after its sink was away for a minute. (linedown's doubles from 2 s, so it may be 77 s by then.)
const QUIET: Duration = Duration::from_secs(100);

#[derive(Clone, Copy)]
enum Program {
    Linedown,
    Alertmanager,
    Webhook { waits: bool },
}

const PROGRAMS: [Program; 4] =
    [Program::Linedown, Program::Alertmanager, Program::Webhook { waits: false }, Program::Webhook { waits: true }];

pub(crate) fn measure() {
    println!("{:<34} {:>12} {:>13} {:>12} {:>15}", "", "linedown", "Alertmanager", "webhook", "webhook, waits");
    let mut contenders = PROGRAMS.map(Contender::enter);
    let fast: Vec<(Outcome, usize)> = contenders.iter().map(Contender::at_full_speed).collect();
    table("accepted/s", fast.iter().map(|(outcome, _)| format!("{:.0}", outcome.rate)));
    table("accepted, p99, ms", fast.iter().map(|(outcome, _)| format!("{:.1}", outcome.took.percentile(99))));
    table(&format!("delivered of {FAST}"), fast.iter().map(|(_, told)| told.to_string()));
    // The rest is not about speed, so all programs run at the same time.
    for (what, happens) in [
        ("sink away for a minute", Contender::while_the_sink_is_away as fn(&mut Contender) -> (usize, usize)),
        ("kill -9 after the last", Contender::killed),
        ("kill -9 while the sink is away", Contender::killed_while_the_sink_is_away),
    ] {
        let outcomes: Vec<(usize, usize)> = thread::scope(|scope| {
            let running: Vec<_> =
                contenders.iter_mut().map(|contender| scope.spawn(move || happens(contender))).collect();
            running.into_iter().map(|each| each.join().expect("it is measured")).collect()
        });
        table(&format!("{what}: accepted of {FEW}"), outcomes.iter().map(|(accepted, _)| accepted.to_string()));
        table("  of these lost", outcomes.iter().map(|(accepted, told)| (accepted - told).to_string()));
    }
}

fn table(what: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.zip([12, 13, 12, 15]).map(|(cell, width)| format!("{cell:>width$}")).collect();
    println!("{what:<34} {}", cells.join(" "));
}

/// A program that runs, its folder and its sink.
struct Contender {
    program: Program,
    folder: TempDir,
    sink: Receiver,
    server: Option<Server>,
}

impl Contender {
    fn enter(program: Program) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let sink = Receiver::start("rival-[a-z]+-[0-9]+-");
        program.prepare(folder.path(), sink.port);
        let mut contender = Self { program, folder, sink, server: None };
        contender.start();
        contender
    }

    /// Starts the program, after killing the one that ran before.
    fn start(&mut self) {
        self.kill();
        self.server = Some(Server::start(|port| self.program.command(self.folder.path(), port)));
    }

    /// Kills it with SIGKILL.
    fn kill(&mut self) {
        self.server = None;
    }

    /// Posts on a thread of its own, since a program that answers only after it has told the sink may take long.
    fn offer(&self, name: &str, requests: usize) -> JoinHandle<Outcome> {
        let address = self.server.as_ref().map(Server::address).expect("it runs");
        let webhooks = self.program.webhooks(&format!("rival-{name}"));
        thread::spawn(move || load::offer(Target { address: &address, webhooks }, CONNECTIONS, requests))
    }

    /// How many webhooks were accepted, and of how many of those the sink was told in the end.
    fn settle(&self, name: &str, outcome: &Outcome) -> (usize, usize) {
        let accepted = outcome.took.count();
        (accepted, self.sink.settle(&format!("rival-{name}-"), accepted, QUIET).min(accepted))
    }

    fn at_full_speed(&self) -> (Outcome, usize) {
        let outcome = self.offer("fast", FAST).join().expect("it is posted");
        let (_, told) = self.settle("fast", &outcome);
        (outcome, told)
    }

    fn while_the_sink_is_away(&mut self) -> (usize, usize) {
        self.sink.go_away();
        let offered = self.offer("away", FEW);
        thread::sleep(AWAY);
        self.sink.come();
        self.settle("away", &offered.join().expect("it is posted"))
    }

    fn killed(&mut self) -> (usize, usize) {
        let outcome = self.offer("killed", FEW).join().expect("it is posted");
        self.start();
        self.settle("killed", &outcome)
    }

    fn killed_while_the_sink_is_away(&mut self) -> (usize, usize) {
        self.sink.go_away();
        let offered = self.offer("both", FEW);
        thread::sleep(STRIKE);
        self.kill();
        let outcome = offered.join().expect("it is posted");
        self.start();
        self.sink.come();
        self.settle("both", &outcome)
    }
}

impl Program {
    /// Writes the program's config.
    fn prepare(self, folder: &Path, sink: u16) {
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file can be written");
        match self {
            Self::Linedown => {
                let sections = format!(
                    "[sinks.chat]\ntype = \"slack\"\nwebhook_url = \"http://127.0.0.1:{sink}/\"\n\
                     limits = {{ in_flight = 8, interval = \"0s\" }}\n\
                     [[rules]]\nname = \"all\"\nnotify = [\"chat\"]\ngroup_interval = \"0s\"\n"
                );
                configure(folder, &sections);
            }
            Self::Alertmanager => write(
                "alertmanager.yml",
                &format!(
                    "route: {{receiver: sink, group_by: [instance], group_wait: 0s, group_interval: 10s, repeat_interval: 4h}}\n\
                     receivers:\n- name: sink\n  webhook_configs:\n  - url: http://127.0.0.1:{sink}/\n"
                ),
            ),
            Self::Webhook { waits } => {
                // `webhook` runs a program without a shell.
                write(
                    "tell",
                    &format!(
                        "#!/bin/sh\nexec curl --silent --fail --retry-connrefused --retry 60 --retry-delay 2 \
                         --retry-max-time 120 --data \"$1\" http://127.0.0.1:{sink}/\n"
                    ),
                );
                let executable = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
                fs::set_permissions(folder.join("tell"), executable).expect("a mode can be set");
                let hook = serde_json::json!([{
                    "id": "line",
                    "execute-command": folder.join("tell"),
                    "include-command-output-in-response": waits,
                    "pass-arguments-to-command": [{ "source": "payload", "name": "instanceId" }],
                }]);
                write("hooks.json", &hook.to_string());
            }
        }
    }

    fn command(self, folder: &Path, port: u16) -> Command {
        let address = format!("127.0.0.1:{port}");
        match self {
            Self::Linedown => {
                let mut command = Command::new(BINARY);
                command.env_clear().env("LINEDOWN__SERVER__LISTEN", address);
                command.arg("--config").arg(folder.join("linedown.toml")).arg("serve");
                command
            }
            Self::Alertmanager => {
                let mut command = tool("prometheus-alertmanager");
                command.arg("--config.file").arg(folder.join("alertmanager.yml"));
                command.arg("--storage.path").arg(folder.join("data"));
                command.args([
                    "--web.listen-address",
                    &address,
                    "--cluster.listen-address",
                    "",
                    "--log.level",
                    "error",
                ]);
                command
            }
            Self::Webhook { .. } => {
                let mut command = tool("webhook");
                command.arg("-hooks").arg(folder.join("hooks.json"));
                command.args(["-ip", "127.0.0.1", "-port", &port.to_string()]);
                command
            }
        }
    }

    /// The webhooks to post to it: the lines `NAME-0-`, `NAME-1-` and so on are down.
    fn webhooks(self, name: &str) -> Webhooks {
        let name = name.to_owned();
        match self {
            Self::Linedown => Webhooks::Other(
                format!("/hooks/z-api/{SECRET}"),
                Arc::new(move |number| down(&format!("{name}-{number}-"))),
            ),
            Self::Alertmanager => Webhooks::Other(
                "/api/v2/alerts".to_owned(),
                Arc::new(move |number| {
                    // Without an end, Alertmanager would take the alert for resolved after five minutes.
                    let labels =
                        serde_json::json!({ "alertname": "LineDown", "instance": format!("{name}-{number}-") });
                    let now = linedown::clock::now();
                    let ends_at = now + jiff::SignedDuration::from_hours(24);
                    serde_json::json!([{ "labels": labels, "startsAt": now, "endsAt": ends_at }]).to_string()
                }),
            ),
            Self::Webhook { .. } => {
                Webhooks::Other("/hooks/line".to_owned(), Arc::new(move |number| down(&format!("{name}-{number}-"))))
            }
        }
    }
}
