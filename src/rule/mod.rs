//! Incident + rules + time → who is owed what, when.

pub mod matcher;
