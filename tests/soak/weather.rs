//! The faults: picked at random from a seed, and counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use linedown_standins::{Command, Does as Smtp, Scripted};

use crate::gateway::rules;
use crate::service::Service;
use crate::shim::{Number, Shim};
use crate::sides::{Sides, WIRED};
use crate::wire::Does;

/// The errors of a full disk and of a failing device.
const ENOSPC: i64 = 28;
const EIO: i64 = 5;

/// Faults and how often they were made.
pub(crate) type Counts = BTreeMap<String, usize>;

/// The faults in force.
pub(crate) struct Weather<'w> {
    sides: &'w Sides,
    shim: &'w Shim,
    pub(crate) rng: Rng,
    pub(crate) counts: Counts,
    /// Values for the sinks' `give_up_after`; each config has one of them.
    patience: &'static [&'static str],
    /// The faults in force, and when they end.
    mended: Vec<(Instant, Mend)>,
    /// Whether the disk failed in this life.
    pub(crate) disk_failed: bool,
    /// Whether there was a broken config in this life.
    pub(crate) config_broken: bool,
}

/// Patience so short that some messages are given up.
pub(crate) const LITTLE: &[&str] = &["2s", "3s", "5s"];
/// Patience with which linedown gives up only messages that are refused for good. With it, the clock does not jump, and
/// reads do not fail, which would end the daemon.
pub(crate) const ENDLESS: &[&str] = &["3650d"];

/// A fault that ends by itself.
#[derive(Clone, Copy)]
enum Mend {
    Wire(usize),
    Number(Number),
    /// A relay or a Slack, by its index in [`WIRED`].
    Side(usize),
}

impl<'w> Weather<'w> {
    /// Fair weather.
    pub(crate) fn new(sides: &'w Sides, shim: &'w Shim, seed: u64, patience: &'static [&'static str]) -> Self {
        let (rng, counts) = (Rng::with_seed(seed), Counts::new());
        Self { sides, shim, rng, counts, patience, mended: Vec::new(), disk_failed: false, config_broken: false }
    }

    /// A config with random names for the rules and a random patience.
    pub(crate) fn config(&mut self) -> String {
        let patience = self.patience[self.rng.usize(..self.patience.len())];
        format!("{}{}", self.sides.config(patience), rules(&format!("rule {}", self.rng.u8(..))))
    }

    /// Counts a fault.
    pub(crate) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Begins a life, in whatever weather there is.
    pub(crate) fn begin(&mut self) {
        let disk =
            |what: &Mend| matches!(what, Mend::Number(Number::WriteError | Number::SyncError | Number::ReadError));
        self.disk_failed = self.mended.iter().any(|(_, what)| disk(what));
        self.config_broken = false;
    }

    /// Ends the faults whose time is over.
    pub(crate) fn clear(&mut self) {
        let now = Instant::now();
        let (sides, shim) = (self.sides, self.shim);
        self.mended.retain(|(until, what)| {
            if *until > now {
                return true;
            }
            match what {
                Mend::Wire(wire) => sides.wires[*wire].set(Does::Pass),
                Mend::Number(number) => shim.set(*number, 0),
                Mend::Side(side) => sides.behave_one(*side),
            }
            false
        });
    }

    fn lasting(&mut self, what: Mend) {
        let until = Instant::now() + Duration::from_millis(self.rng.u64(50..2500));
        self.mended.push((until, what));
    }

    /// Makes something go wrong.
    pub(crate) fn turn(&mut self, service: &Service) {
        match self.rng.u8(..16) {
            0..4 => self.network(),
            4..7 => self.relay(),
            7..9 => self.slack(),
            9..12 => self.disk(),
            12 if self.patience == LITTLE => self.clock(),
            13 => {
                self.count("names that do not resolve");
                self.shim.set(Number::NoNames, 1);
                self.lasting(Mend::Number(Number::NoNames));
            }
            _ => self.reload(service),
        }
    }

    fn network(&mut self) {
        let wire = self.rng.usize(..WIRED.len());
        let (what, does) = match self.rng.u8(..5) {
            0 => ("refuses", Does::Refuse),
            1 => ("hangs", Does::Hang),
            2 => ("speaks nonsense (to TLS, a failed handshake)", Does::Garble),
            3 => ("cuts connections", Does::CutAfter(self.rng.usize(1..3000))),
            _ => ("is slow", Does::Slow(Duration::from_millis(self.rng.u64(1..50)))),
        };
        self.count(&format!("network {what}"));
        self.sides.wires[wire].set(does);
        self.lasting(Mend::Wire(wire));
    }

    fn relay(&mut self) {
        let sides = self.sides;
        let (side, relay) = if self.rng.bool() { (0, &sides.first) } else { (1, &sides.second) };
        let commands = [
            (Command::Connect, "before the greeting"),
            (Command::Ehlo, "at EHLO"),
            (Command::Mail, "at MAIL"),
            (Command::Rcpt, "at RCPT"),
            (Command::Data, "at DATA"),
            (Command::Content, "within the content"),
            (Command::Dot, "after the final dot"),
        ];
        let (command, place) = commands[self.rng.usize(..commands.len())];
        let (what, does) = match self.rng.u8(..7) {
            0 | 1 => ("closes", Smtp::Close),
            2 => ("hangs", Smtp::Hang),
            // Refused for good.
            3 => ("answers 5xx", Smtp::Reply("550 5.7.1 not from you")),
            4 => ("answers 421", Smtp::Reply("421 4.3.2 going down")),
            _ => ("answers 4xx", Smtp::Reply("451 4.3.0 later")),
        };
        self.count(&format!("relay {what} {place}"));
        relay.plan(command, does, self.rng.usize(1..4));
        self.lasting(Mend::Side(side));
    }

    fn slack(&mut self) {
        let sides = self.sides;
        let (slack, is_safe) = if self.rng.bool() { (&sides.slack, false) } else { (&sides.safe, true) };
        let (what, scripted) = match self.rng.u8(..9) {
            0 => ("answers 500", Scripted::answer(500, "oops")),
            1 => ("answers 503", Scripted::answer(503, "later")),
            2 => ("answers 400", Scripted::answer(400, "invalid_payload")),
            3 => ("hangs", Scripted::Hang),
            4 => ("cuts the connection", Scripted::Cut),
            5 => ("cuts its answer", Scripted::CutWithin),
            6 => ("answers 429 with Retry-After: 1", Scripted::rate_limited("1")),
            7 => {
                let insane = ["-1", "", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "0", "1e999", "\u{7f}"];
                ("answers 429 with a senseless Retry-After", Scripted::rate_limited(insane[self.rng.usize(..7)]))
            }
            // linedown then waits for an hour, which only a person can cut short.
            _ if is_safe => ("answers 429 with an endless Retry-After", Scripted::rate_limited("99999999999999999999")),
            _ => ("answers 404", Scripted::answer(404, "no_service")),
        };
        self.count(&format!("Slack {what}"));
        slack.script(scripted);
        self.lasting(Mend::Side(if is_safe { 3 } else { 2 }));
    }

    fn disk(&mut self) {
        self.shim.set(Number::PerMille, [1000, 1000, 300, 30][self.rng.usize(..4)]);
        let (what, number, value) = match self.rng.u8(..if self.patience == LITTLE { 5 } else { 4 }) {
            0 => ("is full", Number::WriteError, ENOSPC),
            1 => ("fails to write", Number::WriteError, EIO),
            2 => ("fails to sync", Number::SyncError, EIO),
            3 => ("is slow", Number::Slow, self.rng.i64(500..20_000)),
            // SQLite takes this for damage, so it ends the daemon.
            _ => ("fails to read", Number::ReadError, EIO),
        };
        self.count(&format!("disk {what}"));
        self.disk_failed |= !matches!(number, Number::Slow);
        self.shim.set(number, value);
        self.lasting(Mend::Number(number));
    }

    fn clock(&mut self) {
        let hours = 3_600_000;
        let jump = [-60_000, 60_000, -2 * hours, 2 * hours, -48 * hours, 48 * hours][self.rng.usize(..6)];
        self.count(if jump < 0 { "clock jumps back, and ahead again" } else { "clock jumps ahead, and back again" });
        self.shim.set(Number::Clock, jump);
        self.lasting(Mend::Number(Number::Clock));
    }

    fn reload(&mut self, service: &Service) {
        let good = self.config();
        if self.rng.u8(..4) == 0 {
            self.count("reload of a broken config");
            self.config_broken = true;
            service.configure(&good.replace("stdout", "stdoubt"));
            service.hup();
            // Put the good config back: with the broken one, no start would succeed.
            std::thread::sleep(Duration::from_millis(30));
            service.configure(&good);
        } else {
            self.count("reload");
            service.configure(&good);
            service.hup();
        }
    }
}
