//! Finds the place where each problem's value comes from: file, line and column, or the environment variable.
//!
//! Files are parsed a second time for this, and only if there are problems: keeping the position of every value of a
//! large inventory would take more memory than everything else.

use linedown_sinks::{Cause, Key, Path, Problem};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::forms::may_have_forms;
use super::layers::Layers;
use super::overrides::PREFIX;
use super::position::Positions;
use super::reader::UNKNOWN_KEY;
use super::report::{Report, Row};

/// The position of a problem in the report: the number of its file, then the offset.
pub(super) type Order = (usize, usize);

/// The value that a problem is about.
struct Sought {
    /// The only file that it can be in, if that is known.
    file: Option<usize>,
    keys: Vec<Key>,
}

/// How far a path could be followed in a file, and where that is.
#[derive(Clone, Copy)]
struct Found {
    file: usize,
    depth: usize,
    is_table: bool,
    /// Where the last key begins, if the path could be followed to its end.
    key: Option<usize>,
    /// Where the value begins.
    value: usize,
}

/// Nothing of the path was found: the start of the first file.
const NOTHING: Found = Found { file: 0, depth: 0, is_table: true, key: None, value: 0 };

/// Finds the place of every problem, and sorts them together with those that have their places already (`placed`).
pub(super) fn report(layers: &Layers, problems: Vec<Problem>, placed: Vec<(Order, Row)>) -> Report {
    if problems.is_empty() && placed.is_empty() && layers.files.iter().all(|file| file.mistakes.is_empty()) {
        return Report::default();
    }
    let causes = problems.iter().filter_map(cause).map(|cause| &cause.path);
    let paths = problems.iter().map(|problem| &problem.path).chain(causes);
    let sought: Vec<Sought> = paths.map(|path| sought(layers, path)).collect();
    let mut found = origins(layers, &sought);
    let mut causes = found.split_off(problems.len()).into_iter();
    let positions: Vec<Positions<'_>> = layers.files.iter().map(|file| Positions::of(&file.text)).collect();
    let mut rows: Vec<(Order, Row)> = Vec::with_capacity(problems.len());
    for (problem, found) in problems.into_iter().zip(found) {
        let cause = cause(&problem).and_then(|_| causes.next());
        rows.push(place(layers, &positions, problem, found, cause));
    }
    rows.extend(placed);
    for (number, file) in layers.files.iter().enumerate() {
        rows.extend(file.mistakes.iter().map(|(offset, row)| ((number, *offset), row.clone())));
    }
    rows.sort_by(|(a, a_row), (b, b_row)| (a, &a_row.path, &a_row.what).cmp(&(b, &b_row.path, &b_row.what)));
    rows.dedup();
    Report::new(rows.into_iter().map(|(_, row)| row))
}

/// The other value that causes the problem, if there is one.
fn cause(problem: &Problem) -> Option<&Cause> {
    problem.circumstances.as_ref()?.because.as_ref()
}

fn place(
    layers: &Layers,
    positions: &[Positions<'_>],
    problem: Problem,
    found: Found,
    cause: Option<Found>,
) -> (Order, Row) {
    // An unknown key is reported at the key, everything else at the value; for a table that is its header.
    let about_key = problem.what.starts_with(UNKNOWN_KEY);
    let (order, row) = placed_row(layers, positions, &problem.path, found, about_key);
    let because = self::cause(&problem).zip(cause).and_then(|(cause, found)| {
        let (_, other) = placed_row(layers, positions, &cause.path, found, false);
        (other.file != row.file).then(|| format!(": {} by {}", cause.what, other.place()))
    });
    let row = Row {
        severity: problem.severity,
        path: problem.path.to_string(),
        expected: problem.expected,
        hint: problem.hint,
        what: problem.what + &because.unwrap_or_default(),
        ..row
    };
    (order, row)
}

/// The place of a value, as a row without a text.
fn placed_row(
    layers: &Layers,
    positions: &[Positions<'_>],
    path: &Path,
    found: Found,
    about_key: bool,
) -> (Order, Row) {
    if let Some(name) = variable(layers, path, found.depth) {
        return ((positions.len(), 0), Row::error(format!("environment variable {name}"), ""));
    }
    let start = found.key.filter(|_| about_key).unwrap_or(found.value);
    let row = Row::error(&*layers.files[found.file].name, "");
    ((found.file, start), row.at(positions[found.file].at(start)))
}

fn sought(layers: &Layers, path: &Path) -> Sought {
    if let [Key::Name(list), Key::Index(index), rest @ ..] = path.0.as_slice()
        && let Some(element) = layers.appended(list).get(*index)
    {
        let index = element.index.map(Key::Index);
        return Sought {
            file: Some(element.file),
            keys: path.0[..1].iter().cloned().chain(index).chain(rest.iter().cloned()).collect(),
        };
    }
    Sought { file: None, keys: path.0.clone() }
}

/// The origin of each value: the file in which its path can be followed furthest. Of several such files it is the last,
/// or the first for a table that all of them contribute to.
fn origins(layers: &Layers, sought: &[Sought]) -> Vec<Found> {
    let mut best = vec![NOTHING; sought.len()];
    for (number, file) in layers.files.iter().enumerate() {
        for (piece, text) in file.parts() {
            let (root, _) = DeTable::parse_recoverable(&text);
            for (sought, best) in sought.iter().zip(&mut best) {
                if sought.file.is_some_and(|only| only != number) {
                    continue;
                }
                let found = follow(root.get_ref(), &sought.keys);
                let is_shared = found.is_table && best.is_table && !may_have_forms(&sought.keys);
                if found.depth > best.depth || (found.depth == best.depth && !is_shared) {
                    let (key, value) = (found.key.map(|key| piece.place(key)), piece.place(found.value));
                    *best = Found { file: number, key, value, ..found };
                }
            }
        }
    }
    best
}

/// The variable that a value comes from, if it does.
fn variable<'l>(layers: &'l Layers, path: &'l Path, depth: usize) -> Option<&'l str> {
    // A variable that names no valid key is reported under its name, which is then the whole path.
    if let [Key::Name(name)] = path.0.as_slice()
        && name.starts_with(PREFIX)
    {
        return Some(name);
    }
    let above = (1..=path.0.len()).rev().find_map(|set| {
        let name = layers.variables.get(&Path(path.0[..set].to_vec()))?;
        (set >= depth.min(path.0.len())).then_some(name)
    });
    let below = || {
        let (place, name) = layers.variables.range(path.clone()..).next()?;
        let is_theirs = depth < path.0.len() || may_have_forms(&path.0);
        (is_theirs && place.0.starts_with(&path.0)).then_some(name)
    };
    above.or_else(below).map(String::as_str)
}

fn follow(root: &DeTable<'_>, keys: &[Key]) -> Found {
    let mut found = NOTHING;
    let mut table = Some(root);
    let mut value: Option<&Spanned<DeValue<'_>>> = None;
    for key in keys {
        let (key, next) = match key {
            Key::Name(name) => match table.and_then(|table| table.get_key_value(name.as_str())) {
                Some((key, next)) => (Some(key.span().start), next),
                None => break,
            },
            Key::Index(index) => match value.and_then(|value| value.get_ref().as_array()?.get(*index)) {
                Some(next) => (None, next),
                None => break,
            },
        };
        table = next.get_ref().as_table();
        value = Some(next);
        let depth = found.depth + 1;
        found = Found { depth, is_table: table.is_some(), key, value: next.span().start, ..found };
    }
    if found.depth < keys.len() {
        found.key = None;
    }
    found
}
