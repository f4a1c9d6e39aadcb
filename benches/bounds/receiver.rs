//! A sink that takes any HTTP request. It notes the lines that requests name, and can be away for a while.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use regex::Regex;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::{AbortHandle, JoinSet};

/// The sink; it ends when this is dropped.
pub(crate) struct Receiver {
    runtime: Runtime,
    pub(crate) port: u16,
    told: Arc<Told>,
    serving: Option<AbortHandle>,
}

/// The lines of which it was told.
struct Told {
    names: Regex,
    seen: Mutex<HashSet<String>>,
}

impl Receiver {
    /// Starts a sink that notes everything in requests that matches this regex.
    pub(crate) fn start(names: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let told = Told { names: Regex::new(names).expect("it is a regex"), seen: Mutex::default() };
        let mut receiver = Self { runtime: runtime.expect("a runtime"), port: 0, told: Arc::new(told), serving: None };
        receiver.come();
        receiver
    }

    /// Listens; on the same port as before, if it has listened before.
    pub(crate) fn come(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind(("127.0.0.1", self.port))).expect("the port is free");
        self.port = listener.local_addr().expect("it has an address").port();
        self.serving = Some(self.runtime.spawn(serve(listener, Arc::clone(&self.told))).abort_handle());
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn go_away(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            while !serving.is_finished() {
                std::thread::yield_now();
            }
        }
    }

    /// The number of lines of which it was told whose names begin with `prefix`.
    pub(crate) fn told_of(&self, prefix: &str) -> usize {
        let seen = self.told.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|name| name.starts_with(prefix)).count()
    }

    /// Like [`Receiver::told_of`], but waits until there are `count` or nothing new has come for `quiet`.
    pub(crate) fn settle(&self, prefix: &str, count: usize, quiet: Duration) -> usize {
        let (mut told, mut since) = (self.told_of(prefix), Instant::now());
        while told < count && since.elapsed() < quiet {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.told_of(prefix);
            if now > told {
                (told, since) = (now, Instant::now());
            }
        }
        told
    }
}

/// Serves until it is aborted; all connections end with it.
async fn serve(listener: TcpListener, told: Arc<Told>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let told = Arc::clone(&told);
        let service = service_fn(move |request| take(request, Arc::clone(&told)));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn take(request: Request<Incoming>, told: Arc<Told>) -> Result<Response<String>, Infallible> {
    if let Ok(body) = request.into_body().collect().await {
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let mut seen = told.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(told.names.find_iter(&body).map(|name| name.as_str().to_owned()));
    }
    Ok(Response::new("ok".to_owned()))
}
