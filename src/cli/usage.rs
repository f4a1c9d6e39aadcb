//! Wrong usage: clap's errors in the form of all others, and parsers of arguments whose errors say what is expected.

use std::fmt::Write as _;

use clap::error::{Error, ErrorKind};

use super::output;
use crate::period::{EXPECTED, Period};

/// What clap begins its errors, its advice and the choices with.
const ERROR: &str = "error: ";
const TIP: &str = "tip: ";
const CHOICES: &str = "[possible values: ";

/// Where a user finds more.
const HELP: &str = "`--help` after the command explains it";

/// Parses the number of an incident, a notification or a silence.
pub(super) fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "not a number\n  expected: a number such as 12, as lists and messages show it".to_owned())
}

/// Parses a duration.
pub(super) fn period(text: &str) -> Result<Period, String> {
    text.parse().map_err(|what| format!("{what}\n  expected: {EXPECTED}"))
}

/// Prints an error of clap's. (Help and version are such errors too; they are printed as they are.)
pub(super) fn complain(error: &Error) -> std::io::Result<()> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) || !error.use_stderr() {
        return error.print();
    }
    let text = error.render().to_string();
    match text.strip_prefix(ERROR) {
        Some(words) => output::complain(&rendered(words, output::colour_on_stderr())),
        None => return error.print(),
    }
    Ok(())
}

/// The words of an error as `error:` and `hint:`, with the usage below if clap shows it.
fn rendered(words: &str, colour: bool) -> String {
    let (words, usage) = words.split_once("\nUsage: ").unwrap_or((words, ""));
    let mut lines = words.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("For more information"));
    let mut text = output::error(lines.next().unwrap_or_default(), colour);
    let mut is_advised = false;
    for line in lines.map(str::trim) {
        let line = if let Some(tip) = line.strip_prefix(TIP) {
            is_advised = true;
            format!("hint: {tip}")
        } else if let Some(choices) = line.strip_prefix(CHOICES) {
            format!("expected: one of {}", choices.trim_end_matches(']'))
        } else {
            line.to_owned()
        };
        let _ = writeln!(text, "  {}", output::printable(&line));
    }
    if !is_advised {
        let _ = writeln!(text, "  hint: {HELP}");
    }
    let usage = usage.split("\n\n").next().unwrap_or_default().trim_end();
    if !usage.is_empty() {
        let _ = writeln!(text, "\nUsage: {usage}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_claps_has_the_form_of_all_others() {
        for (words, expected) in [
            (
                "unrecognized subcommand 'sevre'\n\n  tip: a similar subcommand exists: 'serve'\n\nUsage: linedown \
                 <COMMAND>\n\nFor more information, try '--help'.\n",
                "error: unrecognized subcommand 'sevre'\n  hint: a similar subcommand exists: 'serve'\n\nUsage: linedown \
                 <COMMAND>\n"
                    .to_owned(),
            ),
            (
                "invalid value 'x' for '--shell'\n  [possible values: bash, fish]\n\nFor more information, try '--help'.\n",
                format!("error: invalid value 'x' for '--shell'\n  expected: one of bash, fish\n  hint: {HELP}\n"),
            ),
        ] {
            assert_eq!(rendered(words, false), expected);
        }
    }
}
