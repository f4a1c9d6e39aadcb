//! The demo's output: numbered steps with what was said below them, as wide as the terminal, which may be a phone's.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::super::output::Look;
use super::super::{CommandError, output};

/// Width in columns: at least that of a phone's terminal, at most what is easy to read.
const WIDTHS: RangeInclusive<usize> = 48..=100;
/// Width if there is no terminal.
const WIDTH: usize = 80;
/// Precedes each line that is quoted.
const QUOTED: &str = "   │ ";

/// The demo's output.
pub(super) struct Screen {
    width: usize,
    began: Instant,
    steps: usize,
}

impl Screen {
    /// Starts the demo's clock.
    pub(super) fn new() -> Self {
        let width = output::terminal_width().map_or(WIDTH, |width| width.clamp(*WIDTHS.start(), *WIDTHS.end()));
        Self { width, began: Instant::now(), steps: 0 }
    }

    /// Shows a new step.
    pub(super) fn step(&mut self, what: &str) -> Result<(), CommandError> {
        self.steps += 1;
        let number = format!("{}. ", self.steps);
        let time = seconds(self.began.elapsed());
        let mut lines = wrapped(what, self.width - 3);
        if let Some(last) = lines.last_mut() {
            let gap = (self.width - 3).saturating_sub(last.chars().count() + time.chars().count());
            if gap > 1 {
                *last = format!("{last}{}{}", " ".repeat(gap), output::painted(Look::Faint, &time));
            }
        }
        output::print("\n")?;
        for (index, line) in lines.iter().enumerate() {
            let start = if index == 0 { number.as_str() } else { "   " };
            output::print(&format!("{start}{}\n", output::painted(Look::Bold, line)))?;
        }
        Ok(())
    }

    /// Shows the demo's own words.
    pub(super) fn say(&self, indent: usize, look: Look, text: &str) -> Result<(), CommandError> {
        for line in wrapped(text, self.width - indent) {
            output::print(&format!("{}{}\n", " ".repeat(indent), output::painted(look, &line)))?;
        }
        Ok(())
    }

    /// Shows the words of others.
    pub(super) fn quote(&self, look: Look, text: &str) -> Result<(), CommandError> {
        for line in text.lines().flat_map(|line| wrapped(line, self.width - QUOTED.chars().count())) {
            output::print(&format!("{}{}\n", output::painted(Look::Faint, QUOTED), output::painted(look, &line)))?;
        }
        Ok(())
    }

    /// The time since the demo began.
    pub(super) fn elapsed(&self) -> String {
        seconds(self.began.elapsed())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Lines of at most `width` characters, broken at spaces if possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let text = output::printable(text);
    let mut lines = vec![String::new()];
    let mut room = width;
    for piece in text.split_inclusive(' ') {
        if piece.trim_end().chars().count() > room && room < width {
            lines.push(String::new());
            room = width;
        }
        for character in piece.chars() {
            if room == 0 {
                if character == ' ' {
                    continue;
                }
                lines.push(String::new());
                room = width;
            }
            lines.last_mut().into_iter().for_each(|line| line.push(character));
            room -= 1;
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_width() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrapped("abcd efgh", 4), ["abcd", "efgh"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("a\u{1b}b", 4), ["a b"]);
    }
}
