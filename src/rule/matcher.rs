//! What a rule looks for in an incident: `match = { reason = "number-blocked", labels.tier = "gold" }`.
//!
//! A field's test is one of these:
//! - a text: equal, or a glob if it has one of `* ? [ {` (a backslash takes such a character literally);
//! - a list of tests: any of them;
//! - `{ regex = "…" }`, over the whole text;
//! - `{ not = … }`.
//!
//! All fields must pass. A field that an incident lacks is the empty text. Case matters everywhere but in `error`,
//! since gateways change their wording; a regex can make it matter there with `(?-i)`.

mod pattern;

use std::collections::BTreeSet;
use std::fmt;

use linedown_sinks::{Incident, Instance, Path, Problem, Reason, Severity, closest, excerpt, one_of};
use regex::Regex;
use serde_json::{Map, Value};

/// What a test can be, besides a text or a list.
const OPERATORS: [&str; 2] = ["regex", "not"];

/// The characters that have a meaning in globs.
const GLOB: &str = r"*?[]{}!^-,\";

/// Most tests in one list.
const MOST_ALTERNATIVES: usize = 1_000;

/// The fields besides `labels.*`.
const FIELDS: [Field; 6] = [Field::Source, Field::Instance, Field::Name, Field::Phone, Field::Reason, Field::Error];

/// A rule's tests, all of which an incident must pass.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    tests: Vec<(Field, Test)>,
}

/// A field of an incident that a rule may look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The configured source that reported it.
    Source,
    /// The gateway's identifier of the line.
    Instance,
    /// The inventory's name of the line.
    Name,
    /// The line's number.
    Phone,
    /// Why it is down.
    Reason,
    /// The gateway's own words.
    Error,
    /// A label of the line.
    Label(String),
}

/// A test of one text.
#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    EqualIgnoringCase(String),
    Glob(String, Regex),
    Regex(String, Regex),
    AnyOf(Vec<Test>),
    Not(Box<Test>),
}

/// What rules look at in an incident.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The configured source that reported it.
    pub source: &'a str,
    /// The line.
    pub instance: &'a Instance,
    /// Why it is down.
    pub reason: Reason,
    /// The gateway's own words.
    pub error: Option<&'a str>,
}

impl<'a> From<&'a Incident> for Subject<'a> {
    fn from(incident: &'a Incident) -> Self {
        Self {
            source: &incident.source,
            instance: &incident.instance,
            reason: incident.reason,
            error: incident.error.as_deref(),
        }
    }
}

/// Why a matcher does not match: `labels.tier is "silver", wanted "gold"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The first field that fails, as it is written in the config.
    pub field: String,
    /// The field's value; a phone number is masked.
    pub was: String,
    /// What was wanted, in words.
    pub wanted: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}, wanted {}", self.field, self.was, self.wanted)
    }
}

impl Matcher {
    /// Reads the `match` table of a rule at `path`. Mistakes are returned, and left out of the matcher.
    pub fn read(value: &Value, path: &Path) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let Some(table) = value.as_object() else {
            let problem = Problem::error(path.clone(), format!("wrong type: {}", type_of(value)))
                .expected("a table such as `{ reason = \"number-blocked\" }`");
            return (Self::default(), vec![problem]);
        };
        let mut tests = Vec::new();
        for (key, value) in table {
            let path = path.join(key.as_str());
            if key == "labels" {
                read_labels(value, &path, &mut tests, &mut problems);
            } else if let Some(field) = FIELDS.into_iter().find(|field| field.to_string() == *key) {
                tests.extend(read_test(&field, value, &path, &mut problems).map(|test| (field, test)));
            } else {
                problems.push(unknown_field(key, path));
            }
        }
        // Tables have no order: sort them, so that `explain` always names the same field.
        tests.sort_by_key(|(field, _)| field.to_string());
        (Self { tests }, problems)
    }

    /// Reads a table that is used as a whole or not at all, because with a part left out it would match more than was
    /// meant. Fails with the first mistake.
    pub fn whole(value: &Value) -> Result<Self, Problem> {
        let (matcher, problems) = Self::read(value, &Path::default());
        let mistake = problems.into_iter().find(|problem| problem.severity == Severity::Error);
        mistake.map_or(Ok(matcher), Err)
    }

    /// Whether the incident passes every test.
    pub fn passes(&self, subject: &Subject<'_>) -> bool {
        self.tests.iter().all(|(field, test)| test.passes(field.of(subject)))
    }

    /// Whether the incident passes every test of the fields that `fields` selects, whatever the others say.
    pub fn passes_in(&self, subject: &Subject<'_>, fields: impl Fn(&Field) -> bool) -> bool {
        self.tests.iter().filter(|(field, _)| fields(field)).all(|(field, test)| test.passes(field.of(subject)))
    }

    /// The fields that are looked at.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.tests.iter().map(|(field, _)| field)
    }

    /// The fields that must be one of some exact texts, with these texts.
    pub fn texts(&self) -> impl Iterator<Item = (&Field, BTreeSet<&str>)> {
        self.tests.iter().filter_map(|(field, test)| Some((field, test.texts()?)))
    }

    /// Checks that the incident passes every test; fails with the first that it does not pass.
    pub fn matches(&self, subject: &Subject<'_>) -> Result<(), Mismatch> {
        match self.tests.iter().find(|(field, test)| !test.passes(field.of(subject))) {
            None => Ok(()),
            Some((field, test)) => {
                Err(Mismatch { field: field.to_string(), was: field.shown(subject), wanted: test.to_string() })
            }
        }
    }

    /// Whether an incident passes every test just because it lacks the fields, and no test says that it means all
    /// incidents, or all but some.
    pub fn wants_nothing(&self) -> bool {
        self.tests.iter().all(|(_, test)| test.wants_nothing())
    }

    /// Whether all that it says is what it does not match.
    pub fn only_excludes(&self) -> bool {
        !self.tests.is_empty() && self.tests.iter().all(|(_, test)| test.excludes())
    }

    /// Whether it matches everything: it has no test, or none that can fail.
    pub fn takes_everything(&self) -> bool {
        self.tests.iter().all(|(_, test)| test.takes_everything())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Instance => "instance",
            Self::Name => "name",
            Self::Phone => "phone",
            Self::Reason => "reason",
            Self::Error => "error",
            Self::Label(key) => return write!(f, "labels.{key}"),
        })
    }
}

impl Field {
    /// Reads a field as it is written in the config, for instance `labels.customer`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("labels.") {
            Some("") => None,
            Some(key) => Some(Self::Label(key.to_owned())),
            None => FIELDS.into_iter().find(|field| field.to_string() == text),
        }
    }

    /// The field's value in an incident; empty where it is missing.
    pub fn of<'s>(&self, subject: &Subject<'s>) -> &'s str {
        match self {
            Self::Source => subject.source,
            Self::Instance => &subject.instance.id,
            Self::Name => subject.instance.name.as_deref().unwrap_or_default(),
            Self::Phone => subject.instance.phone.as_deref().unwrap_or_default(),
            Self::Reason => subject.reason.as_str(),
            Self::Error => subject.error.unwrap_or_default(),
            Self::Label(key) => subject.instance.labels.get(key).map(String::as_str).unwrap_or_default(),
        }
    }

    /// Whether tests of this field ignore case.
    fn ignores_case(&self) -> bool {
        *self == Self::Error
    }

    fn shown(&self, subject: &Subject<'_>) -> String {
        match self {
            Self::Phone => subject.instance.masked_phone().unwrap_or_default(),
            _ => excerpt(self.of(subject)),
        }
    }
}

impl Test {
    fn passes(&self, text: &str) -> bool {
        match self {
            Self::Equal(wanted) => text == wanted,
            Self::EqualIgnoringCase(wanted) => text.to_lowercase() == wanted.to_lowercase(),
            Self::Glob(_, pattern) | Self::Regex(_, pattern) => pattern.is_match(text),
            Self::AnyOf(tests) => tests.iter().any(|test| test.passes(text)),
            Self::Not(inner) => !inner.passes(text),
        }
    }

    /// The texts that pass, if the test names them.
    fn texts(&self) -> Option<BTreeSet<&str>> {
        match self {
            Self::Equal(text) => Some(BTreeSet::from([text.as_str()])),
            Self::AnyOf(tests) => {
                let each: Option<Vec<_>> = tests.iter().map(Self::texts).collect();
                each.map(|texts| texts.into_iter().flatten().collect())
            }
            Self::EqualIgnoringCase(_) | Self::Glob(..) | Self::Regex(..) | Self::Not(_) => None,
        }
    }

    fn wants_nothing(&self) -> bool {
        match self {
            Self::Not(_) => false,
            Self::AnyOf(tests) => !self.takes_everything() && tests.iter().any(Self::wants_nothing),
            Self::Equal(_) | Self::EqualIgnoringCase(_) | Self::Glob(..) | Self::Regex(..) => {
                !self.takes_everything() && self.passes("")
            }
        }
    }

    fn excludes(&self) -> bool {
        match self {
            Self::Not(_) => true,
            Self::AnyOf(tests) => tests.iter().any(Self::excludes),
            Self::Equal(_) | Self::EqualIgnoringCase(_) | Self::Glob(..) | Self::Regex(..) => false,
        }
    }

    fn takes_everything(&self) -> bool {
        match self {
            Self::Glob(glob, _) => glob.chars().all(|c| c == '*'),
            Self::Regex(regex, _) => regex == ".*",
            Self::AnyOf(tests) => tests.iter().any(Self::takes_everything),
            Self::Equal(_) | Self::EqualIgnoringCase(_) | Self::Not(_) => false,
        }
    }
}

/// The test in words, for [`Mismatch::wanted`].
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Most alternatives that are named.
        const NAMED: usize = 10;
        match self {
            Self::Equal(text) | Self::EqualIgnoringCase(text) => write!(f, "{text:?}"),
            Self::Glob(glob, _) => write!(f, "something like {glob:?}"),
            Self::Regex(regex, _) => write!(f, "a match of /{regex}/"),
            Self::Not(test) => write!(f, "not {test}"),
            Self::AnyOf(tests) => {
                let named: Vec<String> = tests.iter().take(NAMED).map(Self::to_string).collect();
                let more = if tests.len() > NAMED { " or …" } else { "" };
                write!(f, "one of {}{more}", named.join(" or "))
            }
        }
    }
}

fn unknown_field(key: &str, path: Path) -> Problem {
    let mut known: Vec<String> = FIELDS.iter().map(Field::to_string).collect();
    known.push("labels".into());
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut problem = Problem::error(path, format!("unknown key `{key}`")).expected(one_of(&known));
    problem.hint = match closest(key, known) {
        _ if OPERATORS.contains(&key) => Some(format!("`{key}` goes inside a field: `{{ reason = {{ {key} = … }} }}`")),
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => Some(format!("a label of the inventory is `labels.{key}`")),
    };
    problem
}

fn read_labels(value: &Value, path: &Path, tests: &mut Vec<(Field, Test)>, problems: &mut Vec<Problem>) {
    let Some(labels) = value.as_object() else {
        let problem = Problem::error(path.clone(), format!("wrong type: {}", type_of(value)));
        problems.push(problem.expected("labels by their keys, such as `labels.tier = \"gold\"`"));
        return;
    };
    for (key, value) in labels {
        let field = Field::Label(key.clone());
        tests.extend(read_test(&field, value, &path.join(key.as_str()), problems).map(|test| (field, test)));
    }
}

fn read_test(field: &Field, value: &Value, path: &Path, problems: &mut Vec<Problem>) -> Option<Test> {
    let result = match value {
        Value::String(text) => read_text(field, text, path, problems),
        Value::Array(values) => return read_list(field, values, path, problems),
        Value::Object(table) => return read_operator(field, table, path, problems),
        other => {
            let mut problem = Problem::error(path.clone(), format!("wrong type: {}", type_of(other)))
                .expected("a text, a list, `{ regex = … }` or `{ not = … }`");
            if !other.is_null() {
                problem.hint = Some(format!("write it in quotes: \"{other}\""));
            }
            Err(problem)
        }
    };
    result.map_err(|problem| problems.push(problem)).ok()
}

fn read_text(field: &Field, text: &str, path: &Path, problems: &mut Vec<Problem>) -> Result<Test, Problem> {
    if text.contains(['*', '?', '[', '{']) {
        return read_glob(field, text, path, problems);
    }
    match field {
        Field::Reason if Reason::parse(text).is_none() => {
            let known = Reason::ALL.map(Reason::as_str);
            let mut problem = Problem::error(path.clone(), format!("unknown reason `{text}`")).expected(one_of(&known));
            problem.hint = closest(text, known).map(|near| format!("did you mean `{near}`?"));
            Err(problem)
        }
        Field::Phone if text.contains(|c: char| !c.is_ascii_digit()) => {
            problems.push(no_phone(path));
            Ok(Test::Equal(text.to_owned()))
        }
        Field::Error => Ok(Test::EqualIgnoringCase(text.to_owned())),
        _ => Ok(Test::Equal(text.to_owned())),
    }
}

fn read_glob(field: &Field, text: &str, path: &Path, problems: &mut Vec<Problem>) -> Result<Test, Problem> {
    let pattern = pattern::glob(text, field.ignores_case()).map_err(|why| {
        Problem::error(path.clone(), format!("this glob cannot be read: {why}"))
            .hint(r"a backslash takes `*`, `?`, `[` and `{` literally: '\['")
    })?;
    if *field == Field::Reason && !Reason::ALL.iter().any(|reason| pattern.is_match(reason.as_str())) {
        let problem = Problem::error(path.clone(), format!("no reason matches `{text}`"));
        return Err(problem.expected(one_of(&Reason::ALL.map(Reason::as_str))));
    }
    if *field == Field::Phone && text.contains(|c: char| !c.is_ascii_digit() && !GLOB.contains(c)) {
        problems.push(no_phone(path));
    }
    Ok(Test::Glob(text.to_owned(), pattern))
}

fn no_phone(path: &Path) -> Problem {
    Problem::warning(path.clone(), "no phone number matches this: gateways send digits only")
        .hint("write country code, area code and number without `+`, spaces and dashes")
}

fn read_list(field: &Field, values: &[Value], path: &Path, problems: &mut Vec<Problem>) -> Option<Test> {
    if values.is_empty() {
        problems.push(Problem::error(path.clone(), "an empty list matches nothing").expected("at least one element"));
        return None;
    }
    if values.len() > MOST_ALTERNATIVES {
        let what = format!("a list of {}; at most {MOST_ALTERNATIVES} are allowed", values.len());
        problems.push(Problem::error(path.clone(), what).hint("give the instances a label and match that"));
        return None;
    }
    let tests = values.iter().enumerate();
    Some(Test::AnyOf(tests.filter_map(|(i, value)| read_test(field, value, &path.join(i), problems)).collect()))
}

fn read_operator(field: &Field, table: &Map<String, Value>, path: &Path, problems: &mut Vec<Problem>) -> Option<Test> {
    let before = problems.len();
    for key in table.keys().filter(|key| !OPERATORS.contains(&key.as_str())) {
        let mut problem =
            Problem::error(path.join(key.as_str()), format!("unknown key `{key}`")).expected(one_of(&OPERATORS));
        problem.hint = closest(key, OPERATORS).map(|near| format!("did you mean `{near}`?"));
        problems.push(problem);
    }
    if problems.len() > before {
        return None;
    }
    match (table.get("regex"), table.get("not")) {
        (Some(Value::String(text)), None) => match pattern::regex(text, field.ignores_case()) {
            Ok(regex) => Some(Test::Regex(text.clone(), regex)),
            Err(why) => {
                let problem = Problem::error(path.join("regex"), format!("this regex cannot be read: {why}"));
                problems.push(problem.expected("one such as `Loja .*`, as https://docs.rs/regex describes them"));
                None
            }
        },
        (Some(other), None) => {
            let problem = Problem::error(path.join("regex"), format!("wrong type: {}", type_of(other)));
            problems.push(problem.expected("a text"));
            None
        }
        (None, Some(value)) => {
            read_test(field, value, &path.join("not"), problems).map(|test| Test::Not(Box::new(test)))
        }
        _ => {
            let problem = Problem::error(path.clone(), "write either `regex` or `not` here");
            problems.push(problem.hint("`{ not = { regex = … } }` is both"));
            None
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "floating point",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "table",
    }
}

#[cfg(test)]
mod tests;
