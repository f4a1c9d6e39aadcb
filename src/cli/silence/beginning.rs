//! When a silence begins, as it is typed.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::super::{Code, CommandError};
use crate::clock::later;

const EXPECTED: &str = "a time such as 22:00 or \"2026-12-24 18:00\" on this machine's clock, or 2026-12-24T18:00:00Z";

/// A time as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The next time that the clock shows this.
    Next(Time),
    /// By the clock of this machine.
    Local(DateTime),
    /// Anywhere.
    At(Timestamp),
}

/// Parses a time.
pub(super) fn parse(text: &str) -> Result<Beginning, String> {
    let time = || text.parse::<Time>().ok().filter(|_| text.contains(':')).map(Beginning::Next);
    let at = || text.parse::<Timestamp>().ok().map(Beginning::At);
    let local = || text.parse::<DateTime>().ok().filter(|_| text.contains(':')).map(Beginning::Local);
    at().or_else(local).or_else(time).ok_or_else(|| format!("not a time\n  expected: {EXPECTED}"))
}

/// A time is written to the minute, so the present minute is now.
const MINUTE: Duration = Duration::from_mins(1);

/// When a silence begins; now, if nothing is written. What is past was sent already, so it cannot begin in the past.
pub(super) fn start(written: Option<Beginning>, now: Timestamp) -> Result<Timestamp, CommandError> {
    let Some(written) = written else { return Ok(now) };
    let starts_at = written.moment(now, &TimeZone::try_system().unwrap_or(TimeZone::UTC));
    starts_at.filter(|starts_at| later(*starts_at, MINUTE) > now).map(|starts_at| starts_at.max(now)).ok_or_else(|| {
        let error = CommandError::new(Code::Usage, "a silence cannot begin in the past");
        error.hint("leave out --from to begin now")
    })
}

impl Beginning {
    /// The moment that is meant; none if there is no such moment.
    fn moment(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let at = |local: DateTime| local.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
        match self {
            Self::At(at) => Some(at),
            Self::Local(local) => at(local),
            Self::Next(time) => {
                let today = now.to_zoned(zone.clone()).date();
                let days = [today, today.checked_add(1.day()).ok()?];
                days.into_iter().filter_map(|day| at(day.to_datetime(time))).find(|at| later(*at, MINUTE) > now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_written_as_people_do() {
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        let now = "2026-11-26T16:00:00Z".parse().unwrap();
        let moment = |text: &str| parse(text).unwrap().moment(now, &zone).map(|at| at.to_string());
        for (text, expected) in [
            ("22:00", "2026-11-27T01:00:00Z"),
            ("13:00", "2026-11-26T16:00:00Z"),
            ("12:59", "2026-11-27T15:59:00Z"),
            ("2026-12-24 18:00", "2026-12-24T21:00:00Z"),
            ("2026-12-24T18:00:30", "2026-12-24T21:00:30Z"),
            ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
            ("2026-12-24T18:00:00+02:00", "2026-12-24T16:00:00Z"),
        ] {
            assert_eq!(moment(text).as_deref(), Some(expected), "{text}");
        }
        let now: Timestamp = "2026-11-26T16:00:59Z".parse().unwrap();
        assert_eq!(
            parse("13:00").unwrap().moment(now, &zone).map(|at| at.to_string()).as_deref(),
            Some("2026-11-26T16:00:00Z")
        );
        assert_eq!(start(Some(Beginning::At("2026-11-26T16:00:00Z".parse().unwrap())), now).unwrap(), now);
        assert!(start(Some(Beginning::At("2026-11-26T15:59:59Z".parse().unwrap())), now).is_err());
        for text in ["", "22", "2026-12-24", "25:00", "tomorrow", "2h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
