//! One file of the config: reads it with a bound on its size, parses it, and hands its values on for merging. A file
//! that cannot be read counts as one without values that carries its own error, so that mistakes in other files are
//! still found.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path as FilePath;
use std::string::FromUtf8Error;

use config::{ConfigError, Map, Value as Merged};
use linedown_sinks::{is_public, read_bounded};
use toml::de::DeTable;

use super::instances::Instances;
use super::pieces::{self, ENOUGH, INVENTORY, Piece};
use super::position::Positions;
use super::reader::{MOST, TOO_MANY};
use super::remains::Remains;
use super::report::Row;
use super::syntax::{DUPLICATE, EXTENDED, Mistake};
use super::values::{self, Wrong};
use crate::packed::room;

/// Largest file, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// The key under which a file's tables are handed to the `config` crate. At the top level the crate would parse the
/// user's keys as paths, with their dots and brackets.
pub(super) const ROOT: &str = "root";

/// How often the rest of a file is parsed after its mistakes were taken out. A mistake may have hidden others: those in
/// the syntax are found first, then keys that are there twice.
const MOST_ROUNDS: usize = 8;

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
    /// The text as it is parsed, in which mistakes in the syntax are blank; none if there are no such mistakes.
    remains: Option<String>,
    /// The part of the text that could not be read; none if all could. If it is empty, nothing is known about the file.
    lost: Option<String>,
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

/// The result of parsing a file.
enum Parsed {
    /// What the file says, without some values, which have these mistakes.
    Read(Content, Wrong),
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
        Self { name, text, public, pieces, remains: None, lost: None, mistakes: Vec::new() }
    }

    /// A file that could not be read, and why.
    pub(super) fn unread(why: Row) -> Self {
        let (name, text, pieces) = (why.file.clone(), String::new(), Vec::new());
        let (remains, lost) = (None, Some(String::new()));
        Self { name, text, public: false, pieces, remains, lost, mistakes: vec![(0, why)] }
    }

    fn not_utf8(name: String, error: &FromUtf8Error) -> Self {
        let text = String::from_utf8_lossy(error.as_bytes());
        let valid = error.utf8_error().valid_up_to();
        let row = Row::error(name, "not valid UTF-8").at(Positions::of(&text).at(valid));
        let is_utf_16 = text.contains('\0');
        let hint = if is_utf_16 { "it is UTF-16, it seems: save the file as UTF-8" } else { "save the file as UTF-8" };
        // UTF-16 without its zero bytes: enough to find the names that it mentions.
        let text = text.replace('\0', "");
        Self { lost: Some(text.clone()), text, ..Self::unread(row.hint(hint)) }
    }

    /// Whether a mistake in its syntax hides something.
    pub(super) fn has_gaps(&self) -> bool {
        self.remains.is_some() || (self.pieces.is_empty() && self.lost.is_some())
    }

    /// The text to parse, in its pieces. Everything in it is at the same place as in the file.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&Piece, Cow<'_, str>)> {
        let text = self.remains.as_ref().unwrap_or(&self.text);
        self.pieces.iter().map(|piece| (piece, piece.text(text)))
    }

    /// Whether the part of it that could not be read may set this name.
    pub(super) fn may_set(&self, name: &str) -> bool {
        let Some(lost) = &self.lost else { return false };
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let is_named = |line: &str| {
            let whole = |at: usize| !line[..at].ends_with(is_part) && !line[at + name.len()..].starts_with(is_part);
            line.match_indices(name).any(|(at, _)| whole(at))
        };
        lost.is_empty() || lost.lines().filter(|line| !line.trim_start().starts_with('#')).any(is_named)
    }

    /// The file's values and its inventory. A mistake in a value leaves out that value; a mistake in the syntax leaves
    /// out the expression. `number` is the file's position among all files.
    ///
    /// The inventory is returned apart because it may be large, and the `config` crate copies what it merges.
    pub(super) fn values(&mut self, number: usize) -> (Values, Option<Instances>) {
        let mut parsed = self.parse();
        if self.pieces.len() > 1 && !matches!(&parsed, Parsed::Read(_, wrong) if wrong.is_empty()) {
            self.pieces = pieces::whole(&self.text);
            parsed = self.parse();
        }
        let Content { mut tables, instances } = match parsed {
            Parsed::Read(content, wrong) if wrong.is_empty() => content,
            parsed => self.without_mistakes(parsed),
        };
        let lists = APPENDED.iter().filter_map(|list| Some((appended_key(list, number), tables.remove(*list)?)));
        let appended = lists.collect();
        (Values { tables, appended }, instances)
    }

    /// Parses piece by piece and drops each tree before the next. The places of mistakes are right only if there is a
    /// single piece.
    fn parse(&self) -> Parsed {
        let (mut content, mut wrong) = (Content::default(), Wrong::new());
        let in_one = self.pieces.len() <= 1;
        for (number, (_, text)) in self.parts().enumerate() {
            let (table, errors) = DeTable::parse_recoverable(&text);
            let mut table = table.into_inner();
            let inventory = table.remove(INVENTORY);
            if !errors.is_empty() || (inventory.is_some() && number == 0 && !in_one) {
                let errors = errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message().to_owned()));
                return Parsed::Unusable(errors.collect());
            }
            if let Some(inventory) = inventory {
                values::read_inventory(&inventory, content.instances.get_or_insert_default(), &mut wrong);
            }
            content.tables.extend(values::merged_table(table, &mut wrong));
        }
        if !in_one && content.instances.as_ref().is_some_and(Instances::has_duplicates) {
            Parsed::Unusable(wrong)
        } else {
            Parsed::Read(content, wrong)
        }
    }

    /// Takes out the mistakes in the syntax until the rest can be parsed, and notes all of them.
    fn without_mistakes(&mut self, mut parsed: Parsed) -> Content {
        let text = std::mem::take(&mut self.text);
        let mut remains = Remains::of(&text);
        let mut mistakes = Vec::new();
        let mut content = None;
        for _ in 0..MOST_ROUNDS {
            let wrong = match parsed {
                Parsed::Read(read, wrong) => {
                    let at: Vec<usize> = wrong.iter().map(|(span, _)| span.start).collect();
                    self.lost = Some(remains.lost(&at));
                    let mistake = |(span, what): (Range<usize>, String)| Mistake { within: span.clone(), span, what };
                    mistakes.extend(wrong.into_iter().map(mistake));
                    content = Some(read);
                    break;
                }
                Parsed::Unusable(wrong) => wrong,
            };
            let new = take_out(first(wrong), &text, &mut remains);
            if new.is_empty() {
                break;
            }
            mistakes.extend(new);
            self.remains = Some(remains.text());
            parsed = self.parse();
        }
        let positions = Positions::of(&text);
        let shown = mistakes.iter().take(MOST);
        self.mistakes = shown.map(|mistake| mistake.row(&self.name, &text, &positions)).collect();
        if let Some(next) = mistakes.get(MOST) {
            let row = Row::error(&self.name, TOO_MANY).at(positions.at(next.span.start));
            self.mistakes.push((next.span.start, row.hint("is it the right file?")));
        }
        self.text = text;
        content.unwrap_or_else(|| {
            self.pieces.clear();
            self.lost = Some(self.text.clone());
            Content::default()
        })
    }
}

/// The mistakes to take out first. That a key is there twice may only follow from another mistake.
fn first(mut wrong: Wrong) -> Wrong {
    let is_consequence = |what: &str| what == DUPLICATE || what.starts_with(EXTENDED);
    if wrong.iter().any(|(_, what)| !is_consequence(what)) {
        wrong.retain(|(_, what)| !is_consequence(what));
    }
    wrong.sort_by_key(|(span, _)| span.start);
    wrong
}

/// Takes out expressions with mistakes. Of several mistakes in one, the others may only follow from the first.
fn take_out(wrong: Wrong, text: &str, remains: &mut Remains<'_>) -> Vec<Mistake> {
    let mistakes = wrong.into_iter().filter_map(|(span, what)| {
        let within = remains.take_out(span.start)?;
        if let Some(list) = text.get(span.clone()).filter(|_| what == DUPLICATE) {
            remains.take_out_list(list);
        }
        Some(Mistake { span, what, within })
    });
    mistakes.collect()
}

fn bytes(path: &FilePath) -> io::Result<(Vec<u8>, bool)> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    let length = usize::try_from(metadata.len()).unwrap_or(LARGEST).min(LARGEST);
    Ok((read_bounded(file, LARGEST, Vec::with_capacity(room(length)))?, is_public(path, &metadata)))
}
