//! What lettre reads from and writes to: a relay that may say only so much.

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

/// For the TCP connection alone, to one address.
const CONNECT: Duration = Duration::from_secs(10);
/// Most bytes that a relay may say before it is told something else: an answer is a line or a few. lettre looks at the
/// length of a line when it has all of it.
const MOST: usize = 64 * 1024;
/// What a relay has said when TLS begins after STARTTLS, by RFC 3207, 4.2.
const GREETING: &[u8] = b"220 \r\n";

/// A relay's answer does not end.
#[derive(Debug, thiserror::Error)]
#[error("more than {} KiB in one answer", MOST / 1024)]
pub(super) struct Endless;

/// A connection, encrypted or not.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    /// What is heard before anything that comes over it.
    greeting: &'static [u8],
    /// Most bytes that one look takes from it.
    at_once: usize,
    /// How much the relay may say until it is told something.
    left: usize,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, greeting: &[], at_once: usize::MAX, left: MOST }
    }

    /// Begins where the relay has greeted already.
    pub(super) fn greeted(stream: S) -> Self {
        Self { greeting: GREETING, ..Self::new(stream) }
    }

    /// Takes byte after byte: what follows an answer stays where it is, for whoever reads the stream next.
    pub(super) fn byte_by_byte(stream: S) -> Self {
        Self { at_once: 1, ..Self::new(stream) }
    }
}

/// A TCP connection to a relay, to the first of its addresses that takes one.
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

/// The connection a second time, for somebody who keeps what he gets.
pub(super) fn twice(stream: TcpStream) -> io::Result<[TcpStream; 2]> {
    let stream = stream.into_std()?;
    let other = stream.try_clone()?;
    Ok([TcpStream::from_std(stream)?, TcpStream::from_std(other)?])
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.greeting.is_empty() {
            let (heard, later) = this.greeting.split_at(this.greeting.len().min(buffer.remaining()));
            buffer.put_slice(heard);
            this.greeting = later;
            return Poll::Ready(Ok(()));
        }
        if this.left == 0 {
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, Endless)));
        }
        let most = buffer.remaining().min(this.at_once).min(this.left);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        this.left -= read;
        buffer.advance(read);
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
