//! The stream that the HTTP client reads and writes, which bounds how much the far side may send.
//!
//! The client would read a stream of interim answers (1xx) for as long as it comes, and at full speed that keeps a
//! whole thread busy. The bytes are counted as they arrive from the network, below any encryption, and the count begins
//! anew with each request.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;

/// The far side has sent more than it may before the next request.
#[derive(Debug, thiserror::Error)]
#[error("more than {} KiB in one answer", .0 / 1024)]
pub(super) struct Endless(usize);

/// How many bytes the far side may still send.
#[derive(Debug)]
struct Allowance {
    most: usize,
    left: AtomicUsize,
}

/// A stream of bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, encrypted or not.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    allowance: Arc<Allowance>,
    /// Whether a proxy at the other end is to pass unencrypted requests on.
    passes_on: bool,
}

impl Wire {
    /// A connection on which at most `most` bytes may come before the first request, and after each.
    pub(super) fn new(stream: impl Stream + 'static, most: usize) -> Self {
        let allowance = Arc::new(Allowance { most, left: AtomicUsize::new(most) });
        let stream = Box::new(Counted { stream, allowance: Arc::clone(&allowance) });
        Self { stream, allowance, passes_on: false }
    }

    /// The same connection to a proxy that passes unencrypted requests on.
    pub(super) fn passing_on(self) -> Self {
        Self { passes_on: true, ..self }
    }

    /// Encrypts the connection.
    pub(super) async fn encrypted(self, tls: &TlsConnector, name: ServerName<'static>) -> io::Result<Self> {
        Ok(Self { stream: Box::new(tls.connect(name, self.stream).await?), ..self })
    }

    /// What is sent is a request, or a part of one.
    fn writing(self: Pin<&mut Self>) -> Pin<&mut dyn Stream> {
        let this = self.get_mut();
        this.allowance.left.store(this.allowance.most, Ordering::Relaxed);
        Pin::new(&mut *this.stream)
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.passes_on)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writing().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing().poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// The connection as the network has it.
struct Counted<S> {
    stream: S,
    allowance: Arc<Allowance>,
}

impl<S: Stream> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, allowance } = self.get_mut();
        let left = allowance.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, Endless(allowance.most))));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        allowance.left.store(left.saturating_sub(read), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
