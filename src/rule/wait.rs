//! Pure: what notifications wait for, and the words for it: as stored in `held_by`, and as shown.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{HeldBack, Holder};

use crate::period::Period;

/// What a notification waits for until it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The end of a rule's hold, this long after the outage began.
    Hold(Duration),
    /// A step of an escalation, this long after the outage began.
    Step(Duration),
    /// A step of an escalation about a line that flaps: it counts from when the line has stayed down for `flapping`.
    StepAfterFlapping {
        /// How long after that.
        after: Duration,
        /// How long a line must stay down to flap no more.
        flapping: Duration,
    },
    /// The time of a reminder.
    Reminder,
    /// The end of a spell of flapping.
    Flapping,
    /// The end of the silence of this number.
    Silence(i64),
    /// The end of quiet hours; their name in quotes, as [`Wait::quiet_hours`] writes it.
    QuietHours(String),
    /// Words that this version does not know.
    Unknown(String),
}

/// How the words for quiet hours begin; a space and their name follow.
pub const QUIET_HOURS: &str = "quiet hours";

impl Wait {
    /// Quiet hours of this name.
    pub fn quiet_hours(name: &str) -> Self {
        Self::QuietHours(format!("{name:?}"))
    }

    /// Whether it is a silence or quiet hours, which hold back what would be due.
    pub fn holds_back(&self) -> bool {
        matches!(self, Self::Silence(_) | Self::QuietHours(_))
    }

    /// What messages say that it held them back, if it makes them late; `until` says when it ended. (A reminder, or a step
    /// of an escalation, is not late.)
    pub fn held_back(&self, until: Option<Timestamp>) -> Option<HeldBack> {
        let (by, name) = match self {
            Self::Hold(hold) => (Holder::Hold, Period(*hold).to_string()),
            Self::Silence(number) => (Holder::Silence, number.to_string()),
            Self::QuietHours(quoted) => {
                let name = quoted.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
                (Holder::QuietHours, name.unwrap_or(quoted).to_owned())
            }
            _ => return None,
        };
        Some(HeldBack { by, name, until })
    }

    /// Reads the words that its `Display` writes. Others are kept as they are.
    pub fn read(words: String) -> Self {
        Self::known(&words).filter(|known| known.to_string() == words).unwrap_or(Self::Unknown(words))
    }

    fn known(words: &str) -> Option<Self> {
        let period = |text: &str| text.parse().ok().map(|Period(period)| period);
        match words {
            "reminder" => Some(Self::Reminder),
            "flapping" => Some(Self::Flapping),
            _ if let Some(hold) = words.strip_prefix("hold of ") => period(hold).map(Self::Hold),
            _ if let Some(number) = words.strip_prefix("silence ") => number.parse().ok().map(Self::Silence),
            _ if let Some(name) = words.strip_prefix(QUIET_HOURS) => {
                name.strip_prefix(' ').map(|name| Self::QuietHours(name.to_owned()))
            }
            _ => {
                let step = words.strip_prefix("escalation of ")?;
                let Some(step) = step.strip_suffix(" of flapping") else { return period(step).map(Self::Step) };
                let (after, flapping) = step.split_once(" after ")?;
                Some(Self::StepAfterFlapping { after: period(after)?, flapping: period(flapping)? })
            }
        }
    }
}

impl Wait {
    /// Whether it is for a duration, and not until a time that a clock on the wall shows.
    pub fn is_for_a_while(&self) -> bool {
        match self {
            Self::Hold(_) | Self::Step(_) | Self::StepAfterFlapping { .. } | Self::Reminder | Self::Flapping => true,
            Self::Silence(_) | Self::QuietHours(_) | Self::Unknown(_) => false,
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(hold) => write!(f, "hold of {}", Period(*hold)),
            Self::Step(after) => write!(f, "escalation of {}", Period(*after)),
            Self::StepAfterFlapping { after, flapping } => {
                write!(f, "escalation of {} after {} of flapping", Period(*after), Period(*flapping))
            }
            Self::Reminder => f.write_str("reminder"),
            Self::Flapping => f.write_str("flapping"),
            Self::Silence(number) => write!(f, "silence {number}"),
            Self::QuietHours(name) => write!(f, "{QUIET_HOURS} {name}"),
            Self::Unknown(words) => f.write_str(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        for (wait, words) in [
            (Wait::Hold(minute), "hold of 1m"),
            (Wait::Step(hour), "escalation of 1h"),
            (Wait::StepAfterFlapping { after: minute, flapping: hour }, "escalation of 1m after 1h of flapping"),
            (Wait::Reminder, "reminder"),
            (Wait::Flapping, "flapping"),
            (Wait::Silence(7), "silence 7"),
            (Wait::quiet_hours("end of \"day\""), r#"quiet hours "end of \"day\"""#),
        ] {
            assert_eq!((wait.to_string().as_str(), Wait::read(words.to_owned())), (words, wait));
        }
    }

    #[test]
    fn words_that_are_not_known_are_kept() {
        for words in ["", "hold of 60s", "hold of a day", "silence 07", "quiet hours", "escalation"] {
            let read = Wait::read(words.to_owned());
            assert_eq!((read.to_string().as_str(), read.holds_back()), (words, false));
        }
    }
}
