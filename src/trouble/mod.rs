//! linedown's own troubles: a sink that fails, a disk that is nearly full, a store that cannot write or was damaged, a
//! certificate that expires. linedown tells of them by its own sinks.
//!
//! Each trouble is an incident of the source [`SOURCE`]. It is routed by the usual rules and told once, and so is its
//! end. Only the trouble that the store cannot write is told straight from memory.

mod looks;
mod memory;
mod sign;
mod watcher;

use std::time::Duration;

pub(crate) use watcher::{Scope, Watcher};

/// The source of linedown's own troubles. No source in the config may have this name.
pub const SOURCE: &str = "linedown";

/// The thresholds from which something is a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Troubles {
    /// For how long a sink must fail to be a trouble, and then work for the trouble to be over.
    pub sink_failing_after: Duration,
    /// The same for a store that does not write.
    pub store_not_writing_after: Duration,
    /// The trouble begins when the store's disk has less free space than this.
    pub disk_free_below: Free,
    /// The trouble begins this long before the certificate expires, but never before the last quarter of its lifetime.
    pub certificate_expires_within: Duration,
}

impl Default for Troubles {
    fn default() -> Self {
        Self {
            sink_failing_after: Duration::from_mins(5),
            store_not_writing_after: Duration::from_secs(30),
            disk_free_below: Free::Percent(5),
            certificate_expires_within: Duration::from_hours(14 * 24),
        }
    }
}

/// An amount of disk space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// A percentage of the whole disk.
    Percent(u8),
    /// A number of bytes.
    Bytes(u64),
}
