//! Wakes the workers of sinks for which something may be due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::Notify;

/// The bells of all workers, by sink.
#[derive(Default)]
pub(super) struct Bells(RwLock<BTreeMap<String, Arc<Bell>>>);

/// Wakes one worker.
pub(super) struct Bell {
    rung: Notify,
    /// When the worker looks for due notifications by itself, in milliseconds since 1970. While it is looking that time
    /// is not known yet, and everybody rings.
    looks_at: AtomicI64,
}

impl Default for Bell {
    fn default() -> Self {
        Self { rung: Notify::new(), looks_at: AtomicI64::new(i64::MAX) }
    }
}

impl Bell {
    /// The worker begins to look.
    pub(super) fn looks(&self) {
        self.looks_at.store(i64::MAX, Ordering::SeqCst);
    }

    /// The worker has looked, and will look again at this time.
    pub(super) fn looks_again_at(&self, then: Timestamp) {
        self.looks_at.store(then.as_millisecond(), Ordering::SeqCst);
    }

    /// Waits until somebody rings, or returns at once if somebody has rung since the last call.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Something is due at `due_at`. The worker is not woken for that if it looks earlier anyway.
    fn ring(&self, due_at: Timestamp, now: Timestamp) {
        if due_at <= now || due_at.as_millisecond() < self.looks_at.load(Ordering::SeqCst) {
            self.rung.notify_one();
        }
    }
}

impl Bells {
    /// The bell of a sink's worker.
    pub(super) fn bell_of(&self, sink: &str) -> Arc<Bell> {
        let mut bells = self.0.write();
        Arc::clone(bells.entry(sink.to_owned()).or_default())
    }

    /// Rings for these sinks; a busy worker notices afterwards. Returns the sinks without a worker.
    pub(super) fn ring<'s>(&self, sinks: &'s BTreeSet<String>) -> Vec<&'s String> {
        self.ring_each(sinks.iter().map(|sink| (sink, ())), |bell, ()| bell.rung.notify_one())
    }

    /// Rings for sinks that have something due at a time. Returns the sinks without a worker.
    pub(super) fn ring_for<'s>(&self, due: &'s BTreeMap<String, Timestamp>, now: Timestamp) -> Vec<&'s String> {
        self.ring_each(due.iter(), |bell, due_at| bell.ring(*due_at, now))
    }

    fn ring_each<'s, D>(
        &self,
        sinks: impl Iterator<Item = (&'s String, D)>,
        ring: impl Fn(&Bell, D),
    ) -> Vec<&'s String> {
        let bells = self.0.read();
        let mut without = Vec::new();
        for (sink, due) in sinks {
            match bells.get(sink) {
                Some(bell) => ring(bell, due),
                None => without.push(sink),
            }
        }
        without
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn a_worker_hears_of_what_is_due_before_it_looks_by_itself() {
        let bells = Bells::default();
        let bell = bells.bell_of("slack");
        let heard = |due_at: i64| {
            bells.ring_for(&BTreeMap::from([("slack".to_owned(), from_millis(due_at))]), from_millis(10));
            bell.rung().now_or_never().is_some()
        };
        assert!(heard(90), "it is looking, and may have overlooked this");
        bell.looks_again_at(from_millis(50));
        assert!(heard(10), "what is due now, always");
        assert!(heard(49));
        assert!(!heard(50));
        bell.looks();
        assert!(heard(50));
    }
}
