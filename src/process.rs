//! What surrounds the daemon in its process: signals and the log.

use std::io;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::daemon::Signals;

/// How log records are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line a record, for people
    Text,
    /// A JSON object a line, for programs
    Json,
}

/// SIGHUP reloads; SIGTERM and SIGINT drain, the second of them ends at once. To be called within the runtime.
pub(crate) fn signals() -> io::Result<Signals> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // One reload is waiting at most: it will read what is there by then.
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

/// Records go to standard error; `LINEDOWN_LOG` filters them (`info` by default).
pub(crate) fn log(format: LogFormat, colour: bool) {
    let filter = EnvFilter::try_from_env("LINEDOWN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // The journal has its own clock.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text if in_journal => builder.with_ansi(false).without_time().init(),
        LogFormat::Text => builder.with_ansi(colour).init(),
    }
}
