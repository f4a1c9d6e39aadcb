//! `tls = { acme = … }`: the authority to obtain the certificate from, and the names to obtain it for.

use std::net::IpAddr;

use instant_acme::LetsEncrypt;
use linedown_sinks::http::is_loopback;
use linedown_sinks::{Path, Problem, Section};
use rustls::pki_types::DnsName;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::reader::{Reader, is_missing};

/// Most names in one certificate; Let's Encrypt takes no more.
const MOST_NAMES: usize = 100;

/// Which certificate to obtain, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The names that the certificate is for: in lower case, sorted, without duplicates.
    pub names: Vec<String>,
    /// The address that the authority may write to, as `mailto:`.
    pub contact: Option<String>,
    /// The address of the authority's ACME directory.
    pub directory: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    names: Option<Vec<String>>,
    contact: Option<String>,
    directory: Option<String>,
    agree_to_terms: bool,
}

pub(super) fn read(value: &Value, path: &Path, public_url: Option<&str>, reader: &mut Reader<'_>) -> Option<Acme> {
    reader.table(value, path, "tls = { acme = { agree_to_terms = true } }")?;
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: Keys = section.read().unwrap_or_default();
    if !keys.agree_to_terms {
        let hint =
            "read its terms (Let's Encrypt's: https://letsencrypt.org/repository), then write `agree_to_terms = true`";
        if is_missing(value, "agree_to_terms") {
            section.missing("agree_to_terms", hint);
        } else {
            section.error("agree_to_terms", "an authority asks you to agree to its terms").hint = Some(hint.into());
        }
    }
    if let Some(contact) = &keys.contact
        && !contact.strip_prefix("mailto:").is_some_and(|address| address.contains('@'))
    {
        section.error("contact", "not an address to write to").expected = Some("`mailto:ops@example.com`".into());
    }
    let directory = keys.directory.as_deref().map_or(Some(LetsEncrypt::Production.url()), |text| {
        let url = Url::parse(text).ok().filter(Url::has_host);
        let safe = url.is_some_and(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)));
        if !safe {
            section.error("directory", "not an address of an authority").expected =
                Some(format!("`https://…`, such as {}", LetsEncrypt::Staging.url()));
        }
        safe.then_some(text)
    });
    let names = match &keys.names {
        Some(names) => listed(names, keys.directory.is_none(), path, &mut section),
        None => from_public_url(public_url, &mut section),
    };
    reader.finish(section);
    Some(Acme { names, contact: keys.contact, directory: directory?.to_owned() })
}

/// The default for `names`: the host of `server.public_url`.
fn from_public_url(public_url: Option<&str>, section: &mut Section<'_>) -> Vec<String> {
    let host = public_url.and_then(|url| Url::parse(url).ok()).and_then(|url| url.host_str().map(str::to_owned));
    let name = host.filter(|name| mistake(name, true).is_none());
    if name.is_none() {
        let hint = "list the names that gateways post to, or set `server.public_url` to such a name";
        if let Some(problem) = section.missing("names", hint) {
            problem.circumstances.get_or_insert_default().unless.push("public_url".into());
        }
    }
    name.into_iter().collect()
}

fn listed(names: &[String], public: bool, path: &Path, section: &mut Section<'_>) -> Vec<String> {
    let path = path.join("names");
    if names.is_empty() || names.len() > MOST_NAMES {
        let what = format!("{} names; a certificate is for 1 to {MOST_NAMES}", names.len());
        let problem = Problem::error(path.clone(), what);
        section.problems.push(problem.hint("list the names that gateways post to, no others"));
    }
    for (number, name) in names.iter().enumerate() {
        if let Some((what, hint)) = mistake(name, public) {
            section.problems.push(Problem::error(path.join(number), format!("{name:?} {what}")).hint(hint));
        }
    }
    let mut names: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    names
}

/// Why an authority would not issue a certificate for this name, and what to do instead.
fn mistake(name: &str, public: bool) -> Option<(&'static str, &'static str)> {
    if name.parse::<IpAddr>().is_ok() {
        Some(("is an IP address", "a certificate is for names"))
    } else if name.starts_with("*.") {
        Some(("is a wildcard", "list each name"))
    } else if !name.is_ascii() {
        Some(("has non-ASCII letters", "write the name as DNS has it, with `xn--`"))
    } else if DnsName::try_from(name).is_err() || name.ends_with('.') {
        Some(("is not a host name", "such as \"alerts.example.com\""))
    } else if public && !name.contains('.') {
        Some(("is not a public name", "for an authority of your own, name its `directory`"))
    } else {
        None
    }
}
