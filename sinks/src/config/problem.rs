//! Problems of the config: what is wrong, where, and what to do about it.

use serde_json::Value;

use super::path::Path;

/// Something wrong with the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place of the mistake.
    pub path: Path,
    /// Whether the config can be used in spite of it.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What was expected instead.
    pub expected: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// What else in the config decides whether this is a problem.
    pub circumstances: Option<Box<Circumstances>>,
}

/// What else in the config decides whether a value is a mistake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Names of keys: if any of them is set, there is no problem. While one of them may be set in a file that could not
    /// be read, the problem is not reported.
    pub unless: Vec<String>,
    /// Another value that makes this one a mistake. It is named if it is in another file, where nobody would look for
    /// it.
    pub because: Option<Cause>,
}

/// A value that makes another one a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its place.
    pub path: Path,
    /// What it says, such as "`type` is `email`".
    pub what: String,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The config is used; the user should know.
    Warning,
    /// The config is refused.
    Error,
}

impl Problem {
    /// An error at a place.
    pub fn error(path: Path, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { path, severity: Severity::Error, what, expected: None, hint: None, circumstances: None }
    }

    /// An error about a value of the wrong type. It names the type but not the content: a wrong value may be a secret in
    /// the wrong place.
    pub fn wrong_type(path: Path, value: &Value) -> Self {
        let found = match value {
            Value::Null => "nothing",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "floating point",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "list",
            Value::Object(_) => "table",
        };
        Self::error(path, format!("wrong type: {found}"))
    }

    /// A warning about a place.
    pub fn warning(path: Path, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, what) }
    }

    /// Adds what was expected instead.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Hints at the name that was probably meant, if one of those that are known is similar.
    #[must_use]
    pub fn did_you_mean<'n>(mut self, wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        self.hint = did_you_mean(wrong, known).or(self.hint);
        self
    }

    /// Adds a value that makes this one a mistake ([`Circumstances::because`]).
    #[must_use]
    pub fn because(mut self, path: Path, what: impl Into<String>) -> Self {
        self.circumstances.get_or_insert_default().because = Some(Cause { path, what: what.into() });
        self
    }

    /// Adds the name of a key that, if set, makes this no problem ([`Circumstances::unless`]).
    #[must_use]
    pub fn unless(mut self, name: impl Into<String>) -> Self {
        self.circumstances.get_or_insert_default().unless.push(name.into());
        self
    }
}

/// The names as a choice, for [`Problem::expected`].
pub fn one_of(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.len() == 1 { names[0].clone() } else { format!("one of {}", names.join(", ")) }
}

/// The name that was probably meant: the most similar one, if any is similar enough.
pub fn closest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// A hint with the name that was probably meant.
pub fn did_you_mean<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    closest(wrong, names).map(|near| format!("did you mean `{near}`?"))
}
