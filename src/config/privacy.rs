//! Warns of config files that contain a secret and that other users of the machine can read. (Files that the config
//! refers to are checked when a secret is fetched from them.)

use std::collections::BTreeSet;

use linedown_sinks::{Key, Path, Severity, only_for_us};
use toml::de::{DeArray, DeTable, DeValue};

use super::file::File;
use super::places::Order;
use super::position::Positions;
use super::report::Row;

/// The keys that lead to a secret, with none in place of the name of a source, sink or instance. A key that holds a
/// secret in one sink, say, holds one in every sink.
pub(super) type Sort = Vec<Option<String>>;

/// The sort of the secret at a path.
pub(super) fn sort(path: &Path) -> Sort {
    let keys = path.0.iter().enumerate();
    let name = |(depth, key): (usize, &Key)| match key {
        Key::Name(name) if depth != 1 || path.0.len() < 3 => Some(name.clone()),
        _ => None,
    };
    keys.map(name).collect()
}

/// A warning for each public file that contains a secret, placed at the first one.
pub(super) fn warnings(files: &[File], written_out: &BTreeSet<Sort>) -> Vec<(Order, Row)> {
    let public = files.iter().enumerate().filter(|(_, file)| file.public && !written_out.is_empty());
    let warnings = public.filter_map(|(number, file)| {
        let (offset, keys) = first(file, written_out)?;
        let what = format!("there is a secret here, and every user of this machine can read {}", file.name);
        let hint = format!("write `{{ credential = … }}`, or {}", only_for_us(&file.name));
        let row = Row::error(&file.name, what).at(Positions::of(&file.text).at(offset)).hint(hint);
        Some(((number, offset), Row { severity: Severity::Warning, path: Path(keys).to_string(), ..row }))
    });
    warnings.collect()
}

/// The place of the first secret that a file contains.
fn first(file: &File, written_out: &BTreeSet<Sort>) -> Option<(usize, Vec<Key>)> {
    file.parts().find_map(|(piece, text)| {
        let (root, _) = DeTable::parse_recoverable(&text);
        let found = written_out.iter().filter_map(|sort| first_of(sort, root.get_ref())).min()?;
        Some((piece.place(found.0), found.1))
    })
}

/// The place of the first secret that is written out in a list of them.
fn first_in(list: &DeArray<'_>) -> Option<(usize, Vec<Key>)> {
    let mut list = list.iter().enumerate();
    let (index, secret) = list.find(|(_, secret)| matches!(secret.get_ref(), DeValue::String(_)))?;
    Some((secret.span().start, vec![index.into()]))
}

fn first_of(sort: &[Option<String>], table: &DeTable<'_>) -> Option<(usize, Vec<Key>)> {
    let (name, below) = sort.split_first()?;
    let named = table.iter().filter(|(key, _)| name.as_ref().is_none_or(|name| name == key.get_ref()));
    let found = named.filter_map(|(key, value)| {
        let (offset, mut keys) = match value.get_ref() {
            DeValue::String(_) if below.is_empty() => (value.span().start, Vec::new()),
            DeValue::Table(table) => first_of(below, table)?,
            DeValue::Array(list) if below == [None] => first_in(list)?,
            _ => return None,
        };
        keys.insert(0, Key::from(key.get_ref().as_ref()));
        Some((offset, keys))
    });
    found.min()
}
