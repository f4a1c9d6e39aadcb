//! Further headers, whose values are secrets.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::{Path, Problem, Secret, Section};

/// The most further headers.
const MOST: usize = 16;

/// Headers that the request has anyway, or that describe the connection.
const OURS: [&str; 6] = ["connection", "content-length", "content-type", "host", "te", "transfer-encoding"];

/// Checks the table `headers`.
pub(super) fn check(section: &mut Section<'_>, table: &BTreeMap<String, Secret>) -> Option<HeaderMap> {
    if table.len() > MOST {
        section.error("headers", format!("{} headers", table.len())).expected = Some(format!("at most {MOST}"));
        return None;
    }
    let headers: Vec<_> = table.iter().map(|(name, secret)| header(section, name, secret)).collect();
    headers.into_iter().collect()
}

fn header(section: &mut Section<'_>, name: &str, secret: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let place = Path(vec!["headers".into(), name.into()]);
    let value = section.secret_at(&place, secret);
    let path = section.path().extend(&place);
    let read = HeaderName::try_from(name).ok();
    let problem = match &read {
        None => Problem::error(path, "this cannot be the name of a header").expected("letters, digits and `-`"),
        Some(name) if OURS.contains(&name.as_str()) || name.as_str().starts_with("webhook-") => {
            Problem::error(path, format!("linedown sets the header `{name}` itself")).hint("remove it here")
        }
        Some(name) => {
            let mut value = HeaderValue::try_from(value?.expose_secret());
            if let Ok(value) = &mut value {
                value.set_sensitive(true);
                return Some((name.clone(), value.clone()));
            }
            Problem::error(path, "this cannot be the value of a header").expected("one line of visible characters")
        }
    };
    section.problems.push(problem);
    None
}
