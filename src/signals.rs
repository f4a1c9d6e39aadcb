//! The signals that the daemon obeys.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::daemon::Signals;

/// Listens for signals: SIGHUP reloads; SIGTERM and SIGINT drain, and a second one exits at once. SIGXFSZ does nothing.
/// Must be called within the runtime.
pub(crate) fn catch() -> io::Result<Signals> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // So that a write beyond the largest size of a file (`ulimit -f`) fails, as on a full disk, instead of killing the
    // daemon. (What listens may go; the handler stays.)
    drop(signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?);
    // One pending reload is enough: it reads whatever config is there when it runs.
    let (reload_sender, reload) = mpsc::channel(1);
    let (stop_sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    let _ = reload_sender.try_send(());
                    continue;
                }
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop_sender.send_replace(true) {
                std::process::exit(1);
            }
        }
    });
    Ok(Signals { reload, stop })
}
