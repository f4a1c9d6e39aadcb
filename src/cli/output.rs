//! What commands print: for people on a terminal, plain elsewhere, JSON on request.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, TableStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use linedown_sinks::is_deceptive;
use serde::Serialize;

use super::{Code, CommandError};

/// Whether standard error shows colours.
pub(super) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && may_colour()
}

/// Whether standard output shows colours.
pub(super) fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && may_colour()
}

/// <https://no-color.org>: any value that is not empty.
fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints text. A reader that went away is no failure.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::new(Code::Failed, "cannot write the output").caused_by(&error))
        }
        _ => Ok(()),
    }
}

/// Prints a value as JSON, for programs.
pub(super) fn print_json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CommandError::new(Code::Failed, "cannot write JSON").caused_by(&error))?;
    print(&format!("{text}\n"))
}

/// Columns under their heads, without ornament.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(|cell| printable(&cell))));
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A text from outside, harmless to a terminal and to who reads it.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !is_deceptive(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A moment on this machine's clock.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment on this machine's clock, if there is one.
pub(super) fn moment_or_dash(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), moment)
}

/// How long from one moment to another, in its two largest units: `2h 5m`.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = crate::clock::between(from, to).as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn spans_show_their_two_largest_units() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7500, "2h 5m"), (90_000, "1d 1h")] {
            assert_eq!(span(from_millis(0), from_millis(seconds * 1000)), text);
        }
    }

    #[test]
    fn tables_are_plain() {
        let rows = [vec!["1".to_owned(), "a\u{1b}[31m\u{202e}b".to_owned()]];
        assert_eq!(table(&["id", "what"], rows), " ID  WHAT\n 1   a [31mb\n");
    }
}
