//! One file of the config: reads it with a bound on its size, parses it, and hands its values on for merging. A file
//! that cannot be read counts as one without values that carries its own error, so that mistakes in other files are
//! still found.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path as FilePath;
use std::string::FromUtf8Error;

use config::{ConfigError, Map, Value as Merged, ValueKind};
use linedown_sinks::{is_deceptive, is_public, read_bounded};
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::instances::Instances;
use super::pieces::{self, ENOUGH, INVENTORY, Piece};
use super::report::Row;
use crate::packed::room;

/// Largest file, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// The key under which a file's tables are handed to the `config` crate. At the top level the crate would parse the
/// user's keys as paths, with their dots and brackets.
pub(super) const ROOT: &str = "root";

/// What the parser says about a key that is set twice, and about a header without its closing bracket.
const DUPLICATE: &str = "duplicate key";
const UNCLOSED: &str = "unclosed table";

/// One file as it was read.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Its path, as it is shown in problems.
    pub(super) name: String,
    pub(super) text: String,
    /// Whether every user of the machine can read it.
    pub(super) public: bool,
    /// The pieces in which it is parsed; none if it cannot be parsed.
    pub(super) pieces: Vec<Piece>,
    /// What kept all or part of it from being read, each with its offset in bytes.
    pub(super) mistakes: Vec<(usize, Row)>,
}

/// A file's values on their way into the merging.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Everything except the appended lists and the inventory.
    pub(super) tables: Map<String, Merged>,
    /// The appended lists, each under a key that belongs to this file alone ([`appended_key`]).
    appended: Map<String, Merged>,
}

/// Mistakes in a file's text, each with its place.
type Wrong = Vec<(Range<usize>, String)>;

/// The result of parsing a file.
enum Parsed {
    /// All that the file says.
    Whole(Content),
    /// What it says without some values, which have these mistakes.
    Partly(Content, Wrong),
    /// Mistakes in the syntax, or pieces that do not fit together.
    Unusable(Wrong),
}

/// What a file says.
#[derive(Default)]
struct Content {
    tables: Map<String, Merged>,
    instances: Option<Instances>,
}

/// Lists that a later file adds to. Replacing them would silently drop alerts, or let them ring at night.
pub(super) const APPENDED: [&str; 2] = ["rules", "quiet"];

/// The key in [`Values`] of one file's part of an appended list.
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
    /// Reads a file of at most [`LARGEST`] bytes in UTF-8. `gone` is the hint if there is no such file.
    pub(super) fn read(path: &FilePath, gone: &str) -> Self {
        let name = path.display().to_string();
        let (bytes, public) = match bytes(path) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::unread(Row::error(name, "there is no such file").hint(gone));
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let row = Row::error(name, "larger than 16 MiB, the most that is read of one file");
                return Self::unread(row.hint("split it: files in `conf.d` beside the main file are read as well"));
            }
            Err(error) => {
                let row = Row::error(name, format!("cannot be read: {error}"));
                return Self::unread(row.hint(
                    "it must be a file that the user who runs linedown may read; for the service's, one for everybody or for a group in SupplementaryGroups=",
                ));
            }
        };
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Self::not_utf8(name, &error),
        };
        // Editors on Windows begin files with a byte order mark. Without it, positions are easier to compute.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let pieces = pieces::cut(&text, ENOUGH);
        Self { name, text, public, pieces, mistakes: Vec::new() }
    }

    /// A file that could not be read, and why.
    pub(super) fn unread(why: Row) -> Self {
        let name = why.file.clone();
        Self { name, text: String::new(), public: false, pieces: Vec::new(), mistakes: vec![(0, why)] }
    }

    fn not_utf8(name: String, error: &FromUtf8Error) -> Self {
        let text = String::from_utf8_lossy(error.as_bytes());
        let valid = error.utf8_error().valid_up_to();
        let row = Row::error(name, "not valid UTF-8").at(Lines::of(&text).position(valid));
        let is_utf_16 = text.contains('\0');
        let hint = if is_utf_16 { "it is UTF-16, it seems: save the file as UTF-8" } else { "save the file as UTF-8" };
        // UTF-16 without its zero bytes: enough to find the names that it mentions.
        Self { text: text.replace('\0', ""), ..Self::unread(row.hint(hint)) }
    }

    /// Whether none of its values are known.
    pub(super) fn is_unread(&self) -> bool {
        self.pieces.is_empty() && !self.mistakes.is_empty()
    }

    /// Whether the part of it that could not be read may set this name.
    pub(super) fn may_set(&self, name: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let is_named = |line: &str| {
            let whole = |at: usize| !line[..at].ends_with(is_part) && !line[at + name.len()..].starts_with(is_part);
            line.match_indices(name).any(|(at, _)| whole(at))
        };
        let mut lines = self.text.lines().filter(|line| !line.trim_start().starts_with('#'));
        // An empty text with a mistake means that the file was not read at all.
        !self.mistakes.is_empty() && (self.text.is_empty() || lines.any(is_named))
    }

    /// The file's values and its inventory. A mistake in a value leaves out that value; a mistake in the syntax leaves
    /// out the whole file. `number` is the file's position among all files.
    ///
    /// The inventory is returned apart because it may be large, and the `config` crate copies what it merges.
    pub(super) fn values(&mut self, number: usize) -> (Values, Option<Instances>) {
        let mut parsed = self.parse_pieces();
        if self.pieces.len() > 1 && !matches!(parsed, Parsed::Whole(_)) {
            self.pieces = pieces::whole(&self.text);
            parsed = self.parse_pieces();
        }
        let Content { mut tables, instances } = match parsed {
            Parsed::Whole(content) => content,
            Parsed::Partly(content, wrong) => {
                self.note(wrong);
                content
            }
            Parsed::Unusable(wrong) => {
                self.note(wrong);
                self.pieces.clear();
                Content::default()
            }
        };
        let lists = APPENDED.iter().filter_map(|list| Some((appended_key(list, number), tables.remove(*list)?)));
        let appended = lists.collect();
        (Values { tables, appended }, instances)
    }

    /// Parses piece by piece and drops each tree before the next. The places of mistakes are right only if there is a
    /// single piece.
    fn parse_pieces(&self) -> Parsed {
        let (mut content, mut wrong) = (Content::default(), Wrong::new());
        let in_one = self.pieces.len() <= 1;
        for (number, piece) in self.pieces.iter().enumerate() {
            let text = piece.text(&self.text);
            let (table, errors) = DeTable::parse_recoverable(&text);
            let mut table = table.into_inner();
            let inventory = table.remove(INVENTORY);
            if !errors.is_empty() || (inventory.is_some() && number == 0 && !in_one) {
                let errors = errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message().to_owned()));
                return Parsed::Unusable(without_consequences(errors.collect(), &text));
            }
            if let Some(inventory) = inventory {
                read_inventory(&inventory, content.instances.get_or_insert_default(), &mut wrong);
            }
            content.tables.extend(merged_table(table, &mut wrong));
        }
        if !in_one && content.instances.as_ref().is_some_and(Instances::has_duplicates) {
            Parsed::Unusable(wrong)
        } else if wrong.is_empty() {
            Parsed::Whole(content)
        } else {
            Parsed::Partly(content, wrong)
        }
    }

    fn note(&mut self, wrong: Wrong) {
        if wrong.is_empty() {
            return;
        }
        let lines = Lines::of(&self.text);
        let mistakes = wrong.into_iter().map(|(span, what)| (span.start, self.syntax_error(&lines, &span, &what)));
        self.mistakes = mistakes.collect();
    }

    fn syntax_error(&self, lines: &Lines<'_>, span: &Range<usize>, what: &str) -> Row {
        let (what, expected) = match what.split_once(", expected ") {
            Some((what, expected)) => (what, Some(expected.to_owned())),
            None => (what, None),
        };
        let row = Row::error(&self.name, what).at(lines.position(span.start));
        let row = Row { expected, ..row };
        let list = APPENDED.into_iter().find(|list| self.text.get(span.clone()) == Some(*list));
        if let Some(hint) = stray(&self.text, span) {
            return row.hint(hint);
        }
        let rest = self.text.get(span.start..).and_then(|rest| rest.lines().next());
        let is_closed = rest.is_some_and(|rest| rest.contains(']'));
        match (what, list) {
            (DUPLICATE, Some(list)) => row.hint(format!("write [[{list}]], in double brackets, each time")),
            (DUPLICATE, None) => row.hint("it is already set above; TOML allows a key and a `[table]` only once"),
            (UNCLOSED, _) if is_closed => row.hint("names with spaces or dots go in quotes: [sinks.\"my slack\"]"),
            _ if row.expected.is_none() => row.hint("files are TOML (https://toml.io): texts in quotes, lists in [ ]"),
            _ => row,
        }
    }
}

/// Removes mistakes that only follow from another one. Keys below a header that cannot be read count as set twice, and
/// so do the keys below a header that is there twice.
fn without_consequences(mut wrong: Wrong, text: &str) -> Wrong {
    let is_header = |at: usize| text.get(..at).is_some_and(|before| before.ends_with('['));
    let first = wrong.iter().filter(|(_, what)| what != DUPLICATE).map(|(span, _)| span.start).min();
    let headers: Vec<usize> = wrong.iter().map(|(span, _)| span.start).filter(|at| is_header(*at)).collect();
    let is_below =
        |at: usize, header: usize| header < at && text.get(header..at).is_some_and(|between| !between.contains("\n["));
    wrong.retain(|(Range { start: at, .. }, what)| {
        let follows = first.is_some_and(|first| first < *at) || headers.iter().any(|header| is_below(*at, *header));
        what != DUPLICATE || !follows
    });
    wrong
}

/// The hint about a deceptive or invisible character at a mistake or just before it.
fn stray(text: &str, span: &Range<usize>) -> Option<String> {
    let (before, after) = text.split_at_checked(span.start)?;
    let mut around = before.chars().next_back().into_iter().chain(after.chars().next());
    around.find_map(|c| match c {
        '\u{201c}'..='\u{201f}' | '\u{2018}'..='\u{201b}' | '«' | '»' | '´' => {
            Some(format!("{c} is a typographic quotation mark: write \" or '"))
        }
        c if !c.is_ascii() && (c.is_whitespace() || is_deceptive(c)) => {
            Some(format!("there is an invisible character here (U+{:04X}): take it out", u32::from(c)))
        }
        _ => None,
    })
}

fn bytes(path: &FilePath) -> io::Result<(Vec<u8>, bool)> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    let length = usize::try_from(metadata.len()).unwrap_or(LARGEST).min(LARGEST);
    Ok((read_bounded(file, LARGEST, Vec::with_capacity(room(length)))?, is_public(path, &metadata)))
}

fn read_inventory(inventory: &Spanned<DeValue<'_>>, instances: &mut Instances, wrong: &mut Wrong) {
    if let DeValue::Table(lines) = inventory.get_ref() {
        for (id, line) in lines {
            if let Some(line) = json(line, wrong) {
                instances.push(id.get_ref(), &line);
            }
        }
    } else if let Some(other) = json(inventory, wrong) {
        instances.replace(other);
    }
}

fn merged_table(table: DeTable<'_>, wrong: &mut Wrong) -> Map<String, Merged> {
    let values = table.into_iter();
    values.filter_map(|(key, value)| Some((key.into_inner().into_owned(), merged(value, wrong)?))).collect()
}

/// None if the value is wrong. A list with one wrong value is wrong altogether, because leaving the value out would
/// move the places of the others.
fn merged(value: Spanned<DeValue<'_>>, wrong: &mut Wrong) -> Option<Merged> {
    let span = value.span();
    let kind = match value.into_inner() {
        DeValue::String(text) => ValueKind::String(text.into_owned()),
        DeValue::Boolean(truth) => ValueKind::Boolean(truth),
        DeValue::Datetime(datetime) => ValueKind::String(datetime.to_string()),
        DeValue::Integer(number) => ValueKind::I64(integer(&number, span, wrong)?),
        DeValue::Float(number) => ValueKind::Float(float(&number, span, wrong)?),
        DeValue::Array(values) => {
            let values: Vec<_> = values.into_iter().map(|value| merged(value, wrong)).collect();
            ValueKind::Array(values.into_iter().collect::<Option<_>>()?)
        }
        DeValue::Table(table) => ValueKind::Table(merged_table(table, wrong)),
    };
    Some(Merged::new(None, kind))
}

/// Like [`merged`], but to JSON.
fn json(value: &Spanned<DeValue<'_>>, wrong: &mut Wrong) -> Option<Value> {
    Some(match value.get_ref() {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Integer(number) => integer(number, value.span(), wrong)?.into(),
        DeValue::Float(number) => float(number, value.span(), wrong)?.into(),
        DeValue::Array(values) => {
            let values: Vec<_> = values.iter().map(|value| json(value, wrong)).collect();
            values.into_iter().collect::<Option<Vec<_>>>()?.into()
        }
        DeValue::Table(table) => {
            let values = table.iter();
            values.filter_map(|(key, value)| Some((key.get_ref().to_string(), json(value, wrong)?))).collect()
        }
    })
}

fn integer(number: &DeInteger<'_>, span: Range<usize>, wrong: &mut Wrong) -> Option<i64> {
    let integer = i64::from_str_radix(number.as_str(), number.radix()).ok();
    if integer.is_none() {
        wrong.push((span, format!("this number is too big, expected {} to {}", i64::MIN, i64::MAX)));
    }
    integer
}

fn float(number: &DeFloat<'_>, span: Range<usize>, wrong: &mut Wrong) -> Option<f64> {
    let float = number.as_str().parse().ok().filter(|number: &f64| number.is_finite());
    if float.is_none() {
        wrong.push((span, "this is not a finite number, expected a number such as 1.5".into()));
    }
    float
}

/// Finds the line and the column of an offset in a text.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The line and the column of an offset in bytes. Both count from 1, the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(offset - start, |before| before.chars().count());
        (line, column + 1)
    }
}
