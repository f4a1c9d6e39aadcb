//! Arguments, logging, signals, exit code.

use std::io;
use std::process::ExitCode;

use linedown::cli::{self, LogFormat, Surroundings};
use linedown::daemon::Signals;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

fn main() -> ExitCode {
    cli::run(Surroundings { kinds: linedown_sinks::KINDS, signals, log })
}

/// SIGHUP reloads; SIGTERM and SIGINT drain, the second of them ends at once.
fn signals() -> io::Result<Signals> {
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
fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("LINEDOWN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // The journal has its own clock.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text if in_journal => builder.with_ansi(false).without_time().init(),
        LogFormat::Text => builder.with_ansi(cli::colour_on_stderr()).init(),
    }
}
