//! linedown: know the moment a WhatsApp line drops, and that somebody was told.
//!
//! The flow of data, in one direction only:
//!
//! ```text
//! gateway → server → source → reception → store.accept → 200
//!                                           │ decided by incident (what happened) and rule (who, when)
//! sinks ← delivery ← store.lease
//! ```

mod acme;
pub mod backoff;
pub mod certificate;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod delivery;
mod descriptors;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
mod health;
mod heartbeat;
pub mod incident;
mod journal;
pub mod link;
mod log;
pub mod metrics;
mod packed;
pub mod period;
pub mod readiness;
pub mod reception;
pub mod replay;
pub mod rule;
pub mod server;
mod signals;
pub mod source;
pub mod store;
mod systemd;
mod timekeeper;
pub mod trial;
pub mod trouble;
