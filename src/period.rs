//! Durations as people write them: `"90s"`, `"1h30m"`, `"400d"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// The error for a bare number, which might be seconds, minutes or milliseconds.
pub(crate) const NO_UNIT: &str = "a duration without a unit";

/// What a duration looks like.
pub(crate) const EXPECTED: &str = r#"a duration such as "500ms", "90s", "10m", "1h30m", "24h" or "400d""#;

/// The units, longest first, with their lengths in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration, to the millisecond. Displays as it is written in the config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// The longest duration accepted, a hundred years, so that adding one to a time never overflows.
    pub(crate) const LONGEST: Self = Self(Duration::from_hours(100 * 365 * 24));
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in UNITS {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let not_one = || format!("{text:?} is not a duration");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(not_one());
        }
        let mut total = 0_u64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let unit_length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_length);
            if number.is_empty() {
                return Err(not_one());
            }
            if unit.is_empty() {
                return Err(if after.is_empty() { NO_UNIT.to_owned() } else { not_one() });
            }
            let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(not_one)?;
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(length));
            total = part.and_then(|part| total.checked_add(part)).ok_or("a duration of more than 100 years")?;
            rest = after.trim_start();
        }
        let period = Self(Duration::from_millis(total));
        if period > Self::LONGEST { Err("a duration of more than 100 years".into()) } else { Ok(period) }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(|what| E::custom(format!("{what}, expected {EXPECTED}")))
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Period, E> {
                Err(E::custom(format!("{NO_UNIT}, expected {EXPECTED}")))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_read() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("400d", 34_560_000_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse(), Ok(Period(Duration::from_millis(milliseconds))), "{text}");
        }
    }

    #[test]
    fn what_is_not() {
        for (text, what) in [
            ("90", NO_UNIT),
            ("1h30", NO_UNIT),
            ("", "\"\" is not a duration"),
            ("s", "\"s\" is not a duration"),
            ("-5s", "\"-5s\" is not a duration"),
            ("1.5h", "\"1.5h\" is not a duration"),
            ("5min", "\"5min\" is not a duration"),
            ("40000d", "a duration of more than 100 years"),
            ("99999999999999999999d", "a duration of more than 100 years"),
        ] {
            assert_eq!(text.parse::<Period>(), Err(what.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(milliseconds in 0..3_153_600_000_000_u64) {
            let period = Period(Duration::from_millis(milliseconds));
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Period>();
        }
    }
}
