//! Output of commands: for people on a terminal, plain elsewhere, and JSON on request.

use std::io::{self, IsTerminal, Write};
use std::os::fd::OwnedFd;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use linedown_sinks::is_deceptive;
use serde::Serialize;

use super::{Code, CommandError, variable};

/// Whether to use colours on standard error.
pub(super) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && may_colour()
}

/// Whether to use colours on standard output.
pub(super) fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && may_colour()
}

/// The width of the terminal in columns, if standard output is a terminal.
pub(super) fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// No colours if `NO_COLOR` has a value (<https://no-color.org>), or if the terminal is `dumb`.
fn may_colour() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Prints text to standard output. It is not an error if the reader has gone away.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::new(Code::Failed, "cannot write the output").caused_by(&error))
        }
        _ => Ok(()),
    }
}

/// Prints text to standard error, and ignores errors: nobody is left to report them to.
pub(super) fn complain(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// While this exists, what is written to standard output goes to standard error. A sink of type `stdout` would
/// otherwise mix its message with the command's output.
pub(super) struct Diverted(OwnedFd);

impl Drop for Diverted {
    fn drop(&mut self) {
        // Cannot fail: the descriptor was open before.
        let _ = rustix::stdio::dup2_stdout(&self.0);
    }
}

/// See [`Diverted`].
pub(super) fn divert_stdout() -> Result<Diverted, CommandError> {
    let failed = |error: io::Error| CommandError::new(Code::Failed, "cannot divert the output").caused_by(&error);
    let stdout = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3).map_err(|error| failed(error.into()))?;
    rustix::stdio::dup2_stdout(io::stderr()).map_err(|error| failed(error.into()))?;
    Ok(Diverted(stdout))
}

/// Prints a value as JSON, for programs.
pub(super) fn print_json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CommandError::new(Code::Failed, "cannot write JSON").caused_by(&error))?;
    print(&format!("{text}\n"))
}

/// The appearance of a text on a terminal (ECMA-48, 8.3.117).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Bold,
    Faint,
    Good,
    Doubtful,
    Bad,
}

impl Look {
    /// The text with the escape sequences for a terminal.
    pub(super) fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Doubtful => "33",
            Self::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The text as it is printed to standard output: in colour if that is a terminal.
pub(super) fn painted(look: Look, text: &str) -> String {
    if colour_on_stdout() { look.paint(text) } else { text.to_owned() }
}

/// The first line of an error.
pub(super) fn error(what: &str, colour: bool) -> String {
    let error = if colour { Look::Bad.paint("error:") } else { "error:".to_owned() };
    format!("{error} {}\n", printable(what))
}

/// A text from outside, made harmless for terminals and readers.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !is_deceptive(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A time with this machine's zone, as in messages: `2026-11-23 08:58:26 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// The time, or a dash.
pub(super) fn moment_or_dash(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), moment)
}

/// The time between two moments, in its two largest units: `2h 5m`.
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
}
