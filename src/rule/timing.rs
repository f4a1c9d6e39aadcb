//! Pure: when messages are sent; the other modules decide to whom. Reminders, quiet hours and silences each return a
//! time, which becomes the due time of a row.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use linedown_sinks::{Incident, Instance, Kind};

use super::matcher::{Matcher, Subject};
use super::wait::Wait;
use crate::clock::later;

/// Returns when a line that is down since `opened_at` is mentioned again after `now`; `None` if there are no reminders.
/// The last of the times repeats: `1h, 4h` means after one hour, four, eight, twelve, … From a time later than now,
/// they count from now.
pub fn next_reminder(remind: &[Duration], opened_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let opened_at = opened_at.min(now);
    let last = *remind.last()?;
    let listed = remind.iter().map(|after| later(opened_at, *after)).find(|at| *at > now);
    listed.or_else(|| {
        let gone = crate::clock::between(opened_at, now).as_millis();
        let times = u32::try_from(gone / last.as_millis().max(1)).ok()?.checked_add(1)?;
        Some(later(opened_at, last.checked_mul(times)?))
    })
}

/// Quiet hours, as configured: only critical rules are heard then.
#[derive(Clone, Debug)]
pub struct Quiet {
    /// What it is called.
    pub name: String,
    /// Which incidents it holds back.
    pub matcher: Matcher,
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    /// When it begins, by the clock on the wall.
    pub from: Time,
    /// When it ends; on the next day if that is not later than `from`. A window from midnight to midnight is a whole day.
    pub to: Time,
    /// The time zone of that clock.
    pub time_zone: TimeZone,
}

impl Quiet {
    /// Returns when the window that `now` lies in ends, if it lies in one. The clock on the wall decides: where it
    /// jumps, a window is shorter or longer, but there is exactly one for each of its days.
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(self.time_zone.clone()).date();
        let yesterday = today.yesterday().ok()?;
        [yesterday, today].into_iter().filter(|day| self.days.contains(&day.weekday())).find_map(|day| {
            let last = if self.to > self.from { day } else { day.tomorrow().ok()? };
            let at = |date: jiff::civil::Date, time| -> Option<Zoned> {
                date.to_datetime(time).to_zoned(self.time_zone.clone()).ok()
            };
            let (from, to) = (at(day, self.from)?.timestamp(), at(last, self.to)?.timestamp());
            (from <= now && now < to).then_some(to)
        })
    }
}

/// A silence, made by a person: matchers, and a period in which what they match is held back.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// Which incidents it holds back.
    pub matcher: Arc<Matcher>,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
}

/// How far ahead the end of quiet hours is looked for. They repeat each week, so beyond it they never end.
const LONGEST_QUIET: Duration = Duration::from_hours(7 * 24);

/// What holds a notification back, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Until when; it is checked again then.
    pub until: Timestamp,
    /// By what.
    pub by: Wait,
}

/// Returns what holds a notification back now, if anything does: of several, the one that ends last. A message that
/// somebody has taken an incident, or that somebody else was not told, is never held back, nor is a test; and what is
/// critical is not held back by quiet hours. A silence holds a line by what it was called when the outage began, and by what
/// it is called now, if that is given: whoever made the silence may have meant either.
pub fn held(
    kind: Kind,
    (incident, line_now): (&Incident, Option<&Instance>),
    is_critical: impl FnOnce() -> bool,
    silences: &[Silence],
    quiet: &[Quiet],
    now: Timestamp,
) -> Option<Held> {
    if matches!(kind, Kind::Acknowledged | Kind::Undelivered | Kind::Test) {
        return None;
    }
    let subject = Subject::from(incident);
    let is_meant = |silence: &Silence| {
        let is_by = |instance| silence.matcher.passes(&Subject { instance, ..subject });
        is_by(&incident.instance) || line_now.is_some_and(is_by)
    };
    let by_people = silences
        .iter()
        .filter(|silence| silence.starts_at <= now && now < silence.ends_at && is_meant(silence))
        .map(|silence| Held { until: silence.ends_at, by: Wait::Silence(silence.id) });
    let quiet: Vec<&Quiet> = quiet.iter().filter(|quiet| quiet.matcher.passes(&subject)).collect();
    let by_config = quiet_hours(&quiet, now).filter(|_| !is_critical());
    by_people.chain(by_config).max_by_key(|held| held.until)
}

/// Whether quiet hours hold these lines back for ever: they repeat each week, and no gap is left between them.
pub fn never_end(quiet: &[&Quiet], now: Timestamp) -> bool {
    quiet_hours(quiet, now).is_some_and(|held| held.until >= later(now, LONGEST_QUIET))
}

/// Returns what quiet hours hold back now, if any do: by the window that ends last of those that `now` lies in, and until
/// the end of all that follow it without a gap, as those of a Saturday and a Sunday do.
fn quiet_hours(quiet: &[&Quiet], now: Timestamp) -> Option<Held> {
    let last = |at| quiet.iter().filter_map(|quiet| Some((quiet.ends(at)?, *quiet))).max_by_key(|(end, _)| *end);
    let (mut until, first) = last(now)?;
    let longest = later(now, LONGEST_QUIET);
    while until < longest
        && let Some((end, _)) = last(until)
    {
        until = end;
    }
    Some(Held { until, by: Wait::quiet_hours(&first.name) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::from_millis;

    fn hours(hours: u64) -> Duration {
        Duration::from_hours(hours)
    }

    #[test]
    fn reminders_come_as_listed_then_the_last_repeats() {
        let remind = [hours(1), hours(4), hours(24)];
        let at = |hour: i64| from_millis(hour * 3_600_000);
        for (now, next) in [(0, 1), (1, 4), (3, 4), (4, 24), (24, 48), (47, 48), (48, 72), (1000, 1008)] {
            assert_eq!(next_reminder(&remind, at(0), at(now)), Some(at(next)), "at {now} h");
        }
        assert_eq!(next_reminder(&[], at(0), at(0)), None);
    }

    fn quiet(from: &str, to: &str, zone: &str) -> Quiet {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        Quiet {
            name: "night".to_owned(),
            matcher: Matcher::default(),
            days: vec![Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday],
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            time_zone: TimeZone::get(zone).unwrap(),
        }
    }

    fn ends(quiet: &Quiet, now: &str) -> Option<String> {
        quiet.ends(now.parse().unwrap()).map(|end| end.to_string())
    }

    #[test]
    fn quiet_hours_span_midnight_in_their_own_zone() {
        let night = quiet("22:00", "07:00", "America/Sao_Paulo");
        assert_eq!(ends(&night, "2026-11-23T00:59:00Z"), None);
        assert_eq!(ends(&night, "2026-11-23T01:00:00Z").as_deref(), Some("2026-11-23T10:00:00Z"));
        assert_eq!(ends(&night, "2026-11-23T09:59:59Z").as_deref(), Some("2026-11-23T10:00:00Z"));
        assert_eq!(ends(&night, "2026-11-23T10:00:00Z"), None);
    }

    #[test]
    fn a_day_that_is_not_listed_begins_no_window() {
        let mut night = quiet("22:00", "07:00", "UTC");
        night.days = vec![Weekday::Friday];
        assert!(ends(&night, "2026-11-27T23:00:00Z").is_some(), "Friday evening");
        assert!(ends(&night, "2026-11-28T06:00:00Z").is_some(), "Saturday morning belongs to Friday's night");
        assert!(ends(&night, "2026-11-28T23:00:00Z").is_none(), "Saturday evening");
    }

    #[test]
    fn windows_without_a_gap_end_together() {
        let of = |name: &str, days: &[Weekday], from, to| Quiet {
            name: name.to_owned(),
            days: days.to_vec(),
            ..quiet(from, to, "UTC")
        };
        let held = |quiet: &[&Quiet], now: &str| {
            quiet_hours(quiet, now.parse().unwrap()).map(|held| (held.by.to_string(), held.until.to_string()))
        };
        let found = |name: &str, until: &str| Some((format!("quiet hours {name:?}"), until.to_owned()));
        // 2026-11-28 is a Saturday.
        let weekend = of("weekend", &[Weekday::Saturday, Weekday::Sunday], "00:00", "00:00");
        let monday = of("monday", &[Weekday::Monday], "00:00", "09:00");
        let noon = of("noon", &[Weekday::Monday], "09:01", "12:00");
        let all = [&noon, &monday, &weekend];
        assert_eq!(held(&[&weekend], "2026-11-28T00:00:00Z"), found("weekend", "2026-11-30T00:00:00Z"));
        assert_eq!(held(&all, "2026-11-29T23:59:59Z"), found("weekend", "2026-11-30T09:00:00Z"));
        assert_eq!(held(&all, "2026-11-30T08:00:00Z"), found("monday", "2026-11-30T09:00:00Z"));
        assert_eq!(held(&all, "2026-11-30T09:00:00Z"), None);
        assert_eq!(held(&all, "2026-11-27T23:59:59Z"), None);
        // It never ends, and is looked at again.
        let always = quiet("00:00", "00:00", "UTC");
        assert_eq!(held(&[&always], "2026-11-28T10:00:00Z"), found("night", "2026-12-06T00:00:00Z"));
        let (day, night) = (quiet("07:00", "22:00", "UTC"), quiet("22:00", "07:00", "UTC"));
        for (windows, expected) in [
            (&[&always][..], true),
            (&[&day, &night], true),
            (&[&day], false),
            (&[&weekend], false),
            (&[&weekend, &day], false),
            (&[], false),
        ] {
            assert_eq!(never_end(windows, "2026-11-28T10:00:00Z".parse().unwrap()), expected, "{windows:?}");
        }
    }

    #[test]
    fn a_window_that_the_clock_jumps_over_is_neither_lost_nor_doubled() {
        // On 2026-03-29 Berlin's clocks went from 02:00 to 03:00, on 2026-10-25 from 03:00 back to 02:00.
        let gap = quiet("02:15", "02:45", "Europe/Berlin");
        assert_eq!(ends(&gap, "2026-03-29T01:20:00Z").as_deref(), Some("2026-03-29T01:45:00Z"));
        let fold = quiet("02:15", "02:45", "Europe/Berlin");
        assert!(ends(&fold, "2026-10-25T00:20:00Z").is_some(), "02:20 for the first time");
        assert_eq!(ends(&fold, "2026-10-25T01:20:00Z"), None, "02:20 for the second time");
        let night = quiet("22:00", "07:00", "Europe/Berlin");
        assert_eq!(ends(&night, "2026-10-25T05:30:00Z").as_deref(), Some("2026-10-25T06:00:00Z"));
    }

    proptest! {
        #[test]
        fn a_reminder_is_ahead_and_never_skips_a_day(
            remind in prop::collection::btree_set(1_u64..100_000, 1..5), gone in -1_000_000_i64..10_000_000,
        ) {
            let remind: Vec<Duration> = remind.into_iter().map(Duration::from_secs).collect();
            let (opened, now) = (from_millis(0), from_millis(gone * 1000));
            let next = next_reminder(&remind, opened, now).unwrap();
            prop_assert!(next > now);
            prop_assert!(crate::clock::between(now, next) <= *remind.last().unwrap());
        }

        #[test]
        fn quiet_hours_end_ahead_and_within_a_day(from in 0_i8..24, to in 0_i8..24, second in 0_i64..100_000_000) {
            prop_assume!(from != to);
            let quiet = quiet(&format!("{from:02}:00"), &format!("{to:02}:00"), "America/New_York");
            let now = from_millis(1_700_000_000_000 + second * 1000);
            if let Some(end) = quiet.ends(now) {
                prop_assert!(end > now);
                prop_assert!(crate::clock::between(now, end) <= hours(25));
            }
        }
    }
}
