//! What every section is read with: sections one after the other, all their problems in one place.

use std::collections::BTreeSet;

use super::file::File;
use super::layers::Element;
use super::privacy::{Sort, sort};

use linedown_sinks::{Environment, Key, Path, Problem, Section, Severity, closest, one_of};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::period::NO_UNIT;

/// Most errors noted, and most warnings; a config that has more is another file given by mistake.
const MOST: usize = 1_000;

/// Most names listed as those expected.
const NAMED: usize = 20;

/// How to write a table there.
const IN_A_VARIABLE: &str = "write `{ key = \"…\" }`, or set a variable for each key: …__KEY=…";

/// How problems begin that are about a key and not about its value.
pub(super) const UNKNOWN_KEY: &str = "unknown key";

/// Reads sections and collects their problems.
pub(super) struct Reader<'e> {
    pub(super) environment: &'e Environment,
    files: &'e [File],
    problems: Vec<Problem>,
    /// What sorts of secrets are written out somewhere.
    written_out: BTreeSet<Sort>,
    /// Some secret is a systemd credential, and there are none here.
    lacks_credentials: bool,
    /// How many there were, noted or not.
    errors: usize,
    warnings: usize,
}

impl<'e> Reader<'e> {
    pub(super) fn new(environment: &'e Environment, files: &'e [File]) -> Self {
        let (problems, written_out) = (Vec::new(), BTreeSet::new());
        Self { environment, files, problems, written_out, lacks_credentials: false, errors: 0, warnings: 0 }
    }

    /// Notes a problem, but for one that might not be, were a file read that could not be.
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
            let more = Problem::error(Path::default(), "there are more problems than these 1,000");
            self.problems.push(Problem { severity: problem.severity, ..more.hint("is it the right file?") });
        }
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether more errors would be lost.
    pub(super) fn is_full(&self) -> bool {
        self.errors > MOST
    }

    /// Whether some secret is a systemd credential, and there are none here.
    pub(super) fn lacks_credentials(&self) -> bool {
        self.lacks_credentials
    }

    /// The problems, and what sorts of secrets are written out somewhere.
    pub(super) fn finished(self) -> (Vec<Problem>, BTreeSet<Sort>) {
        (self.problems, self.written_out)
    }

    /// Takes over what a section says of its secrets, and its problems, but for those that only follow from a misspelt key: without it, what is
    /// left of its table is mistaken as well.
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

    /// The value as a table. `shown` is how to write it.
    pub(super) fn table<'v>(&mut self, value: &'v Value, path: &Path, shown: &str) -> Option<&'v Map<String, Value>> {
        if let Value::Object(table) = value {
            return Some(table);
        }
        let problem = Problem::error(path.clone(), format!("wrong type: {}", type_of(value))).expected("a table");
        let hint = if self.environment.textual.contains(path) { IN_A_VARIABLE } else { &format!("write `{shown}`") };
        self.note(problem.hint(hint));
        None
    }

    /// An element of a list that files add to, as the table that it must be.
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

    /// A table that is no more than its keys.
    pub(super) fn read<T: Default + DeserializeOwned>(&mut self, value: &Value, path: &Path, shown: &str) -> T {
        if self.table(value, path, shown).is_none() {
            return T::default();
        }
        let mut section = Section::new(value, path.clone(), &[], self.environment);
        let keys = section.read().unwrap_or_default();
        self.finish(section);
        keys
    }

    /// A list's elements one by one, so that each mistake in it is found.
    pub(super) fn each<T: DeserializeOwned>(&mut self, values: &[Value], path: &Path) -> Vec<(usize, T)> {
        let mut read = Vec::new();
        for (index, value) in values.iter().enumerate() {
            // A section of one key, since it is sections that know how to word a mistake.
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

/// A table that is there, but need not be read because its keys were noted as mistaken already.
pub(super) fn is_missing(value: &Value, key: &str) -> bool {
    value.as_object().is_some_and(|table| !table.contains_key(key))
}

/// An unknown key, with the one that was probably meant.
pub(super) fn unknown_key(path: Path, key: &str, known: &[&str]) -> Problem {
    let mut problem = Problem::error(path, format!("unknown key `{key}`")).expected(one_of(known));
    problem.hint = did_you_mean(key, known.iter().copied());
    problem
}

/// A hint at the name that was probably meant.
pub(super) fn did_you_mean<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    closest(wrong, known).map(|near| format!("did you mean `{near}`?"))
}

/// The first of these names as a choice.
pub(super) fn some_of(names: &[&str]) -> String {
    one_of(&names[..names.len().min(NAMED)])
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "table",
    }
}

/// Says in the config's words what serde says in Rust's.
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
    if problem.what == "wrong type: string" && problem.expected.as_deref() == Some("a list") {
        problem.hint = Some("write a list, also of one: [\"…\"]".into());
    }
    if problem.what == NO_UNIT {
        problem.hint = Some("add one of `ms`, `s`, `m`, `h`, `d`, in quotes: \"90s\"".into());
    }
    problem
}
