//! Accepts connections: binds the socket, bounds the number of connections, reads PROXY headers, speaks TLS, enforces
//! time limits, and drains.

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
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use warp::{Filter, Reply};

use super::Peer;
use super::connections::{Busy, Connections};
use super::hook::Hook;
use super::proxies::Proxies;
use crate::certificate::CHALLENGE_PROTOCOL;

/// How long a client may take for a PROXY header, a TLS handshake or a request's head, and stay idle between requests.
pub(super) const HEAD: Duration = Duration::from_secs(10);
/// How long a client may read nothing of an answer.
const UNREAD: Duration = Duration::from_secs(10);
/// How long a client without a request in progress may take after the stop: to send the whole head of a request, or to
/// read the rest of an answer.
const LAST_CHANCE: Duration = Duration::from_secs(2);
/// The pause after a connection that could not be accepted.
const REST: Duration = Duration::from_millis(100);
/// Most bytes of a request's head.
const LARGEST_HEAD: usize = 16 * 1024;
/// Most connections that wait in the kernel to be accepted. A client beyond that retries after a second or more.
const WAITING: u32 = 4096;
/// Most connections to the local API.
const LOCAL_CONNECTIONS: usize = 32;

/// Binds the port for webhooks.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Allows a restart while connections of the former process still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// The socket that systemd hands over, if it does. systemd keeps it open when we end: clients that connect meanwhile
/// wait in the kernel for the next process. Fails if there is more than one socket, or if it is not a listening TCP
/// socket.
pub fn inherited() -> io::Result<Option<TcpListener>> {
    // By sd_listen_fds(3) this means none; libsystemd takes it for an error.
    if std::env::var_os("LISTEN_FDS").is_some_and(|number| number == "0") {
        return Ok(None);
    }
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

/// Serves webhooks until told to stop, then finishes the requests in progress. `most` bounds the number of connections.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    most: usize,
    hook: Arc<Hook>,
    routes: impl Filter<Error = Infallible, Extract: Reply, Future: Send> + Clone + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) {
    let connections = Connections::new(most);
    let proxies = Arc::new(Proxies::new(hook));
    let graceful = GracefulShutdown::new();
    while let Some((stream, peer)) = next(&listener, &mut stop).await {
        // This connection has been accepted: stopping right now would leave its client without an answer.
        let place = async { Some(connections.place().await) };
        let Some(place) = in_time(place, &stop).await else { break };
        let (number, routes, watcher) = (place.number(), routes.clone(), graceful.watcher());
        let (tls, proxies, stop) = (tls.clone(), Arc::clone(&proxies), stop.clone());
        let task = tokio::spawn(async move {
            // The place is given back when this ends.
            let place = place;
            // Answers are small, so there is nothing to gain from delaying them.
            let _ = stream.set_nodelay(true);
            let Some((stream, peer)) = in_time(proxies.identify(stream, peer.ip()), &stop).await else { return };
            let client = Client { peer: peer.map(Peer), busy: Arc::clone(&place.busy) };
            let Some(config) = tls else { return converse(stream, client, routes, watcher, &stop).await };
            if let Some(stream) = in_time(shake_hands(config, stream, peer), &stop).await {
                converse(stream, client, routes, watcher, &stop).await;
            }
        });
        connections.serves(number, task.abort_handle());
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Accepts the next connection; none if it is told to stop.
async fn next(listener: &TcpListener, stop: &mut watch::Receiver<bool>) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection; trying again");
                sleep(REST).await;
            }
        }
    }
}

/// The client of a connection.
struct Client {
    /// None on the local API.
    peer: Option<Peer>,
    busy: Arc<Busy>,
}

/// Waits for the first step of a new connection, unless the time for that after a stop is over.
async fn in_time<T>(arrival: impl Future<Output = Option<T>>, stop: &watch::Receiver<bool>) -> Option<T> {
    tokio::select! {
        arrived = arrival => arrived,
        () = overdue(stop.clone()) => None,
    }
}

/// Returns once [`LAST_CHANCE`] has passed since the stop.
async fn overdue(mut stop: watch::Receiver<bool>) {
    // A sender that is gone counts as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
    sleep(LAST_CHANCE).await;
}

/// Returns once [`LAST_CHANCE`] has passed since the stop, or since the last request after it, and no request is in
/// progress.
async fn idle_after(mut stop: watch::Receiver<bool>, busy: &Busy) {
    let _ = stop.wait_for(|stop| *stop).await;
    loop {
        sleep(LAST_CHANCE).await;
        if !busy.is_working() {
            return;
        }
        busy.finished().await;
    }
}

async fn shake_hands(
    config: Arc<rustls::ServerConfig>,
    stream: BufReader<TcpStream>,
    peer: Option<IpAddr>,
) -> Option<tokio_rustls::server::TlsStream<BufReader<TcpStream>>> {
    match timeout(HEAD, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(mut stream)) => {
            // An authority that validates a name needs no more than the handshake.
            if stream.get_ref().1.alpn_protocol() == Some(CHALLENGE_PROTOCOL) {
                let _ = timeout(HEAD, stream.shutdown()).await;
                return None;
            }
            Some(stream)
        }
        Ok(Err(error)) => {
            tracing::debug!(?peer, error = %error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: Client,
    routes: impl Filter<Error = Infallible, Extract: Reply, Future: Send> + Clone + Send + Sync + 'static,
    watcher: Watcher,
    stop: &watch::Receiver<bool>,
) {
    let busy = Arc::clone(&client.busy);
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(UNREAD));
    let service = TowerToHyperService::new(warp::service(routes));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        if let Some(peer) = client.peer {
            request.extensions_mut().insert(peer);
        }
        let working = client.busy.begin();
        let answer = working.is_some().then(|| hyper::service::Service::call(&service, request));
        async move {
            // The connection is about to be closed for a newer one.
            let Some(answer) = answer else { return std::future::pending().await };
            let answer = answer.await;
            drop(working);
            answer
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // Accept a complete webhook even if its sender no longer waits: otherwise hyper drops the handler as soon as
        // the sender stops sending, whether or not the webhook is committed.
        .half_close(true)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let conversation = async {
        // Once watched, a connection without a request is closed at once on a stop. But a webhook may be on its way, so
        // watch it only after its first request has begun.
        tokio::select! {
            ended = &mut connection => return ended,
            () = busy.begun() => {}
        }
        watcher.watch(connection).await
    };
    tokio::select! {
        ended = conversation => if let Err(error) = ended {
            tracing::debug!(error = %error, "connection ended early");
        },
        () = idle_after(stop.clone(), &busy) => tracing::debug!("closed a connection without a request in progress"),
    }
}

/// Serves the local API on a Unix socket until told to stop.
pub async fn serve_local(
    listener: UnixListener,
    routes: impl Filter<Error = Infallible, Extract: Reply, Future: Send> + Clone + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) {
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
            sleep(REST).await;
            continue;
        };
        let (routes, watcher, stop) = (routes.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            converse(stream, Client { peer: None, busy: Arc::default() }, routes, watcher, &stop).await;
        });
    }
    graceful.shutdown().await;
}
