//! The one place that reads the wall clock. Everything else is told the time.

use jiff::Timestamp;

/// The time now, to the millisecond, which is what the store keeps.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let now = Timestamp::now();
    from_millis(now.as_millisecond())
}

/// A time from milliseconds since 1970; what lies outside the calendar becomes its end.
pub fn from_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A moment later by a duration, or the end of the calendar.
pub fn later(from: Timestamp, by: std::time::Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// How long from one moment to another; zero if the other is earlier.
pub fn between(from: Timestamp, to: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
