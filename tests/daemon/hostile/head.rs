//! Request heads with something wrong in them.

use fastrand::Rng;

use super::case::{Case, GUESS, MALFORMED, chunked_webhook, chunks, compose, headers, length, one, payload, random};
use crate::daemon::{HOOK, SECRET};

/// The longest head that linedown takes, in bytes.
const LARGEST: usize = 16 * 1024;

/// How linedown takes one part of a request line.
enum Part {
    Good,
    /// Well-formed, and refused with one of these statuses.
    Refused(&'static [u16]),
    Malformed,
}

/// A request line in which each part may be wrong.
pub(super) fn line(rng: &mut Rng) -> Case {
    let (method, by_method) = if rng.bool() { (b"POST".to_vec(), Part::Good) } else { method(rng) };
    let (address, by_address) = address(rng);
    let (version, by_version) = if rng.bool() { (b"HTTP/1.1".to_vec(), Part::Good) } else { version(rng) };
    let space: &[u8] = if rng.u8(..20) == 0 { one(rng, &[&b"  "[..], b"\t", b"", b"\0", b" \r\n "]) } else { b" " };
    let body = payload(rng);
    let mut headers = headers();
    headers.push(length(&body));
    let bytes = compose(&[&method, space, &address, b" ", &version].concat(), &headers, &body);
    let head = method == b"HEAD";
    match (by_address, by_method, by_version) {
        _ if space != b" " => Case::refused("line", bytes, &[&MALFORMED[..], &GUESS, &[200]].concat()),
        (Part::Good, Part::Good, Part::Good) => Case::answered("line", bytes, &[200]),
        (Part::Good, Part::Refused(statuses), Part::Good) => Case::answered("line", bytes, statuses),
        (Part::Refused(statuses), Part::Good | Part::Refused(_), Part::Good) if !head => {
            Case::answered("line", bytes, statuses)
        }
        _ => Case::refused("line", bytes, &[&MALFORMED[..], &GUESS].concat()),
    }
}

fn method(rng: &mut Rng) -> (Vec<u8>, Part) {
    const TOKENS: [&str; 10] =
        ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "post", "PO!ST", "M-SEARCH"];
    match rng.u8(..10) {
        0..5 => (one(rng, &TOKENS).as_bytes().to_vec(), Part::Refused(&[405])),
        5 => (b"PUT".to_vec(), Part::Good),
        6 => (vec![b'A'; rng.usize(LARGEST..2 * LARGEST)], Part::Malformed),
        7 => ([b"P", &[one(rng, b"\0\x01\x7f(\"{}@,;\xc3")][..], b"T"].concat(), Part::Malformed),
        8 => (Vec::new(), Part::Malformed),
        _ => (one(rng, &[&b"CONNECT"[..], b"\xff\xfe", b"HTTP/1.1"]).to_vec(), Part::Malformed),
    }
}

fn address(rng: &mut Rng) -> (Vec<u8>, Part) {
    let good = [
        HOOK.to_owned(),
        format!("{HOOK}/"),
        format!("{HOOK}/line%20one"),
        format!("{HOOK}/%E2%80%AE%00%0d%0a"),
        format!("{HOOK}?type=x&{}", "q".repeat(rng.usize(..4_000))),
        format!("http://elsewhere.example{HOOK}"),
        format!("/hooks/%7A-api/{}", SECRET.replace('-', "%2d")),
        format!("{HOOK}/%FF"),
        format!("{HOOK}/{}", "i".repeat(rng.usize(257..4_000))),
    ];
    let elsewhere = [
        HOOK.replacen('/', "%2f", 1),
        HOOK.replace("/z", "%2fz"),
        HOOK.replace("/z", "//z"),
        format!("/{HOOK}"),
        format!("/.{HOOK}"),
        format!("/hooks/..{HOOK}"),
        format!("/x/..{HOOK}"),
        format!("/x/%2e%2e{HOOK}"),
        format!("{HOOK}/../../../etc/passwd"),
        format!("{HOOK}/a/b"),
        format!("{HOOK}//"),
        format!("/HOOKS/z-api/{SECRET}"),
        "/".to_owned(),
        "/hooks".to_owned(),
        "/hooks/".to_owned(),
        "/ack/1.2.3".to_owned(),
        format!("/ack/{}", "9".repeat(rng.usize(1..4_000))),
        "/healthz/x".to_owned(),
        "/etc/passwd".to_owned(),
        "http://elsewhere.example/".to_owned(),
    ];
    match rng.u8(..10) {
        0..3 => (one(rng, &good).into_bytes(), Part::Good),
        3..7 => {
            let address = one(rng, &elsewhere);
            // With a second slash at the end, the instance in the address is empty, so the payload's counts.
            let good = address == format!("{HOOK}//");
            // A percent sign instead of the first slash is no address at all.
            let odd = address.starts_with('%');
            let part = if good {
                Part::Good
            } else if odd {
                Part::Malformed
            } else {
                Part::Refused(&[404, 405, 429])
            };
            (address.into_bytes(), part)
        }
        7 => {
            let long = rng.usize(LARGEST..4 * LARGEST);
            ([HOOK.as_bytes(), b"?", &vec![b'u'; long]].concat(), Part::Malformed)
        }
        8 => {
            let byte = one(rng, b"\0\x01\x7f \t\r\n<>\"\\^`{|}\xff");
            ([b"/elsewhere", &[byte][..], &random(rng, 50)].concat(), Part::Malformed)
        }
        _ => {
            let odd = [&b"*"[..], b"", b"http://", b"://", b"hooks", b"?", b"#", b"//", b"http://[::1", b"a:b", b":80"];
            (one(rng, &odd).to_vec(), Part::Malformed)
        }
    }
}

fn version(rng: &mut Rng) -> (Vec<u8>, Part) {
    const ODD: [&str; 14] = [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/2.0",
        "HTTP/3",
        "HTTP/11",
        "HTTP/1.1.1",
        "HTTP/-1.1",
        "http/1.1",
        "HTTPS/1.1",
        "HTTP/1.1 x",
        "",
        "/1.1",
        "HTTP/1.",
        "ICAP/1.0",
    ];
    match rng.u8(..8) {
        0 => (b"HTTP/1.0".to_vec(), Part::Good),
        1 => (random(rng, 20).iter().map(|byte| byte | 0x80).chain(*b"x").collect(), Part::Malformed),
        _ => (one(rng, &ODD).as_bytes().to_vec(), Part::Malformed),
    }
}

/// A webhook with one wrong header.
pub(super) fn header(rng: &mut Rng) -> Case {
    match rng.u8(..4) {
        0 => framing(rng),
        1 => chunking(rng),
        2 => syntax(rng),
        _ => amount(rng),
    }
}

fn post(headers: &[Vec<u8>], body: &[u8]) -> Vec<u8> {
    compose(format!("POST {HOOK} HTTP/1.1").as_bytes(), headers, body)
}

/// Lengths that contradict each other or the body, or are no numbers.
fn framing(rng: &mut Rng) -> Case {
    let (body, mut headers) = (payload(rng), headers());
    let right = length(&body);
    let announce = |text: &str| format!("content-length: {text}").into_bytes();
    let (announced, statuses): (Vec<Vec<u8>>, &[u16]) = match rng.u8(..9) {
        0 => (vec![right.clone(), right], &[200, 400]),
        1 => (vec![right, announce(one(rng, &["0", "1", "99999", "x"]))], &[400]),
        2 => (
            vec![announce(one(rng, &["-1", "+5", "0x10", "1e3", "1,1", "1 1", "", " ", "NaN", "٣", "\"5\"", "5;"]))],
            &[400],
        ),
        3 => {
            let huge = ["18446744073709551616", "99999999999999999999999999999", "18446744073709551615"];
            (vec![announce(one(rng, &huge))], &[400, 413, 431])
        }
        4 => (vec![announce(&(super::MAX_BODY + rng.usize(1..1_000_000)).to_string())], &[413]),
        // The rest of the body is then read as a request of its own, which is malformed.
        5 => (vec![announce(&rng.usize(..body.len()).to_string())], &[400]),
        // The rest of the body never comes.
        6 => (vec![announce(&(body.len() + rng.usize(1..100)).to_string())], &[400]),
        7 => (vec![right, b"transfer-encoding: chunked".to_vec()], &[400]),
        _ => {
            let encoding =
                ["identity", "gzip", "chunked, gzip", "xchunked", "chunked;x", "", "chunked\x0b", "chu nked"];
            (vec![right, format!("transfer-encoding: {}", one(rng, &encoding)).into_bytes()], &[400, 501])
        }
    };
    headers.extend(announced);
    Case::refused("framing", post(&headers, &body), statuses)
}

/// Chunked bodies that are malformed or unusual.
fn chunking(rng: &mut Rng) -> Case {
    let body = payload(rng);
    let good = chunks(rng, &body);
    let sized = |size: &str| [size.as_bytes(), b"\r\n", &body, b"\r\n0\r\n\r\n"].concat();
    let right = format!("{:x}", body.len());
    match rng.u8(..8) {
        0 => {
            let encoding = one(rng, &["gzip, chunked", "chunked, chunked", "identity, chunked", "deflate,chunked"]);
            Case::answered("chunking", chunked_webhook(encoding, &good), &[501])
        }
        1 => {
            let size = [
                "x",
                "-1",
                "0x10",
                "ffffffffffffffff",
                "10000000000000000",
                "fffffffffffffffff",
                "",
                " ",
                "\0",
                "1 1",
                "٣",
            ];
            Case::refused("chunking", chunked_webhook("chunked", &sized(one(rng, &size))), &[400, 413])
        }
        2 => {
            // The chunk does not end where its size says.
            let wrong = format!("{:x}", rng.usize(1..body.len()));
            Case::refused("chunking", chunked_webhook("chunked", &sized(&wrong)), &[400])
        }
        3 => {
            let extension = format!("{right};{}={}", "e".repeat(rng.usize(1..40_000)), "v".repeat(10));
            Case::refused("chunking", chunked_webhook("chunked", &sized(&extension)), &[200, 400])
        }
        4 => {
            let mut trailers = good;
            trailers.truncate(trailers.len() - 2);
            for number in 0..rng.usize(1..2_000) {
                trailers.extend(format!("content-length: {number}\r\n").as_bytes());
            }
            trailers.extend_from_slice(b"\r\n");
            Case::refused("chunking", chunked_webhook("chunked", &trailers), &[200, 400])
        }
        5 => {
            let upper = sized(&right.to_uppercase());
            Case::answered("chunking", chunked_webhook("Chunked", &upper), &[200])
        }
        6 => {
            let zeros = sized(&format!("{}{right}", "0".repeat(rng.usize(1..30))));
            Case::refused("chunking", chunked_webhook("chunked", &zeros), &[200, 400])
        }
        _ => {
            // HTTP/1.0 has no chunked bodies.
            let bytes = chunked_webhook("chunked", &good);
            let at = bytes.windows(8).position(|window| window == b"HTTP/1.1").unwrap_or_default();
            Case::refused("chunking", [&bytes[..at], b"HTTP/1.0", &bytes[at + 8..]].concat(), &[400])
        }
    }
}

/// Malformed or unusual header lines.
fn syntax(rng: &mut Rng) -> Case {
    const WRONG: [&[u8]; 16] = [
        b"x: a\r\n b",
        b"x: a\r\n\tb",
        b"nocolon",
        b" leading: x",
        b"space : x",
        b": x",
        b"x\0: y",
        b"x: y\0z",
        b"x: \x01",
        b"x: \x7f",
        b"x\xff: y",
        b"x(y): z",
        b"x: y\rz",
        b"\xef\xbb\xbfx: y",
        b"x\ty: z",
        b"host linedown.test",
    ];
    const ODD: [&[u8]; 10] = [
        b"x:",
        b"x:y",
        b"x: \xff\xfe\x80",
        b"x: y\n",
        b"connection: close, close, keep-alive",
        b"host: other",
        b"upgrade: h2c",
        b"content-type: ",
        b"content-type: application/json;;;;=\"",
        b"x-forwarded-for: ,,,,\xff",
    ];
    let (body, mut headers) = (payload(rng), headers());
    headers.push(length(&body));
    let at = rng.usize(..=headers.len());
    if rng.bool() {
        headers.insert(at, one(rng, &WRONG).to_vec());
        Case::refused("syntax", post(&headers, &body), &[400])
    } else {
        headers.insert(at, one(rng, &ODD).to_vec());
        Case::refused("syntax", post(&headers, &body), &[200, 400, 415])
    }
}

/// Many headers, long ones, or none.
fn amount(rng: &mut Rng) -> Case {
    let (body, mut headers) = (payload(rng), headers());
    headers.push(length(&body));
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: y").into_bytes());
    match rng.u8(..6) {
        0 => {
            headers.extend(many(rng.usize(..90)));
            Case::answered("amount", post(&headers, &body), &[200])
        }
        1 => {
            headers.extend(many(rng.usize(100..1_500)));
            Case::refused("amount", post(&headers, &body), &[400, 431])
        }
        2 => {
            headers.push([b"x: ", &vec![b'y'; rng.usize(LARGEST..10 * LARGEST)][..]].concat());
            Case::refused("amount", post(&headers, &body), &[400, 431])
        }
        3 => {
            headers.push([&vec![b'n'; rng.usize(LARGEST..10 * LARGEST)][..], b": v"].concat());
            Case::refused("amount", post(&headers, &body), &[400, 431])
        }
        4 => {
            headers.push([b"x: ", &vec![b'y'; rng.usize(..8_000)][..]].concat());
            Case::answered("amount", post(&headers, &body), &[200])
        }
        _ => Case::refused("amount", post(&[], &body), &[400, 415]),
    }
}
