//! Reads a section of the user's config and finds every mistake in it in one go, each with its place.
//!
//! serde stops at the first mistake. [`Section::read`] notes it, removes the offending value and reads again, until
//! the rest can be read. Sections are therefore structs with `#[serde(default, deny_unknown_fields)]` and without
//! required fields: a missing key is checked for afterwards, with a message of its own ([`Section::missing`]).

mod path;
mod problem;
mod textual;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::ops::RangeInclusive;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::secret::{Found, Secret, SecretError, Secrets};

use self::textual::Textual;

pub use self::path::{Key, Path};
pub use self::problem::{Cause, Circumstances, Problem, Severity, closest, one_of};
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
            let problem = self.problem(&place, &what, &value);
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

    /// Fetches a secret. Notes why if it cannot be had, and warns if every user of this machine can read it.
    pub fn secret(&mut self, key: &str, secret: &Secret) -> Option<SecretString> {
        self.secret_at(&Path(vec![key.into()]), secret)
    }

    /// Like [`Section::secret`], for a secret anywhere below this section.
    pub fn secret_at(&mut self, place: &Path, secret: &Secret) -> Option<SecretString> {
        let path = self.path.extend(place);
        let found = self.fetch(&path, secret)?;
        self.problems.extend(found.warning(&path));
        if matches!(secret, Secret::Plain(_)) {
            self.written_out.push(path);
        }
        Some(found.value)
    }

    /// Fetches a value that is configured like a secret but is none, such as a certificate. Notes why if it cannot be
    /// had.
    pub fn no_secret(&mut self, key: &str, place: &Secret) -> Option<SecretString> {
        self.fetch(&self.path.join(key), place).map(|found| found.value)
    }

    fn fetch(&mut self, path: &Path, secret: &Secret) -> Option<Found> {
        match self.environment.secrets.get(secret) {
            Ok(found) => Some(found),
            // Only systemd provides credentials: to a person who runs `linedown check` by hand, this is no mistake.
            Err(error @ SecretError::NoCredentials(_)) => {
                self.lacks_credentials = true;
                let problem = Problem::warning(path.clone(), error.to_string());
                self.note(problem.hint(format!("to check it as well: {AS_THE_SERVICE}")));
                Some(Found { value: SecretString::from(""), public: None })
            }
            Err(error) => {
                let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                self.note(Problem::error(path.clone(), format!("{error}{why}")).hint(advice(secret, &error)));
                None
            }
        }
    }

    fn problem(&self, place: &Path, what: &str, value: &Value) -> Problem {
        let path = self.path.extend(place);
        if let Some((unknown, known)) = unknown_field(what) {
            let path = if place.0.last() == Some(&Key::Name(unknown.to_owned())) { path } else { path.join(unknown) };
            let is_ours = path.0.len() == self.path.0.len() + 1;
            let others = self.others.iter().copied().filter(|_| is_ours);
            let known: Vec<&str> = known.into_iter().chain(others).collect();
            let problem = Problem::error(path, format!("unknown key `{unknown}`")).expected(one_of(&known));
            return match closest(unknown, known.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            };
        }
        let (what, expected) = match what.split_once(", expected ") {
            Some((what, expected)) => (without_content(what), Some(expected.to_owned())),
            None => (what.to_owned(), None),
        };
        let mut problem = Problem::error(path, what);
        problem.expected = expected;
        if let (Some(expected), Some(Value::String(text))) = (&problem.expected, find(&mut value.clone(), &place.0)) {
            let near = closest(text, expected.split('`').skip(1).step_by(2));
            problem.hint = near.map(|near| format!("did you mean `{near}`?"));
        }
        problem
    }
}

/// The command that checks with the credentials that systemd gives the service.
const AS_THE_SERVICE: &str = "sudo env CREDENTIALS_DIRECTORY=/etc/linedown/credentials linedown check";

/// What to do about a secret that cannot be had.
fn advice(secret: &Secret, error: &SecretError) -> String {
    let advice = match (secret, error) {
        (_, SecretError::Name(_)) => "write the name of a file in /etc/linedown/credentials, without the folder",
        (_, SecretError::NoFile) => "write the full path of the file that holds it",
        (Secret::Credential(_), _) => {
            return format!("write it to /etc/linedown/credentials, check it ({AS_THE_SERVICE}), and restart linedown");
        }
        (_, SecretError::File { source, .. }) => unread(source),
        (Secret::File(_), SecretError::Empty) => "is it the right file?",
        (Secret::Env(_), _) => "for the service, set it with `Environment=` in `systemctl edit linedown`",
        _ => "write the secret itself, or where it is: { file = … }, { env = … } or { credential = … }",
    };
    advice.to_owned()
}

/// What to do about a file or a folder that cannot be read.
pub fn unread(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "write the full path of one that exists",
        io::ErrorKind::PermissionDenied => {
            "let the user who runs linedown read it; for the service, make the secret a credential"
        }
        io::ErrorKind::IsADirectory => "that is a folder: name a file",
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder: correct the path",
        _ => "is it the right file?",
    }
}

/// Rewrites serde's `invalid type` so that it names the value's type but not its content: a wrong value may be a secret
/// in the wrong place.
fn without_content(what: &str) -> String {
    let kinds = ["string", "integer", "floating point", "boolean", "sequence", "map", "null"];
    match what.strip_prefix("invalid type: ") {
        Some(found) => {
            let kind = kinds.into_iter().find(|kind| found.starts_with(kind)).unwrap_or("value");
            let kind = match kind {
                "sequence" => "list",
                "map" => "table",
                kind => kind,
            };
            format!("wrong type: {kind}")
        }
        None => what.to_owned(),
    }
}

/// Adds the allowed words of an enum to a type error. serde names them only when it finds an unknown word, so this puts
/// an empty word in the value's place and reads again.
fn with_variants<T: DeserializeOwned>(value: &Value, place: &Path, what: String) -> String {
    let Some(found) = what.strip_suffix(", expected string or map") else { return what };
    let mut value = value.clone();
    let Some(mistaken) = find(&mut value, &place.0) else { return what };
    *mistaken = "".into();
    let error = serde_path_to_error::deserialize::<_, T>(&value).err().map(|error| error.into_inner().to_string());
    let named = error.as_deref().and_then(|error| error.strip_prefix("unknown variant ``, expected "));
    named.map_or(what.clone(), |words| format!("{found}, expected {words}"))
}

fn unknown_field(what: &str) -> Option<(&str, Vec<&str>)> {
    let (name, rest) = what.strip_prefix("unknown field `")?.split_once('`')?;
    Some((name, rest.split('`').skip(1).step_by(2).collect()))
}

fn steps(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment;
    Path(
        path.iter()
            .filter_map(|segment| match segment {
                Segment::Seq { index } => Some(Key::Index(*index)),
                Segment::Map { key } => Some(Key::Name(key.clone())),
                Segment::Enum { variant } => Some(Key::Name(variant.clone())),
                Segment::Unknown => None,
            })
            .collect(),
    )
}

fn find<'v>(value: &'v mut Value, keys: &[Key]) -> Option<&'v mut Value> {
    keys.iter().try_fold(value, |value, key| match key {
        Key::Name(name) => value.get_mut(name),
        Key::Index(index) => value.get_mut(index),
    })
}

/// Removes a value from its table and tells whether there was one. For an element of a list, removes the whole list,
/// since the places of the other elements would move.
fn take_out(value: &mut Value, keys: &[Key]) -> bool {
    match keys {
        [] => false,
        [parents @ .., Key::Index(_)] => take_out(value, parents),
        [parents @ .., Key::Name(name)] => {
            let table = find(value, parents).and_then(Value::as_object_mut);
            table.is_some_and(|table| table.remove(name).is_some()) || take_out(value, parents)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

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
