//! The daemon's sockets: the port for webhooks, and the Unix socket for commands.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::runtime::Handle;

use super::StartError;
use crate::server::listener;

/// Takes the socket that systemd hands over, or else binds the address. The threads of `runtime` are woken for it.
pub(super) fn listen(address: SocketAddr, runtime: &Handle) -> Result<TcpListener, StartError> {
    let _entered = runtime.enter();
    match listener::inherited().map_err(StartError::Inherited)? {
        Some(listener) => Ok(listener),
        None => listener::bind(address).map_err(|source| StartError::Listen { address, source }),
    }
}

/// Binds the socket for commands. Replaces a socket that nobody listens on, and nothing else.
pub(super) async fn bind_local(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "the file there is not a socket"));
        }
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::Error::new(ErrorKind::AddrInUse, "another program listens there")),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
