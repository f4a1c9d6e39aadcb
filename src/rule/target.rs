//! What routing needs to know of the sinks.

use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::{Language, Limits, Settings};

/// What routing needs to know of a sink.
#[derive(Clone)]
pub struct Target {
    /// Its `type`.
    pub kind: &'static str,
    /// Its checked section.
    pub settings: Arc<dyn Settings>,
    /// The language of its messages.
    pub language: Language,
    /// The sink that hears when this one gives up.
    pub fallback: Option<String>,
    /// How many deliveries it takes at once and how often, and how long each may take.
    pub limits: Limits,
    /// How failures are retried.
    pub retry: Retry,
}

impl Target {
    /// Whether it only writes to our own output: it never gives up, and perhaps nobody reads it.
    pub fn is_own_output(&self) -> bool {
        self.kind == "stdout"
    }
}

/// How failures are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How long after it was first owed a notification is given up.
    pub give_up_after: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), max: Duration::from_mins(10), give_up_after: Duration::from_hours(24) }
    }
}
