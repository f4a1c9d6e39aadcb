//! The map of the modules.

pub mod config;
pub mod rule;
