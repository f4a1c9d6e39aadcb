//! What surrounds the daemon in its process: signals and the log.

use std::io;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::daemon::Signals;
use crate::journal::{self, Journal};

/// How log records are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line a record, for people
    Text,
    /// A JSON object a line, for programs
    Json,
    /// To journald, with fields to filter by
    Journal,
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

/// Records go to journald where systemd started us, else to standard error; `LINEDOWN_LOG` filters them (`info` by
/// default).
pub(crate) fn log(format: Option<LogFormat>, colour: bool) {
    let filter = EnvFilter::try_from_env("LINEDOWN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let by_itself = || if journal::has_stderr() { LogFormat::Journal } else { LogFormat::Text };
    let written = |filter| fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    match format.unwrap_or_else(by_itself) {
        LogFormat::Journal => tracing_subscriber::registry().with(filter).with(Journal).init(),
        LogFormat::Json => written(filter).json().flatten_event(true).init(),
        // The journal has its own clock.
        LogFormat::Text if journal::has_stderr() => written(filter).with_ansi(false).without_time().init(),
        LogFormat::Text => written(filter).with_ansi(colour).init(),
    }
}
