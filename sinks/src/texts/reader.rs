//! The reader of a message: language and time zone.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// The files in the folder of a language, by name.
macro_rules! words {
    ($folder:literal) => {
        words!($folder: "words", "name", "down", "back", "flapping", "trouble", "digest", "test", "taken", "mend", "loss", "late",
            "list")
    };
    ($folder:literal: $($name:literal),*) => {
        [$((concat!($name, ".txt"), include_str!(concat!($folder, "/", $name, ".txt")))),*]
    };
}

/// A language that the built-in messages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// `en`.
    #[default]
    English,
    /// `pt-BR`.
    BrazilianPortuguese,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::BrazilianPortuguese];

    /// The language tag (RFC 5646) by which the config names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::BrazilianPortuguese => "pt-BR",
        }
    }

    /// Reads a language tag; letter case makes no difference.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.name().eq_ignore_ascii_case(name))
    }

    /// The files with all sentences in this language, by name.
    pub(super) fn words(self) -> [(&'static str, &'static str); 13] {
        match self {
            Self::English => words!("en"),
            Self::BrazilianPortuguese => words!("pt-BR"),
        }
    }

    /// The file with the names of lines and of linedown's own parts.
    pub(super) fn name_of_line(self) -> &'static str {
        match self {
            Self::English => include_str!("en/name.txt"),
            Self::BrazilianPortuguese => include_str!("pt-BR/name.txt"),
        }
    }

    fn moment(self) -> &'static str {
        match self {
            Self::English => "%Y-%m-%d %H:%M %Z",
            Self::BrazilianPortuguese => "%d/%m/%Y %H:%M %Z",
        }
    }

    fn days(self, days: i64) -> String {
        match (self, days) {
            (Self::English, _) => format!("{days} d"),
            (Self::BrazilianPortuguese, 1) => "1 dia".to_owned(),
            (Self::BrazilianPortuguese, _) => format!("{days} dias"),
        }
    }
}

/// The reader for whom times and durations are written.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) language: Language,
    pub(super) zone: TimeZone,
}

impl Reader {
    /// A moment on the reader's clock, in the given `strftime` format or else as the language writes it.
    pub(super) fn local(&self, moment: Timestamp, format: Option<&str>) -> Result<String, jiff::Error> {
        strtime::format(format.unwrap_or(self.language.moment()), &moment.to_zoned(self.zone.clone()))
    }

    /// A length of time as people say it, in two units at most.
    pub(super) fn duration(&self, seconds: i64) -> String {
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match seconds {
            ..60 => format!("{} s", seconds.max(0)),
            60..3600 => format!("{minutes} min"),
            3600..86_400 if minutes % 60 == 0 => format!("{hours} h"),
            3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
            _ if hours % 24 == 0 => self.language.days(days),
            _ => format!("{} {} h", self.language.days(days), hours % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(language: Language, zone: &str) -> Reader {
        Reader { language, zone: TimeZone::get(zone).unwrap() }
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        for (seconds, english, portuguese) in [
            (-5, "0 s", "0 s"),
            (0, "0 s", "0 s"),
            (59, "59 s", "59 s"),
            (60, "1 min", "1 min"),
            (3599, "59 min", "59 min"),
            (3600, "1 h", "1 h"),
            (7500, "2 h 05 min", "2 h 05 min"),
            (86_399, "23 h 59 min", "23 h 59 min"),
            (86_400, "1 d", "1 dia"),
            (100_800, "1 d 4 h", "1 dia 4 h"),
            (400 * 86_400, "400 d", "400 dias"),
        ] {
            assert_eq!(reader(Language::English, "UTC").duration(seconds), english);
            assert_eq!(reader(Language::BrazilianPortuguese, "UTC").duration(seconds), portuguese);
        }
    }

    #[test]
    fn times_are_the_readers_also_across_a_change_of_clocks() {
        use Language::{BrazilianPortuguese as Portuguese, English};
        for (language, zone, moment, shown) in [
            (English, "UTC", "2026-11-23T14:02:59Z", "2026-11-23 14:02 UTC"),
            (Portuguese, "America/Sao_Paulo", "2026-11-23T17:02:00Z", "23/11/2026 14:02 -03"),
            (Portuguese, "America/Sao_Paulo", "2026-11-24T01:30:00Z", "23/11/2026 22:30 -03"),
            (English, "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25 02:30 CEST"),
            (English, "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25 02:30 CET"),
            (English, "America/New_York", "2026-03-08T06:59:00Z", "2026-03-08 01:59 EST"),
            (English, "America/New_York", "2026-03-08T07:00:00Z", "2026-03-08 03:00 EDT"),
        ] {
            assert_eq!(reader(language, zone).local(moment.parse().unwrap(), None).unwrap(), shown);
        }
        let at = "2026-11-23T14:02:59Z".parse().unwrap();
        assert_eq!(reader(English, "UTC").local(at, Some("%H:%M:%S")).unwrap(), "14:02:59");
        assert!(reader(English, "UTC").local(at, Some("%!")).is_err());
    }
}
