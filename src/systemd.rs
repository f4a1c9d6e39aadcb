//! What we tell systemd. Without systemd all of it is a no-op.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use systemd::daemon;

/// How many signs of life fit into systemd's patience: one that comes late does no harm.
const SIGNS: u32 = 4;

/// How long the store may take to open: a large one that is brought into a new format, or taken over after damage, takes
/// longer than the minute and a half that systemd gives a start.
const OPENING: Duration = Duration::from_hours(1);

/// We open the store, which may take long.
pub(crate) fn opening_store() {
    let patience = OPENING.as_micros().to_string();
    notify(&[("STATUS", "opening the store"), ("EXTEND_TIMEOUT_USEC", &patience)]);
}

/// Whether anybody wants to be told.
pub(crate) fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// We accept webhooks, or do so again after [`reloading`].
pub(crate) fn ready() {
    notify(&[("READY", "1")]);
}

/// We read the config again; [`ready`] follows, whatever comes of it.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
    // In one datagram: sd_notify(3).
    notify(&[("RELOADING", "1"), ("MONOTONIC_USEC", &micros.to_string())]);
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

/// How often [`alive`] is wanted, if at all.
pub(crate) fn watchdog() -> Option<Duration> {
    let patience = daemon::watchdog_enabled().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(patience) / SIGNS)
}

fn notify<V: AsRef<str>>(state: &[(&str, V)]) {
    if let Err(error) = daemon::notify(state.iter()) {
        tracing::warn!(error = %error, "cannot notify systemd");
    }
}
