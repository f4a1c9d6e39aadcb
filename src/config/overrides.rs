//! The layer of environment variables, such as `LINEDOWN__SERVER__LISTEN`.

use std::collections::BTreeMap;

use config::{Map, Value as Merged, ValueKind};
use linedown_sinks::{Key, Path, Problem, written};
use serde::Deserialize;
use serde_json::Value;

use super::file::{APPENDED, ROOT};
use super::instances::Instances;
use super::pieces::INVENTORY;

/// The prefix of variables that belong to the config.
pub(super) const PREFIX: &str = "LINEDOWN__";

/// Separates the keys in a variable's name.
const SEPARATOR: &str = "__";

/// Most keys in a variable's name: as deep as files can nest.
const DEEPEST: usize = 80;

/// The tables in which users choose the keys, each for a table of its own.
const OF_TABLES: [&str; 3] = ["sources", "sinks", INVENTORY];

/// Values from environment variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Overrides {
    /// By the path that it sets, the variable's name and value.
    variables: BTreeMap<Path, (String, Value)>,
}

impl Overrides {
    /// Reads the config's variables among all variables. Also returns what is wrong with some of them.
    pub(super) fn read(variables: &[(String, String)], merged: &Merged, instances: &Instances) -> (Self, Vec<Problem>) {
        let mut overrides = Self::default();
        let mut problems = Vec::new();
        let mut ours: Vec<&(String, String)> = variables.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort();
        for (name, value) in ours {
            match place(name, merged, instances) {
                Ok(keys) => {
                    let path = Path(keys.iter().map(|key| key.as_str().into()).collect());
                    let table = Some(&path).filter(|path| is_section(path)).and_then(|_| written(value));
                    match table.filter(Value::is_object) {
                        Some(table) => overrides.spread(path, name, table),
                        None => overrides.set(path, name, value.as_str().into()),
                    }
                }
                Err((what, hint)) => {
                    problems.push(Problem::error(Path(vec![name.as_str().into()]), what).hint(hint));
                }
            }
        }
        (overrides, problems)
    }

    /// Sets a table: it counts as a variable for each of its keys.
    fn spread(&mut self, path: Path, name: &str, value: Value) {
        match value {
            Value::Object(table) if !table.is_empty() => {
                for (key, value) in table {
                    self.spread(path.join(key.as_str()), name, value);
                }
            }
            value => self.set(path, name, value),
        }
    }

    /// Variables come sorted by name, so the more exact one comes later and wins.
    fn set(&mut self, path: Path, name: &str, value: Value) {
        self.variables.retain(|known, _| !known.0.starts_with(&path.0));
        self.variables.insert(path, (name.to_owned(), value));
    }

    /// Whether no variable belongs to the config.
    pub(super) fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// The variables' names, by the paths that they set.
    pub(super) fn names(self) -> BTreeMap<Path, String> {
        self.variables.into_iter().map(|(path, (name, _))| (path, name)).collect()
    }

    /// The values that they set, as tables.
    pub(super) fn tables(&self) -> Map<String, Merged> {
        let mut root = Map::new();
        // A path comes before the paths below it, so the more exact variable wins.
        for (path, (_, value)) in &self.variables {
            set(&mut root, &path.0, value);
        }
        root
    }
}

/// Whether this path can only hold a section. A text that is written as a table is then read as one.
fn is_section(path: &Path) -> bool {
    match path.0.as_slice() {
        [Key::Name(_)] => true,
        [Key::Name(table), _] => OF_TABLES.contains(&table.as_str()),
        _ => false,
    }
}

/// The path that a variable sets. Its keys are lower-cased, except for the identifier of an instance. A key that the
/// files have already is meant whatever its case and its dashes, because variables can have no dashes.
fn place(name: &str, merged: &Merged, instances: &Instances) -> Result<Vec<String>, (String, &'static str)> {
    let parts: Vec<&str> = name[PREFIX.len()..].split(SEPARATOR).collect();
    if parts.iter().any(|part| part.is_empty()) || parts.len() > DEEPEST {
        return Err(("this variable names no key".to_owned(), "such as LINEDOWN__SERVER__LISTEN"));
    }
    if let Some(list) = APPENDED.into_iter().find(|list| parts[0].eq_ignore_ascii_case(list)) {
        return Err((format!("`{list}` is read from files only"), "write it into a file in `conf.d`"));
    }
    let in_inventory = parts[0].eq_ignore_ascii_case(INVENTORY);
    let mut table = if in_inventory { None } else { Table::Merged(merged).below(ROOT) };
    let keys = parts.into_iter().enumerate().map(|(depth, part)| {
        let lower = part.to_lowercase();
        let known = table.as_ref().and_then(|table| table.known(part, &lower));
        let key = known.unwrap_or_else(|| if in_inventory && depth == 1 { part.to_owned() } else { lower });
        table = match depth {
            0 if in_inventory => Some(Table::Inventory(instances)),
            _ => table.as_ref().and_then(|table| table.below(&key)),
        };
        key
    });
    Ok(keys.collect())
}

/// A table that the files have set.
enum Table<'l> {
    Merged(&'l Merged),
    Inventory(&'l Instances),
    /// An instance in the inventory, or a table below it.
    Instance(Value),
}

impl<'l> Table<'l> {
    fn below(&self, key: &str) -> Option<Table<'l>> {
        match self {
            Self::Merged(Merged { kind: ValueKind::Table(table), .. }) => table.get(key).map(Self::Merged),
            Self::Merged(_) => None,
            Self::Inventory(instances) => instances.get(key).map(Self::Instance),
            Self::Instance(value) => value.get(key).cloned().map(Self::Instance),
        }
    }

    /// The key of this table that is written this way, as it is or in lower case, or else one that differs only in case
    /// and dashes.
    fn known(&self, written: &str, lower: &str) -> Option<String> {
        if let Some(exact) = [written, lower].into_iter().find(|key| self.below(key).is_some()) {
            return Some(exact.to_owned());
        }
        let same = |key: &&str| key.to_lowercase().replace('-', "_") == lower.replace('-', "_");
        let known = match self {
            Self::Merged(Merged { kind: ValueKind::Table(table), .. }) => {
                table.keys().map(String::as_str).filter(same).min()
            }
            Self::Merged(_) => None,
            Self::Inventory(instances) => instances.ids().filter(same).min(),
            Self::Instance(value) => value.as_object()?.keys().map(String::as_str).filter(same).min(),
        };
        known.map(str::to_owned)
    }
}

impl config::Source for Overrides {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Merged>, config::ConfigError> {
        Ok(Map::from([(ROOT.to_owned(), self.tables().into())]))
    }
}

fn set(table: &mut Map<String, Merged>, keys: &[Key], value: &Value) {
    let [Key::Name(key), rest @ ..] = keys else { return };
    let at = table.entry(key.clone()).or_default();
    if rest.is_empty() {
        // A number too big for the merge becomes a text, which the check of its key then rejects.
        *at = Merged::deserialize(value).unwrap_or_else(|_| value.to_string().into());
        return;
    }
    if !matches!(at.kind, ValueKind::Table(_)) {
        at.kind = ValueKind::Table(Map::new());
    }
    if let ValueKind::Table(table) = &mut at.kind {
        set(table, rest, value);
    }
}
