//! Words for mistakes in the syntax of a file: what is wrong, what was expected, and the corrected line if it is certain.

use std::ops::Range;

use linedown_sinks::is_deceptive;
use toml::de::DeTable;
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::corrected::{corrected, is_value};
use super::file::APPENDED;
use super::position::Positions;
use super::report::Row;

/// What the parser says about a key that is set twice.
pub(super) const DUPLICATE: &str = "duplicate key";
/// How it begins to say that a value is no table, though a key or a header makes it one.
pub(super) const EXTENDED: &str = "cannot extend value";
/// What it says about a header without its closing bracket.
const UNCLOSED: &str = "unclosed table";

/// What the parser says about text without quotes, if it cannot be a number either.
const UNQUOTED: &str = "string values must be quoted";

/// The hint if nothing better is known.
const TOML: &str = "files are TOML (https://toml.io): texts in quotes, lists in [ ]";

/// What begins a comment in other languages.
const OTHER_COMMENTS: [&str; 2] = [";", "//"];

/// Longest line in which a comment is looked for, in bytes: each of its parts is parsed.
const LONGEST_LINE: usize = 1_000;

/// A mistake in the syntax of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) span: Range<usize>,
    /// The parser's words.
    pub(super) what: String,
    /// The expression that it is in.
    pub(super) within: Range<usize>,
}

/// A usual mistake, recognised by what is written.
struct Usual {
    at: usize,
    what: &'static str,
    expected: &'static str,
    hint: String,
}

impl Mistake {
    /// The offset in the file, and the problem.
    pub(super) fn row(&self, name: &str, text: &str, positions: &Positions<'_>) -> (usize, Row) {
        let (what, expected) = match self.what.split_once(", expected ") {
            Some((what, expected)) => (what, Some(expected)),
            None => (self.what.as_str(), None),
        };
        let (mut at, mut row) = (self.span.start, Row::error(name, what));
        row.expected = expected.map(str::to_owned);
        row.hint = stray(text, &self.span).or_else(|| self.twice(what, text));
        if row.hint.is_none() {
            let within = text.get(self.within.clone()).unwrap_or_default();
            if let Some(usual) = usual(within) {
                at = self.within.start + usual.at;
                row = Row { expected: Some(usual.expected.into()), ..Row::error(name, usual.what).hint(usual.hint) };
            } else {
                row.hint = self.other_hint(what, expected, text).map(str::to_owned);
            }
        }
        (at, row.at(positions.at(at)))
    }

    /// The hint about a key that is there twice.
    fn twice(&self, what: &str, text: &str) -> Option<String> {
        let list = APPENDED.into_iter().find(|list| text.get(self.span.clone()) == Some(*list));
        (what == DUPLICATE).then(|| match list {
            Some(list) => format!("write [[{list}]], in double brackets, each time"),
            None => "it is already set above; TOML allows a key and a `[table]` only once".into(),
        })
    }

    fn other_hint(&self, what: &str, expected: Option<&str>, text: &str) -> Option<&'static str> {
        let rest = text.get(self.span.start..).and_then(|rest| rest.lines().next());
        if what == UNCLOSED && rest.is_some_and(|rest| rest.contains(']')) {
            return Some("names with spaces or dots go in quotes: [sinks.\"my slack\"]");
        }
        expected.is_none().then_some(TOML)
    }
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

/// Recognises a usual mistake in an expression.
fn usual(expression: &str) -> Option<Usual> {
    if let Some(mark) = OTHER_COMMENTS.into_iter().find(|mark| expression.starts_with(mark)) {
        return Some(comment(0, mark));
    }
    let mut tokens = Source::new(expression).lex();
    let equals = tokens.find(|token| matches!(token.kind(), TokenKind::Equals | TokenKind::Newline))?;
    if equals.kind() == TokenKind::Newline {
        return None;
    }
    let key = expression[..equals.span().start()].trim_end();
    let written = expression[equals.span().end()..].trim_end();
    let value = written.trim_start_matches([' ', '\t']);
    let at = equals.span().end() + written.len() - value.len();
    if value.is_empty() || value.starts_with(['#', '\n', '\r']) {
        return Some(Usual {
            at: if value.is_empty() { equals.span().end() } else { at },
            what: "there is no value after `=`",
            expected: "text in quotes, a number, `true`, `false`, or a list in [ ]",
            hint: "write the value, or take out the line".into(),
        });
    }
    let usual = comment_after(value).or_else(|| unquoted(key, value))?;
    Some(Usual { at: at + usual.at, ..usual })
}

/// Finds a comment as in other languages behind a value that is right.
fn comment_after(value: &str) -> Option<Usual> {
    let line = value.lines().next().filter(|line| line.len() <= LONGEST_LINE)?;
    let mut marks = OTHER_COMMENTS.into_iter().flat_map(|mark| line.match_indices(mark));
    let is_comment = |(offset, _): &(usize, &str)| {
        let before = &line[..*offset];
        before.ends_with([' ', '\t']) && is_value(before.trim_end())
    };
    marks.find(is_comment).map(|(offset, mark)| comment(offset, mark))
}

/// Finds text without quotes, and truth values that TOML writes otherwise.
fn unquoted(key: &str, value: &str) -> Option<Usual> {
    let corrected = corrected(value)?;
    // Something else may be wrong as well.
    DeTable::parse(&format!("{key} = {}", corrected.text)).ok()?;
    let (what, expected) = if corrected.is_truth {
        ("this is no value in TOML", "`true` or `false`, or text in quotes")
    } else {
        (UNQUOTED, "text in quotes")
    };
    Some(Usual { at: corrected.at?, what, expected, hint: format!("write `{}`", corrected.line(key)) })
}

fn comment(at: usize, mark: &str) -> Usual {
    Usual {
        at,
        what: "a comment begins with `#`",
        expected: "`#`",
        hint: format!("write `# comment` in place of `{mark} comment`"),
    }
}
