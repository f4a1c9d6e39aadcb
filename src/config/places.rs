//! Gives each problem the place its value came from: file, line and column, or the environment variable.
//!
//! Files are parsed a second time for this, and only if there is something to report: a large inventory with
//! the position of every value would cost more memory than all the rest.

use std::ops::Range;

use linedown_sinks::{Key, Path, Problem};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::Lines;
use super::layers::{Layers, PREFIX};
use super::reader::UNKNOWN_KEY;
use super::report::{Report, Row};

/// A problem's position in the order of the report: file, then offset.
type Order = (usize, usize);

/// A file's values with their positions.
struct Parsed<'t> {
    root: Spanned<DeTable<'t>>,
    lines: Lines<'t>,
}

/// How far a path can be followed in one file.
struct Found {
    depth: usize,
    is_table: bool,
    /// Of the key at the path's end, if that was reached.
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// Places every problem and sorts them all.
pub(super) fn report(layers: &Layers, problems: Vec<Problem>) -> Report {
    if problems.is_empty() {
        return Report::default();
    }
    let parsed: Vec<Parsed<'_>> = layers
        .files
        .iter()
        .map(|file| Parsed { root: DeTable::parse_recoverable(&file.text).0, lines: Lines::of(&file.text) })
        .collect();
    let mut rows: Vec<(Order, Row)> = problems.into_iter().map(|problem| place(layers, &parsed, problem)).collect();
    rows.sort_by(|(a, a_row), (b, b_row)| (a, &a_row.path, &a_row.what).cmp(&(b, &b_row.path, &b_row.what)));
    rows.dedup();
    Report::new(rows.into_iter().map(|(_, row)| row))
}

fn place(layers: &Layers, parsed: &[Parsed<'_>], problem: Problem) -> (Order, Row) {
    let (file, found) = origin(layers, parsed, &problem.path);
    let row = Row {
        severity: problem.severity,
        path: problem.path.to_string(),
        expected: problem.expected,
        hint: problem.hint,
        ..Row::error("", &*problem.what)
    };
    if let Some(name) = variable(layers, &problem.path, &found) {
        let order = (parsed.len(), 0);
        return (order, Row { file: format!("environment variable {name}"), ..row });
    }
    // An unknown key is the key's mistake; everything else the value's, which for a table is its header.
    let about_key = problem.what.starts_with(UNKNOWN_KEY);
    let start = found.key.filter(|_| about_key).unwrap_or(found.value).start;
    let row = Row { file: layers.files[file].name.clone(), ..row };
    ((file, start), row.at(parsed[file].lines.position(start)))
}

/// The file that a value came from: of those in which its path can be followed furthest, the last one; but for
/// a table, to which all of them contribute, the first.
fn origin(layers: &Layers, parsed: &[Parsed<'_>], path: &Path) -> (usize, Found) {
    if let [Key::Name(list), Key::Index(index), rest @ ..] = path.0.as_slice()
        && let Some(element) = layers.appended(list).get(*index)
    {
        let index = element.index.map(Key::Index);
        let keys: Vec<&Key> = path.0[..1].iter().chain(&index).chain(rest).collect();
        return (element.file, follow(&parsed[element.file], &keys));
    }
    let keys: Vec<&Key> = path.0.iter().collect();
    let mut best = (0, follow(&parsed[0], &keys));
    for (number, file) in parsed.iter().enumerate().skip(1) {
        let found = follow(file, &keys);
        if found.depth > best.1.depth || (found.depth == best.1.depth && !(found.is_table && best.1.is_table)) {
            best = (number, found);
        }
    }
    best
}

/// The variable that a value came from, if one did.
fn variable<'l>(layers: &'l Layers, path: &'l Path, found: &Found) -> Option<&'l str> {
    // Of a variable that names no key, the whole path is its name.
    if let [Key::Name(name)] = path.0.as_slice()
        && name.starts_with(PREFIX)
    {
        return Some(name);
    }
    let above = (1..=path.0.len()).rev().find_map(|depth| {
        let name = layers.variables.get(&Path(path.0[..depth].to_vec()))?;
        (depth >= found.depth.min(path.0.len())).then_some(name)
    });
    let below = || {
        let (place, name) = layers.variables.range(path.clone()..).next()?;
        (found.depth < path.0.len() && place.0.starts_with(&path.0)).then_some(name)
    };
    above.or_else(below).map(String::as_str)
}

fn follow(file: &Parsed<'_>, keys: &[&Key]) -> Found {
    let mut found = Found { depth: 0, is_table: true, key: None, value: 0..0 };
    let mut table = Some(file.root.get_ref());
    let mut value: Option<&Spanned<DeValue<'_>>> = None;
    for key in keys {
        let (key, next) = match key {
            Key::Name(name) => match table.and_then(|table| table.get_key_value(name.as_str())) {
                Some((key, next)) => (Some(key.span()), next),
                None => break,
            },
            Key::Index(index) => match value.and_then(|value| value.get_ref().as_array()?.get(*index)) {
                Some(next) => (None, next),
                None => break,
            },
        };
        table = next.get_ref().as_table();
        value = Some(next);
        found = Found { depth: found.depth + 1, is_table: table.is_some(), key, value: next.span() };
    }
    if found.depth < keys.len() {
        found.key = None;
    }
    found
}
