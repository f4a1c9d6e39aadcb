//! The fuzzing target for cutting files into pieces.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::pieces::{INVENTORY, Piece, cut, whole};

/// A value: its keys, its offset in the file, and its text.
type Said = (String, usize, String);

/// Tests that pieces without a mistake say together exactly what the whole file says.
pub(crate) fn pieces(data: &[u8]) {
    let Ok(file) = std::str::from_utf8(data) else { return };
    if let Some(said) = said(file) {
        let root = DeTable::parse(file).expect("the pieces are without a mistake");
        let mut expected = Vec::new();
        flat(root.get_ref(), file, &whole(file)[0], "", &mut expected);
        expected.sort();
        assert_eq!(said, expected);
    }
}

/// All values in the smallest possible pieces; none if a piece has a mistake or the file must be parsed as a whole.
fn said(file: &str) -> Option<Vec<Said>> {
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

fn flat(table: &DeTable<'_>, text: &str, piece: &Piece, above: &str, into: &mut Vec<Said>) {
    for (key, value) in table {
        let name = format!("{above}/{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(below) => flat(below, text, piece, &name, into),
            _ => into.push((name, piece.place(value.span().start), text[value.span()].to_owned())),
        }
    }
}
