//! The beginning of a connection: whom a proxy speaks for, where it is to say so first.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::guard::Guard;
use super::hook::Hook;
use super::listener::HEAD;
use super::proxy::header;
use crate::clock;

/// What a header is read into, in bytes: a usual one and more.
const BUFFER: usize = 512;

/// The proxies whose connections begin with a PROXY header, and how often one of them was complained of.
pub(super) struct Proxies {
    hook: Arc<Hook>,
    complaints: Mutex<Guard>,
}

impl Proxies {
    pub(super) fn new(hook: Arc<Hook>) -> Self {
        Self { hook, complaints: Mutex::default() }
    }

    /// A connection from where what it is about begins, and who is at its other end: by a proxy's word, where it is to
    /// give that first. None if it does not.
    pub(super) async fn identify(&self, stream: TcpStream, peer: IpAddr) -> Option<(BufReader<TcpStream>, IpAddr)> {
        // Whoever reads more at once reads past the buffer.
        let mut stream = BufReader::with_capacity(BUFFER, stream);
        if !self.hook.is_announced(peer) {
            return Some((stream, peer));
        }
        match timeout(HEAD, header::read(&mut stream)).await {
            Ok(Ok(named)) => Some((stream, named.unwrap_or(peer))),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                self.complain(peer, &error);
                None
            }
            // Some look whether we are well by connecting alone.
            Ok(Err(error)) => {
                tracing::debug!(%peer, error = %error, "a proxy's connection ended early");
                None
            }
            Err(_) => None,
        }
    }

    /// A proxy that is set up otherwise would fill the log: as many records as for wrong guesses, then one every 6 s.
    fn complain(&self, peer: IpAddr, error: &io::Error) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.wrong(peer, clock::now()).is_none() {
            tracing::warn!(name: "no-proxy-header", %peer, why = %error, "closed a connection from a trusted proxy without a valid PROXY header; let the proxy send one, or turn server.proxy_protocol off");
        }
    }
}
