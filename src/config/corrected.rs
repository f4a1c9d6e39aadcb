//! Corrects values whose texts lack their quotes, and says which part of the correction may be shown.

use std::ops::Range;

use linedown_sinks::is_deceptive;
use toml::de::DeValue;
use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

/// The keys whose values may be repeated in a hint, because they never hold a secret. Elsewhere, somebody may have
/// written a password.
const SHOWN: &str = "after agree_to_terms continue count days due_within escalate every fallback first flapping format from \
                     give_up_after group_by group_interval hold in_flight insecure instance interval keep language limits \
                     listen match max max_body max_connections name notify on proxy_protocol reason remind reply_to resolved \
                     retry severity source time_zone to trusted_proxies type unknown_after within";

/// A value in which the texts have their quotes.
#[derive(Default)]
pub(super) struct Corrected<'t> {
    /// The value, in one line.
    pub(super) text: String,
    /// The same with … in place of each value.
    masked: String,
    /// Where the first correction is, if there is one.
    pub(super) at: Option<usize>,
    /// Whether it is a truth value.
    pub(super) is_truth: bool,
    /// The keys of tables in it, as they are written.
    keys: Vec<&'t str>,
}

/// What is shown in place of a value that may be secret.
const MASKED: &str = "\"…\"";

/// The value with quotes around each text that lacks them; none if it is not certain what was meant.
pub(super) fn corrected(value: &str) -> Option<Corrected<'_>> {
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
    let mut nesting = Nesting::default();
    // Where the present value, or key, begins.
    let mut start = None;
    for token in tokens {
        let (at, end) = (token.span().start(), token.span().end());
        match token.kind() {
            TokenKind::Whitespace if start.is_none() => corrected.copy(&value[at..end]),
            TokenKind::Whitespace | TokenKind::Atom | TokenKind::Dot => {
                start.get_or_insert(at);
            }
            TokenKind::BasicString | TokenKind::LiteralString if start.is_none() => {
                corrected.text.push_str(&value[at..end]);
                corrected.masked.push_str(if nesting.in_key { &value[at..end] } else { MASKED });
            }
            mark => {
                if let Some(start) = start.take() {
                    corrected.push(value, start..at, nesting.in_key)?;
                }
                corrected.copy(&value[at..end]);
                nesting.pass(mark)?;
                if nesting.open.is_empty() {
                    return Some(corrected);
                }
            }
        }
    }
    None
}

/// Where in lists and tables a token is.
#[derive(Default)]
struct Nesting {
    /// The brackets that are open.
    open: Vec<TokenKind>,
    /// Whether a key comes next, rather than a value.
    in_key: bool,
}

impl Nesting {
    /// Goes past a mark between keys and values; none if it cannot be there.
    fn pass(&mut self, mark: TokenKind) -> Option<()> {
        match mark {
            TokenKind::Equals if self.in_key => self.in_key = false,
            TokenKind::Comma => self.in_key = self.open.last() == Some(&TokenKind::LeftCurlyBracket),
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket if !self.in_key => {
                self.open.push(mark);
                self.in_key = mark == TokenKind::LeftCurlyBracket;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                self.open.pop()?;
                self.in_key = false;
            }
            _ => return None,
        }
        Some(())
    }
}

impl<'t> Corrected<'t> {
    /// The line that sets a key to the value, as a hint may show it.
    pub(super) fn line(&self, key: &str) -> String {
        format!("{key} = {}", if self.may_be_shown(key) { &self.text } else { &self.masked })
    }

    /// Labels are shown, whatever they are called.
    fn may_be_shown(&self, key: &str) -> bool {
        let is_public = |key: &str| SHOWN.split(' ').any(|known| known == key.trim());
        let is_label = |key: &str| key.split('.').any(|name| name.trim() == "labels");
        let is_known = |key: &str| key.split('.').all(is_public) || is_label(key);
        let of_key = key.rsplit('.').next().is_some_and(is_public);
        let may = is_label(key) || (of_key && self.keys.iter().all(|key| is_known(key)));
        may && !self.text.contains("://")
    }

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

/// Whether TOML can read it.
pub(super) fn is_value(text: &str) -> bool {
    DeValue::parse(text).is_ok()
}
