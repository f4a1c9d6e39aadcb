//! Sockets: bound, accepted within a bound on connections, a proxy's word for who calls, TLS where it is on, timed
//! out, drained.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use warp::{Filter, Reply};

use super::Peer;
use super::connections::{Busy, Connections};
use super::hook::Hook;
use super::proxies::Proxies;
use crate::certificate::CHALLENGE_PROTOCOL;

/// How long a client may take for a PROXY header, for a TLS handshake, for a request's head, or idle between requests.
pub(super) const HEAD: Duration = Duration::from_secs(10);
/// How long who has connected before we were told to stop, and has not asked for anything yet, may still begin to.
const NEWCOMER: Duration = Duration::from_secs(2);
/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;
/// Most connections that wait in the kernel to be accepted. One too many is tried again after a second, or later.
const WAITING: u32 = 4096;
/// Most connections to the local API.
const LOCAL_CONNECTIONS: usize = 32;

/// Binds the webhooks' port.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Started again, it need not wait until the last connections of before are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// The socket that systemd hands over, if it does. It stays open there when we end: who connects while nobody
/// accepts waits in the kernel for our successor.
pub fn inherited() -> io::Result<Option<TcpListener>> {
    let sockets = systemd::daemon::listen_fds()?;
    let mut sockets = sockets.iter();
    let Some(socket) = sockets.next() else { return Ok(None) };
    if sockets.next().is_some() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is more than one socket"));
    }
    let listener = systemd::daemon::tcp_listener(socket)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "it is not a listening TCP socket"))?;
    ready(listener).map(Some)
}

fn ready(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves webhooks until told to stop, then finishes the requests that are under way.
pub async fn serve<F>(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    most: usize,
    hook: Arc<Hook>,
    routes: F,
    mut stop: watch::Receiver<bool>,
) where
    F: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: Reply,
    F::Future: Send,
{
    let connections = Connections::new(most);
    let proxies = Arc::new(Proxies::new(hook));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection; trying again");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Who is accepted is ours: to stop now would leave it without an answer.
        let place = async { Some(connections.place().await) };
        let Some(place) = in_time(place, &stop).await else { break };
        let (number, routes, watcher) = (place.number(), routes.clone(), graceful.watcher());
        let (tls, proxies, stop) = (tls.clone(), Arc::clone(&proxies), stop.clone());
        let task = tokio::spawn(async move {
            // Answers are small: nothing is won by holding them back.
            let _ = stream.set_nodelay(true);
            let busy = Arc::clone(&place.busy);
            if let Some((stream, peer)) = in_time(proxies.identify(stream, peer.ip()), &stop).await {
                let from = From { peer: Some(Peer(peer)), busy };
                match tls {
                    None => converse(stream, from, routes, watcher, &stop).await,
                    Some(config) => {
                        if let Some(stream) = in_time(shake_hands(config, stream, peer), &stop).await {
                            converse(stream, from, routes, watcher, &stop).await;
                        }
                    }
                }
            }
            drop(place);
        });
        connections.serves(number, task.abort_handle());
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Who is at the other end of a connection.
struct From {
    peer: Option<Peer>,
    busy: Arc<Busy>,
}

/// What a newcomer does first, unless the time for that is over.
async fn in_time<T>(arrival: impl Future<Output = Option<T>>, stop: &watch::Receiver<bool>) -> Option<T> {
    tokio::select! {
        arrived = arrival => arrived,
        () = overdue(stop.clone()) => None,
    }
}

/// A while after we were told to stop.
async fn overdue(mut stop: watch::Receiver<bool>) {
    // Who would tell us is gone: that is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
    sleep(NEWCOMER).await;
}

async fn shake_hands(
    config: Arc<rustls::ServerConfig>,
    stream: BufReader<TcpStream>,
    peer: IpAddr,
) -> Option<tokio_rustls::server::TlsStream<BufReader<TcpStream>>> {
    match timeout(HEAD, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(mut stream)) => {
            // Who validates a name has seen by now what there is to see.
            if stream.get_ref().1.alpn_protocol() == Some(CHALLENGE_PROTOCOL) {
                let _ = timeout(HEAD, stream.shutdown()).await;
                return None;
            }
            Some(stream)
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, error = %error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

async fn converse<S, F>(stream: S, from: From, routes: F, watcher: Watcher, stop: &watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: Reply,
    F::Future: Send,
{
    let busy = Arc::clone(&from.busy);
    let service = TowerToHyperService::new(warp::service(routes));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        if let Some(peer) = from.peer {
            request.extensions_mut().insert(peer);
        }
        let working = from.busy.begin();
        let answer = working.is_some().then(|| hyper::service::Service::call(&service, request));
        async move {
            // Who makes way is about to be ended.
            let Some(answer) = answer else { return std::future::pending().await };
            let answer = answer.await;
            drop(working);
            answer
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // A webhook that has come is taken, whether or not its sender still waits: without this, hyper drops what is
        // at work on a request as soon as its sender stops sending, committed or not.
        .half_close(true)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // What is watched and has not asked for anything is closed at once when we stop. But a webhook may be on its way.
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = busy.begun() => None,
        () = overdue(stop.clone()) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => watcher.watch(connection).await,
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "connection ended early");
    }
}

/// Serves the local API on a Unix socket until told to stop.
pub async fn serve_local<F>(listener: UnixListener, routes: F, mut stop: watch::Receiver<bool>)
where
    F: Filter<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Extract: Reply,
    F::Future: Send,
{
    let room = Arc::new(Semaphore::new(LOCAL_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let arrival = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            arrived = arrival => arrived,
            _ = stop.changed() => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (routes, watcher, stop) = (routes.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            converse(stream, From { peer: None, busy: Arc::default() }, routes, watcher, &stop).await;
        });
    }
    graceful.shutdown().await;
}
