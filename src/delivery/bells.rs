//! How workers hear that something may be due for their sink.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Bells(RwLock<BTreeMap<String, Arc<Notify>>>);

impl Bells {
    /// A bell for a sink's worker.
    pub(super) fn hang(&self, sink: &str) -> Arc<Notify> {
        let mut bells = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(sink.to_owned()).or_default())
    }

    /// Rings for some sinks. A worker that is busy hears it afterwards.
    pub(super) fn ring(&self, sinks: &BTreeSet<String>) {
        let bells = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for bell in sinks.iter().filter_map(|sink| bells.get(sink)) {
            bell.notify_one();
        }
    }
}
