//! What a worker shows of itself while it works: that it moves, and how its sink is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::Health;

/// A worker that has not moved for so long hangs: none sleeps for longer than a third of this.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) struct Pulse(Mutex<(Instant, Health)>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), Health::Unknown)))
    }
}

impl Pulse {
    /// The worker goes round, with its sink in this state.
    pub(super) fn beat(&self, health: Health) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), health);
    }

    /// Whether it should have gone round since.
    pub(super) fn is_gone(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.elapsed() > PATIENCE
    }

    /// How the sink is.
    pub(super) fn health(&self) -> Health {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
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
