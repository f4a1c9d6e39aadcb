//! The user's own templates: reads them, and finds mistakes when the config is checked, not at night when a line drops.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fs;
use std::io;
use std::path::Path;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use super::clean::one_line;
use super::reader::Reader;
use super::samples;
use super::templates::{Form, LARGEST, Templates, files};
use super::variables;
use super::wording::WORDING;
use crate::file::{read_file, text};
use crate::{EXCERPT, Reason, Section, Severity, closest, did_you_mean, one_of, unread};

/// The key that names the folder.
const KEY: &str = "templates";
/// The hint for a mistake in a template's syntax.
const LANGUAGE: &str = "templates use Jinja's syntax: https://docs.rs/minijinja/latest/minijinja/syntax";
/// The most mistakes reported from trying the templates of one folder.
const MOST: usize = 20;
/// Names to which the engine itself gives a meaning within blocks, loops and macros.
const ENGINE: [&str; 4] = ["self", "super", "loop", "caller"];

/// The user's templates by file name.
pub(super) type Own = BTreeMap<&'static str, String>;

/// Reads a folder of templates. Skips files whose names start with a dot; any other must have the name of a template.
pub(super) fn read(folder: &Path, section: &mut Section<'_>) -> Own {
    let mut own = Own::new();
    let mut names: Vec<String> = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
        Err(error) => {
            let problem = section.error(KEY, format!("cannot read the folder {}: {error}", folder.display()));
            problem.hint = Some(if folder.is_file() { "that is a file: name a folder" } else { unread(&error) }.into());
            return own;
        }
    };
    names.sort();
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        let path = folder.join(name);
        let Some(file) = files().into_iter().find(|file| file == name) else {
            let problem = section.error(KEY, format!("{} is not the name of a template", path.display()));
            problem.expected = Some(one_of(&files()));
            problem.hint = did_you_mean(name, files());
            continue;
        };
        match read_template(&path) {
            Ok(source) => _ = own.insert(file, source),
            Err(error) => {
                section.error(KEY, format!("{}: {error}", path.display())).hint = Some(unread(&error).into());
            }
        }
    }
    own
}

fn read_template(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    read_file(path, LARGEST).and_then(text)
}

/// Compiles the user's templates and tries them on every sort of notification. Notes every mistake; returns none if one
/// of them is an error.
pub(super) fn compile(own: &Own, reader: &Reader, folder: &Path, section: &mut Section<'_>) -> Option<Templates> {
    let before = errors(section);
    let mut good = own.clone();
    let templates = loop {
        match Templates::compile(reader, &good) {
            Ok(templates) => break templates,
            Err(error) => {
                section.error(KEY, describe(&error, own, folder)).hint = Some(LANGUAGE.into());
                // Check the others without the one that does not compile.
                good.remove(error.name()?)?;
            }
        }
    };
    let known = variables::of_notification(&samples::everything(), 1);
    for file in good.keys() {
        for unknown in unknown_names(templates.environment(Form::Title), file, &known) {
            let problem =
                section.error(KEY, format!("{}:{}: {}", folder.join(file).display(), unknown.line, unknown.what));
            problem.hint = unknown.hint.or_else(|| Some("the handbook lists what templates can name".into()));
        }
    }
    if errors(section) == before {
        try_out(&templates, own, folder, section);
    }
    (errors(section) == before).then_some(templates)
}

/// How many errors, which keep the config from being used, have been noted.
pub(super) fn errors(section: &Section<'_>) -> usize {
    section.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
}

fn try_out(templates: &Templates, own: &Own, folder: &Path, section: &mut Section<'_>) {
    let mut seen = BTreeSet::new();
    for sample in samples::all() {
        let mut rendering = templates.of(&sample);
        for form in Form::ALL {
            let Err(error) = rendering.render(form) else { continue };
            let what = describe(&error, own, folder);
            let incident = &sample.incident;
            if innermost(&error).kind() == ErrorKind::UndefinedError && is_unsaid(incident.reason, own) {
                warn_of_unsaid(incident.reason, &what, &mut seen, section);
            } else if seen.len() < MOST && seen.insert(what.clone()) {
                let state = if incident.closed_at.is_some() { "is back" } else { "is down" };
                section.error(KEY, what).hint = Some(format!(
                    "it fails, for example, in a `{}` message about `{}` when the line {state}",
                    sample.kind.as_str(),
                    incident.reason.as_str(),
                ));
            }
            if innermost(&error).kind() == ErrorKind::OutOfFuel {
                return; // It would take as long on every other sample.
            }
        }
    }
}

/// Whether the templates name some reasons but not this one: it came with a later version of linedown.
fn is_unsaid(reason: Reason, own: &Own) -> bool {
    let names = |reason: Reason| own.values().any(|source| quotes(source, reason.as_str()));
    !names(reason) && Reason::ALL.into_iter().any(names)
}

fn quotes(source: &str, word: &str) -> bool {
    source.contains(&format!("\"{word}\"")) || source.contains(&format!("'{word}'"))
}

/// Warns of a reason that the templates do not name. Not an error: it must not keep a new version from starting.
fn warn_of_unsaid(reason: Reason, what: &str, seen: &mut BTreeSet<String>, section: &mut Section<'_>) {
    if seen.insert(reason.as_str().to_owned()) {
        let what = format!("there is no text for the reason `{}`: {what}", reason.as_str());
        section.warning(KEY, what).hint =
            Some("the built-in templates are used for it; add a text of your own to change that".into());
    }
}

/// Describes an error: the file and the line, then what went wrong.
pub(super) fn describe(error: &Error, own: &Own, folder: &Path) -> String {
    let cause = innermost(error);
    let what = explain(cause);
    let line = cause.line().unwrap_or(1);
    match cause.name() {
        Some(name) if own.contains_key(name) => format!("{}:{line}: {what}", folder.join(name).display()),
        Some(name) => {
            format!("{}: line {line} of the built-in {name} fails with these templates: {what}", folder.display())
        }
        None => format!("{}: {what}", folder.display()),
    }
}

/// Describes an error in one line, without its place.
pub(super) fn explain(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "the template takes too long".to_owned(),
        (ErrorKind::InvalidOperation, Some(detail)) => one_line(detail, EXCERPT),
        (kind, Some(detail)) => one_line(&format!("{kind}: {detail}"), EXCERPT),
        (kind, None) => kind.to_string(),
    }
}

/// The innermost error: one within an included template comes wrapped, and its own place is the one of interest.
fn innermost(error: &Error) -> &Error {
    let mut inner = error;
    while let Some(source) = inner.source().and_then(|source| source.downcast_ref::<Error>()) {
        inner = source;
    }
    inner
}

/// A name in a template that is not defined.
pub(super) struct Unknown {
    pub(super) line: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

/// Returns the names that a template mentions in any branch but that are not among the variables it will get.
pub(super) fn unknown_names(environment: &Environment<'_>, file: &str, known: &Value) -> Vec<Unknown> {
    let Ok(template) = environment.get_template(file) else { return Vec::new() };
    let given: Vec<&str> = environment.globals().map(|(name, _)| name).chain(ENGINE).chain([WORDING]).collect();
    let mentioned: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
    mentioned
        .iter()
        .filter(|name| !given.contains(&root(name)))
        .filter_map(|name| unknown(name, known, template.source()))
        .collect()
}

fn root(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Follows a dotted name into the variables, and returns the first part that is not there.
fn unknown(name: &str, known: &Value, source: &str) -> Option<Unknown> {
    let mut value = known.clone();
    let mut walked = String::new();
    for part in name.split('.') {
        let next = value.get_attr(part).unwrap_or_default();
        if next.is_undefined() {
            let there = |key: &Value| value.get_item(key).is_ok_and(|value| !value.is_undefined());
            let siblings = value.try_iter().into_iter().flatten().filter(there);
            let siblings: Vec<String> = siblings.map(|key| key.to_string()).collect();
            let hint = closest(part, siblings.iter().map(String::as_str));
            let line = source.lines().position(|line| mentions(line, name)).map_or(1, |index| index + 1);
            return Some(Unknown {
                line,
                what: format!("there is no `{walked}{part}`"),
                hint: hint.map(|name| format!("did you mean `{walked}{name}`?")),
            });
        }
        value = next;
        walked = format!("{walked}{part}.");
    }
    None
}

fn mentions(line: &str, name: &str) -> bool {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    words.any(|word| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}
