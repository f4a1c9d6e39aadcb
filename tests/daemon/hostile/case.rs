//! One hostile request, and the answers that it may get.

use std::fmt;

use fastrand::Rng;

use super::{body, head};
use crate::daemon::{HOOK, SECRET};
use crate::payload::gzip;

/// A request's bytes and the answers that are right for it.
pub(super) struct Case {
    /// What is wrong with it.
    pub(super) what: String,
    pub(super) bytes: Vec<u8>,
    /// The statuses that are right; if empty, only silence is.
    pub(super) statuses: Vec<u16>,
    /// Whether the connection may be closed without an answer.
    pub(super) silence: bool,
    /// Whether the request is incomplete, so that the test does not wait for an answer.
    pub(super) cut: bool,
}

/// The statuses that a request may get that the daemon or its HTTP library does not understand.
pub(super) const MALFORMED: [u16; 6] = [400, 404, 405, 414, 431, 505];
/// The statuses that a wrong secret may get.
pub(super) const GUESS: [u16; 2] = [404, 429];

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.bytes[..self.bytes.len().min(600)];
        write!(f, "{}: {} bytes: {}", self.what, self.bytes.len(), shown.escape_ascii())
    }
}

impl Case {
    /// Generates the case of a number: always the same one for a seed.
    pub(super) fn generate(seed: usize, number: usize) -> Self {
        let mut rng = Rng::with_seed((seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number as u64);
        let rng = &mut rng;
        match rng.u8(0..100) {
            0..10 => noise(rng),
            10..20 => broken(rng),
            20..35 => cut(rng),
            35..50 => head::line(rng),
            50..70 => head::header(rng),
            70..92 => body::body(rng),
            _ => guess(rng),
        }
    }

    /// A request that is refused with one of these statuses, or gets no answer.
    pub(super) fn refused(what: impl Into<String>, bytes: Vec<u8>, statuses: &[u16]) -> Self {
        Self { what: what.into(), bytes, statuses: statuses.to_vec(), silence: true, cut: false }
    }

    /// A request that is answered with one of these statuses.
    pub(super) fn answered(what: impl Into<String>, bytes: Vec<u8>, statuses: &[u16]) -> Self {
        Self { silence: false, ..Self::refused(what, bytes, statuses) }
    }
}

/// Picks one of the values.
pub(super) fn one<T: Clone>(rng: &mut Rng, values: &[T]) -> T {
    values[rng.usize(..values.len())].clone()
}

/// Up to this many random bytes.
pub(super) fn random(rng: &mut Rng, most: usize) -> Vec<u8> {
    let length = rng.usize(..=most);
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// The body of a valid webhook, about a line of which nobody is told.
pub(super) fn payload(rng: &mut Rng) -> Vec<u8> {
    let (kind, line) = (one(rng, &["DisconnectedCallback", "ConnectedCallback"]), rng.u32(..1000));
    format!("{{\"type\":\"{kind}\",\"instanceId\":\"hostile {line}\",\"momment\":{}}}", rng.u64(..)).into_bytes()
}

/// Composes a request of its parts.
pub(super) fn compose(line: &[u8], headers: &[Vec<u8>], body: &[u8]) -> Vec<u8> {
    let mut bytes = [line, b"\r\n"].concat();
    for header in headers {
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The headers of a webhook, without its length.
pub(super) fn headers() -> Vec<Vec<u8>> {
    vec![b"host: linedown.test".to_vec(), b"content-type: application/json".to_vec()]
}

/// The header with a body's length.
pub(super) fn length(body: &[u8]) -> Vec<u8> {
    format!("content-length: {}", body.len()).into_bytes()
}

/// A webhook with its usual headers, these further ones, and its length.
pub(super) fn webhook(more: &[&str], body: &[u8]) -> Vec<u8> {
    let mut headers = headers();
    headers.extend(more.iter().map(|header| header.as_bytes().to_vec()));
    headers.push(length(body));
    compose(format!("POST {HOOK} HTTP/1.1").as_bytes(), &headers, body)
}

/// A body in chunks of various sizes.
pub(super) fn chunks(rng: &mut Rng, body: &[u8]) -> Vec<u8> {
    let mut chunked = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rng.usize(1..=rest.len()));
        chunked.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        rest = after;
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    chunked
}

/// A webhook with this transfer encoding, and a body that is in chunks already.
pub(super) fn chunked_webhook(encoding: &str, chunked: &[u8]) -> Vec<u8> {
    let mut headers = headers();
    headers.push(format!("transfer-encoding: {encoding}").into_bytes());
    compose(format!("POST {HOOK} HTTP/1.1").as_bytes(), &headers, chunked)
}

/// A valid request in one of its forms.
fn valid(rng: &mut Rng) -> Vec<u8> {
    let body = payload(rng);
    match rng.u8(..4) {
        0 => webhook(&["content-encoding: gzip"], &gzip(&body)),
        1 => {
            let chunked = chunks(rng, &body);
            chunked_webhook("chunked", &chunked)
        }
        2 => webhook(&["expect: 100-continue"], &body),
        _ => webhook(&[], &body),
    }
}

/// Random bytes, and the first words of other protocols.
fn noise(rng: &mut Rng) -> Case {
    const WORDS: [&[u8]; 8] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"EHLO linedown.test\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ];
    let bytes = match rng.u8(..4) {
        0 => random(rng, 2_000),
        1 => [random(rng, 500), b"\r\n\r\n".to_vec()].concat(),
        2 => std::iter::repeat_with(|| one(rng, b" \t\r\n:/?#%GETPOSHTTP1.0")).take(400).collect(),
        _ => [one(rng, &WORDS), &random(rng, 100)].concat(),
    };
    Case::refused("noise", bytes, &MALFORMED)
}

/// A valid request with some bytes changed, removed, repeated or inserted. It may still be valid.
fn broken(rng: &mut Rng) -> Case {
    let mut bytes = valid(rng);
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..5) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes[at] ^= 1 << rng.u8(..8),
            2 => _ = bytes.remove(at),
            3 => bytes.insert(at, one(rng, b"\0\r\n :\xff0")),
            _ => {
                let end = bytes.len().min(at + rng.usize(1..50));
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    let fit = [200, 400, 404, 405, 413, 414, 415, 422, 429, 431, 501];
    Case::refused("broken", bytes, &fit)
}

/// A valid request that ends too early.
fn cut(rng: &mut Rng) -> Case {
    let mut bytes = valid(rng);
    bytes.truncate(rng.usize(..bytes.len()));
    Case { cut: true, ..Case::refused("cut", bytes, &[400]) }
}

/// Addresses with a secret that is nearly right.
fn guess(rng: &mut Rng) -> Case {
    let upper = SECRET.to_uppercase();
    let near = [
        String::new(),
        "x".to_owned(),
        SECRET[1..].to_owned(),
        SECRET[..SECRET.len() - 1].to_owned(),
        format!("{SECRET}x"),
        format!("{SECRET}%00"),
        format!("{SECRET}%20"),
        format!("%20{SECRET}"),
        format!("{SECRET};x"),
        format!("{SECRET}%2F"),
        format!("{SECRET}%FF"),
        upper,
        SECRET.replace('-', "%252d"),
        format!("{:x}", rng.u128(..)),
        "%".repeat(rng.usize(1..200)),
        "a".repeat(rng.usize(1..4_000)),
    ];
    let mut path = format!("/hooks/z-api/{}", one(rng, &near));
    match rng.u8(..6) {
        0 => path.push_str("/A"),
        1 => path.push('/'),
        2 => path.push_str("?x=y"),
        3 => path = path.replace("z-api", one(rng, &["Z-API", "z%2Dapi2", "", "..", "%00"])),
        _ => {}
    }
    let method = one(rng, &["POST", "PUT", "GET", "DELETE", "BREW"]);
    let (body, mut headers) = (payload(rng), headers());
    headers.push(length(&body));
    let bytes = compose(format!("{method} {path} HTTP/1.1").as_bytes(), &headers, &body);
    Case::answered("guess", bytes, &GUESS)
}
