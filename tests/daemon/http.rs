//! HTTP by hand: sends exactly the bytes that a test means to send.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// What the daemon answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or null.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A request's bytes. Adds a `content-length` unless a header says how the body is framed.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let framed = headers.iter().any(|(name, _)| ["content-length", "transfer-encoding"].contains(name));
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: linedown.test\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !framed {
        head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Sends a request and reads one answer; none if the connection was closed without one.
pub(crate) fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> Option<Answer> {
    // A daemon that has answered already may have stopped reading.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    read(stream)
}

/// Sends requests without reading answers until the daemon accepts nothing for `patience`. Returns why it ended.
pub(crate) fn ask_without_reading(mut stream: &TcpStream, patience: Duration) -> io::Error {
    stream.set_write_timeout(Some(patience)).expect("a timeout can be set");
    let requests = request("GET", "/metrics", &[], b"").repeat(100);
    loop {
        if let Err(error) = stream.write_all(&requests) {
            return error;
        }
    }
}

/// Reads one answer, which may be an interim one such as 100.
pub(crate) fn read(stream: impl Read) -> Option<Answer> {
    let mut lines = BufReader::new(stream);
    let first = line(&mut lines)?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        match line(&mut lines)? {
            end if end.is_empty() => break,
            header => {
                let (name, value) = header.split_once(':')?;
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
    let mut answer = Answer { status, headers, body: String::new() };
    let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    lines.take(length).read_to_string(&mut answer.body).ok()?;
    Some(answer)
}

fn line(lines: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    lines.read_line(&mut line).ok().filter(|length| *length > 0)?;
    Some(line.trim_end().to_owned())
}
