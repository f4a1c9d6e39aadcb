//! As much HTTP/1.1 as it takes: one request a connection, with a length.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

/// Largest body read.
const LARGEST: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

pub(super) fn read(stream: &mut dyn Read) -> io::Result<Request> {
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = words.next().zip(words.next()).ok_or(ErrorKind::InvalidData)?;
    let mut request = Request { method, path, ..Request::default() };
    let mut length = 0;
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-type" => value.trim().clone_into(&mut request.content_type),
            "content-length" => length = value.trim().parse().map_err(|_| ErrorKind::InvalidData)?,
            _ => {}
        }
    }
    if length > LARGEST {
        return Err(ErrorKind::FileTooLarge.into());
    }
    request.body = vec![0; length];
    input.read_exact(&mut request.body)?;
    Ok(request)
}

/// Sends an answer that says it is `length` long.
pub(super) fn answer(
    stream: &mut dyn Write,
    status: u16,
    headers: &[(String, String)],
    body: &str,
    length: usize,
) -> io::Result<()> {
    let headers: String =
        headers.iter().flat_map(|(name, value)| [name.as_str(), ": ", value.as_str(), "\r\n"]).collect();
    write!(
        stream,
        "HTTP/1.1 {status} Standin\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )?;
    stream.flush()
}
