//! What a worker reports about itself: that it makes progress, and the health of its sink.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::breaker::Health;

/// A worker without progress for this long is stuck: none sleeps for longer than a third of this.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the worker last reported.
pub(super) struct Pulse(Mutex<Beat>);

/// A worker's progress, and its sink's health then.
struct Beat {
    at: Instant,
    health: Health,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Beat { at: Instant::now(), health: Health::Unknown }))
    }
}

impl Pulse {
    /// The worker makes progress, and its sink has this health.
    pub(super) fn beat(&self, health: Health) {
        *self.0.lock() = Beat { at: Instant::now(), health };
    }

    /// Whether the worker should have made progress since.
    pub(super) fn is_gone(&self) -> bool {
        self.0.lock().at.elapsed() > PATIENCE
    }

    /// The health of the sink.
    pub(super) fn health(&self) -> Health {
        self.0.lock().health.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_sleeps_lives_and_one_that_hangs_does_not() {
        let pulse = Pulse::default();
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(!pulse.is_gone());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(pulse.is_gone());
        pulse.beat(Health::Well);
        assert!(!pulse.is_gone());
        assert_eq!(pulse.health(), Health::Well);
    }
}
