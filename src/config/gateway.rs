//! The keys of a source of type `z-api` about the gateway's own API.

use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::http::is_loopback;
use linedown_sinks::{Secret, Section};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::periods::{Lasting, NOTICED};
use crate::gateway::{API, Access, Audit, Watched};
use crate::period::Period;

/// The only type of source with an API that linedown knows.
pub(super) const KIND: &str = "z-api";

/// These keys, as the source's section has them.
#[derive(Clone, Debug)]
pub(super) struct Keys<'k> {
    pub(super) api: Option<&'k str>,
    pub(super) client_token: Option<&'k Secret>,
    pub(super) partner_token: Option<&'k Secret>,
    pub(super) watch: Option<&'k WatchKeys>,
    pub(super) audit: Option<&'k AuditKeys>,
}

/// `[sources.NAME.audit]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuditKeys {
    on: Option<bool>,
    every: Option<Period>,
    due_within: Option<Period>,
}

/// The bounds of the pause between two audits, and of how long before its end a payment may be reported as due.
const AUDIT_BOUNDS: Lasting = Lasting::within(NOTICED, Period(Duration::from_hours(30 * 24)));
const DUE_BOUNDS: Lasting =
    Lasting::within(Period(Duration::ZERO), Period(Duration::from_hours(90 * 24))).usually(NOTICED);

/// `[sources.NAME.watch]`. Watching is on if the table is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WatchKeys {
    every: Option<Period>,
    unknown_after: Option<Period>,
}

/// The bounds of the pause between two questions about a line, and of how long a line may go without an answer.
const WATCH_BOUNDS: Lasting = Lasting::within(NOTICED, Period(Duration::from_hours(24)));

/// Reads the keys about the API and leaves out mistaken ones. [`super::lines`] adds the lines later.
pub(super) fn read(keys: &Keys<'_>, section: &mut Section<'_>) -> Option<Access> {
    let api = address(keys.api.unwrap_or(API), section);
    let client_token = keys.client_token.and_then(|secret| token("client_token", secret, section));
    let partner_token = keys.partner_token.and_then(|secret| token("partner_token", secret, section));
    let watch = keys.watch.map(|keys| watch(keys, section));
    let audit = keys.audit.map_or_else(Audit::default, |keys| audit(keys, section));
    Some(Access { api: api?, client_token, partner_token, lines: Arc::default(), watch, audit })
}

fn watch(keys: &WatchKeys, section: &mut Section<'_>) -> Watched {
    let default = Watched::default();
    let mut read = |key, written: Option<Period>, default| {
        period(&["watch", key], written.unwrap_or(Period(default)), &WATCH_BOUNDS, section)
    };
    Watched {
        every: read("every", keys.every, default.every),
        unknown_after: read("unknown_after", keys.unknown_after, default.unknown_after),
    }
}

fn audit(keys: &AuditKeys, section: &mut Section<'_>) -> Audit {
    let default = Audit::default();
    let every = keys.every.unwrap_or(Period(default.every.unwrap_or_default()));
    let every = period(&["audit", "every"], every, &AUDIT_BOUNDS, section);
    let due_within = keys.due_within.unwrap_or(Period(default.due_within));
    let due_within = period(&["audit", "due_within"], due_within, &DUE_BOUNDS, section);
    Audit { every: Some(every).filter(|_| keys.on != Some(false)), due_within }
}

fn period(keys: &[&str; 2], period: Period, bounds: &Lasting, section: &mut Section<'_>) -> Duration {
    section.problems.extend(bounds.problem(section.path().join(keys[0]).join(keys[1]), period));
    period.0
}

fn token(key: &str, secret: &Secret, section: &mut Section<'_>) -> Option<SecretString> {
    let token = section.secret(key, secret)?;
    if is_token(token.expose_secret()) {
        return Some(token);
    }
    section.error(key, NO_TOKEN).hint =
        Some("copy it again from the gateway's panel, with nothing before or after it".into());
    None
}

/// The error for a text that cannot be a token.
pub(super) const NO_TOKEN: &str = "this cannot be a token: a token has no spaces and no special characters";

/// Whether a text can be part of an address and of a header as it is. An empty one stands for a credential that is not
/// available in this process.
pub(super) fn is_token(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c)) && text.len() <= 4096
}

/// Errors never repeat the address: somebody may have pasted a token with it.
fn address(text: &str, section: &mut Section<'_>) -> Option<Url> {
    let what = match Url::parse(text) {
        Err(error) => format!("not an address: {error}"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "the address of an API has no user name and no password".into()
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "the address must not have a `?` or `#`: paths are appended to it".into()
        }
        Ok(url) if url.path().contains("/instances") => "this is the address of an instance, not of the API".into(),
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => return Some(url),
        Ok(url) if url.scheme() == "http" => "http:// would expose every token".into(),
        Ok(_) => "not an https:// address".into(),
    };
    section.error("api", what).expected = Some(format!("such as {API:?}"));
    None
}

#[cfg(test)]
mod tests {
    use linedown_sinks::{Environment, Path};
    use serde_json::Value;

    use super::*;

    #[test]
    fn addresses_of_the_api() {
        for (text, good) in [
            ("https://api.z-api.io", true),
            ("https://api.z-api.io/", true),
            ("https://gateway.example:8443/z", true),
            ("http://127.0.0.1:9000", true),
            ("http://[::1]:9000", true),
            ("http://api.z-api.io", false),
            ("ftp://api.z-api.io", false),
            ("api.z-api.io", false),
            ("https://u:p@api.z-api.io", false),
            ("https://api.z-api.io/?x", false),
            ("https://api.z-api.io/instances/A/token/T0KEN", false),
        ] {
            let (value, environment) = (Value::Null, Environment::default());
            let mut section = Section::new(&value, Path::default(), &[], &environment);
            assert_eq!(address(text, &mut section).is_some(), good, "{text}");
            assert!(section.problems.iter().all(|problem| !problem.what.contains("T0KEN")), "{:?}", section.problems);
        }
    }
}
