//! The metrics that Prometheus scrapes. Label values are bounded: sources, sinks and kinds, never an instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Kind, Reason};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::clock;
use crate::gateway::{Failure, Standing};
use crate::store::{Figures, Outcome, Room};

/// All metrics of the daemon.
pub struct Metrics {
    registry: Registry,
    webhooks: Family<Webhook, Counter>,
    checks: Family<Webhook, Counter>,
    heartbeats: Family<Heartbeat, Counter>,
    unrouted: Counter,
    attempts: Family<Attempt, Counter>,
    notifications: Family<Settled, Counter>,
    untold: Counter,
    /// Seconds from the time a notification was due until it was delivered.
    delay: Family<Sink, Histogram, fn() -> Histogram>,
    reload_ok: Gauge<f64, AtomicU64>,
    reloaded_at: Gauge,
    ready: Gauge,
    commit: Histogram,
    sampled: Sampled,
}

/// Gauges that are set when somebody scrapes, rather than as things happen.
#[derive(Default)]
struct Sampled {
    open: Family<Open, Gauge>,
    pending: Family<Pending, Gauge>,
    /// Seconds for which the oldest pending notification has been due.
    oldest: Family<Sink, Gauge<f64, AtomicU64>>,
    failing: Family<Sink, Gauge>,
    size: Gauge,
    free: Gauge,
    capacity: Gauge,
    /// A family without labels, since there may be no certificate.
    certificate: Family<[(String, String); 0], Gauge>,
}

/// Labels of webhooks, and of questions to gateways.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Webhook {
    source: String,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Attempt {
    sink: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Heartbeat {
    outcome: &'static str,
}

/// Labels of notifications that were delivered or given up.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Settled {
    sink: String,
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Open {
    reason: &'static str,
}

/// Labels of pending notifications.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Pending {
    sink: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Sink {
    sink: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("linedown");
        registry.register("build", "The version that is running", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let all = &mut registry;
        let help = "Time from when a notification was owed until it was delivered";
        let delay = Family::new_with_constructor(buckets as fn() -> Histogram);
        let metrics = Self {
            webhooks: added(all, "webhooks", "Webhooks by answer"),
            checks: added(all, "checks", "Requests to gateways for a line's state, by answer"),
            heartbeats: added(all, "heartbeats", "Heartbeats by outcome"),
            unrouted: added(all, "incidents_unrouted", "Incidents that no rule matched"),
            attempts: added(all, "attempts", "Attempts to deliver by outcome"),
            notifications: added(all, "notifications", "Notifications delivered or given up"),
            untold: added(all, "notifications_untold", "Notifications given up with nobody else to tell"),
            delay: in_unit(all, Unit::Seconds, "delivery_delay", help, delay),
            reload_ok: added(all, "config_reload_ok", "Whether the last (re)load of the config succeeded"),
            reloaded_at: added_in(all, Unit::Seconds, "config_reload_timestamp", "When a config was last loaded"),
            ready: added(all, "ready", "Whether webhooks can be accepted"),
            commit: in_unit(all, Unit::Seconds, "store_commit", "Time that a commit takes, up to its sync", commits()),
            sampled: Sampled::of(all),
            registry,
        };
        metrics.reloaded(true);
        metrics
    }
}

impl Sampled {
    fn of(all: &mut Registry) -> Self {
        let help = "Notifications that are owed by now and neither delivered nor given up";
        Self {
            open: added(all, "incidents_open", "Incidents that are open"),
            pending: added(all, "notifications_pending", help),
            oldest: added_in(
                all,
                Unit::Seconds,
                "oldest_pending_age",
                "How long the oldest pending notification has been owed",
            ),
            failing: added(all, "sink_failing", "Whether the sink is failing"),
            size: added_in(all, Unit::Bytes, "store_size", "Size of the store's files"),
            free: added_in(all, Unit::Bytes, "store_free", "Free space on the store's file system"),
            capacity: added_in(all, Unit::Bytes, "store_capacity", "Size of the store's file system"),
            certificate: added_in(
                all,
                Unit::Seconds,
                "certificate_expiry_timestamp",
                "When the served certificate expires",
            ),
        }
    }
}

/// Adds a metric to all of them.
fn added<M: Metric + Clone + Default>(all: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    all.register(name, help, metric.clone());
    metric
}

fn added_in<M: Metric + Clone + Default>(all: &mut Registry, unit: Unit, name: &str, help: &str) -> M {
    in_unit(all, unit, name, help, M::default())
}

/// Adds a metric whose name ends with its unit.
fn in_unit<M: Metric + Clone>(all: &mut Registry, unit: Unit, name: &str, help: &str, metric: M) -> M {
    all.register_with_unit(name, help, unit, metric.clone());
    metric
}

/// Buckets in seconds. A commit takes as long as the disk's sync.
fn commits() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0])
}

fn buckets() -> Histogram {
    Histogram::new([0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0])
}

impl Metrics {
    /// Counts a webhook by its result. `source` is a configured source, or empty.
    pub fn webhook(&self, source: &str, result: &'static str) {
        self.webhooks.get_or_create(&Webhook { source: source.to_owned(), result }).inc();
    }

    /// Counts a question to a gateway about a line's state, by its answer.
    pub fn checked(&self, source: &str, answer: &Result<Standing, Failure>) {
        let result = match answer {
            Ok(Standing::Up) => "up",
            Ok(Standing::Down { .. }) => "down",
            Err(_) => "unknown",
        };
        self.checks.get_or_create(&Webhook { source: source.to_owned(), result }).inc();
    }

    /// Counts a heartbeat: `taken`, `failed`, or `withheld` because linedown is in trouble.
    pub fn heartbeat(&self, outcome: &'static str) {
        self.heartbeats.get_or_create(&Heartbeat { outcome }).inc();
    }

    /// Counts an incident that matched no rule.
    pub fn unrouted(&self) {
        self.unrouted.inc();
    }

    /// Counts an attempt by its outcome.
    pub fn attempt(&self, sink: &str, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Delivered(_) => "delivered",
            Outcome::Again { kind, .. } | Outcome::Dead { kind, .. } => kind.as_str(),
        };
        self.attempts.get_or_create(&Attempt { sink: sink.to_owned(), outcome }).inc();
    }

    /// Counts the notifications that an attempt settled: one for each of `kinds`, which are several for a digest. `delay`
    /// is the time from due to delivered.
    pub fn outcome(&self, sink: &str, kinds: impl IntoIterator<Item = Kind>, outcome: &Outcome, delay: Duration) {
        let state = match outcome {
            Outcome::Delivered(_) => {
                self.delay.get_or_create(&Sink { sink: sink.to_owned() }).observe(delay.as_secs_f64());
                "delivered"
            }
            Outcome::Dead { .. } => "dead",
            Outcome::Again { .. } => return,
        };
        for kind in kinds {
            self.notifications.get_or_create(&Settled { sink: sink.to_owned(), kind: kind.as_str(), state }).inc();
        }
    }

    /// Counts notifications that were given up without an attempt.
    pub fn given_up(&self, sink: &str, count: usize) {
        let settled = Settled { sink: sink.to_owned(), kind: "untried", state: "dead" };
        self.notifications.get_or_create(&settled).inc_by(count as u64);
    }

    /// Counts notifications that were given up without anybody else being told.
    pub fn untold(&self, count: usize) {
        self.untold.inc_by(count as u64);
    }

    /// Records whether the last reload of the config succeeded.
    pub fn reloaded(&self, ok: bool) {
        self.reload_ok.set(if ok { 1.0 } else { 0.0 });
    }

    /// Records when a config last came into force.
    pub fn configured(&self, at: Timestamp) {
        self.reloaded_at.set(at.as_second());
    }

    /// Records whether webhooks can be accepted.
    pub fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Returns a function that records how long a commit took; the store calls it.
    pub fn commits(&self) -> impl Fn(Duration) + Send + use<> {
        let commit = self.commit.clone();
        move |took| commit.observe(took.as_secs_f64())
    }

    /// Sets the gauges of open incidents and pending notifications. `sinks` are the sinks of the config; those with
    /// nothing pending get an age of zero.
    pub fn counted(&self, figures: &Figures, sinks: &BTreeSet<String>, now: Timestamp) {
        let Sampled { open, pending, oldest, .. } = &self.sampled;
        for reason in Reason::ALL {
            let count = figures.open.get(&reason).copied().unwrap_or_default();
            open.get_or_create(&Open { reason: reason.as_str() }).set(i64::from(count));
        }
        pending.clear();
        oldest.clear();
        let mut since: BTreeMap<&str, Timestamp> = sinks.iter().map(|sink| (sink.as_str(), now)).collect();
        for overdue in &figures.overdue {
            let label = Pending { sink: overdue.sink.clone(), kind: overdue.kind.as_str() };
            pending.get_or_create(&label).inc_by(i64::from(overdue.count));
            let first = since.entry(&overdue.sink).or_insert(now);
            *first = overdue.since.min(*first);
        }
        for (sink, since) in since {
            oldest.get_or_create(&Sink { sink: sink.to_owned() }).set(clock::between(since, now).as_secs_f64());
        }
    }

    /// Sets the size of the store, and the free and total space of its file system.
    pub fn room(&self, room: Room) {
        let Sampled { size, free, capacity, .. } = &self.sampled;
        for (gauge, bytes) in [(size, room.size), (free, room.free), (capacity, room.capacity)] {
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// Sets for every sink whether it fails. `sinks` are those of the config.
    pub fn failing(&self, sinks: &BTreeSet<String>, failing: &BTreeSet<String>) {
        self.sampled.failing.clear();
        for sink in sinks.union(failing) {
            let fails = i64::from(failing.contains(sink));
            self.sampled.failing.get_or_create(&Sink { sink: sink.clone() }).set(fails);
        }
    }

    /// Sets when the certificate in use expires; removes the metric if there is none.
    pub fn certificate(&self, expires_at: Option<Timestamp>) {
        match expires_at {
            Some(at) => {
                self.sampled.certificate.get_or_create(&[]).set(at.as_second());
            }
            None => self.sampled.certificate.clear(),
        }
    }

    /// All metrics, in the `OpenMetrics` text format.
    pub fn open_metrics(&self) -> String {
        let mut text = String::new();
        let _ = encode(&mut text, &self.registry);
        text
    }
}
