//! Further headers, whose values are secrets.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::{Path, Problem, Secret, Section};

/// The most further headers.
const MOST: usize = 16;

/// Headers that the request has anyway, or that describe the connection.
const OURS: [&str; 6] = ["connection", "content-length", "content-type", "host", "te", "transfer-encoding"];

/// Checks the table `headers`.
pub(super) fn check(section: &mut Section<'_>, table: &BTreeMap<String, Secret>) -> Option<HeaderMap> {
    Some(section.secrets("headers", table, (MOST, "headers"), header)?.into_iter().collect())
}

fn header(path: Path, name: &str, value: Option<SecretString>) -> Result<Option<(HeaderName, HeaderValue)>, Problem> {
    let Ok(name) = HeaderName::try_from(name) else {
        return Err(Problem::error(path, "this cannot be the name of a header").expected("letters, digits and `-`"));
    };
    if OURS.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
        return Err(Problem::error(path, format!("linedown sets the header `{name}` itself")).hint("remove it here"));
    }
    let Some(value) = value else { return Ok(None) };
    let Ok(mut value) = HeaderValue::try_from(value.expose_secret()) else {
        let problem = Problem::error(path, "this cannot be the value of a header");
        return Err(problem.expected("one line of visible characters"));
    };
    value.set_sensitive(true);
    Ok(Some((name, value)))
}
