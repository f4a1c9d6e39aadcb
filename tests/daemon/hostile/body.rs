//! Bodies that no gateway sends, in requests that are otherwise right.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fastrand::Rng;
use serde_json::Value;
use serde_json::value::RawValue;

use super::MAX_BODY;
use super::case::{Case, chunked_webhook, chunks, one, payload, random, webhook};
use crate::payload::gzip;

/// Gzip that expands to ten million bytes.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![b' '; 10_000_000]));

/// A webhook with a hostile body.
pub(super) fn body(rng: &mut Rng) -> Case {
    match rng.u8(..12) {
        0..4 => json(rng),
        4 => nested(rng),
        5 => bytes(rng),
        6..8 => compressed(rng),
        8 => encoded(rng),
        9 => announced(rng),
        10 => too_large(rng),
        _ => typed(rng),
    }
}

/// Half of a surrogate pair, escaped.
const HALF: &str = "\\ud83d";

/// The status that a complete body with JSON's Content-Type must get.
fn verdict(body: &[u8]) -> u16 {
    // linedown reads a lone surrogate as U+FFFD.
    let Ok(text) = std::str::from_utf8(body).map(|text| text.replace(HALF, "\\ufffd")) else { return 400 };
    // One byte order mark is ignored (RFC 8259, section 8.1).
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // Values may nest to any depth: linedown does not parse those that it does not need.
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else { return 400 };
    match members.get("type").and_then(|name| serde_json::from_str(name.get()).ok()) {
        Some(Value::String(name)) if !name.is_empty() => 200,
        _ => 422,
    }
}

fn plain(rng: &mut Rng, what: &str, body: &[u8]) -> Case {
    let expected = verdict(body);
    let bytes = match rng.u8(..3) {
        0 => {
            let chunked = chunks(rng, body);
            chunked_webhook("chunked", &chunked)
        }
        1 => webhook(&["content-encoding: gzip"], &gzip(body)),
        _ => webhook(&[], body),
    };
    Case::answered(what, bytes, &[expected])
}

/// An object with keys of the gateway and others, and values of every sort.
fn json(rng: &mut Rng) -> Case {
    const KEYS: [&str; 12] = [
        "type",
        "type",
        "type",
        "instanceId",
        "phone",
        "momment",
        "error",
        "disconnected",
        "connected",
        "",
        "__proto__",
        "\u{202e}",
    ];
    let pairs = (0..rng.usize(..8)).map(|_| format!("{:?}:{}", one(rng, &KEYS), value(rng, 3)));
    let text = format!("{{{}}}", pairs.collect::<Vec<_>>().join(","));
    plain(rng, "json", text.as_bytes())
}

/// A value as text, not always valid JSON.
fn value(rng: &mut Rng, depth: usize) -> String {
    const VALUES: [&str; 24] = [
        "\"DisconnectedCallback\"",
        "\"ConnectedCallback\"",
        "\"ReceivedCallback\"",
        "\"\"",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1698691825296",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "1e308",
        "-1e-308",
        "1e400",
        "0.1",
        "\"\\ud83d\"",
        "\"\\u0000\\r\\n\\u001b[2J\"",
        "\"5544999999999\"",
        "NaN",
        "01",
        "\"<!channel> {{ 7 * 7 }} </p>\"",
        "'x'",
    ];
    match rng.u8(..10) {
        0 if depth > 0 => format!("[{},{}]", value(rng, depth - 1), value(rng, depth - 1)),
        1 if depth > 0 => format!("{{\"a\":{}}}", value(rng, depth - 1)),
        2 => {
            let length = rng.usize(..300);
            format!("{:?}", std::iter::repeat_with(|| rng.char(..)).take(length).collect::<String>())
        }
        _ => one(rng, &VALUES).to_owned(),
    }
}

/// Deep nesting, closed or not.
fn nested(rng: &mut Rng) -> Case {
    let (open, close) = one(rng, &[("[", "]"), ("{\"a\":", "}")]);
    let depth = rng.usize(1..(MAX_BODY - 100) / (open.len() + close.len()));
    let closing = if rng.bool() { close.repeat(depth) } else { String::new() };
    let inner = if open == "[" { "" } else { "1" };
    let body = format!("{{\"type\":\"DisconnectedCallback\",\"x\":{}{inner}{closing}}}", open.repeat(depth));
    plain(rng, "nested", body.as_bytes())
}

/// Random bytes, and text that is not plain UTF-8.
fn bytes(rng: &mut Rng) -> Case {
    let mut body = payload(rng);
    match rng.u8(..4) {
        0 => body = random(rng, 4_000),
        1 => {
            let at = rng.usize(..body.len());
            body.splice(
                at..at,
                one(rng, &[&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\0"]).iter().copied(),
            );
        }
        2 => body = [b"\xef\xbb\xbf".repeat(rng.usize(1..3)), body].concat(),
        _ => body = body.iter().flat_map(|byte| [*byte, 0]).collect(),
    }
    plain(rng, "bytes", &body)
}

/// Gzip that is cut, damaged, doubled, followed by other bytes, or a bomb.
fn compressed(rng: &mut Rng) -> Case {
    let body = payload(rng);
    let mut zipped = gzip(&body);
    let statuses: &[u16] = match rng.u8(..7) {
        0 => {
            zipped.truncate(rng.usize(..zipped.len()));
            &[400]
        }
        1 => {
            let at = rng.usize(..zipped.len());
            zipped[at] ^= 1 << rng.u8(..8);
            // Some bits of the gzip header have no effect.
            &[200, 400, 413, 422]
        }
        2 => {
            zipped.extend(random(rng, 50).iter().map(|byte| byte | 1));
            &[200, 400]
        }
        3 => {
            zipped.clone_from(&BOMB);
            &[413]
        }
        4 => {
            zipped = [gzip(b"{"), BOMB.clone()].concat();
            &[413]
        }
        5 => {
            zipped = random(rng, 300);
            &[400]
        }
        // Gzip within gzip is not unpacked.
        _ => {
            zipped = gzip(&zipped);
            &[400]
        }
    };
    let name = one(rng, &["gzip", "GZIP", "x-gzip", " gzip "]);
    Case::answered("compressed", webhook(&[&format!("content-encoding: {name}")], &zipped), statuses)
}

/// Encodings that linedown does not know.
fn encoded(rng: &mut Rng) -> Case {
    let name = one(rng, &["br", "deflate", "zstd", "gzip, gzip", "compress", "x", "gzip;q=1", "\"gzip\"", "*"]);
    let body = payload(rng);
    Case::answered("encoded", webhook(&[&format!("content-encoding: {name}")], &body), &[415])
}

/// A `Content-Length` that is too large; the body is sent in full, in part or not at all.
fn announced(rng: &mut Rng) -> Case {
    let body = vec![b' '; rng.usize(MAX_BODY + 1..4 * MAX_BODY)];
    let mut bytes = webhook(&[], &body);
    bytes.truncate(bytes.len() - rng.usize(..=body.len()));
    Case::answered("announced", bytes, &[413])
}

/// A chunked body that is too large.
fn too_large(rng: &mut Rng) -> Case {
    let body = vec![b' '; rng.usize(MAX_BODY + 1..4 * MAX_BODY)];
    let chunked = chunks(rng, &body);
    Case::answered("too large", chunked_webhook("chunked", &chunked), &[413])
}

/// Content types other than JSON's.
fn typed(rng: &mut Rng) -> Case {
    let body = payload(rng);
    let name = one(
        rng,
        &[
            "text/plain",
            "json",
            "application/jsonx",
            "application/x-www-form-urlencoded",
            "",
            "*/*",
            "application/json, x",
        ],
    );
    let bytes = String::from_utf8(webhook(&[], &body)).expect("payloads are ASCII");
    let bytes = bytes.replace("content-type: application/json", &format!("content-type: {name}"));
    Case::answered("typed", bytes.into_bytes(), &[415])
}
