//! Reads the sections of the config one after the other and collects their problems.

use std::collections::BTreeSet;

use linedown_sinks::{Environment, Key, Path, Problem, Section, Severity, one_of};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::file::File;
use super::layers::Element;
use super::privacy::{Sort, sort};
use crate::period::NO_UNIT;

/// Most errors noted, most warnings, and most mistakes in the syntax of a file. A config with more is probably another
/// file given by mistake.
pub(super) const MOST: usize = 1_000;

/// The error in place of those that are not noted.
pub(super) const TOO_MANY: &str = "there are more problems than these 1,000";

/// Most names listed as expected.
const NAMED: usize = 20;

/// The hint on how to write a table in a variable.
const IN_A_VARIABLE: &str = "write `{ key = \"…\" }`, or set a variable for each key: …__KEY=…";

/// The beginning of problems that are about a key rather than its value.
pub(super) const UNKNOWN_KEY: &str = "unknown key";

/// Reads sections and collects their problems.
pub(super) struct Reader<'e> {
    pub(super) environment: &'e Environment,
    files: &'e [File],
    problems: Vec<Problem>,
    /// The sorts of secrets that the config contains.
    written_out: BTreeSet<Sort>,
    /// Whether a secret is a systemd credential and this process has no credentials.
    lacks_credentials: bool,
    /// How many errors and warnings there were, noted or not.
    errors: usize,
    warnings: usize,
}

impl<'e> Reader<'e> {
    pub(super) fn new(environment: &'e Environment, files: &'e [File]) -> Self {
        let (problems, written_out) = (Vec::new(), BTreeSet::new());
        Self { environment, files, problems, written_out, lacks_credentials: false, errors: 0, warnings: 0 }
    }

    /// Notes a problem, unless a file that could not be read may hold what would solve it.
    pub(super) fn note(&mut self, problem: Problem) {
        let may_be_set = |name: &String| self.files.iter().any(|file| file.may_set(name));
        if problem.circumstances.iter().flat_map(|more| &more.unless).any(may_be_set) {
            return;
        }
        let count = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MOST {
            self.problems.push(reworded(problem));
        } else if *count == MOST + 1 {
            let more = Problem::error(Path::default(), TOO_MANY);
            self.problems.push(Problem { severity: problem.severity, ..more.hint("is it the right file?") });
        }
    }

    /// Whether a key of an appended list's element may be in a part of its file that could not be read. It cannot be in
    /// another file.
    pub(super) fn may_be_lost(&self, element: &Element, key: &str) -> bool {
        self.files.get(element.file).is_some_and(|file| file.may_set(key))
    }

    /// The number of errors so far.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether further errors would not be noted.
    pub(super) fn is_full(&self) -> bool {
        self.errors > MOST
    }

    /// Whether a secret is a systemd credential and this process has no credentials.
    pub(super) fn lacks_credentials(&self) -> bool {
        self.lacks_credentials
    }

    /// The problems, and the sorts of secrets that the config contains.
    pub(super) fn finished(self) -> (Vec<Problem>, BTreeSet<Sort>) {
        (self.problems, self.written_out)
    }

    /// Takes over a section's problems and what it knows of its secrets. Leaves out problems that only follow from a
    /// misspelt key: without that key, the table it should be in is mistaken as well.
    pub(super) fn finish(&mut self, section: Section<'_>) {
        let depth = section.path().0.len();
        let misspelt: Vec<Path> = section
            .problems
            .iter()
            .filter(|problem| problem.what.starts_with(UNKNOWN_KEY))
            .map(|problem| Path(problem.path.0[..problem.path.0.len() - 1].to_vec()))
            .filter(|parent| parent.0.len() > depth)
            .collect();
        self.written_out.extend(section.written_out.iter().map(sort));
        self.lacks_credentials |= section.lacks_credentials;
        for problem in section.problems {
            if problem.what.starts_with(UNKNOWN_KEY) || !misspelt.contains(&problem.path) {
                self.note(problem);
            }
        }
    }

    /// The value as a table, or nothing with a problem noted. `shown` is how to write the table.
    pub(super) fn table<'v>(&mut self, value: &'v Value, path: &Path, shown: &str) -> Option<&'v Map<String, Value>> {
        if let Value::Object(table) = value {
            return Some(table);
        }
        let problem = Problem::wrong_type(path.clone(), value).expected("a table");
        let hint = if self.environment.textual.contains(path) { IN_A_VARIABLE } else { &format!("write `{shown}`") };
        self.note(problem.hint(hint));
        None
    }

    /// The table that an element of an appended list must be.
    pub(super) fn element<'v>(&mut self, element: &'v Element, path: &Path) -> Option<&'v Map<String, Value>> {
        let Element { list, value, index, .. } = element;
        let shown = format!("[[{list}]]");
        if index.is_none() {
            let problem = Problem::error(path.clone(), format!("`{list}` must be a list"));
            self.note(problem.hint(format!("write {shown}, in double brackets")));
            return None;
        }
        self.table(value, path, &shown)
    }

    /// Reads a table that consists of nothing but the keys of `T`.
    pub(super) fn read<T: Default + DeserializeOwned>(&mut self, value: &Value, path: &Path, shown: &str) -> T {
        if self.table(value, path, shown).is_none() {
            return T::default();
        }
        let mut section = Section::new(value, path.clone(), &[], self.environment);
        let keys = section.read().unwrap_or_default();
        self.finish(section);
        keys
    }

    /// Reads the elements of a list one by one, so that every mistake in it is found.
    pub(super) fn each<T: DeserializeOwned>(&mut self, values: &[Value], path: &Path) -> Vec<(usize, T)> {
        let mut read = Vec::new();
        for (index, value) in values.iter().enumerate() {
            // It is wrapped in a section with one key, because sections know how to word mistakes.
            let alone = Value::Object(Map::from_iter([("element".to_owned(), value.clone())]));
            let mut section = Section::new(&alone, path.join(index), &[], self.environment);
            match section.read::<std::collections::BTreeMap<String, T>>() {
                Some(elements) => read.extend(elements.into_values().map(|element| (index, element))),
                None => section
                    .problems
                    .push(Problem::error(path.clone(), "this element cannot be read").hint("take it out")),
            }
            for mut problem in section.problems {
                problem.path.0.retain(|key| *key != Key::from("element"));
                self.note(problem);
            }
        }
        read
    }
}

/// Whether the value is a table without this key. A value that is no table has been noted already.
pub(super) fn is_missing(value: &Value, key: &str) -> bool {
    value.as_object().is_some_and(|table| !table.contains_key(key))
}

/// The problem of an unknown key, with the key that was probably meant.
pub(super) fn unknown_key(path: Path, key: &str, known: &[&str]) -> Problem {
    let problem = Problem::error(path, format!("unknown key `{key}`")).expected(one_of(known));
    problem.did_you_mean(key, known.iter().copied())
}

/// The first [`NAMED`] of these names, as a choice.
pub(super) fn some_of(names: &[&str]) -> String {
    one_of(&names[..names.len().min(NAMED)])
}

/// Replaces serde's words, which are about Rust, by those of the config.
fn reworded(mut problem: Problem) -> Problem {
    let expected = problem.expected.take().map(|expected| match expected.as_str() {
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "u16" | "u32" | "u64" | "usize" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "path string" => "a path in quotes".to_owned(),
        rust if rust.starts_with("struct ") => "a table".to_owned(),
        _ => expected,
    });
    problem.expected = expected;
    if problem.expected.as_deref() == Some("a list") {
        let one = |shown| format!("write a list, also of one: {shown}");
        problem.hint = match problem.what.as_str() {
            "wrong type: string" => Some(one("[\"…\"]")),
            "wrong type: table" => Some(one("[{ … }]")),
            _ => problem.hint,
        };
    }
    if problem.what == NO_UNIT {
        problem.hint = Some("add one of `ms`, `s`, `m`, `h`, `d`, in quotes: \"90s\"".into());
    }
    problem
}
