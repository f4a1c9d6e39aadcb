//! Checks durations. Outside its bounds a duration is an error; below what is usual it is a warning: `30ms` is often a
//! mistyped `30m`, and as a reminder it would be a flood.

use std::ops::RangeInclusive;
use std::time::Duration;

use linedown_sinks::{Path, Problem};

use super::reader::Reader;
use crate::period::Period;

/// The shortest time that matters to a person, or to a line.
pub(super) const NOTICED: Period = Period(Duration::from_secs(1));

/// The bounds of a duration.
#[derive(Clone, Debug)]
pub(super) struct Lasting {
    bounds: RangeInclusive<Period>,
    /// Shorter durations are warned about, except zero.
    usual: Period,
}

impl Lasting {
    /// Accepts these bounds, without a warning.
    pub(super) const fn within(shortest: Period, longest: Period) -> Self {
        Self { bounds: shortest..=longest, usual: shortest }
    }

    /// Also warns of durations shorter than `usual`, except zero: if zero is within the bounds, it is written on
    /// purpose.
    pub(super) const fn usually(self, usual: Period) -> Self {
        Self { usual, ..self }
    }

    /// Notes what is wrong with the duration at `path`. Returns whether nothing is.
    pub(super) fn check(&self, path: Path, period: Period, reader: &mut Reader<'_>) -> bool {
        let problem = self.problem(path, period);
        let is_usual = problem.is_none();
        if let Some(problem) = problem {
            reader.note(problem);
        }
        is_usual
    }

    /// What is wrong with the duration at `path`, if anything.
    pub(super) fn problem(&self, path: Path, period: Period) -> Option<Problem> {
        let (mut problem, shortest) = if !self.bounds.contains(&period) {
            (Problem::error(path, format!("{period} is out of bounds")), *self.bounds.start())
        } else if period < self.usual && !period.0.is_zero() {
            (Problem::warning(path, format!("{period} is short for this")), self.usual)
        } else {
            return None;
        };
        let longest = *self.bounds.end();
        problem.expected = Some(match longest {
            longest if longest == Period::LONGEST => format!("at least {shortest}"),
            _ => format!("{shortest} to {longest}"),
        });
        let is_good = |text: &String| text.parse().is_ok_and(|meant| (self.usual..=longest).contains(&meant));
        problem.hint = in_minutes(period).filter(is_good).map(|meant| format!("did you mean `{meant}`?"));
        Some(problem)
    }
}

/// Larger numbers of minutes are hardly ever written.
const MOST_MINUTES: u64 = 120;

/// The same number as minutes, if the duration is in seconds or milliseconds.
fn in_minutes(period: Period) -> Option<String> {
    let text = period.to_string();
    let number = text.strip_suffix("ms").or_else(|| text.strip_suffix('s'))?;
    number.parse::<u64>().is_ok_and(|number| number <= MOST_MINUTES).then(|| format!("{number}m"))
}
