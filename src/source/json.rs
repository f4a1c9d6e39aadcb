//! JSON as gateways write it. A text that was cut between the two halves of a character, an emoji say, is written with
//! half of it (`"\ud83d"`): that is JSON (RFC 8259, 8.2), and no reason to refuse a webhook that is posted once.

use serde_json::Value;

/// Reads it, with U+FFFD for each half of a character.
pub(super) fn read(body: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(body).or_else(|error| match without_halves(body) {
        Some(mended) => serde_json::from_slice(&mended),
        None => Err(error),
    })
}

/// None if there are no halves.
fn without_halves(body: &[u8]) -> Option<Vec<u8>> {
    let mut mended = body.to_vec();
    let (mut at, mut found) = (0, false);
    while at < body.len() {
        at += match (body[at], escaped(body, at)) {
            (b'\\', Some(0xd800..=0xdbff)) if matches!(escaped(body, at + 6), Some(0xdc00..=0xdfff)) => 12,
            (b'\\', Some(0xd800..=0xdfff)) => {
                mended[at + 2..at + 6].copy_from_slice(b"fffd");
                found = true;
                6
            }
            // A backslash that is escaped itself begins nothing.
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    found.then_some(mended)
}

/// The UTF-16 unit that is written there as `\uXXXX`.
fn escaped(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_is_replaced_and_whole_ones_are_left() {
        for (body, expected) in [
            (r#""Loja \ud83d""#, Some("Loja \u{fffd}")),
            (r#""\udc00\ud83d\uD83D\uDE00x\ud83d""#, Some("\u{fffd}\u{fffd}😀x\u{fffd}")),
            (r#""\\ud83d \ud83d""#, Some("\\ud83d \u{fffd}")),
            (r#""\ud83d\n\ude00""#, Some("\u{fffd}\n\u{fffd}")),
            (r#""\ud83d"#, None),
            (r#""\ud83"#, None),
            (r#""\ud83d" x"#, None),
        ] {
            assert_eq!(read(body.as_bytes()).ok(), expected.map(Value::from), "{body}");
        }
    }
}
