//! Why the daemon cannot start, or must stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use linedown_sinks::BuildError;

use crate::delivery::NotBuilt;
use crate::store::StoreError;

/// Why the daemon cannot start, or must stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] StoreError),
    /// The store turned out to be damaged while in use.
    #[error("the store is damaged; the next start copies what can be read into a new one")]
    Damaged,
    /// A sink could not be set up.
    #[error(transparent)]
    Sink(#[from] NotBuilt),
    /// The HTTP client for gateways or for the heartbeat could not be set up.
    #[error("cannot set up the client for the gateways")]
    Gateway(#[from] BuildError),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The threads that take webhooks cannot be started.
    #[error("cannot start the threads that take webhooks")]
    Intake(#[source] io::Error),
    /// The port cannot be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The socket that systemd hands over does not accept connections.
    #[error("cannot listen on the socket that systemd hands over")]
    Inherited(#[source] io::Error),
    /// The local API's socket cannot be bound.
    #[error("cannot open the socket {} for the local commands", path.display())]
    Local {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
