//! One file of the config: read with bounds, its syntax checked, its values handed on for merging.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path as FilePath;

use config::{ConfigError, Map, Value as Merged, ValueKind};
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::instances::Instances;
use super::pieces::{self, ENOUGH, INVENTORY, Piece};
use super::report::Row;
use crate::packed::room;

/// Largest file, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Key under which a file's tables are handed to the merging: a key of the user's at the top would be taken
/// for a path by the `config` crate, dots, brackets and all.
pub(super) const ROOT: &str = "root";

/// One file as it was read.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// As it is named in problems.
    pub(super) name: String,
    pub(super) text: String,
    /// Whether every user of the machine can read it.
    pub(super) public: bool,
    /// In which it is parsed.
    pub(super) pieces: Vec<Piece>,
}

/// A file's values on their way into the merging.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// All but the appended lists and the inventory.
    tables: Map<String, Merged>,
    /// Each kept apart under a key of its own.
    appended: Map<String, Merged>,
}

/// Mistakes in a file's syntax, each with its place.
type Wrong = Vec<(Range<usize>, String)>;

/// Lists that a later file adds to. To replace them would silently drop alerts, or let them ring at night.
pub(super) const APPENDED: [&str; 2] = ["rules", "quiet"];

/// The key of a file's part of an appended list, which [`Values`] keeps apart.
pub(super) fn appended_key(list: &str, file: usize) -> String {
    format!("{list}_{file}")
}

impl config::Source for Values {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Merged>, ConfigError> {
        let root = (ROOT.to_owned(), self.tables.clone().into());
        Ok(self.appended.clone().into_iter().chain([root]).collect())
    }
}

impl File {
    /// Reads a file, at most [`LARGEST`] bytes of valid UTF-8.
    pub(super) fn read(path: &FilePath) -> Result<Self, Box<Row>> {
        let name = path.display().to_string();
        let (bytes, public) = bytes(path).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            Box::new(Row::error(&name, why))
        })?;
        if bytes.len() as u64 > LARGEST {
            let row = Row::error(&name, "larger than 16 MiB, which is as much as is read of one file");
            return Err(Box::new(row.hint("split it: files in `conf.d` beside the main file are read as well")));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let row = Row::error(&name, "not valid UTF-8").at(Lines::of(&before).position(valid));
            Box::new(row.hint("save the file as UTF-8"))
        })?;
        // Windows' editors begin a file with a byte order mark; positions are better off without.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let pieces = pieces::cut(&text, ENOUGH);
        Ok(Self { name, text, public, pieces })
    }

    /// The file's values and its inventory, or every mistake in its syntax.
    ///
    /// The inventory goes another way: it may be large, and the `config` crate copies what it merges.
    pub(super) fn values(&mut self, number: usize) -> Result<(Values, Option<Instances>), Vec<Row>> {
        let mut read = self.read_pieces();
        if read.is_err() && self.pieces.len() > 1 {
            self.pieces = pieces::whole(&self.text);
            read = self.read_pieces();
        }
        let (mut tables, instances) = read.map_err(|wrong| self.syntax_errors(wrong))?;
        let lists = APPENDED.iter().filter_map(|list| Some((appended_key(list, number), tables.remove(*list)?)));
        let appended = lists.collect();
        Ok((Values { tables, appended }, instances))
    }

    /// Piece by piece, each dropped before the next is parsed. Mistakes have their places if it is one piece.
    fn read_pieces(&self) -> Result<(Map<String, Merged>, Option<Instances>), Wrong> {
        let (mut tables, mut instances, mut wrong) = (Map::new(), None, Wrong::new());
        for (number, piece) in self.pieces.iter().enumerate() {
            let text = piece.text(&self.text);
            let (table, errors) = DeTable::parse_recoverable(&text);
            wrong.extend(errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message().to_owned())));
            if !wrong.is_empty() {
                return Err(wrong);
            }
            let mut table = table.into_inner();
            if let Some(inventory) = table.remove(INVENTORY) {
                if number == 0 && self.pieces.len() > 1 {
                    return Err(wrong);
                }
                read_inventory(inventory, instances.get_or_insert_default(), &mut wrong);
            }
            tables.extend(merged_table(table, &mut wrong));
        }
        let in_two = self.pieces.len() > 1 && instances.as_ref().is_some_and(Instances::has_duplicates);
        if wrong.is_empty() && !in_two { Ok((tables, instances)) } else { Err(wrong) }
    }

    fn syntax_errors(&self, mut wrong: Wrong) -> Vec<Row> {
        wrong.sort_by_key(|(span, _)| span.start);
        let lines = Lines::of(&self.text);
        wrong.into_iter().map(|(span, what)| self.syntax_error(&lines, &span, &what)).collect()
    }

    fn syntax_error(&self, lines: &Lines<'_>, span: &Range<usize>, what: &str) -> Row {
        let (what, expected) = match what.split_once(", expected ") {
            Some((what, expected)) => (what, Some(expected.to_owned())),
            None => (what, None),
        };
        let row = Row::error(&self.name, what).at(lines.position(span.start));
        let row = Row { expected, ..row };
        match what {
            "duplicate key" => row.hint("it is set before already; TOML allows a key and a `[table]` once only"),
            _ => row,
        }
    }
}

fn bytes(path: &FilePath) -> io::Result<(Vec<u8>, bool)> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut bytes = Vec::with_capacity(room(usize::try_from(metadata.len().min(LARGEST)).unwrap_or_default()));
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.permissions().mode() & 0o004 != 0))
}

fn read_inventory(inventory: Spanned<DeValue<'_>>, instances: &mut Instances, wrong: &mut Wrong) {
    if !inventory.get_ref().is_table() {
        return instances.replace(json(inventory, wrong));
    }
    if let DeValue::Table(lines) = inventory.into_inner() {
        lines.into_iter().for_each(|(id, line)| instances.push(id.get_ref(), &json(line, wrong)));
    }
}

fn merged_table(table: DeTable<'_>, wrong: &mut Wrong) -> Map<String, Merged> {
    table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), merged(value, wrong))).collect()
}

fn merged(value: Spanned<DeValue<'_>>, wrong: &mut Wrong) -> Merged {
    let span = value.span();
    let kind = match value.into_inner() {
        DeValue::String(text) => ValueKind::String(text.into_owned()),
        DeValue::Boolean(truth) => ValueKind::Boolean(truth),
        DeValue::Datetime(datetime) => ValueKind::String(datetime.to_string()),
        DeValue::Integer(number) => ValueKind::I64(integer(&number, span, wrong)),
        DeValue::Float(number) => ValueKind::Float(float(&number, span, wrong)),
        DeValue::Array(values) => ValueKind::Array(values.into_iter().map(|value| merged(value, wrong)).collect()),
        DeValue::Table(table) => ValueKind::Table(merged_table(table, wrong)),
    };
    Merged::new(None, kind)
}

fn json(value: Spanned<DeValue<'_>>, wrong: &mut Wrong) -> Value {
    let span = value.span();
    match value.into_inner() {
        DeValue::String(text) => text.into_owned().into(),
        DeValue::Boolean(truth) => truth.into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Integer(number) => integer(&number, span, wrong).into(),
        DeValue::Float(number) => float(&number, span, wrong).into(),
        DeValue::Array(values) => values.into_iter().map(|value| json(value, wrong)).collect(),
        DeValue::Table(table) => {
            table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), json(value, wrong))).collect()
        }
    }
}

fn integer(number: &DeInteger<'_>, span: Range<usize>, wrong: &mut Wrong) -> i64 {
    i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
        wrong.push((span, "this number is too big".into()));
        0
    })
}

fn float(number: &DeFloat<'_>, span: Range<usize>, wrong: &mut Wrong) -> f64 {
    number.as_str().parse().ok().filter(|number: &f64| number.is_finite()).unwrap_or_else(|| {
        wrong.push((span, "this is no finite number".into()));
        0.0
    })
}

/// Finds the line and the column of an offset.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// Line and column, both from 1; the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(offset - start, |before| before.chars().count());
        (line, column + 1)
    }
}
