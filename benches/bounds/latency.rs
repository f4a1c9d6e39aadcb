//! How long many requests of one sort took.

use std::fmt;
use std::time::Duration;

/// Latencies, sorted.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn of(took: impl IntoIterator<Item = Duration>) -> Self {
        let mut took: Vec<Duration> = took.into_iter().collect();
        took.sort_unstable();
        Self(took)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency, in milliseconds, that this many percent did not exceed. Not a number if there are none.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, median, late) = (self.count(), self.percentile(50), self.percentile(99));
        write!(f, "p50 {median:.2} ms, p99 {late:.2} ms, of {count}")
    }
}
