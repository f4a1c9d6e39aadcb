//! Cuts a file into pieces that can be parsed one after the other: everything but the inventory, then the inventory,
//! some lines at a time. What a parser makes of a text on its way to the values takes some thirty times its memory.
//!
//! A piece is a TOML document of its own, and all pieces together say what the file says if no line of the inventory
//! is in two of them and the first has no inventory. Where that does not hold the file is better parsed as a whole, as
//! is one that is mistaken: then each mistake is found, and where it is.

use std::borrow::Cow;
use std::iter::{self, Peekable};
use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Lexer, Token, TokenKind};

/// The inventory's table.
pub(super) const INVENTORY: &str = "instances";

/// After how many bytes a piece ends with the line that is in it.
pub(super) const ENOUGH: usize = 64 * 1024;

/// Some parts of a file, in its order.
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

    /// Its text, out of the file's.
    pub(super) fn text<'t>(&self, file: &'t str) -> Cow<'t, str> {
        match self.0.as_slice() {
            [part] => file[part.clone()].into(),
            parts => parts.iter().map(|part| &file[part.clone()]).collect::<String>().into(),
        }
    }

    /// Where in the file an offset in its text is.
    pub(super) fn place(&self, offset: usize) -> usize {
        let mut before = 0;
        let part = self.0.iter().find(|part| {
            before += part.len();
            offset < before
        });
        part.or(self.0.last()).map_or(offset, |part| (part.end + offset).saturating_sub(before))
    }
}

/// The file in one piece.
pub(super) fn whole(file: &str) -> Vec<Piece> {
    vec![Piece(iter::once(0..file.len()).collect())]
}

/// The file's pieces, each with enough bytes. The first one holds everything but the inventory.
pub(super) fn cut(file: &str, enough: usize) -> Vec<Piece> {
    let mut cut = Cut { enough, ..Cut::default() };
    for Expression { at, brackets, keys } in expressions(file) {
        let owner = match (brackets, keys, cut.section) {
            (0, [Some(INVENTORY), Some(line)], Section::Root)
            | (0, [Some(line), _], Section::Inventory)
            | (1, [Some(INVENTORY), Some(line)], _) => Owner::Line(line),
            (0, _, Section::Inventory | Section::Other) => continue,
            // Where it may be twice, it takes the whole to say whether it is a mistake.
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

/// What keys are from under.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    /// No header.
    #[default]
    Root,
    /// `[instances]`.
    Inventory,
    /// Another one.
    Other,
}

/// Whose some part of a file is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Owner<'t> {
    #[default]
    Rest,
    /// `[instances]`, under which lines may follow as keys.
    Header,
    /// A line, by its identifier as it is written.
    Line(&'t str),
}

#[derive(Default)]
struct Cut<'t> {
    enough: usize,
    rest: Piece,
    pieces: Vec<Piece>,
    /// The one that is not full yet.
    piece: Piece,
    /// Whose the present part is, and where that begins.
    owner: Owner<'t>,
    start: usize,
    section: Section,
    /// `[instances]`, if it was there: each piece with keys from under it needs it.
    header: Option<Range<usize>>,
    /// Whether some line was set by keys and not by a header.
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

/// A table's header, or keys with a value.
struct Expression<'t> {
    at: usize,
    /// How many brackets it begins with.
    brackets: usize,
    /// Its first two keys as they are written.
    keys: [Option<&'t str>; 2],
}

/// What a file consists of.
fn expressions(file: &str) -> impl Iterator<Item = Expression<'_>> {
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

/// Reads as far as its first two keys are.
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
