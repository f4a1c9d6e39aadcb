//! As much HTTP/1.1 as the stand-ins need: one request after another on a connection, each with a length.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The largest body read, in bytes.
const LARGEST: usize = 1024 * 1024;

/// A request as it arrived.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: String,
    /// All headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A client's connection, encrypted or not.
pub(crate) trait Connection: Read + Write + Send {}

impl<S: Read + Write + Send> Connection for S {}

/// Makes a connection of an accepted stream, encrypted if there are settings for TLS.
pub(crate) fn connection(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Box<dyn Connection> {
    // Give up on a client that sends nothing more.
    let _ = stream.set_read_timeout(Some(crate::DEADLINE));
    match tls {
        None => Box::new(stream),
        Some(config) => {
            let server = ServerConnection::new(config).expect("the settings are sound");
            Box::new(StreamOwned::new(server, stream))
        }
    }
}

/// Reads the next request of a connection.
pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Request> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = words.next().zip(words.next()).ok_or(ErrorKind::InvalidData)?;
    let mut request = Request { method, path, ..Request::default() };
    let mut length = 0;
    loop {
        line.clear();
        input.read_line(&mut line)?;
        // The network may have cut it anywhere.
        if !line.ends_with('\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "content-type" => request.content_type.clone_from(&value),
            "content-length" => length = value.parse().map_err(|_| ErrorKind::InvalidData)?,
            _ => {}
        }
        request.headers.push((name, value));
    }
    if length > LARGEST {
        return Err(ErrorKind::FileTooLarge.into());
    }
    request.body = vec![0; length];
    input.read_exact(&mut request.body)?;
    Ok(request)
}

/// Sends an answer whose `Content-Length` is `length`, which may be more than the body has.
pub(crate) fn answer(
    stream: &mut dyn Write,
    status: u16,
    headers: &[(String, String)],
    body: &str,
    length: usize,
) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} Standin\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all((text + "\r\n" + body).as_bytes())?;
    stream.flush()
}
