//! `[instances]`: the inventory, i.e. the names, labels and tokens of the lines.

use std::collections::BTreeMap;

use linedown_sinks::{Path, Problem, Secret, SecretError, Section};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::gateway::{NO_TOKEN, is_token};
use super::instances::Instances;
use super::reader::{Reader, UNKNOWN_KEY, some_of};
use crate::{rule, source};

/// Longest name, in characters.
const LONGEST_NAME: usize = 100;

/// Most labels of one instance.
const MOST_LABELS: usize = 32;

/// Longest key of a label, in characters.
const LONGEST_KEY: usize = 64;

/// Longest value of a label, in characters.
const LONGEST_VALUE: usize = 200;

/// The lines, and the tokens of those that gateways can be asked about.
#[derive(Default)]
pub(super) struct Inventory {
    pub(super) lines: rule::inventory::Inventory,
    /// By instance identifier.
    pub(super) tokens: BTreeMap<String, Token>,
}

/// The token with which a gateway is asked about a line.
pub(super) struct Token {
    /// The source whose gateway it is for, if the config says.
    pub(super) source: Option<String>,
    pub(super) value: SecretString,
}

/// What has been reported and is not reported again: what is wrong with one token is wrong with a hundred thousand.
#[derive(Default)]
struct Told {
    /// That a token is written out in the config.
    plain: bool,
    /// That every user can read a token's file.
    public: bool,
    /// That credentials are not available in this process.
    lacks_credentials: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    name: Option<String>,
    labels: BTreeMap<String, String>,
    source: Option<String>,
    token: Option<Secret>,
}

/// Reads the instances one by one: there may be a hundred thousand.
pub(super) fn read(instances: &Instances, sources: &[&str], path: &Path, reader: &mut Reader<'_>) -> Inventory {
    let mut inventory = Inventory::default();
    if let Some(other) = instances.other() {
        reader.table(other, path, "[instances.ID]");
        return inventory;
    }
    let order = instances.order();
    let mut told = Told::default();
    for said in order.chunk_by(|one, next| instances.id(*one) == instances.id(*next)) {
        if reader.is_full() {
            break;
        }
        let id = instances.id(said[0]);
        let path = path.join(id);
        let Some(Keys { name, labels, source, token }) = read_keys(id, &instances.value(said), &path, reader) else {
            continue;
        };
        if id.trim().is_empty() {
            let problem = Problem::error(path.clone(), "this cannot be the identifier of an instance");
            reader.note(problem.expected("the identifier that the gateway sends: [instances.39ECB202B157D11E]"));
        }
        if longer(id, source::INSTANCE) {
            reader.note(
                too_long(path.clone(), source::INSTANCE).hint("linedown cuts what the gateway sends to that length"),
            );
        }
        check_bounds(name.as_deref(), &labels, &path, reader);
        inventory.lines.push(id, name.as_deref(), source.as_deref(), &labels);
        if let Some(value) = token.and_then(|secret| read_token(&secret, &path, &mut told, reader)) {
            inventory.tokens.insert(id.to_owned(), Token { source, value });
        } else if let Some(source) = source.filter(|source| !sources.contains(&source.as_str())) {
            // With a token, the source must also have a gateway that can be asked, which is checked later.
            let problem = Problem::error(path.join("source"), format!("there is no source `{source}`"));
            let mut problem = problem.did_you_mean(&source, sources.iter().copied());
            problem.expected = (!sources.is_empty()).then(|| some_of(sources));
            reader.note(problem.unless(source));
        }
    }
    warn_of_duplicates(&inventory.lines, path, reader);
    inventory
}

fn read_keys(id: &str, value: &Value, path: &Path, reader: &mut Reader<'_>) -> Option<Keys> {
    let table = reader.table(value, path, "[instances.ID]")?;
    // Most instances have no mistakes. They need no `Section`, which would copy them.
    if let Ok(keys) = Keys::deserialize(value) {
        return Some(keys);
    }
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys = section.read();
    for problem in &mut section.problems {
        let [.., linedown_sinks::Key::Name(key)] = problem.path.0.as_slice() else { continue };
        let is_table = table.get(key).is_some_and(Value::is_object);
        if problem.what.starts_with(UNKNOWN_KEY) && is_table && problem.hint.is_none() {
            problem.hint = Some(format!("an identifier with a dot needs quotes: [instances.\"{id}.{key}\"]"));
        }
    }
    reader.finish(section);
    keys
}

/// Reads one line's token.
fn read_token(secret: &Secret, path: &Path, told: &mut Told, reader: &mut Reader<'_>) -> Option<SecretString> {
    let is_plain = matches!(secret, Secret::Plain(_));
    match reader.environment.secrets.get(secret) {
        Ok(found) if is_token(found.value.expose_secret()) && (told.plain || !is_plain) => {
            let warning = found.warning(&path.join("token")).filter(|_| !told.public);
            if let Some(mut warning) = warning {
                told.public = true;
                warning.hint = warning.hint.map(|hint| hint + ", and likewise the other token files");
                reader.note(warning);
            }
            return Some(found.value);
        }
        Ok(_) => told.plain |= is_plain,
        Err(SecretError::NoCredentials(_)) if told.lacks_credentials => return Some(SecretString::from("")),
        Err(SecretError::NoCredentials(_)) => told.lacks_credentials = true,
        _ => {}
    }
    let none = Value::Null;
    let mut section = Section::new(&none, path.clone(), &[], reader.environment);
    let token = section.secret("token", secret);
    let token = token.filter(|token| {
        let good = is_token(token.expose_secret());
        if !good {
            section.error("token", NO_TOKEN).hint =
                Some("copy it from the instance's page in the gateway's panel".into());
        }
        good
    });
    reader.finish(section);
    token
}

fn longer(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most
}

fn too_long(path: Path, most: usize) -> Problem {
    Problem::error(path, format!("longer than {most} characters")).expected(format!("at most {most} characters"))
}

fn check_bounds(name: Option<&str>, all: &BTreeMap<String, String>, path: &Path, reader: &mut Reader<'_>) {
    if name.is_some_and(|name| longer(name, LONGEST_NAME)) {
        reader.note(too_long(path.join("name"), LONGEST_NAME));
    }
    let labels = || path.join("labels");
    if all.len() > MOST_LABELS {
        let what = format!("{} labels; an instance has at most {MOST_LABELS}", all.len());
        reader.note(Problem::error(labels(), what).hint("keep those that rules, recipients and messages name"));
    }
    for (key, value) in all {
        if longer(key, LONGEST_KEY) {
            let what = format!("a label's key of more than {LONGEST_KEY} characters");
            let problem = Problem::error(labels().join(key.as_str()), what);
            reader.note(problem.expected(format!("at most {LONGEST_KEY} characters")));
        }
        if longer(value, LONGEST_VALUE) {
            reader.note(too_long(labels().join(key.as_str()), LONGEST_VALUE));
        }
    }
}

fn warn_of_duplicates(lines: &rule::inventory::Inventory, path: &Path, reader: &mut Reader<'_>) {
    let mut named: Vec<(&str, &str)> = lines.iter().filter_map(|entry| Some((entry.name?, entry.id))).collect();
    named.sort_unstable();
    for pair in named.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let [(name, other), (_, id)] = [pair[0], pair[1]];
        let what = format!("instance {other} has the name {name:?} as well");
        reader.note(Problem::warning(path.join(id).join("name"), what).hint("messages show the name: make it unique"));
    }
}
