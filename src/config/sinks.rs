//! `[messages]` and `[sinks]`: where notifications are sent, and how they are worded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::{
    Cause, Language, Limits, Path, Problem, Section, Settings, SinkKind, TextKeys, Texts, closest, one_of,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::periods::{Lasting, NOTICED};
use super::reader::{Reader, UNKNOWN_KEY, is_missing, unknown_key};
use crate::period::Period;
use crate::rule::{Retry, Target};

/// Most sinks.
const MOST: usize = 1_000;

/// Longest name of a sink, in characters: it becomes a label of metrics and is typed on command lines.
const LONGEST_NAME: usize = 64;

/// The bounds of how many deliveries a sink may have in progress.
const IN_FLIGHT: RangeInclusive<usize> = 1..=64;

/// The bounds of the pause between two deliveries. A worker must not sleep for longer, or it could look stuck.
const INTERVAL: Lasting = Lasting::within(Period(Duration::ZERO), Period(Duration::from_secs(30)));

/// The bounds of the pause before a retry, with a warning below 100 ms: that would be nothing but retries.
const PAUSE: Lasting = Lasting::within(SHORTEST, Period::LONGEST).usually(Period(Duration::from_millis(100)));

/// The bounds of how long a notification is retried.
const PATIENCE: Lasting = Lasting::within(SHORTEST, Period::LONGEST).usually(NOTICED);

/// The shortest duration that is not zero.
const SHORTEST: Period = Period(Duration::from_millis(1));

/// The keys that every sink has, whatever its kind.
const COMMON: [&str; 7] = ["type", "fallback", "retry", "limits", "language", "time_zone", "templates"];

/// `[messages]`, read, with its templates compiled.
pub(super) struct Messages {
    pub(super) keys: TextKeys,
    /// None if something is wrong, which has been noted.
    texts: Option<Texts>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Common {
    r#type: Option<String>,
    fallback: Option<String>,
    retry: Option<Value>,
    limits: Option<Value>,
    language: Option<String>,
    time_zone: Option<String>,
    templates: Option<std::path::PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RetryKeys {
    first: Option<Period>,
    max: Option<Period>,
    give_up_after: Option<Period>,
}

impl Messages {
    /// The language of messages, unless a sink sets another.
    pub(super) fn language(&self) -> Language {
        self.texts.as_ref().map(Texts::language).unwrap_or_default()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitKeys {
    in_flight: Option<usize>,
    interval: Option<Period>,
}

/// Reads `[messages]`.
pub(super) fn messages(value: &Value, path: &Path, reader: &mut Reader<'_>) -> Messages {
    if reader.table(value, path, "[messages]").is_none() {
        return Messages { keys: TextKeys::default(), texts: None };
    }
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: TextKeys = section.read().unwrap_or_default();
    let texts = Texts::check(&keys, &mut section);
    reader.finish(section);
    Messages { keys, texts }
}

/// Reads `[sinks]`. Also returns the sinks of which a secret is a systemd credential that this process does not have.
pub(super) fn read(
    value: &Value,
    path: &Path,
    kinds: &[SinkKind],
    messages: &Messages,
    reader: &mut Reader<'_>,
) -> (BTreeMap<String, Target>, BTreeSet<String>) {
    let (mut sinks, mut incomplete) = (BTreeMap::new(), BTreeSet::new());
    let Some(table) = reader.table(value, path, "[sinks.NAME]") else { return (sinks, incomplete) };
    if table.is_empty() {
        let problem = Problem::error(path.clone(), "there is no sink: nobody would be told");
        let problem = problem.hint("add [sinks.console] with `type = \"stdout\"` for a start");
        reader.note(problem.unless("sinks"));
    }
    if table.len() > MOST {
        let what = format!("{} sinks; at most {MOST} are allowed", table.len());
        reader.note(Problem::error(path.clone(), what).hint("one sink can have many recipients, also from labels"));
        return (sinks, incomplete);
    }
    for (name, value) in table {
        let path = path.join(name.as_str());
        check_name(name, &path, reader);
        if let Some(fallback) = value.get("fallback").and_then(Value::as_str) {
            check_fallback(name, fallback, &path, table, reader);
        }
        if let Some((sink, lacks_credentials)) = read_sink(value, &path, kinds, messages, reader) {
            sinks.insert(name.clone(), sink);
            incomplete.extend(lacks_credentials.then(|| name.clone()));
        }
    }
    (sinks, incomplete)
}

fn check_name(name: &str, path: &Path, reader: &mut Reader<'_>) {
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
        let problem = Problem::error(path.clone(), "this cannot be the name of a sink");
        reader.note(problem.expected(format!("1 to {LONGEST_NAME} characters")));
    }
}

fn read_sink(
    value: &Value,
    path: &Path,
    kinds: &[SinkKind],
    messages: &Messages,
    reader: &mut Reader<'_>,
) -> Option<(Target, bool)> {
    let table = reader.table(value, path, "[sinks.NAME]")?;
    let common_part: Map<String, Value> =
        COMMON.iter().filter_map(|key| Some(((*key).to_owned(), table.get(*key)?.clone()))).collect();
    let common: Common = reader.read(&Value::Object(common_part), path, "[sinks.NAME]");
    let kind = kind(&common, value, path, kinds, reader);
    let retry =
        common.retry.as_ref().map_or_else(Retry::default, |retry| read_retry(retry, &path.join("retry"), reader));
    let limits = common.limits.as_ref();
    let limits = limits.map_or_else(LimitKeys::default, |limits| read_limits(limits, &path.join("limits"), reader));
    let texts = texts(&common, value, path, messages, reader);
    let kind = kind?;
    // Without texts the kind's own keys are checked all the same.
    let texts = texts.unwrap_or_default();
    let language = texts.language();
    let (settings, lacks_credentials) = check(&kind, value, path, texts, reader)?;
    let own = settings.limits();
    let limits = Limits {
        in_flight: limits.in_flight.unwrap_or(own.in_flight),
        interval: limits.interval.map_or(own.interval, |period| period.0),
        ..own
    };
    let target = Target { kind: kind.name, settings, language, limits, retry, fallback: common.fallback };
    Some((target, lacks_credentials))
}

/// Checks the keys of a kind of sink. Also returns whether a secret is a systemd credential that this process does not
/// have.
fn check(
    kind: &SinkKind,
    value: &Value,
    path: &Path,
    texts: Texts,
    reader: &mut Reader<'_>,
) -> Option<(Arc<dyn Settings>, bool)> {
    let mut section = Section::new(value, path.clone(), &COMMON, reader.environment);
    let settings = (kind.check)(&mut section, texts);
    // The type decides which keys exist and which are required, so name the type as the cause.
    for problem in &mut section.problems {
        let is_own = problem.what.starts_with(UNKNOWN_KEY) && problem.path.0.len() == path.0.len() + 1;
        if is_own || problem.path == *path {
            let cause = Cause { path: path.join("type"), what: format!("`type` is `{}`", kind.name) };
            problem.circumstances.get_or_insert_default().because = Some(cause);
        }
    }
    if settings.is_none() && section.problems.is_empty() {
        let problem = Problem::error(path.clone(), "this sink cannot be used, and its type does not say why");
        section.problems.push(problem.hint("ask the author of this type of sink"));
    }
    let lacks_credentials = section.lacks_credentials;
    reader.finish(section);
    Some((settings?, lacks_credentials))
}

fn kind(common: &Common, value: &Value, path: &Path, kinds: &[SinkKind], reader: &mut Reader<'_>) -> Option<SinkKind> {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let Some(name) = common.r#type.as_deref() else {
        let table = value.as_object().into_iter();
        let misspelt = table.flat_map(Map::keys).find(|key| closest(key, ["type"]).is_some());
        if let Some(key) = misspelt.filter(|_| is_missing(value, "type")) {
            reader.note(unknown_key(path.join(key.as_str()), key, &COMMON));
        } else if is_missing(value, "type") {
            let problem = Problem::error(path.clone(), "`type` is missing").expected(one_of_some(&names));
            let problem = problem.hint("the type says what sort of sink it is and which keys it has");
            reader.note(problem.unless("type"));
        }
        return None;
    };
    let kind = kinds.iter().find(|kind| kind.name == name).copied();
    if kind.is_none() {
        let problem = Problem::error(path.join("type"), format!("unknown type of sink `{name}`"));
        reader.note(problem.expected(one_of_some(&names)).did_you_mean(name, names.iter().copied()));
    }
    kind
}

fn one_of_some(names: &[&str]) -> String {
    if names.is_empty() { "nothing: this build has no sinks".into() } else { one_of(names) }
}

/// The texts of a sink: those of `[messages]` unless it has keys of its own.
fn texts(common: &Common, value: &Value, path: &Path, messages: &Messages, reader: &mut Reader<'_>) -> Option<Texts> {
    let TextKeys { language, time_zone, templates } = messages.keys.clone();
    let keys = TextKeys {
        language: common.language.clone().or(language),
        time_zone: common.time_zone.clone().or(time_zone),
        templates: common.templates.clone().or(templates),
    };
    if keys == messages.keys {
        return messages.texts.clone();
    }
    let mut section = Section::new(value, path.clone(), &COMMON, reader.environment);
    let texts = Texts::check(&keys, &mut section);
    // What is wrong with a key of `[messages]` has been noted there.
    section.problems.retain(|problem| match problem.path.0.get(path.0.len()) {
        Some(linedown_sinks::Key::Name(key)) => !is_missing(value, key) || messages.texts.is_some(),
        _ => true,
    });
    reader.finish(section);
    texts
}

fn read_retry(value: &Value, path: &Path, reader: &mut Reader<'_>) -> Retry {
    let keys: RetryKeys = reader.read(value, path, "retry = { first = \"2s\" }");
    let default = Retry::default();
    // A default gives way to what the user set, so that nobody need set all three.
    let written = |period: Option<Period>| period.map(|period| period.0);
    let (first, max, give_up_after) = (written(keys.first), written(keys.max), written(keys.give_up_after));
    let longest = max.or(first).unwrap_or_default();
    let give_up_after = give_up_after.unwrap_or(default.give_up_after.max(longest));
    let max = max.unwrap_or(default.max.max(longest).min(give_up_after));
    let first = first.unwrap_or(default.first.min(max));
    let written =
        [("first", keys.first, PAUSE), ("max", keys.max, PAUSE), ("give_up_after", keys.give_up_after, PATIENCE)];
    for (key, period, lasting) in written {
        if let Some(period) = period {
            lasting.check(path.join(key), period, reader);
        }
    }
    check_order(&keys, path, reader);
    Retry { first, max, give_up_after }
}

/// Checks the keys that are written against each other. A period of zero has been reported already.
fn check_order(keys: &RetryKeys, path: &Path, reader: &mut Reader<'_>) {
    let written = |period: Option<Period>| period.filter(|period| !period.0.is_zero());
    if let (Some(first), Some(max)) = (keys.first, written(keys.max))
        && first > max
    {
        let what = format!("the longest pause, {max}, is shorter than the first, {first}");
        reader.note(Problem::error(path.join("max"), what).expected("`first` ≤ `max` ≤ `give_up_after`"));
    }
    if let (Some((key, pause)), Some(end)) =
        (keys.max.map(|max| ("max", max)).or(keys.first.map(|first| ("first", first))), written(keys.give_up_after))
        && pause > end
    {
        let which = if key == "max" { "a pause" } else { "the first pause" };
        let what = format!("it gives up after {end}, before {which} of {pause} ends");
        let problem = Problem::error(path.join("give_up_after"), what);
        reader.note(problem.expected(format!("`{key}` ≤ `give_up_after`")));
    }
}

fn read_limits(value: &Value, path: &Path, reader: &mut Reader<'_>) -> LimitKeys {
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys = reader.table(value, path, "limits = { in_flight = 8 }").and_then(|_| section.read());
    let LimitKeys { in_flight, interval } = keys.unwrap_or_default();
    let limits =
        LimitKeys { in_flight: in_flight.map(|number| section.within(&["in_flight"], number, &IN_FLIGHT)), interval };
    section.problems.extend(interval.and_then(|period| INTERVAL.problem(path.join("interval"), period)));
    reader.finish(section);
    limits
}

fn check_fallback(name: &str, fallback: &str, path: &Path, sinks: &Map<String, Value>, reader: &mut Reader<'_>) {
    let path = path.join("fallback");
    if fallback == name {
        let problem = Problem::error(path, "a sink cannot be its own fallback");
        reader.note(problem.hint("name a sink that goes another way: email for Slack, say"));
    } else if !sinks.contains_key(fallback) {
        let problem = Problem::error(path, format!("there is no sink `{fallback}`"));
        let problem = problem.hint(format!("add [sinks.{fallback}], or name one that is there"));
        let others = sinks.keys().map(String::as_str).filter(|other| *other != name);
        reader.note(problem.did_you_mean(fallback, others).unless(fallback));
    }
}
