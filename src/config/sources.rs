//! `[sources]`: the gateways whose webhooks are accepted.

use std::collections::BTreeMap;

use linedown_sinks::{Path, Problem, Rotation, Secret, Section, did_you_mean, one_of};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::gateway;
use super::reader::{Reader, is_missing};
use crate::gateway::Access;
use crate::trouble;

/// Secrets with fewer characters are warned about.
const SHORTEST_SECRET: usize = 16;

const MAKE_ONE: &str = "make one: openssl rand -hex 24";

/// A gateway that sends webhooks.
#[derive(Clone, Debug)]
pub struct Source {
    /// The type, which selects the adapter that reads its payloads.
    pub kind: String,
    /// The secret part of its webhooks' address: all that are accepted, at least one. The first is the one to register.
    pub secrets: Vec<SecretString>,
    /// How to ask the gateway's own API; none if linedown does not know it.
    pub gateway: Option<Access>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    r#type: Option<String>,
    secret: Rotation,
    api: Option<String>,
    client_token: Option<Secret>,
    partner_token: Option<Secret>,
    watch: Option<gateway::WatchKeys>,
    audit: Option<gateway::AuditKeys>,
}

pub(super) fn read(value: &Value, path: &Path, kinds: &[&str], reader: &mut Reader<'_>) -> BTreeMap<String, Source> {
    let Some(table) = reader.table(value, path, "[sources.NAME]") else { return BTreeMap::new() };
    if table.is_empty() {
        let problem = Problem::error(path.clone(), "there is no source: no webhook could ever come in");
        reader.note(problem.hint("add [sources.z-api] with `type = \"z-api\"` and a `secret`").unless("sources"));
    }
    let mut sources = BTreeMap::new();
    for (name, value) in table {
        let path = path.join(name.as_str());
        if reader.table(value, &path, "[sources.NAME]").is_none() {
            continue;
        }
        let mut section = Section::new(value, path.clone(), &[], reader.environment);
        check_name(name, &mut section);
        let source = read_source(value, &mut section, kinds);
        reader.finish(section);
        sources.extend(source.map(|source| (name.clone(), source)));
    }
    sources
}

fn check_name(name: &str, section: &mut Section<'_>) {
    let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(safe) {
        let problem = Problem::error(section.path().clone(), format!("{name:?} cannot be the name of a source"));
        let problem = problem.expected("lower-case letters, digits, `-` and `_`");
        section.problems.push(problem.hint("the name is part of the webhook's address"));
    }
    if name == trouble::SOURCE {
        let problem = Problem::error(section.path().clone(), format!("{name:?} cannot be the name of a source"));
        section.problems.push(problem.hint("it is the source of linedown's own troubles: choose another name"));
    }
}

fn read_source(value: &Value, section: &mut Section<'_>, kinds: &[&str]) -> Option<Source> {
    let keys: Keys = section.read()?;
    let kind = match &keys.r#type {
        Some(kind) if kinds.contains(&kind.as_str()) => Some(kind.clone()),
        Some(kind) => {
            let problem = section.error("type", format!("unknown type of source `{kind}`"));
            problem.expected = Some(one_of(kinds));
            problem.hint = did_you_mean(kind, kinds.iter().copied());
            None
        }
        None => {
            section.missing("type", format!("write `type = {:?}`", kinds.first().copied().unwrap_or_default()));
            None
        }
    };
    section.missing("secret", MAKE_ONE);
    let gateway = kind.as_deref().and_then(|kind| gateway(kind, &keys, value, section));
    let secrets = secrets(&keys.secret, section)?;
    Some(Source { kind: kind?, secrets, gateway })
}

/// Reads the secrets. Returns none if there is none, or if one is mistaken.
fn secrets(written: &Rotation, section: &mut Section<'_>) -> Option<Vec<SecretString>> {
    if matches!(written, Rotation::Several(list) if list.is_empty()) {
        section.error("secret", "an empty list: no webhook could come in").hint = Some(MAKE_ONE.into());
    }
    let places = written.places("secret", section)?;
    let secrets = places.iter().map(|(place, secret)| {
        let secret = section.secret_at(place, secret)?;
        check_secret(secret.expose_secret(), place, section);
        Some(secret)
    });
    let secrets: Vec<_> = secrets.collect();
    secrets.into_iter().collect::<Option<Vec<_>>>().filter(|secrets| !secrets.is_empty())
}

/// Reads the keys about the gateway's own API. They are mistakes if the type of source has none.
fn gateway(kind: &str, keys: &Keys, value: &Value, section: &mut Section<'_>) -> Option<Access> {
    if kind == gateway::KIND {
        let Keys { api, client_token, partner_token, watch, audit, .. } = keys;
        let keys = gateway::Keys {
            api: api.as_deref(),
            client_token: client_token.as_ref(),
            partner_token: partner_token.as_ref(),
            watch: watch.as_ref(),
            audit: audit.as_ref(),
        };
        return gateway::read(&keys, section);
    }
    for key in
        ["api", "client_token", "partner_token", "watch", "audit"].into_iter().filter(|key| !is_missing(value, key))
    {
        let what = format!("only sources of type `{}` have this key", gateway::KIND);
        let problem = Problem::error(section.path().join(key), what).hint("take it out, or correct `type`");
        section.problems.push(problem.because(section.path().join("type"), format!("`type` is `{kind}`")));
    }
    None
}

fn check_secret(secret: &str, place: &Path, section: &mut Section<'_>) {
    let path = section.path().extend(place);
    let length = secret.chars().count();
    // An empty one is a credential that is not available in this process.
    if (1..SHORTEST_SECRET).contains(&length) {
        let what = format!("{length} characters can be guessed; whoever guesses them can raise false alarms");
        section.problems.push(Problem::warning(path.clone(), what).hint(MAKE_ONE));
    }
    if secret.contains(|c: char| !c.is_ascii_alphanumeric() && !"-._~".contains(c)) {
        let problem = Problem::warning(path, "some of its characters must be escaped in an address");
        let problem = problem.expected("letters, digits, `-`, `.`, `_` and `~`");
        section.problems.push(problem.hint(MAKE_ONE));
    }
}
