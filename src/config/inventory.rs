//! `[instances]`: what is known of each line.

use std::collections::HashMap;

use linedown_sinks::{Path, Problem, Section};
use serde::Deserialize;
use serde_json::Value;

use super::reader::{Reader, UNKNOWN_KEY};
use crate::rule::Entry;

/// Longest name, in characters.
const LONGEST_NAME: usize = 100;

/// Most labels of one instance.
const MOST_LABELS: usize = 32;

/// Longest key of a label, in characters.
const LONGEST_KEY: usize = 64;

/// Longest value of a label, in characters.
const LONGEST_VALUE: usize = 200;

/// Reads one instance after the other: there may be a hundred thousand of them.
pub(super) fn read(value: Option<Value>, path: &Path, reader: &mut Reader<'_>) -> HashMap<String, Entry> {
    let instances = match value {
        None => return HashMap::new(),
        Some(Value::Object(instances)) => instances,
        Some(other) => {
            reader.table(&other, path, "[instances.ID]");
            return HashMap::new();
        }
    };
    let mut inventory = HashMap::with_capacity(instances.len());
    for (id, value) in instances {
        if reader.is_full() {
            break;
        }
        let path = path.join(id.as_str());
        if let Some(entry) = read_entry(&id, &value, &path, reader) {
            check_bounds(&entry, &path, reader);
            inventory.insert(id, entry);
        }
    }
    warn_of_duplicates(&inventory, path, reader);
    inventory
}

fn read_entry(id: &str, value: &Value, path: &Path, reader: &mut Reader<'_>) -> Option<Entry> {
    let table = reader.table(value, path, "[instances.ID]")?;
    // Most are right: those need no section, which would copy them.
    if let Ok(entry) = Entry::deserialize(value) {
        return Some(entry);
    }
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let entry = section.read();
    for problem in &mut section.problems {
        let [.., linedown_sinks::Key::Name(key)] = problem.path.0.as_slice() else { continue };
        if problem.what.starts_with(UNKNOWN_KEY) && table.get(key).is_some_and(Value::is_object) {
            problem.hint = Some(format!("an identifier with a dot needs quotes: [instances.\"{id}.{key}\"]"));
        }
    }
    reader.finish(section);
    entry
}

fn check_bounds(entry: &Entry, path: &Path, reader: &mut Reader<'_>) {
    let longer = |text: &str, most: usize| text.len() > most && text.chars().count() > most;
    let too_long = |path, most| Problem::error(path, format!("longer than {most} characters"));
    if entry.name.as_deref().is_some_and(|name| longer(name, LONGEST_NAME)) {
        reader.note(too_long(path.join("name"), LONGEST_NAME));
    }
    let labels = || path.join("labels");
    if entry.labels.len() > MOST_LABELS {
        let what = format!("{} labels; an instance has at most {MOST_LABELS}", entry.labels.len());
        reader.note(Problem::error(labels(), what));
    }
    for (key, value) in &entry.labels {
        if longer(key, LONGEST_KEY) {
            reader.note(Problem::error(
                labels().join(key.as_str()),
                format!("a label's key of more than {LONGEST_KEY} characters"),
            ));
        }
        if longer(value, LONGEST_VALUE) {
            reader.note(too_long(labels().join(key.as_str()), LONGEST_VALUE));
        }
    }
}

fn warn_of_duplicates(inventory: &HashMap<String, Entry>, path: &Path, reader: &mut Reader<'_>) {
    let mut named: Vec<(&str, &str)> =
        inventory.iter().filter_map(|(id, entry)| Some((entry.name.as_deref()?, id.as_str()))).collect();
    named.sort_unstable();
    for pair in named.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let [(name, other), (_, id)] = [pair[0], pair[1]];
        let what = format!("the name {name:?} is that of instance {other} as well");
        reader
            .note(Problem::warning(path.join(id).join("name"), what).hint("a message shows the name: make it unique"));
    }
}
