//! The only place that reads the wall clock. All other code takes the time as a parameter.

use jiff::Timestamp;

/// The current time, rounded down to the millisecond, as the store keeps it.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "every other reader of the time calls this function")]
    let now = Timestamp::now();
    from_millis(now.as_millisecond())
}

/// The time `millis` milliseconds after 1970; out of range becomes the nearest end of the calendar.
pub fn from_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// `from` plus `by`, or the end of the calendar if that is out of range.
pub fn later(from: Timestamp, by: std::time::Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The time that passes between two moments; zero if `to` is before `from`.
pub fn between(from: Timestamp, to: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
