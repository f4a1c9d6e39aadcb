//! Reads the tests of a matcher from the config, and says what is wrong with them.

use linedown_sinks::{Path, Problem, Reason, one_of};
use serde_json::{Map, Value};

use super::field::{FIELDS, Field};
use super::{Test, pattern};

/// What a test can be, besides a text or a list.
const OPERATORS: [&str; 2] = ["regex", "not"];

/// The characters that have a meaning in globs.
const GLOB: &str = r"*?[]{}!^-,\";

/// Most tests in one list.
const MOST_ALTERNATIVES: usize = 1_000;

/// Reads the tests of a `match` table. Mistakes are returned, and left out of the tests.
pub(super) fn tests(value: &Value, path: &Path) -> (Vec<(Field, Test)>, Vec<Problem>) {
    let mut problems = Vec::new();
    let Some(table) = value.as_object() else {
        let problem =
            Problem::wrong_type(path.clone(), value).expected("a table such as `{ reason = \"number-blocked\" }`");
        return (Vec::new(), vec![problem]);
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
    (tests, problems)
}

fn unknown_field(key: &str, path: Path) -> Problem {
    let mut known: Vec<String> = FIELDS.iter().map(Field::to_string).collect();
    known.push("labels".into());
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let problem = Problem::error(path, format!("unknown key `{key}`")).expected(one_of(&known));
    if OPERATORS.contains(&key) {
        return problem.hint(format!("`{key}` goes inside a field: `{{ reason = {{ {key} = … }} }}`"));
    }
    problem.hint(format!("a label of the inventory is `labels.{key}`")).did_you_mean(key, known)
}

fn read_labels(value: &Value, path: &Path, tests: &mut Vec<(Field, Test)>, problems: &mut Vec<Problem>) {
    let Some(labels) = value.as_object() else {
        let problem = Problem::wrong_type(path.clone(), value);
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
            let mut problem =
                Problem::wrong_type(path.clone(), other).expected("a text, a list, `{ regex = … }` or `{ not = … }`");
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
    pattern::bounded(text).map_err(|why| Problem::error(path.clone(), format!("this text cannot be used: {why}")))?;
    match field {
        Field::Reason if Reason::parse(text).is_none() => {
            let known = Reason::ALL.map(Reason::as_str);
            let problem = Problem::error(path.clone(), format!("unknown reason `{text}`")).expected(one_of(&known));
            Err(problem.did_you_mean(text, known))
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
        let problem = Problem::error(path.join(key.as_str()), format!("unknown key `{key}`"));
        problems.push(problem.expected(one_of(&OPERATORS)).did_you_mean(key, OPERATORS));
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
            let problem = Problem::wrong_type(path.join("regex"), other);
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
