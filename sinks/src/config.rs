//! Reads a section of the user's config and finds every mistake in it in one go, each with its place.
//!
//! serde stops at the first mistake. [`Section::read`] notes it, removes the offending value and reads again, until
//! the rest can be read. Sections are therefore structs with `#[serde(default, deny_unknown_fields)]` and without
//! required fields: a missing key is checked for afterwards, with a message of its own ([`Section::missing`]).

mod mistake;
mod path;
mod place;
mod problem;
mod secrets;
mod textual;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::secret::Secrets;

use self::mistake::with_variants;
use self::place::{steps, take_out};
use self::textual::Textual;

pub use self::path::{Key, Path};
pub use self::problem::{Cause, Circumstances, Problem, Severity, closest, did_you_mean, one_of};
pub use self::secrets::unread;
pub use self::textual::written;

/// The most mistakes noted in one section, so that a hostile file cannot keep linedown busy.
const MOST: usize = 100;

/// What reading a section depends on, besides the section itself.
#[derive(Debug, Default)]
pub struct Environment {
    /// Where secrets are looked up.
    pub secrets: Secrets,
    /// The places of values that came from environment variables. There, a value is always text; it is read as a
    /// number, a boolean, a list or a table where the config wants one.
    pub textual: BTreeSet<Path>,
}

/// One table of the config while it is being read.
pub struct Section<'a> {
    value: &'a Value,
    path: Path,
    /// Keys of the table that other code reads: not part of the section's struct, but not unknown either.
    others: &'a [&'a str],
    environment: &'a Environment,
    /// The problems found so far.
    pub problems: Vec<Problem>,
    /// The places of secrets that are written out in the config.
    pub written_out: Vec<Path>,
    /// Whether a secret is a systemd credential, but this process was given no credentials.
    pub lacks_credentials: bool,
}

impl<'a> Section<'a> {
    /// A section for the table at `path`, whose keys `others` are read by other code.
    pub fn new(value: &'a Value, path: Path, others: &'a [&'a str], environment: &'a Environment) -> Self {
        let (problems, written_out) = (Vec::new(), Vec::new());
        Self { value, path, others, environment, problems, written_out, lacks_credentials: false }
    }

    /// The place of the section in the config.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes an error at a key of this section.
    pub fn error(&mut self, key: impl Into<Key>, what: impl Into<String>) -> &mut Problem {
        self.note(Problem::error(self.path.join(key), what))
    }

    /// Notes a warning at a key of this section.
    pub fn warning(&mut self, key: impl Into<Key>, what: impl Into<String>) -> &mut Problem {
        self.note(Problem::warning(self.path.join(key), what))
    }

    /// Notes, at the section itself, that a key is missing. If the key is there (its value was a mistake, already
    /// noted), notes nothing and returns none.
    pub fn missing(&mut self, key: &str, hint: impl Into<String>) -> Option<&mut Problem> {
        if self.value.get(key).is_some() {
            return None;
        }
        Some(self.note(Problem::error(self.path.clone(), format!("`{key}` is missing")).hint(hint).unless(key)))
    }

    fn note(&mut self, problem: Problem) -> &mut Problem {
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Reads the section and notes every mistake; a mistaken value is left at its default. Returns none if the section
    /// cannot be read even so, for example because it is not a table.
    pub fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut value = self.value.clone();
        if let Value::Object(table) = &mut value {
            table.retain(|key, _| !self.others.contains(&key.as_str()));
        }
        let mut textual = Textual::take(&self.environment.textual, &self.path, &mut value);
        for _ in 0..MOST {
            let error = match serde_path_to_error::deserialize::<_, T>(&value) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let place = steps(error.path());
            let what = error.into_inner().to_string();
            if textual.mend(&mut value, &place, &what) {
                continue;
            }
            let what = with_variants::<T>(&value, &place, what);
            let problem = self.mistake(&place, &what, &value);
            self.problems.push(problem);
            if !take_out(&mut value, &place.0) {
                return None;
            }
        }
        None
    }

    /// Returns `value` as it is, and notes an error if it is out of bounds. `keys` lead from this section to its place.
    pub fn within<T: PartialOrd + Display>(&mut self, keys: &[&str], value: T, bounds: &RangeInclusive<T>) -> T {
        if !bounds.contains(&value) {
            let path = keys.iter().fold(self.path.clone(), |path, key| path.join(*key));
            let problem = Problem::error(path, format!("{value} is out of bounds"));
            self.problems.push(problem.expected(format!("{} to {}", bounds.start(), bounds.end())));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::Secret;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        server: Option<String>,
        port: Option<u16>,
        to: Vec<String>,
        format: Option<Format>,
        nested: Nested,
        secret: Option<Secret>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Format {
        Json,
        Text,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Nested {
        first: Option<u32>,
    }

    fn read(value: &Value) -> (Option<Sample>, Vec<Problem>) {
        let textual = ["port", "secret", "server"].map(|key| Path(vec!["s".into(), key.into()]));
        let environment = Environment { textual: BTreeSet::from(textual), ..Environment::default() };
        let mut section = Section::new(value, Path(vec!["s".into()]), &["type"], &environment);
        (section.read(), section.problems)
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let (sample, problems) = read(&json!({
            "type": "x", "sever": "a", "port": "many", "to": ["a", 7], "format": "jsno", "nested": { "frist": 1 }, "server": "ok"
        }));
        let sample = sample.unwrap();
        assert_eq!(sample.server.as_deref(), Some("ok"));
        assert!(
            sample.port.is_none() && sample.format.is_none() && sample.to.is_empty() && sample.nested.first.is_none()
        );
        let mut found: Vec<(String, Option<String>)> =
            problems.iter().map(|p| (p.path.to_string(), p.hint.clone())).collect();
        found.sort();
        let hint = |text: &str| Some(format!("did you mean `{text}`?"));
        assert_eq!(
            found,
            [
                ("s.format".to_owned(), hint("json")),
                ("s.nested.frist".to_owned(), hint("first")),
                ("s.port".to_owned(), None),
                ("s.sever".to_owned(), hint("server")),
                ("s.to[1]".to_owned(), None),
            ]
        );
        assert!(problems.iter().all(|problem| !problem.what.contains("many")), "{problems:?}");
    }

    /// A key with a mistaken value is not reported as missing too, and a table below does not have the section's
    /// `others`.
    #[test]
    fn one_mistake_is_told_once() {
        let told = |value: Value| {
            let environment = Environment::default();
            let mut section = Section::new(&value, Path::default(), &["type"], &environment);
            let _: Option<Sample> = section.read();
            section.missing("secret", "");
            section.problems.into_iter().map(|problem| (problem.what, problem.expected)).collect::<Vec<_>>()
        };
        let places = Some("one of `file`, `env`, `credential`".to_owned());
        assert_eq!(
            told(json!({ "secret": { "file": "x", "x": "y" } })),
            [("unknown key `x`".to_owned(), places.clone())]
        );
        let several = ("more than one place for one secret".to_owned(), places.clone());
        assert_eq!(told(json!({ "secret": { "file": "x", "env": "y" } })), [several]);
        assert_eq!(told(json!({ "secret": {} })), [("this does not say where the secret is".to_owned(), places)]);
        let words = Some("`json` or `text`".to_owned());
        assert_eq!(told(json!({ "secret": "x", "format": true })), [("wrong type: boolean".to_owned(), words)]);
        assert_eq!(told(json!({})), [("`secret` is missing".to_owned(), None)]);
    }

    #[test]
    fn text_from_the_environment_becomes_what_is_wanted() {
        let (sample, problems) = read(&json!({ "port": "25" }));
        assert_eq!((sample.unwrap().port, problems.len()), (Some(25), 0));
        // A key that takes text or a table takes text written as a table for a table, not for a secret that looks so.
        let (sample, problems) = read(&json!({ "secret": " {\"file\": \"/x\"}", "server": "[1]" }));
        let sample = sample.unwrap();
        assert!(matches!(sample.secret, Some(Secret::File(_))), "{sample:?}");
        assert_eq!((sample.server.as_deref(), problems), (Some("[1]"), Vec::new()));
        // In TOML, too, as in the files.
        let (sample, problems) = read(&json!({ "secret": "{ file = '/x' }" }));
        assert!(matches!(sample.unwrap().secret, Some(Secret::File(_))) && problems.is_empty(), "{problems:?}");
        let (sample, _) = read(&json!({ "secret": "{ file = '/x' }\nb = 1" }));
        assert!(matches!(sample.unwrap().secret, Some(Secret::Plain(_))));
        let (_, problems) = read(&json!({ "secret": "{\"fiel\": \"/x\"}" }));
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `file`?"), "{problems:?}");
        let (sample, problems) = read(&json!({ "secret": "{x}", "server": "{\"a\"" }));
        assert_eq!((sample.unwrap().server.as_deref(), problems), (Some("{\"a\""), Vec::new()));
    }
}
