//! Words for mistakes in the syntax of a file: what is wrong, what was expected, and the corrected line if it is certain.

use std::ops::Range;

use linedown_sinks::is_deceptive;
use toml::de::{DeTable, DeValue};
use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

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

/// The keys whose values may be repeated in a hint, because they never hold a secret. Elsewhere, somebody may have
/// written a password.
const SHOWN: &str = "after agree_to_terms continue count days due_within escalate every fallback first flapping format from \
                     give_up_after group_by group_interval hold in_flight insecure instance interval keep language limits \
                     listen match max max_body max_connections name notify on proxy_protocol reason remind reply_to resolved \
                     retry severity source time_zone to trusted_proxies type unknown_after within";

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
    let line = format!("{key} = {}", corrected.text);
    // Something else may be wrong as well.
    DeTable::parse(&line).ok()?;
    let line = if is_shown(key, &corrected) { line } else { format!("{key} = {}", corrected.masked) };
    let (what, expected) = if corrected.is_truth {
        ("this is no value in TOML", "`true` or `false`, or text in quotes")
    } else {
        (UNQUOTED, "text in quotes")
    };
    Some(Usual { at: corrected.at?, what, expected, hint: format!("write `{line}`") })
}

fn comment(at: usize, mark: &str) -> Usual {
    Usual {
        at,
        what: "a comment begins with `#`",
        expected: "`#`",
        hint: format!("write `# comment` in place of `{mark} comment`"),
    }
}

fn is_value(text: &str) -> bool {
    DeValue::parse(text).is_ok()
}

fn is_public(key: &str) -> bool {
    SHOWN.split(' ').any(|known| known == key)
}

/// Whether a hint may repeat a corrected value. Labels are shown, whatever they are called.
fn is_shown(key: &str, corrected: &Corrected<'_>) -> bool {
    let is_label = |key: &str| key.split('.').any(|name| name.trim() == "labels");
    let is_known = |key: &str| key.split('.').all(|name| is_public(name.trim())) || is_label(key);
    let of_key = key.rsplit('.').next().is_some_and(|last| is_public(last.trim()));
    let is_shown = is_label(key) || (of_key && corrected.keys.iter().all(|key| is_known(key)));
    is_shown && !corrected.text.contains("://")
}

/// A value in which the texts have their quotes.
#[derive(Default)]
struct Corrected<'t> {
    /// The value, in one line.
    text: String,
    /// The same with … in place of each value.
    masked: String,
    /// Where the first correction is, if there is one.
    at: Option<usize>,
    /// Whether it is a truth value.
    is_truth: bool,
    /// The keys of tables in it, as they are written.
    keys: Vec<&'t str>,
}

/// What is shown in place of a value that may be secret.
const MASKED: &str = "\"…\"";

/// The value with quotes around each text that lacks them; none if it is not certain what was meant.
fn corrected(value: &str) -> Option<Corrected<'_>> {
    let tokens: Vec<Token> = Source::new(value).lex().collect();
    let is_list = value.starts_with(['[', '{']);
    let end = if is_list { value.len() } else { end_of_line(value, &tokens)? };
    let corrected = if is_list {
        in_list(value, &tokens)?
    } else {
        let text = value[..end].trim_end();
        let (quoted, is_truth) = quoted(text).filter(|_| !text.contains(','))?;
        Corrected { text: quoted, masked: MASKED.to_owned(), at: Some(0), is_truth, keys: Vec::new() }
    };
    Some(corrected).filter(|_| !is_value(value[..end].trim_end()))
}

/// Where the value in the first line ends; none if a `#` in it may or may not begin a comment.
fn end_of_line(value: &str, tokens: &[Token]) -> Option<usize> {
    let ends = [TokenKind::Comment, TokenKind::Newline, TokenKind::Eof];
    let end = tokens.iter().find(|token| ends.contains(&token.kind()))?;
    let at = end.span().start();
    (end.kind() != TokenKind::Comment || value[..at].ends_with([' ', '\t'])).then_some(at)
}

/// Puts texts in quotes in a list or a table that is closed in the same line.
fn in_list<'t>(value: &'t str, tokens: &[Token]) -> Option<Corrected<'t>> {
    let mut corrected = Corrected::default();
    let mut open = Vec::new();
    // Where the present value, or key, begins.
    let mut start = None;
    let mut is_key = false;
    for token in tokens {
        let (at, end) = (token.span().start(), token.span().end());
        match token.kind() {
            TokenKind::Whitespace if start.is_none() => corrected.copy(&value[at..end]),
            TokenKind::Whitespace | TokenKind::Atom | TokenKind::Dot => {
                start.get_or_insert(at);
            }
            TokenKind::BasicString | TokenKind::LiteralString if start.is_none() => {
                corrected.text.push_str(&value[at..end]);
                corrected.masked.push_str(if is_key { &value[at..end] } else { MASKED });
            }
            TokenKind::Equals
            | TokenKind::Comma
            | TokenKind::LeftSquareBracket
            | TokenKind::LeftCurlyBracket
            | TokenKind::RightSquareBracket
            | TokenKind::RightCurlyBracket => {
                if let Some(start) = start.take() {
                    corrected.push(value, start..at, is_key)?;
                }
                corrected.copy(&value[at..end]);
                match token.kind() {
                    TokenKind::Equals if is_key => is_key = false,
                    TokenKind::Comma => is_key = open.last() == Some(&TokenKind::LeftCurlyBracket),
                    TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket if !is_key => {
                        open.push(token.kind());
                        is_key = token.kind() == TokenKind::LeftCurlyBracket;
                    }
                    TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                        open.pop()?;
                        is_key = false;
                    }
                    _ => return None,
                }
                if open.is_empty() {
                    return Some(corrected);
                }
            }
            _ => return None,
        }
    }
    None
}

impl<'t> Corrected<'t> {
    /// Adds what is neither a key nor a value.
    fn copy(&mut self, written: &str) {
        self.text.push_str(written);
        self.masked.push_str(written);
    }

    /// Adds a key as it is, or a value with its quotes.
    fn push(&mut self, value: &'t str, range: Range<usize>, is_key: bool) -> Option<()> {
        let written = &value[range.clone()];
        let text = written.trim_end();
        if is_key {
            self.keys.push(text);
            self.copy(written);
            return Some(());
        }
        self.masked.push_str(MASKED);
        if is_value(text) {
            self.text.push_str(text);
        } else {
            self.text.push_str(&quoted(text)?.0);
            self.at.get_or_insert(range.start);
        }
        self.copy(&written[text.len()..]);
        Some(())
    }
}

/// The text in quotes, or a truth value as TOML writes it, which is then said; none if there are quotes already.
fn quoted(text: &str) -> Option<(String, bool)> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => return Some(("true".into(), true)),
        "no" | "off" | "false" => return Some(("false".into(), true)),
        _ => {}
    }
    let is_plain =
        !text.contains(['"', '\'', '\\', '`']) && !text.contains(|c: char| c.is_control() || is_deceptive(c));
    let begins = text.starts_with(|c: char| c.is_alphanumeric() || "/.*+:<@{-_".contains(c));
    (is_plain && begins).then(|| (format!("\"{text}\""), false))
}
