//! `[heartbeat]`: the watcher that linedown calls at regular intervals, so that somebody notices when linedown itself
//! is gone.

use std::time::Duration;

use linedown_sinks::http::is_loopback;
use linedown_sinks::{Path, Problem, Secret, Section};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
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
    /// The address. It is a secret: whoever has it can report that all is well.
    pub url: SecretString,
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
    // An empty address stands for a credential that only systemd provides; that has been noted.
    if url.expose_secret().is_empty() {
        return None;
    }
    match Url::parse(url.expose_secret().trim()).ok().filter(Url::has_host) {
        Some(url) if url.scheme() == "https" => {}
        Some(url) if url.scheme() == "http" && (keys.insecure || is_loopback(&url)) => {}
        Some(url) if url.scheme() == "http" => {
            let what = "http:// would expose the address, and anyone who has it can report that all is well";
            let problem = Problem::error(section.path().join("url"), what);
            let problem = problem.hint("use https://, or write `insecure = true`");
            section.problems.push(problem.unless("insecure"));
        }
        _ => section.error("url", "not an address").expected = Some("`https://…`".into()),
    }
    Some(Heartbeat { url, every: every.0 })
}
