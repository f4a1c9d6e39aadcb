//! What has arrived, for a test that waits for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::DEADLINE;

/// A list that grows on one thread and is waited for on another.
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

    /// All there is as soon as there are `count`. The deadline counts from the last one that came: a slow machine is
    /// no failure as long as something moves.
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
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
