//! Reads the PROXY header at the beginning of a connection, if it comes from a proxy that sends one.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::guard::Guard;
use super::hook::Hook;
use super::listener::HEAD;
use super::proxy::header;
use crate::clock;

/// Size of the buffer that a header is read into, in bytes. Usual headers are smaller.
const BUFFER: usize = 512;

/// Finds out for whom proxies connect, and limits the log's complaints about proxies that do not say so.
pub(super) struct Proxies {
    hook: Arc<Hook>,
    complaints: Mutex<Guard>,
}

impl Proxies {
    pub(super) fn new(hook: Arc<Hook>) -> Self {
        Self { hook, complaints: Mutex::default() }
    }

    /// Returns the connection, positioned after the PROXY header if there must be one, with the client's address. A
    /// client that the header does not name has none: nothing that it says about itself may be taken for the proxy's
    /// word. None if the header is missing or malformed, or does not arrive in time.
    pub(super) async fn identify(
        &self,
        stream: TcpStream,
        peer: IpAddr,
    ) -> Option<(BufReader<TcpStream>, Option<IpAddr>)> {
        // Larger reads bypass the buffer.
        let mut stream = BufReader::with_capacity(BUFFER, stream);
        if !self.hook.is_announced(peer) {
            return Some((stream, Some(peer)));
        }
        match timeout(HEAD, header::read(&mut stream)).await {
            Ok(Ok(named)) => Some((stream, named)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                self.complain(peer, &error);
                None
            }
            // Some proxies check our health by merely connecting.
            Ok(Err(error)) => {
                tracing::debug!(%peer, error = %error, "a proxy's connection ended early");
                None
            }
            Err(_) => None,
        }
    }

    /// Logs a missing header, as often as [`Guard`] allows: a misconfigured proxy would otherwise fill the log.
    fn complain(&self, peer: IpAddr, error: &io::Error) {
        let mut complaints = self.complaints.lock();
        if complaints.wrong(peer, clock::now()).is_none() {
            tracing::warn!(name: "no-proxy-header", %peer, why = %error, "closed a connection from a trusted proxy without a valid PROXY header; let the proxy send one, or turn server.proxy_protocol off");
        }
    }
}
