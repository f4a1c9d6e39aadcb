//! What the demo shows: steps with what was said under them, narrow enough for a phone.

use std::time::{Duration, Instant};

use super::super::{CommandError, output};

/// As many columns as a phone's terminal has.
const WIDTH: usize = 48;
/// What stands before each line that somebody said.
const QUOTED: &str = "   │ ";

/// How something looks on a terminal (ECMA-48, 8.3.117).
#[derive(Clone, Copy)]
pub(super) enum Look {
    Plain,
    Bold,
    Faint,
    Good,
    Bad,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Bad => "31",
        }
    }
}

/// The terminal, or whatever stands for it.
pub(super) struct Screen {
    colour: bool,
    began: Instant,
    steps: usize,
}

impl Screen {
    /// The demo begins now.
    pub(super) fn new() -> Self {
        Self { colour: output::colour_on_stdout(), began: Instant::now(), steps: 0 }
    }

    /// The next thing that happens.
    pub(super) fn step(&mut self, what: &str) -> Result<(), CommandError> {
        self.steps += 1;
        let number = format!("{}. ", self.steps);
        let time = seconds(self.began.elapsed());
        let mut lines = wrapped(what, WIDTH - 3);
        if let Some(last) = lines.last_mut() {
            let gap = (WIDTH - 3).saturating_sub(last.chars().count() + time.chars().count());
            if gap > 1 {
                *last = format!("{last}{}{}", " ".repeat(gap), self.painted(Look::Faint, &time));
            }
        }
        output::print("\n")?;
        for (index, line) in lines.iter().enumerate() {
            let start = if index == 0 { number.as_str() } else { "   " };
            output::print(&format!("{start}{}\n", self.painted(Look::Bold, line)))?;
        }
        Ok(())
    }

    /// Something we say.
    pub(super) fn say(&self, indent: usize, look: Look, text: &str) -> Result<(), CommandError> {
        for line in wrapped(text, WIDTH - indent) {
            output::print(&format!("{}{}\n", " ".repeat(indent), self.painted(look, &line)))?;
        }
        Ok(())
    }

    /// Something somebody else said.
    pub(super) fn quote(&self, look: Look, text: &str) -> Result<(), CommandError> {
        for line in text.lines().flat_map(|line| wrapped(line, WIDTH - QUOTED.chars().count())) {
            output::print(&format!("{}{}\n", self.painted(Look::Faint, QUOTED), self.painted(look, &line)))?;
        }
        Ok(())
    }

    /// How long the demo has lasted.
    pub(super) fn elapsed(&self) -> String {
        seconds(self.began.elapsed())
    }

    fn painted(&self, look: Look, text: &str) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", look.code()) } else { text.to_owned() }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Lines of at most `width` characters, broken at spaces where there are any.
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
