//! `[[quiet]]`: hours in which only critical rules notify people.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use linedown_sinks::{Path, Problem, Section, time_zone};
use serde::Deserialize;
use serde_json::Value;

use super::layers::Element;
use super::matching::{Known, read_matcher};
use super::reader::Reader;
use crate::rule::timing::{Quiet, never_end};

/// Most windows of quiet hours.
const MOST: usize = 100;

/// Quiet hours repeat each week, so those that never end go on at any time.
const ANY_TIME: Timestamp = Timestamp::UNIX_EPOCH;

/// How `to` is written for the end of the day: ISO 8601's other name for the midnight that begins the next.
const END_OF_DAY: &str = "24:00";

/// The names of the days in the config.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    name: Option<String>,
    r#match: Option<Value>,
    days: Option<Vec<Value>>,
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
}

/// Reads every window.
pub(super) fn read(windows: &[Element], known: &Known<'_>, reader: &mut Reader<'_>) -> Vec<Quiet> {
    let path = Path(vec!["quiet".into()]);
    if windows.len() > MOST {
        let what = format!("{} windows; at most {MOST} are allowed", windows.len());
        reader.note(Problem::error(path, what).hint("one window can cover many days and, with `match`, many lines"));
        return Vec::new();
    }
    let errors = reader.errors();
    let windows = windows.iter().enumerate();
    let windows: Vec<Quiet> =
        windows.filter_map(|(index, window)| read_window(window, index, &path.join(index), known, reader)).collect();
    // One with a mistake may look as if it never ended.
    if reader.errors() == errors {
        warn_of_eternal(&windows, &path, reader);
    }
    windows
}

/// Warns if quiet hours follow one another without a gap: most lines would never be told of.
fn warn_of_eternal(windows: &[Quiet], path: &Path, reader: &mut Reader<'_>) {
    let everybody: Vec<&Quiet> = windows.iter().filter(|window| window.matcher.takes_everything()).collect();
    let is_eternal = |window: &Quiet| never_end(&[&everybody[..], &[window]].concat(), ANY_TIME);
    if let Some(index) = windows.iter().position(is_eternal) {
        let what = "these quiet hours never end: there is no gap before the next";
        let problem = Problem::warning(path.join(index), what);
        reader.note(problem.hint("only critical rules would tell anybody; leave out days or hours"));
    }
}

fn read_window(
    window: &Element,
    index: usize,
    path: &Path,
    known: &Known<'_>,
    reader: &mut Reader<'_>,
) -> Option<Quiet> {
    reader.element(window, path)?;
    let value = &window.value;
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: Keys = section.read().unwrap_or_default();
    for (key, hint) in [("from", "when it begins: from = \"22:00\""), ("to", "when it ends: to = \"07:00\"")] {
        if !reader.may_be_lost(window, key)
            && let Some(problem) = section.missing(key, hint)
        {
            problem.circumstances = None;
        }
    }
    let (from, to) = bounds(keys.from.as_deref(), keys.to.as_deref(), &mut section);
    let zone = time_zone(keys.time_zone.as_deref(), &mut section);
    reader.finish(section);
    let matcher = keys.r#match.map(|value| read_matcher(&value, &path.join("match"), known, reader));
    let days = match keys.days {
        None => DAYS.map(|(_, day)| day).to_vec(),
        Some(names) => days(&names, &path.join("days"), reader),
    };
    Some(Quiet {
        name: keys.name.unwrap_or_else(|| format!("quiet {}", index + 1)),
        matcher: matcher.unwrap_or_default(),
        days,
        from: from?,
        to: to?,
        time_zone: zone?,
    })
}

/// Reads when a window begins and ends.
fn bounds(from: Option<&str>, to: Option<&str>, section: &mut Section<'_>) -> (Option<Time>, Option<Time>) {
    let ends_with_the_day = to == Some(END_OF_DAY);
    let from = from.and_then(|text| time(section, "from", text));
    let to = to.and_then(|text| if ends_with_the_day { Some(Time::MIN) } else { time(section, "to", text) });
    if from.is_some() && from == to && !ends_with_the_day {
        let problem = section.error("to", "the window ends when it begins");
        problem.expected = Some("another time than `from`".to_owned());
        problem.hint = Some("for whole days: from = \"00:00\", to = \"24:00\" and `days`".to_owned());
    }
    (from, to)
}

fn time(section: &mut Section<'_>, key: &str, text: &str) -> Option<Time> {
    // The parser also accepts an hour alone, but not with one digit.
    let time = text.parse::<Time>().ok().filter(|_| text.contains(':'));
    if time.is_none() {
        section.error(key, "this is not a time of day").expected =
            Some("hours and minutes such as \"22:00\"".to_owned());
    }
    time
}

fn days(names: &[Value], path: &Path, reader: &mut Reader<'_>) -> Vec<Weekday> {
    let mut days = Vec::new();
    for (index, name) in reader.each::<String>(names, path) {
        if let Some((_, day)) = DAYS.iter().find(|(day, _)| name.eq_ignore_ascii_case(day)) {
            days.push(*day);
        } else {
            let known = DAYS.map(|(day, _)| day);
            let problem = Problem::error(
                path.join(index),
                format!("`{}` is not a day of the week", linedown_sinks::excerpt(&name)),
            );
            reader.note(problem.expected(linedown_sinks::one_of(&known)));
        }
    }
    if names.is_empty() {
        let problem = Problem::error(path.clone(), "an empty list: it would never be quiet");
        reader.note(problem.hint("leave out `days` for every day"));
    }
    days
}
