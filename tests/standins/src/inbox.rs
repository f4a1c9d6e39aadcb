//! Lists of arrivals, for tests that wait for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::{DEADLINE, lock};

/// A list that grows on one thread while another waits for it.
pub(crate) struct Inbox<T> {
    items: Mutex<Vec<T>>,
    grown: Condvar,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { items: Mutex::default(), grown: Condvar::new() }
    }
}

impl<T: Clone> Inbox<T> {
    pub(crate) fn push(&self, item: T) {
        self.lock().push(item);
        self.grown.notify_all();
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.lock().clone()
    }

    /// Waits until there are at least `count` items, and returns all of them. The deadline counts from the last
    /// arrival: a slow machine is no failure as long as something arrives.
    pub(crate) fn wait_for(&self, count: usize, what: &str) -> Vec<T> {
        let mut items = self.lock();
        let (mut deadline, mut seen) = (Instant::now() + DEADLINE, items.len());
        while items.len() < count {
            if items.len() > seen {
                (deadline, seen) = (Instant::now() + DEADLINE, items.len());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} {what} came within {DEADLINE:?}, and {count} were waited for", items.len());
            items = self.grown.wait_timeout(items, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        items.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        lock(&self.items)
    }
}
