//! Errors of commands: what failed, why, and what to do.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use super::output::{self, printable};

/// Exit codes, as in `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Success.
    Done = 0,
    /// The command failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 64,
    /// The daemon or a sink cannot be reached.
    Unavailable = 69,
    /// A temporary failure: try again.
    TryAgain = 75,
    /// The config is bad.
    Config = 78,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// The config cannot be used. The text is its whole report.
    Report(String),
    /// Any other failure. It is printed as `error:`, `caused by:` and `hint:`, one line each.
    Failed {
        /// The exit code.
        code: Code,
        /// What failed.
        what: String,
        /// Why, from the nearest cause to the root.
        causes: Vec<String>,
        /// What the user can do.
        hint: Option<String>,
    },
}

impl CommandError {
    /// A failure without causes and hint.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self::Failed { code, what: what.into(), causes: Vec::new(), hint: None }
    }

    /// Adds an error and its sources as causes.
    #[must_use]
    pub fn caused_by(self, error: &dyn Error) -> Self {
        std::iter::successors(Some(error), |error| (*error).source())
            .fold(self, |failed, cause| failed.because(cause.to_string()))
    }

    /// Sets what the user can do.
    #[must_use]
    pub fn hint(mut self, advice: impl Into<String>) -> Self {
        if let Self::Failed { hint, .. } = &mut self {
            *hint = Some(advice.into());
        }
        self
    }

    /// Adds a cause in words.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        if let Self::Failed { causes, .. } = &mut self {
            causes.push(why.into());
        }
        self
    }

    /// The exit code.
    pub fn code(&self) -> Code {
        match self {
            Self::Report(_) => Code::Config,
            Self::Failed { code, .. } => *code,
        }
    }

    /// The text for standard error.
    pub(super) fn render(&self, colour: bool) -> String {
        let (what, causes, hint) = match self {
            Self::Report(report) => return report.clone(),
            Self::Failed { what, causes, hint, .. } => (what, causes, hint),
        };
        let mut text = output::error(what, colour);
        for cause in causes {
            let _ = writeln!(text, "  caused by: {}", printable(cause));
        }
        if let Some(hint) = hint {
            let _ = writeln!(text, "  hint: {}", printable(hint));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let cause = std::io::Error::other("permission denied");
        let error = CommandError::new(Code::Failed, "cannot open x").caused_by(&cause).hint("run it as root");
        assert_eq!(
            error.render(false),
            "error: cannot open x\n  caused by: permission denied\n  hint: run it as root\n"
        );
    }

    #[test]
    fn a_line_break_in_a_name_makes_no_report_of_an_error() {
        let error = CommandError::new(Code::Failed, "cannot read no\nfile").hint("name\nanother");
        assert_eq!(error.render(false), "error: cannot read no file\n  hint: name another\n");
        assert_eq!(CommandError::Report("1 error\n2 errors\n".to_owned()).render(false), "1 error\n2 errors\n");
    }
}
