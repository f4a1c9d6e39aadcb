//! Puts the promise to the test: a webhook that got a 2xx is on disk and already routed, and each notification that it
//! owes ends in one visible state. A gateway keeps posting, people keep reading, everything in between fails at random,
//! and a judge compares the promises with the messages that arrived.
//!
//! `make test` runs a short form, `make soak` a long one (`SOAK_KILLS=…` says how many times the daemon is killed). The
//! seed is printed; `SOAK_SEED=…` repeats the same faults.

mod damage;
mod gateway;
mod judge;
mod life;
mod power;
mod service;
mod shim;
mod sides;
mod steps;
mod storm;
mod weather;
mod wire;
