//! The layers of the config and their merging: the main file, `conf.d/*.toml` beside it, the environment.
//!
//! Tables merge. A scalar or a list is replaced by a later layer, and so is a value that the later layer has in another
//! form ([`forms`](super::forms)). Rules and quiet hours are appended.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};

use config::{Config as Merging, Map, Value as Merged, ValueKind};
use linedown_sinks::{Path, Problem};
use serde_json::Value;

use super::file::{APPENDED, File, ROOT, appended_key};
use super::forms::Forms;
use super::instances::Instances;
use super::overrides::Overrides;
use super::pieces::INVENTORY;
use super::report::Row;

/// Most files in `conf.d`.
const MOST_FILES: usize = 1_000;

/// Most bytes in all files together.
const LARGEST_TOTAL: usize = 64 * 1024 * 1024;

/// All layers, merged, and where each came from.
pub(super) struct Layers {
    /// From the weakest to the strongest.
    pub(super) files: Vec<File>,
    /// The names of the variables that set a value, by the value's path.
    pub(super) variables: BTreeMap<Path, String>,
    /// Everything except the appended lists and the inventory.
    pub(super) tables: Value,
    /// The inventory.
    pub(super) instances: Instances,
    /// The elements of each appended list.
    appended: BTreeMap<&'static str, Vec<Element>>,
}

/// One element of an appended list.
pub(super) struct Element {
    /// The list's name.
    pub(super) list: &'static str,
    pub(super) value: Value,
    /// The number of the file that it is in.
    pub(super) file: usize,
    /// Its position in that file's list; none if the file has something other than a list.
    pub(super) index: Option<usize>,
}

impl Layers {
    /// Reads and merges all layers. The problems are those of environment variables. The error is that the layers
    /// cannot be merged, which makes further checks pointless.
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
        if !overrides.is_empty() {
            let mut forms = Forms::default();
            forms.give_way(&mut overrides.tables());
            if let Some(files) = root(&mut merged.cache) {
                forms.give_way(files);
            }
            merged =
                Merging::builder().add_source(merged).add_source(overrides.clone()).build().map_err(cannot_merge)?;
        }
        let mut all: Value = merged.try_deserialize().map_err(cannot_merge)?;
        // The merge keeps no order. Without sorting, problems would be reported in a different order each time.
        all.sort_all_objects();
        let appended = APPENDED.map(|list| (list, appended(list, &mut all, files.len()))).into();
        let mut tables = all.get_mut(ROOT).map(Value::take).unwrap_or_default();
        if let Some(set) = tables.as_object_mut().and_then(|tables| tables.remove(INVENTORY)) {
            instances.lay_over(set.into());
        }
        let variables = overrides.names();
        Ok((Self { files, variables, tables, instances, appended }, problems))
    }

    /// The keys of a table, whether their values are right or not.
    pub(super) fn names(&self, table: &str) -> impl Iterator<Item = &str> {
        self.tables.get(table).and_then(Value::as_object).into_iter().flat_map(|table| table.keys().map(String::as_str))
    }

    /// The elements of an appended list from all files.
    pub(super) fn appended(&self, list: &str) -> &[Element] {
        self.appended.get(list).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The tables among the merged values.
fn root(merged: &mut Merged) -> Option<&mut Map<String, Merged>> {
    let ValueKind::Table(all) = &mut merged.kind else { return None };
    match &mut all.get_mut(ROOT)?.kind {
        ValueKind::Table(tables) => Some(tables),
        _ => None,
    }
}

/// The main file and those of `conf.d`, including files that cannot be read.
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
        let file = File::read(&path, "is it a link to a missing file? remove it from `conf.d`");
        total += file.text.len();
        if total > LARGEST_TOTAL {
            let row = Row::error(file.name, "with this file the config is larger than 64 MiB altogether");
            files.push(File::unread(
                row.hint("is it a copy? files that begin with a dot, or do not end in `.toml`, are not read"),
            ));
            break;
        }
        files.push(file);
    }
    files
}

/// The files of `conf.d`, sorted by name. Hidden ones are left out: they are editors' backups.
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
