//! JSON as gateways write it. A webhook is posted once, so nothing in it that linedown does not need is a reason to
//! refuse it:
//! - Only the members that are asked for are read; the others may be as deep or as large as they like.
//! - A text that was cut between the two halves of a character, such as an emoji, has half of it (`"\ud83d"`). That is
//!   JSON (RFC 8259, 8.2), and is read with U+FFFD in its place.
//! - A byte order mark before the JSON is no part of it, but may be skipped (8.1).

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::Unusable;

/// The byte order mark of UTF-8, with which some senders begin a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The members of an object, each as it was written.
pub(super) struct Payload(BTreeMap<String, Box<RawValue>>);

impl Payload {
    /// Reads a body; fails if it is not JSON, or not an object.
    pub(super) fn read(body: &[u8]) -> Result<Self, Unusable> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let read = serde_json::from_slice(body).or_else(|error| match without_halves(body) {
            Some(mended) => serde_json::from_slice(&mended),
            None => Err(error),
        });
        read.map(Self).map_err(|error| {
            if error.is_data() {
                return Unusable::NotAnObject;
            }
            Unusable::NotJson { line: error.line(), column: error.column().max(1) }
        })
    }

    /// Returns a member's value; `None` if there is none, or if it cannot be read.
    pub(super) fn get(&self, key: &str) -> Option<Value> {
        let written = self.0.get(key)?.get();
        serde_json::from_str(written).ok().or_else(|| serde_json::from_slice(&without_halves(written.as_bytes())?).ok())
    }
}

/// Replaces each half of a character by U+FFFD; `None` if there are no halves.
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
            // Two characters are one escape: a backslash that is escaped begins nothing.
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    found.then_some(mended)
}

/// The UTF-16 unit that is written at a place as `\uXXXX`.
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
            let payload = Payload::read(format!("{{\"error\":{body}}}").as_bytes());
            assert_eq!(
                payload.ok().map(|payload| payload.get("error")),
                expected.map(|text| Some(text.into())),
                "{body}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_once_and_only_before_all_else() {
        for (body, is_read) in [
            ("\u{feff}{\"type\":\"x\"}", true),
            ("\u{feff}\r\n{\"type\":\"x\",\"error\":\"\\ud83d\"}", true),
            ("\u{feff}\u{feff}{\"type\":\"x\"}", false),
            (" \u{feff}{\"type\":\"x\"}", false),
            ("\u{feff}", false),
        ] {
            let payload = Payload::read(body.as_bytes());
            assert_eq!(payload.ok().and_then(|payload| payload.get("type")), is_read.then(|| "x".into()), "{body:?}");
        }
    }

    #[test]
    fn what_nobody_asks_for_may_be_anything() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(r#"{{"type":"x","\ud83d":{deep},"y":1e999,"y":{deep},"z":"\ud83d","type":"y"}}"#);
        let payload = Payload::read(body.as_bytes()).expect("an object");
        assert_eq!(payload.get("type"), Some("y".into()), "the last one counts");
        assert_eq!([payload.get("y"), payload.get("nothing")], [None, None]);
    }
}
