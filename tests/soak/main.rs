//! The promise, tried: a webhook that got a 2xx is on disk and already routed, and each notification it owes ends in
//! one visible state. A gateway keeps posting, people keep reading, everything in between fails at random, and a judge
//! compares what was promised with what was told.
//!
//! `make test` runs a short form; `make soak` a long one (`SOAK_KILLS=…`, how many times the daemon is killed). The
//! seed is printed; `SOAK_SEED=…` plays the same faults again.

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
