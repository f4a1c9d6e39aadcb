//! The stream that lettre reads and writes, which bounds how much a relay may say.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::answers::Answers;

/// Time limit for the TCP connection alone, to one address.
const CONNECT: Duration = Duration::from_secs(10);
/// The most bytes that a relay may send between two writes to it: an answer is one line or a few. lettre checks the
/// length of a line only when it has the whole line.
const MOST: usize = 64 * 1024;
/// A greeting for lettre, which expects one: after STARTTLS the relay does not greet again (RFC 3207, 4.2).
const GREETING: &[u8] = b"220 \r\n";

/// The most bytes that one read takes from a connection.
const PIECE: usize = 1024;

/// A relay's answer is longer than [`MOST`].
#[derive(Debug, thiserror::Error)]
#[error("more than {} KiB in one answer", MOST / 1024)]
pub(super) struct Endless;

/// A connection, encrypted or not.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    /// What is read before anything else that comes over the stream.
    heard: Vec<u8>,
    answers: Answers,
    /// The most bytes that one read takes from the stream.
    at_once: usize,
    /// How many bytes the relay may still send before the next write.
    left: usize,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, heard: Vec::new(), answers: Answers::default(), at_once: PIECE, left: MOST }
    }

    /// A stream on which the relay has greeted already: it begins with [`GREETING`].
    pub(super) fn greeted(stream: S) -> Self {
        Self { heard: GREETING.to_vec(), ..Self::new(stream) }
    }

    /// A stream that is read byte by byte: bytes after an answer stay in the socket, for the next reader.
    pub(super) fn byte_by_byte(stream: S) -> Self {
        Self { at_once: 1, ..Self::new(stream) }
    }
}

/// Connects to a relay by TCP, at the first of its addresses that accepts.
pub(super) async fn dial((host, port): &(String, u16)) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "its name has no address");
    for address in lookup_host((host.as_str(), *port)).await? {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(late) => last = io::Error::new(ErrorKind::TimedOut, late),
        }
    }
    Err(last)
}

/// Duplicates the connection, for lettre, which keeps the stream it is given.
pub(super) fn twice(stream: TcpStream) -> io::Result<[TcpStream; 2]> {
    let stream = stream.into_std()?;
    let other = stream.try_clone()?;
    Ok([TcpStream::from_std(stream)?, TcpStream::from_std(other)?])
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Until an answer is complete there is nothing to read.
        while this.heard.is_empty() {
            if this.left == 0 {
                return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, Endless)));
            }
            let mut piece = [0; PIECE];
            let mut part = ReadBuf::new(&mut piece[..this.at_once.min(this.left)]);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
            if part.filled().is_empty() {
                break;
            }
            this.left -= part.filled().len();
            this.answers.spell(part.filled(), &mut this.heard);
        }
        let read = this.heard.len().min(buffer.remaining());
        buffer.put_slice(&this.heard[..read]);
        this.heard.drain(..read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.left = MOST;
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Wire<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncTokioStream for Wire<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.peer_addr()
    }
}
