//! Cuts a file into pieces that can be parsed one after the other: everything but the inventory, then the inventory,
//! some lines at a time. What a parser makes of a text on its way to the values takes forty times the text's memory.
//!
//! A piece is a TOML document of its own, and all pieces together say what the file says if no line of the inventory
//! is in two of them and the first has no inventory. Where that does not hold the file is better parsed as a whole, as
//! is one that is mistaken: then each mistake is found, and where it is.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Lexer, TokenKind};

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
    for (at, expression) in expressions(file) {
        let owner = match expression {
            Expression::Header([Some(INVENTORY), _], true) => return whole(file),
            Expression::Header([Some(INVENTORY), None], false) if cut.header.is_some() => return whole(file),
            Expression::Header([Some(INVENTORY), None], false) => Owner::Header,
            Expression::Header([Some(INVENTORY), Some(line)], false) => Owner::Line(line),
            Expression::Header(..) => Owner::Rest,
            Expression::Key(key) if cut.is_in_header => Owner::Line(key),
            Expression::Key(_) => continue,
        };
        if let Expression::Header(..) = expression {
            cut.is_in_header = owner == Owner::Header;
        }
        if owner == Owner::Header {
            cut.header = Some(at..file[at..].find('\n').map_or(file.len(), |end| at + end + 1));
        }
        cut.begin(at, owner);
    }
    cut.end(file.len())
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
    /// `[instances]`, if it was there: each piece with keys from under it needs it.
    header: Option<Range<usize>>,
    /// Whether keys that follow are from under it.
    is_in_header: bool,
}

impl<'t> Cut<'t> {
    fn begin(&mut self, at: usize, owner: Owner<'t>) {
        if owner == self.owner {
            return;
        }
        self.close(at);
        if matches!(owner, Owner::Line(_)) && self.piece.len() >= self.enough {
            self.pieces.push(std::mem::take(&mut self.piece));
            if self.is_in_header {
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

/// What a file consists of.
enum Expression<'t> {
    /// A table's header: its first two keys as they are written, and whether it has double brackets.
    Header([Option<&'t str>; 2], bool),
    /// A key, or the first one of several with dots between, and its value.
    Key(&'t str),
}

/// Each expression and where it begins.
fn expressions(file: &str) -> impl Iterator<Item = (usize, Expression<'_>)> {
    let mut tokens = Source::new(file).lex();
    let (mut depth, mut begins) = (0_usize, true);
    iter::from_fn(move || {
        loop {
            let token = tokens.next()?;
            let (kind, span) = (token.kind(), token.span());
            match kind {
                TokenKind::Newline => begins |= depth == 0,
                TokenKind::Whitespace | TokenKind::Comment | TokenKind::Eof => {}
                // It takes the line's end with it, so that the next one begins.
                TokenKind::LeftSquareBracket if begins => return Some((span.start(), header(file, &mut tokens))),
                _ if begins => {
                    begins = false;
                    return Some((span.start(), Expression::Key(&file[span.start()..span.end()])));
                }
                TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    })
}

fn header<'t>(file: &'t str, tokens: &mut Lexer<'_>) -> Expression<'t> {
    let mut keys = [None, None];
    let mut is_list = false;
    for token in tokens.take_while(|token| token.kind() != TokenKind::Newline) {
        match token.kind() {
            TokenKind::LeftSquareBracket => is_list = true,
            TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString => {
                let key = &file[token.span().start()..token.span().end()];
                keys = if keys[0].is_none() { [Some(key), None] } else { [keys[0], keys[1].or(Some(key))] };
            }
            _ => {}
        }
    }
    Expression::Header(keys, is_list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toml::Spanned;
    use toml::de::{DeTable, DeValue};

    use super::*;

    /// The file's texts, piece by piece, as small as they can be.
    fn texts(file: &str) -> Vec<String> {
        cut(file, 1).iter().map(|piece| piece.text(file).into_owned()).collect()
    }

    #[test]
    fn each_line_is_in_one_piece_with_all_that_is_its_own() {
        let rest = "a = 1\n[b]\n";
        let one = "[instances.A]\nname = '''\n[instances.no]\n'''\n";
        let two = "[instances.\"B\"]\n[instances.\"B\".labels]\nc = [\n[1],\n]\n";
        assert_eq!(texts(&[rest, one, two].concat()), [rest, one, two]);
        let more = "[c] # [instances.D]\nd = {}\n";
        assert_eq!(texts(&[two, "[b]\n", one, more].concat()), [&["[b]\n", more].concat(), two, one]);
        let (header, a, b, c) = ("[instances]\n", "A = {}\n", "B.name = 'b'\nB.source = 'c'\n# C\n", "C = {}\n");
        let keys = [a, b, c].map(|line| header.to_owned() + line);
        assert_eq!(texts(&[header, a, b, c].concat()), ["", header, &keys[0], &keys[1], &keys[2]]);
    }

    #[test]
    fn what_cannot_be_cut_is_whole() {
        let files = ["a = 1", "[instances]\n[instances]\n", "[[instances]]\n[instances.A]\n", "[[instances.A]]\nb = 1"];
        for file in files {
            assert_eq!(texts(file), [file]);
        }
    }

    #[test]
    fn each_place_in_a_piece_is_one_in_the_file() {
        let file = "a = 1\n[instances]\nAA = {}\nBB = {}\n[b]\nCC = {}\n[instances.DD]\n";
        for piece in cut(file, 1) {
            let text = piece.text(file);
            for name in ["a =", "[instances]", "AA", "BB", "[b]", "CC", "[instances.DD]"] {
                if let Some(at) = text.find(name) {
                    assert!(file[piece.place(at)..].starts_with(name), "{name} in {text}");
                }
            }
        }
        assert_eq!(Piece::default().place(0), 0);
    }

    /// Expressions of all kinds, some of which do not go together.
    fn file() -> impl Strategy<Value = String> {
        let one_of = |texts: &[&'static str]| prop::sample::select(texts.to_vec()).prop_map(|text| format!("{text}\n"));
        let id = || prop::sample::select(vec!["A", "B", "\"A\"", "C.labels", "'C'", "D"]);
        let others = ["[b]", "[[rules]]", "[[instances]]", "[\"instances\".A]", "[[instances.A]]"];
        let header = prop_oneof![
            6 => id().prop_map(|id| format!("[instances.{id}]\n")),
            2 => Just("[instances]\n".to_owned()),
            1 => one_of(&others),
        ];
        let keys = [
            "name = 'x'",
            "labels = { a = '[instances.B]' }",
            "labels.b = \"\"\"\n[instances.B]\n\"\"\"",
            "a = [\n[1], #]\n]",
            "# [b]",
            "",
        ];
        let broken = ["a = [", "a = }", "instances = 1", "instances.A.name = 'y'", "]", "a = \"\"\"", "[instances.A"];
        let line = (id(), one_of(&[" = {}", ".name = 'z'"]));
        let key = prop_oneof![
            12 => one_of(&keys),
            6 => line.prop_map(|(id, value)| format!("{id}{value}")),
            1 => one_of(&broken),
        ];
        let section = (prop::option::weighted(0.8, header), prop::collection::vec(key, 0..3));
        let section = section.prop_map(|(header, keys)| header.unwrap_or_default() + &keys.concat());
        prop::collection::vec(section, 0..6).prop_map(|sections| sections.concat())
    }

    /// Each value and its place in the file, by its keys.
    fn flat(table: &DeTable<'_>, text: &str, piece: &Piece, above: &str, into: &mut Vec<(String, usize, String)>) {
        for (key, value) in table {
            let name = format!("{above}/{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(below) => flat(below, text, piece, &name, into),
                _ => into.push((name, piece.place(value.span().start), text[value.span()].to_owned())),
            }
        }
    }

    /// What the pieces say; none if they are mistaken, or not what the file is.
    fn said(file: &str) -> Option<Vec<(String, usize, String)>> {
        let (mut said, mut ids) = (Vec::new(), Vec::new());
        let pieces = cut(file, 1);
        for (number, piece) in pieces.iter().enumerate() {
            let text = piece.text(file);
            let root = DeTable::parse(&text).ok()?;
            let inventory = root.get_ref().get(INVENTORY).map(Spanned::get_ref);
            if number == 0 && pieces.len() > 1 && inventory.is_some() {
                return None;
            }
            let lines = inventory.and_then(|lines| lines.as_table()).into_iter().flat_map(|lines| lines.keys());
            ids.extend(lines.map(|id| id.get_ref().to_string()));
            flat(root.get_ref(), &text, piece, "", &mut said);
        }
        let all = ids.len();
        ids.sort();
        ids.dedup();
        said.sort();
        (ids.len() == all).then_some(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn pieces_say_what_the_file_says(file in file()) {
            if let Some(said) = said(&file) {
                let root = DeTable::parse(&file).map_err(|error| TestCaseError::fail(error.to_string()))?;
                let mut expected = Vec::new();
                flat(root.get_ref(), &file, &whole(&file)[0], "", &mut expected);
                expected.sort();
                prop_assert_eq!(said, expected);
            }
        }
    }
}
