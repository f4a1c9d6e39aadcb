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

mod field;
mod pattern;
mod reading;

use std::collections::BTreeSet;
use std::fmt;

use linedown_sinks::{Incident, Instance, Path, Problem, Reason, Severity};
use regex::Regex;
use serde_json::Value;

pub use field::Field;

/// A rule's tests, all of which an incident must pass.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    tests: Vec<(Field, Test)>,
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
        let (mut tests, problems) = reading::tests(value, path);
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

#[cfg(test)]
mod tests;
