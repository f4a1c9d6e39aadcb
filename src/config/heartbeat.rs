//! `[heartbeat]`: the watcher that linedown calls at regular intervals, so that somebody notices when linedown itself
//! is gone.

use std::time::Duration;

use linedown_sinks::http::{Address, Purpose};
use linedown_sinks::{Path, Secret, Section};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use super::periods::{Lasting, NOTICED};
use super::reader::Reader;
use crate::period::Period;

/// The default interval.
const EVERY: Period = Period(Duration::from_mins(1));
/// More often would be noise; less often, nobody would notice in time.
const BOUNDS: Lasting = Lasting::within(NOTICED, Period(Duration::from_hours(24)));

/// The address to call, and how often.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The address. Whoever has it can report that all is well.
    pub url: Address,
    /// The interval.
    pub every: Duration,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    url: Option<Secret>,
    every: Option<Period>,
    insecure: bool,
}

pub(super) fn read(value: &Value, path: &Path, reader: &mut Reader<'_>) -> Option<Heartbeat> {
    reader.table(value, path, "[heartbeat]")?;
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let heartbeat = read_keys(&mut section);
    reader.finish(section);
    heartbeat
}

fn read_keys(section: &mut Section<'_>) -> Option<Heartbeat> {
    let keys: Keys = section.read()?;
    let every = keys.every.unwrap_or(EVERY);
    section.problems.extend(BOUNDS.problem(section.path().join("every"), every));
    let Some(secret) = &keys.url else {
        section.missing("url", "the address that a watcher such as healthchecks.io gives you");
        return None;
    };
    let url = section.secret("url", secret)?;
    let url = Address::check(section, "url", url.expose_secret(), keys.insecure, &PURPOSE)?;
    Some(Heartbeat { url, every: every.0 })
}

const PURPOSE: Purpose = Purpose { what: "an address", lets: "report that all is well", example: "`https://…`" };
