//! Where the socket is: the daemon and the commands find it alike.

use std::path::{Path, PathBuf};

use crate::config::{Config, Whereabouts};

/// The name of the socket in the runtime directory.
const SOCKET: &str = "linedown.sock";

/// The runtime directory of the service.
const RUNTIME_DIRECTORY: &str = "/run/linedown";

/// The socket on which the daemon listens for commands: the configured one, or one in its runtime directory, or beside
/// its store.
pub fn socket(config: &Config) -> PathBuf {
    config.server.api.clone().unwrap_or_else(|| by_itself(&config.store.path))
}

/// The sockets at which a command looks for the daemon, in order.
pub fn sockets(Whereabouts { api, store, .. }: &Whereabouts) -> Vec<PathBuf> {
    if let Some(path) = api {
        return vec![path.clone()];
    }
    let mut sockets = vec![beside(store), by_itself(store), PathBuf::from(RUNTIME_DIRECTORY).join(SOCKET)];
    sockets.dedup();
    sockets
}

/// The socket of a daemon without `server.api`.
fn by_itself(store: &Path) -> PathBuf {
    match std::env::var_os("RUNTIME_DIRECTORY") {
        Some(folder) => PathBuf::from(folder).join(SOCKET),
        None => beside(store),
    }
}

fn beside(store: &Path) -> PathBuf {
    store.with_extension("sock")
}
