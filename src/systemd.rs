//! Messages to systemd. Without systemd, all of them do nothing.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use systemd::daemon;

/// How many signs of life to send per watchdog timeout, so that a late one does no harm.
const SIGNS: u32 = 4;

/// How long opening the store may take. Migrating a large store to a new format, or recovering a damaged one, takes
/// longer than the 90 seconds that systemd allows for a start.
const OPENING: Duration = Duration::from_hours(1);

/// Tells systemd that the store is being opened, and asks for more time ([`OPENING`]).
pub(crate) fn opening_store() {
    let patience = OPENING.as_micros().to_string();
    notify(&[("STATUS", "opening the store"), ("EXTEND_TIMEOUT_USEC", &patience)]);
}

/// Whether systemd, or anything else, listens for these messages.
pub(crate) fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Tells systemd that linedown accepts webhooks, or that a reload ([`reloading`]) is over.
pub(crate) fn ready() {
    notify(&[("READY", "1")]);
}

/// Tells systemd that the config is being read again. [`ready`] must follow, whether the reload succeeds or not.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
    // sd_notify(3) wants both in one datagram.
    notify(&[("RELOADING", "1"), ("MONOTONIC_USEC", &micros.to_string())]);
}

/// Sets the status line of `systemctl status`.
pub(crate) fn status(status: &str) {
    notify(&[("STATUS", status)]);
}

/// Tells systemd that linedown finishes its work in progress and then stops.
pub(crate) fn stopping() {
    notify(&[("STOPPING", "1"), ("STATUS", "finishing what is in flight")]);
}

/// Tells systemd's watchdog that the pipeline makes progress.
pub(crate) fn alive() {
    notify(&[("WATCHDOG", "1")]);
}

/// How often to call [`alive`]; nothing if systemd's watchdog is off.
pub(crate) fn watchdog() -> Option<Duration> {
    let patience = daemon::watchdog_enabled().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(patience) / SIGNS)
}

fn notify<V: AsRef<str>>(state: &[(&str, V)]) {
    if let Err(error) = daemon::notify(state.iter()) {
        tracing::warn!(error = %error, "cannot notify systemd");
    }
}
