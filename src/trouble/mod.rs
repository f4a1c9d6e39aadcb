//! linedown's own troubles, told by its own sinks: a sink that takes nothing, a disk that is nearly full, a store that
//! cannot write, a certificate that expires.
//!
//! Each is an incident of the source [`SOURCE`], routed by the same rules and told once, and so is its end. Only of a
//! store that cannot write people are told straight from memory.

mod course;
mod memory;
mod sign;
mod watcher;

use std::time::Duration;

pub(crate) use watcher::{Orders, Watcher};

/// The source of its own troubles. No source of the config has this name.
pub const SOURCE: &str = "linedown";

/// From when on something is a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Troubles {
    /// For how long a sink must have failed; and for how long it must have worked, for that to be over.
    pub sink_failing_after: Duration,
    /// The same of a store that does not write.
    pub store_not_writing_after: Duration,
    /// How little room there must be on the store's disk.
    pub disk_free_below: Free,
    /// How long before its end a certificate is a trouble.
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

/// Room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// Of the whole disk.
    Percent(u8),
    /// So many bytes.
    Bytes(u64),
}
