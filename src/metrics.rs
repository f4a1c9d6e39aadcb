//! What Prometheus may ask. Labels are bounded: sources, sinks and kinds of things, never an instance.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use linedown_sinks::{FailureKind, Kind};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::gateway::{Failure, Standing};
use crate::store::Outcome;

/// Every figure the daemon keeps.
pub struct Metrics {
    registry: Registry,
    webhooks: Family<Webhook, Counter>,
    checks: Family<Webhook, Counter>,
    unrouted: Counter,
    attempts: Family<Attempt, Counter>,
    notifications: Family<Settled, Counter>,
    untold: Counter,
    /// Seconds from owed to delivered.
    delay: Family<Sink, Histogram, fn() -> Histogram>,
    reload_ok: Gauge<f64, AtomicU64>,
}

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
struct Settled {
    sink: String,
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Sink {
    sink: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("linedown");
        let webhooks = Family::default();
        registry.register("webhooks", "Webhooks by what was answered", webhooks.clone());
        let checks = Family::default();
        registry.register("checks", "Questions to gateways how a line stands, by answer", checks.clone());
        let unrouted = Counter::default();
        registry.register("incidents_unrouted", "Incidents that no rule matched", unrouted.clone());
        let attempts = Family::default();
        registry.register("attempts", "Attempts to deliver by outcome", attempts.clone());
        let notifications = Family::default();
        registry.register("notifications", "Notifications delivered or given up", notifications.clone());
        let untold = Counter::default();
        registry.register("notifications_untold", "Given up without anybody else to tell", untold.clone());
        let delay = Family::new_with_constructor(buckets as fn() -> Histogram);
        registry.register_with_unit("delivery_delay", "From owed to delivered", Unit::Seconds, delay.clone());
        let reload_ok = Gauge::default();
        reload_ok.set(1.0);
        registry.register("config_reload_ok", "Whether the last (re)load of the config succeeded", reload_ok.clone());
        Self { registry, webhooks, checks, unrouted, attempts, notifications, untold, delay, reload_ok }
    }
}

fn buckets() -> Histogram {
    Histogram::new([0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0])
}

impl Metrics {
    /// A webhook was answered. `source` is a configured one, or empty.
    pub fn webhook(&self, source: &str, result: &'static str) {
        self.webhooks.get_or_create(&Webhook { source: source.to_owned(), result }).inc();
    }

    /// A gateway was asked how a line stands.
    pub fn checked(&self, source: &str, answer: &Result<Standing, Failure>) {
        let result = match answer {
            Ok(Standing::Up) => "up",
            Ok(Standing::Down { .. }) => "down",
            Err(_) => "unknown",
        };
        self.checks.get_or_create(&Webhook { source: source.to_owned(), result }).inc();
    }

    /// An incident matched no rule.
    pub fn unrouted(&self) {
        self.unrouted.inc();
    }

    /// An attempt ended; without a failure it was a delivery.
    pub fn attempt(&self, sink: &str, failure: Option<FailureKind>) {
        let outcome = failure.map_or("delivered", FailureKind::as_str);
        self.attempts.get_or_create(&Attempt { sink: sink.to_owned(), outcome }).inc();
    }

    /// An attempt's outcome may have settled its notification.
    pub fn outcome(&self, sink: &str, kind: Kind, outcome: &Outcome, delay: Duration) {
        let state = match outcome {
            Outcome::Delivered(_) => {
                self.delay.get_or_create(&Sink { sink: sink.to_owned() }).observe(delay.as_secs_f64());
                "delivered"
            }
            Outcome::Dead { .. } => "dead",
            Outcome::Again { .. } => return,
        };
        self.notifications.get_or_create(&Settled { sink: sink.to_owned(), kind: kind.as_str(), state }).inc();
    }

    /// Notifications were given up untried.
    pub fn given_up(&self, sink: &str, count: usize) {
        let settled = Settled { sink: sink.to_owned(), kind: "untried", state: "dead" };
        self.notifications.get_or_create(&settled).inc_by(count as u64);
    }

    /// Notifications were given up and nobody else is told of it.
    pub fn untold(&self, count: usize) {
        self.untold.inc_by(count as u64);
    }

    /// The config was read again.
    pub fn reloaded(&self, ok: bool) {
        self.reload_ok.set(if ok { 1.0 } else { 0.0 });
    }

    /// All figures in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
