//! All problems found in a config, for people and for programs.

use std::fmt::Write;

use linedown_sinks::Severity;
use serde::{Serialize, Serializer};

/// Most characters shown of any text: hostile keys may be megabytes long.
const LONGEST: usize = 1_000;

/// All problems, sorted by file and position. Each text is a single line and contains no secret's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    rows: Vec<Row>,
}

/// One problem with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The file, or `environment variable …`.
    pub file: String,
    /// From 1; none if the problem is about the whole file or an environment variable.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// Whether the config can be used in spite of it.
    #[serde(serialize_with = "in_words")]
    pub severity: Severity,
    /// The key, such as `sinks.ops-email.to[1]`; empty if no single key is wrong.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What was expected instead.
    pub expected: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Row {
    /// An error about a file as a whole.
    pub(super) fn error(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            severity: Severity::Error,
            path: String::new(),
            what: what.into(),
            expected: None,
            hint: None,
        }
    }

    pub(super) fn at(self, (line, column): (usize, usize)) -> Self {
        Self { line: Some(line), column: Some(column), ..self }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn tidied(mut self) -> Self {
        for text in [&mut self.file, &mut self.path, &mut self.what] {
            *text = tidy(text);
        }
        for text in [&mut self.expected, &mut self.hint].into_iter().flatten() {
            *text = tidy(text);
        }
        self
    }
}

impl Report {
    /// The rows must be sorted by file and position.
    pub(super) fn new(rows: impl IntoIterator<Item = Row>) -> Self {
        Self { rows: rows.into_iter().map(Row::tidied).collect() }
    }

    /// The problems, sorted by file and position.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The number of problems that make the config unusable.
    pub fn errors(&self) -> usize {
        self.rows.iter().filter(|row| row.severity == Severity::Error).count()
    }

    /// The number of problems that the user should only know about.
    pub fn warnings(&self) -> usize {
        self.rows.len() - self.errors()
    }

    /// The problems as text for people, each with its place, followed by their number. Empty if there are none.
    pub fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for row in &self.rows {
            row.render(&mut text, colour);
        }
        if !self.rows.is_empty() {
            text.push_str(&self.count());
            text.push('\n');
        }
        text
    }

    /// The number of problems in words: `2 errors, 1 warning`.
    pub fn count(&self) -> String {
        let some = |count: usize, name: &str| match count {
            0 => None,
            1 => Some(format!("1 {name}")),
            _ => Some(format!("{count} {name}s")),
        };
        let parts: Vec<String> =
            [some(self.errors(), "error"), some(self.warnings(), "warning")].into_iter().flatten().collect();
        if parts.is_empty() { "no problems".into() } else { parts.join(", ") }
    }
}

impl Row {
    /// The place: `file:line:column`, as far as it is known.
    pub fn place(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", self.file),
            _ => self.file.clone(),
        }
    }

    fn render(&self, text: &mut String, colour: bool) {
        let (paint, plain, bold) = match (colour, self.severity) {
            (false, _) => ("", "", ""),
            (true, Severity::Error) => ("\x1b[1;31m", "\x1b[0m", "\x1b[1m"),
            (true, Severity::Warning) => ("\x1b[1;33m", "\x1b[0m", "\x1b[1m"),
        };
        let _infallible =
            writeln!(text, "{}: {paint}{}{plain}: {bold}{}{plain}", self.place(), word(self.severity), self.what);
        for (label, more) in [("expected", &self.expected), ("hint", &self.hint)] {
            if let Some(more) = more {
                let _infallible = writeln!(text, "  {label}: {more}");
            }
        }
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn in_words<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*severity))
}

/// Makes a text one bounded line: a quotation from a file must neither flood a terminal nor control it.
fn tidy(text: &str) -> String {
    let mut tidy: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        tidy.push('…');
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new([
            Row { expected: Some("one of `listen`".into()), ..Row::error("a.toml", "unknown key `sever`") }
                .at((12, 9))
                .hint("did you mean `server`?"),
            Row { severity: Severity::Warning, path: "rules[0]".into(), ..Row::error("b.toml", "hm\u{1b}[2J\n") },
        ])
    }

    #[test]
    fn for_people() {
        let expected = "a.toml:12:9: error: unknown key `sever`\n  expected: one of `listen`\n  hint: did you mean `server`?\n\
                        b.toml: warning: hm\u{fffd}[2J\u{fffd}\n1 error, 1 warning\n";
        assert_eq!(report().render(false), expected);
        assert!(report().render(true).contains("\x1b[1;31merror\x1b[0m"));
        assert_eq!(Report::default().render(false), "");
    }

    #[test]
    fn for_programs() {
        let rows = serde_json::to_value(report()).unwrap();
        assert_eq!(rows[0]["line"], 12);
        assert_eq!(rows[0]["severity"], "error");
        assert_eq!(rows[1]["severity"], "warning");
        assert_eq!(rows[1]["column"], serde_json::Value::Null);
        assert_eq!(rows[1]["path"], "rules[0]");
    }

    #[test]
    fn nothing_floods() {
        assert!(Report::new([Row::error("f", "x".repeat(1_000_000))]).render(false).len() < 2_000);
    }
}
