//! Cuts a file into pieces that can be parsed one after the other: first everything except the inventory, then the
//! inventory, some lines at a time. A parsed text takes some thirty times its size in memory, so a large inventory is
//! parsed in one go only if it must be.
//!
//! Each piece is a TOML document of its own. Together the pieces say what the file says, provided that no line of the
//! inventory is in two pieces and that the first piece has no inventory. If that does not hold, or if there is a
//! mistake, the file must be parsed as a whole: then every mistake is found at its right place.

use std::borrow::Cow;
use std::iter::{self, Peekable};
use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Lexer, Token, TokenKind};

/// The inventory's table.
pub(super) const INVENTORY: &str = "instances";

/// A piece of at least this many bytes ends with the current line of the inventory.
pub(super) const ENOUGH: usize = 64 * 1024;

/// Ranges of a file, in the file's order, that form one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece(Vec<Range<usize>>);

impl Piece {
    fn push(&mut self, part: Range<usize>) {
        match self.0.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => self.0.push(part),
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }

    /// The piece's text, taken from the file's.
    pub(super) fn text<'t>(&self, file: &'t str) -> Cow<'t, str> {
        match self.0.as_slice() {
            [part] => file[part.clone()].into(),
            parts => parts.iter().map(|part| &file[part.clone()]).collect::<String>().into(),
        }
    }

    /// Converts an offset in the piece's text to one in the file.
    pub(super) fn place(&self, offset: usize) -> usize {
        let mut before = 0;
        let part = self.0.iter().find(|part| {
            before += part.len();
            offset < before
        });
        part.or(self.0.last()).map_or(offset, |part| (part.end + offset).saturating_sub(before))
    }
}

/// The whole file as a single piece.
pub(super) fn whole(file: &str) -> Vec<Piece> {
    vec![Piece(iter::once(0..file.len()).collect())]
}

/// Cuts a file into pieces of at least `enough` bytes. The first piece holds everything except the inventory.
pub(super) fn cut(file: &str, enough: usize) -> Vec<Piece> {
    let mut cut = Cut { enough, ..Cut::default() };
    for Expression { at, brackets, keys } in expressions(file) {
        let owner = match (brackets, keys, cut.section) {
            (0, [Some(INVENTORY), Some(line)], Section::Root)
            | (0, [Some(line), _], Section::Inventory)
            | (1, [Some(INVENTORY), Some(line)], _) => Owner::Line(line),
            (0, _, Section::Inventory | Section::Other) => continue,
            // If the table may be there twice, only the whole file can tell whether that is a mistake.
            (1, [Some(INVENTORY), None], _) if cut.header.is_none() && !cut.has_keys => Owner::Header,
            (1.., [Some(INVENTORY), _], _) => return whole(file),
            _ => Owner::Rest,
        };
        match (brackets, owner) {
            (0, Owner::Line(_)) => cut.has_keys = true,
            (0, _) => {}
            (_, Owner::Header) => {
                cut.section = Section::Inventory;
                cut.header = Some(at..file[at..].find('\n').map_or(file.len(), |end| at + end + 1));
            }
            _ => cut.section = Section::Other,
        }
        cut.begin(at, owner);
    }
    cut.end(file.len())
}

/// The section that keys without a header of their own belong to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    /// Before the first header.
    #[default]
    Root,
    /// `[instances]`.
    Inventory,
    /// Any other table.
    Other,
}

/// The owner of a range of the file.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Owner<'t> {
    #[default]
    Rest,
    /// `[instances]`, under which lines may follow as keys.
    Header,
    /// A line of the inventory, by its identifier as it is written, with its quotes.
    Line(&'t str),
}

/// The state while a file is cut.
#[derive(Default)]
struct Cut<'t> {
    enough: usize,
    rest: Piece,
    pieces: Vec<Piece>,
    /// The piece of the inventory that is being filled.
    piece: Piece,
    /// The owner of the current range, and where the range begins.
    owner: Owner<'t>,
    start: usize,
    section: Section,
    /// The `[instances]` header, if there was one. Each piece with keys from below it must repeat it.
    header: Option<Range<usize>>,
    /// Whether a line was set by keys rather than by a header.
    has_keys: bool,
}

impl<'t> Cut<'t> {
    fn begin(&mut self, at: usize, owner: Owner<'t>) {
        if owner == self.owner {
            return;
        }
        self.close(at);
        if matches!(owner, Owner::Line(_)) && self.piece.len() >= self.enough {
            self.pieces.push(std::mem::take(&mut self.piece));
            if self.section == Section::Inventory {
                self.piece.0.extend(self.header.clone());
            }
        }
        (self.owner, self.start) = (owner, at);
    }

    fn close(&mut self, at: usize) {
        match self.owner {
            Owner::Rest => self.rest.push(self.start..at),
            Owner::Header | Owner::Line(_) => self.piece.push(self.start..at),
        }
    }

    fn end(mut self, at: usize) -> Vec<Piece> {
        self.close(at);
        let last = (self.piece.len() > 0).then_some(self.piece);
        iter::once(self.rest).chain(self.pieces).chain(last).collect()
    }
}

/// A table header, or a key with its value.
pub(super) struct Expression<'t> {
    pub(super) at: usize,
    /// The number of brackets that it begins with.
    pub(super) brackets: usize,
    /// Its first two keys, as they are written.
    pub(super) keys: [Option<&'t str>; 2],
}

/// The expressions of a file, in order.
pub(super) fn expressions(file: &str) -> impl Iterator<Item = Expression<'_>> {
    let mut tokens = Source::new(file).lex().peekable();
    let (mut depth, mut begins) = (0_usize, true);
    iter::from_fn(move || {
        loop {
            match tokens.peek()?.kind() {
                TokenKind::Newline => begins |= depth == 0,
                TokenKind::Whitespace | TokenKind::Comment | TokenKind::Eof => {}
                _ if begins => {
                    begins = false;
                    return Some(expression(file, &mut tokens));
                }
                TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            tokens.next();
        }
    })
}

/// Consumes the tokens of an expression up to its second key.
fn expression<'t>(file: &'t str, tokens: &mut Peekable<Lexer<'_>>) -> Expression<'t> {
    let at = tokens.peek().map_or(file.len(), |token| token.span().start());
    let mut brackets = 0;
    while tokens.next_if(|token| token.kind() == TokenKind::LeftSquareBracket).is_some() {
        brackets += 1;
    }
    let names = [TokenKind::Atom, TokenKind::BasicString, TokenKind::LiteralString];
    let between = [TokenKind::Whitespace, TokenKind::Dot];
    let read = |token: &Token| names.contains(&token.kind()) || between.contains(&token.kind());
    let mut keys = iter::from_fn(|| tokens.next_if(read))
        .filter(|token| names.contains(&token.kind()))
        .map(|token| &file[token.span().start()..token.span().end()]);
    Expression { at, brackets, keys: [keys.next(), keys.next()] }
}
