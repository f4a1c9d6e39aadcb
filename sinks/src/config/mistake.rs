//! What serde says about a value that it cannot read, as a problem for people.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::path::{Key, Path};
use super::place::find;
use super::{Problem, Section, did_you_mean, one_of};

impl Section<'_> {
    /// The problem with the value at `place` of the section, given serde's words for it.
    pub(super) fn mistake(&self, place: &Path, what: &str, value: &Value) -> Problem {
        let path = self.path.extend(place);
        if let Some((unknown, known)) = unknown_field(what) {
            let path = if place.0.last() == Some(&Key::Name(unknown.to_owned())) { path } else { path.join(unknown) };
            let is_ours = path.0.len() == self.path.0.len() + 1;
            let others = self.others.iter().copied().filter(|_| is_ours);
            let known: Vec<&str> = known.into_iter().chain(others).collect();
            let problem = Problem::error(path, format!("unknown key `{unknown}`")).expected(one_of(&known));
            return problem.did_you_mean(unknown, known.iter().copied());
        }
        let (what, expected) = match what.split_once(", expected ") {
            Some((what, expected)) => (without_content(what), Some(expected.to_owned())),
            None => (what.to_owned(), None),
        };
        let mut problem = Problem::error(path, what);
        problem.expected = expected;
        if let (Some(expected), Some(Value::String(text))) = (&problem.expected, find(&mut value.clone(), &place.0)) {
            problem.hint = did_you_mean(text, expected.split('`').skip(1).step_by(2));
        }
        problem
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
pub(super) fn with_variants<T: DeserializeOwned>(value: &Value, place: &Path, what: String) -> String {
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
