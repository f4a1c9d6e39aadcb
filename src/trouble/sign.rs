//! Pure: judges the state of a sink, of the disk, of the store and of the certificate.

use std::time::Duration;

use jiff::Timestamp;

use super::Free;
use super::looks::Sign;
use crate::certificate::Validity;
use crate::clock::{between, later};
use crate::delivery::Health;
use crate::store::Room;

/// Judges a sink; none if it has not been tried.
pub(super) fn of_sink(health: &Health) -> Option<Sign> {
    match health {
        Health::Unknown => None,
        Health::Well => Some(Sign::Right),
        Health::Failing { since, why, .. } => Some(Sign::Amiss { why: why.clone(), since: Some(*since) }),
    }
}

/// Judges the store's disk. A trouble that was `told` is over only with a fifth more free space than the threshold, so
/// that a disk that hovers around it is one trouble.
pub(super) fn of_disk(room: Room, below: Free, told: bool) -> Sign {
    let limit = match below {
        Free::Bytes(bytes) => u128::from(bytes),
        Free::Percent(percent) => u128::from(room.capacity) * u128::from(percent) / 100,
    };
    let limit = if told { limit * 6 / 5 } else { limit };
    if u128::from(room.free) >= limit {
        return Sign::Right;
    }
    let why = format!("{} of {} are free", gigabytes(room.free), gigabytes(room.capacity));
    Sign::Amiss { why, since: None }
}

/// Rounded down to a tenth.
fn gigabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

/// Judges a certificate. If it lives for weeks only, it is a trouble in the last quarter of its life: an ACME
/// certificate is renewed before that.
pub(super) fn of_certificate(validity: Validity, within: Duration, now: Timestamp) -> Sign {
    let Validity { from, until } = validity;
    if later(now, within.min(between(from, until) / 4)) < until {
        return Sign::Right;
    }
    let what = if until <= now { "it expired at" } else { "it is valid until" };
    Sign::Amiss { why: format!("{what} {}", until.strftime("%Y-%m-%d %H:%M UTC")), since: None }
}

/// Judges the store by why it does not write, if it does not.
pub(super) fn of_store(why_not: Option<String>) -> Sign {
    why_not.map_or(Sign::Right, |why| Sign::Amiss { why, since: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    #[test]
    fn a_disk_is_nearly_full_below_its_limit_and_until_it_has_a_fifth_more() {
        for (free, below, told, amiss) in [
            (5 * GB, Free::Percent(5), false, false),
            (5 * GB - 1, Free::Percent(5), false, true),
            (6 * GB - 1, Free::Percent(5), true, true),
            (6 * GB, Free::Percent(5), true, false),
            (GB, Free::Bytes(GB), false, false),
            (GB - 1, Free::Bytes(GB), false, true),
            (100 * GB - 1, Free::Percent(100), false, true),
            (0, Free::Percent(0), true, false),
            (0, Free::Bytes(u64::MAX), true, true),
        ] {
            let sign = of_disk(Room { size: 0, free, capacity: 100 * GB }, below, told);
            assert_eq!(sign != Sign::Right, amiss, "{free} {below:?} {told}");
        }
        let full = of_disk(Room { size: 0, free: 4_190_000_000, capacity: 100 * GB }, Free::Percent(5), false);
        assert_eq!(full, Sign::Amiss { why: "4.1 GB of 100.0 GB are free".to_owned(), since: None });
    }

    #[test]
    fn a_certificate_is_a_trouble_for_two_weeks_before_its_end_and_after_it() {
        let [from, until] = ["2026-09-16T12:00:00Z", "2026-12-15T12:00:00Z"].map(|time| time.parse().unwrap());
        for (now, words) in [
            ("2026-12-01T11:59:59Z", None),
            ("2026-12-01T12:00:00Z", Some("it is valid until 2026-12-15 12:00 UTC")),
            ("2026-12-15T12:00:00Z", Some("it expired at 2026-12-15 12:00 UTC")),
            ("2027-12-15T12:00:00Z", Some("it expired at 2026-12-15 12:00 UTC")),
        ] {
            let sign = of_certificate(Validity { from, until }, Duration::from_hours(14 * 24), now.parse().unwrap());
            let expected = words.map_or(Sign::Right, |why| Sign::Amiss { why: why.to_owned(), since: None });
            assert_eq!(sign, expected, "{now}");
        }
        let for_a_week = Validity { from: "2026-12-08T12:00:00Z".parse().unwrap(), until };
        for (now, right) in [("2026-12-13T17:59:59Z", true), ("2026-12-13T18:00:00Z", false)] {
            let sign = of_certificate(for_a_week, Duration::from_hours(14 * 24), now.parse().unwrap());
            assert_eq!(sign == Sign::Right, right, "{now}");
        }
    }
}
