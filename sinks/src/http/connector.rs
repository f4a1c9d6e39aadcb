//! Connects to a far side: directly, through a proxy of this system, or by a Unix socket.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderMap, USER_AGENT};
use hyper::http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::client::AGENT;
use super::wire::Wire;

/// After how much silence the system asks whether the other end is still there, and how often.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How many of these questions may stay without an answer.
const UNANSWERED: u32 = 3;

pub(super) type AnyError = Box<dyn Error + Send + Sync>;
type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<Wire>, AnyError>> + Send>>;

/// Makes connections to one far side, each within a time limit.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) dialler: Dialler,
    /// None: directly.
    pub(super) proxies: Option<Arc<Matcher>>,
    pub(super) limit: Duration,
}

impl Connector {
    async fn connect(self, to: Uri) -> Result<TokioIo<Wire>, AnyError> {
        let Self { mut dialler, proxies, limit } = self;
        let connecting = async {
            match proxies.and_then(|proxies| proxies.intercept(&to)) {
                None => dialler.call(to).await,
                Some(proxy) if to.scheme() == Some(&Scheme::HTTPS) => dialler.tunnel(&proxy, to).await,
                Some(proxy) => {
                    let wire = dialler.call(proxy.uri().clone()).await?;
                    Ok(TokioIo::new(wire.into_inner().passing_on()))
                }
            }
        };
        timeout(limit, connecting).await.unwrap_or_else(|late| Err(io::Error::new(ErrorKind::TimedOut, late).into()))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = AnyError;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Connecting {
        Box::pin(self.clone().connect(to))
    }
}

/// Makes connections, encrypted if the address says so.
#[derive(Clone)]
pub(super) struct Dialler {
    pub(super) way: Way,
    pub(super) tls: TlsConnector,
    /// The most bytes that the far side may send before the next request.
    pub(super) most: usize,
}

/// By what a far side is reached.
#[derive(Clone)]
pub(super) enum Way {
    /// At the address's host and port.
    Tcp(HttpConnector),
    /// At this socket, whatever the address says.
    Unix(PathBuf),
}

impl Way {
    pub(super) fn tcp(limit: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limit));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(UNANSWERED));
        Self::Tcp(tcp)
    }
}

impl Dialler {
    async fn dial(self, to: Uri) -> Result<TokioIo<Wire>, AnyError> {
        let wire = match &self.way {
            Way::Tcp(tcp) => Wire::new(tcp.clone().call(to.clone()).await?.into_inner(), self.most),
            Way::Unix(socket) => Wire::new(UnixStream::connect(socket).await?, self.most),
        };
        let is_encrypted = to.scheme() == Some(&Scheme::HTTPS);
        Ok(TokioIo::new(if is_encrypted { self.encrypt(wire, &to).await? } else { wire }))
    }

    /// Connects to a far side through a proxy, which sees only what is encrypted.
    async fn tunnel(self, proxy: &Intercept, to: Uri) -> Result<TokioIo<Wire>, AnyError> {
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.clone());
        tunnel = tunnel.with_headers(HeaderMap::from_iter([(USER_AGENT, AGENT)]));
        if let Some(login) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(login.clone());
        }
        let wire = tunnel.call(to.clone()).await?.into_inner();
        Ok(TokioIo::new(self.encrypt(wire, &to).await?))
    }

    async fn encrypt(&self, wire: Wire, to: &Uri) -> Result<Wire, AnyError> {
        let host = to.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())?;
        Ok(wire.encrypted(&self.tls, name).await?)
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<Wire>;
    type Error = AnyError;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Connecting {
        Box::pin(self.clone().dial(to))
    }
}
