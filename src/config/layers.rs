//! The layers of the config and their merging: the main file, `conf.d/*.toml` beside it, the environment.
//!
//! Tables merge; a scalar or a list is replaced by the later layer's, and so is what is in another form there
//! ([`forms`](super::forms)). Rules and quiet hours are appended.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};

use config::{Config as Merging, Map, Value as Merged, ValueKind};
use linedown_sinks::{Key, Path, Problem};
use serde_json::Value;

use super::file::{APPENDED, File, ROOT, appended_key};
use super::forms::Forms;
use super::instances::Instances;
use super::pieces::INVENTORY;
use super::report::Row;

/// What variables that belong to the config begin with.
pub(super) const PREFIX: &str = "LINEDOWN__";

/// What stands between the keys in a variable's name.
const SEPARATOR: &str = "__";

/// Most files in `conf.d`.
const MOST_FILES: usize = 1_000;

/// Most bytes in all files together.
const LARGEST_TOTAL: usize = 64 * 1024 * 1024;

/// Most keys in a variable's name: as deep as the files can be.
const DEEPEST: usize = 80;

/// All layers, merged, and where each came from.
pub(super) struct Layers {
    /// From weak to strong.
    pub(super) files: Vec<File>,
    /// Variables that set a value, by the value's place.
    pub(super) variables: BTreeMap<Path, String>,
    /// All but the appended lists and the inventory.
    pub(super) tables: Value,
    /// The inventory.
    pub(super) instances: Instances,
    /// What is in each appended list.
    appended: BTreeMap<&'static str, Vec<Element>>,
}

/// One element of an appended list.
pub(super) struct Element {
    /// The list's name.
    pub(super) list: &'static str,
    pub(super) value: Value,
    /// The number of the file that it stands in.
    pub(super) file: usize,
    /// Its place there; none, if what stands there is no list.
    pub(super) index: Option<usize>,
}

impl Layers {
    /// Reads and merges all of them. Problems are those of the environment. The row is what makes reading on
    /// pointless: that they cannot be merged.
    pub(super) fn read(main: &FilePath, variables: &[(String, String)]) -> Result<(Self, Vec<Problem>), Box<Row>> {
        let mut files = files(main);
        let mut instances = Instances::default();
        let mut layers = Vec::with_capacity(files.len());
        for (number, file) in files.iter_mut().enumerate() {
            let (values, more) = file.values(number);
            layers.push(values);
            if let Some(more) = more {
                instances.lay_over(more);
            }
        }
        let mut forms = Forms::default();
        layers.iter_mut().rev().for_each(|layer| forms.give_way(&mut layer.tables));
        let mut builder = Merging::builder();
        for layer in layers {
            builder = builder.add_source(layer);
        }
        let cannot_merge =
            |error: config::ConfigError| Box::new(Row::error(&*main.to_string_lossy(), error.to_string()));
        let mut merged = builder.build().map_err(cannot_merge)?;
        let (overrides, problems) = Overrides::read(variables, &merged.cache, &instances);
        if !overrides.variables.is_empty() {
            let mut forms = Forms::default();
            forms.give_way(&mut overrides.tables());
            if let Some(files) = root(&mut merged.cache) {
                forms.give_way(files);
            }
            merged =
                Merging::builder().add_source(merged).add_source(overrides.clone()).build().map_err(cannot_merge)?;
        }
        let mut all: Value = merged.try_deserialize().map_err(cannot_merge)?;
        let appended = APPENDED.map(|list| (list, appended(list, &mut all, files.len()))).into();
        let mut tables = all.get_mut(ROOT).map(Value::take).unwrap_or_default();
        if let Some(set) = tables.as_object_mut().and_then(|tables| tables.remove(INVENTORY)) {
            instances.lay_over(set.into());
        }
        let variables = overrides.variables.into_iter().map(|(path, (name, _))| (path, name)).collect();
        Ok((Self { files, variables, tables, instances, appended }, problems))
    }

    /// What is named in a table, rightly or not.
    pub(super) fn names(&self, table: &str) -> impl Iterator<Item = &str> {
        self.tables.get(table).and_then(Value::as_object).into_iter().flat_map(|table| table.keys().map(String::as_str))
    }

    /// What all files together have in an appended list.
    pub(super) fn appended(&self, list: &str) -> &[Element] {
        self.appended.get(list).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The tables of what is merged.
fn root(merged: &mut Merged) -> Option<&mut Map<String, Merged>> {
    let ValueKind::Table(all) = &mut merged.kind else { return None };
    match &mut all.get_mut(ROOT)?.kind {
        ValueKind::Table(tables) => Some(tables),
        _ => None,
    }
}

/// The main file and those beside it, also those that cannot be read.
fn files(main: &FilePath) -> Vec<File> {
    let mut files = vec![File::read(main, "name the config with --config FILE or in the variable LINEDOWN_CONFIG")];
    let paths = match drop_ins(main) {
        Ok(paths) => paths,
        Err(row) => {
            files.push(File::unread(*row));
            return files;
        }
    };
    let mut total = files[0].text.len();
    for path in paths {
        let file = File::read(&path, "a link to a file that is gone? take it away, or out of `conf.d`");
        total += file.text.len();
        if total > LARGEST_TOTAL {
            let row = Row::error(file.name, "with this file the config is larger than 64 MiB altogether");
            files
                .push(File::unread(row.hint("is it a copy? only what ends in `.toml` and begins with no dot is read")));
            break;
        }
        files.push(file);
    }
    files
}

/// The files of `conf.d`, in the order of their names. Hidden ones are editors' leftovers.
fn drop_ins(main: &FilePath) -> Result<Vec<PathBuf>, Box<Row>> {
    let folder = main.parent().unwrap_or(FilePath::new("")).join("conf.d");
    let failed = |error: std::io::Error| {
        let row = Row::error(folder.to_string_lossy(), format!("cannot be read: {error}"));
        Box::new(row.hint("it must be a folder that the user who runs linedown may read"))
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            paths.push(path);
        }
    }
    if paths.len() > MOST_FILES {
        let what = format!("{} files; at most {MOST_FILES} are read", paths.len());
        return Err(Box::new(Row::error(folder.to_string_lossy(), what).hint("one file can hold many tables")));
    }
    paths.sort();
    Ok(paths)
}

fn appended(list: &'static str, all: &mut Value, files: usize) -> Vec<Element> {
    let mut elements = Vec::new();
    for file in 0..files {
        match all.get_mut(appended_key(list, file)).map(Value::take) {
            Some(Value::Array(values)) => {
                let values = values.into_iter().enumerate();
                elements.extend(values.map(|(index, value)| Element { list, value, file, index: Some(index) }));
            }
            Some(value) => elements.push(Element { list, value, file, index: None }),
            None => {}
        }
    }
    elements
}

/// Values from environment variables: `LINEDOWN__SERVER__LISTEN`.
#[derive(Clone, Debug, Default)]
struct Overrides {
    /// By place: the variable's name and its value.
    variables: BTreeMap<Path, (String, String)>,
}

impl Overrides {
    fn read(variables: &[(String, String)], merged: &Merged, instances: &Instances) -> (Self, Vec<Problem>) {
        let mut overrides = Self::default();
        let mut problems = Vec::new();
        let mut ours: Vec<&(String, String)> = variables.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort();
        for (name, value) in ours {
            match place(name, merged, instances) {
                Ok(keys) => {
                    let path = Path(keys.iter().map(|key| key.as_str().into()).collect());
                    overrides.variables.insert(path, (name.clone(), value.clone()));
                }
                Err((what, hint)) => {
                    problems.push(Problem::error(Path(vec![name.as_str().into()]), what).hint(hint));
                }
            }
        }
        (overrides, problems)
    }

    fn tables(&self) -> Map<String, Merged> {
        let mut root = Map::new();
        // A place comes before the places below it, so that the more exact variable wins.
        for (path, (_, value)) in &self.variables {
            set(&mut root, &path.0, value);
        }
        root
    }
}

/// Where a variable's value goes. Its keys are lower-cased, but for an instance's identifier; and a key that the files
/// have already is meant whatever its case and its dashes, which variables cannot have.
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
        let known = table.as_ref().and_then(|table| table.known(&lower));
        let key = known.unwrap_or_else(|| if in_inventory && depth == 1 { part.to_owned() } else { lower });
        table = match depth {
            0 if in_inventory => Some(Table::Inventory(instances)),
            _ => table.as_ref().and_then(|table| table.below(&key)),
        };
        key
    });
    Ok(keys.collect())
}

/// A table that files have set already.
enum Table<'l> {
    Merged(&'l Merged),
    Inventory(&'l Instances),
    /// One in the inventory.
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

    /// The key that is written so, or else one that differs in case and dashes only.
    fn known(&self, lower: &str) -> Option<String> {
        if self.below(lower).is_some() {
            return Some(lower.to_owned());
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

fn set(table: &mut Map<String, Merged>, keys: &[Key], value: &str) {
    let [Key::Name(key), rest @ ..] = keys else { return };
    let at = table.entry(key.clone()).or_default();
    if rest.is_empty() {
        at.kind = ValueKind::String(value.to_owned());
        return;
    }
    if !matches!(at.kind, ValueKind::Table(_)) {
        at.kind = ValueKind::Table(Map::new());
    }
    if let ValueKind::Table(table) = &mut at.kind {
        set(table, rest, value);
    }
}
