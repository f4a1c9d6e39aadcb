//! What we tell systemd. Without systemd all of it is a no-op.

use std::time::Duration;

use systemd::daemon;

/// We accept webhooks; `status` is what `systemctl status` shows.
pub(crate) fn ready(status: &str) {
    notify(&[("READY", "1"), ("STATUS", status)]);
}

/// One line for `systemctl status`.
pub(crate) fn status(status: &str) {
    notify(&[("STATUS", status)]);
}

/// We are draining.
pub(crate) fn stopping() {
    notify(&[("STOPPING", "1"), ("STATUS", "finishing what is in flight")]);
}

/// The pipeline has made progress.
pub(crate) fn alive() {
    notify(&[("WATCHDOG", "1")]);
}

/// How often [`alive`] is wanted, if at all: twice within systemd's patience.
pub(crate) fn watchdog() -> Option<Duration> {
    let patience = daemon::watchdog_enabled().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(patience) / 2)
}

fn notify(state: &[(&str, &str)]) {
    if let Err(error) = daemon::notify(state.iter()) {
        tracing::warn!(error = %error, "cannot notify systemd");
    }
}
