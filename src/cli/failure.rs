//! How a command ends badly: what, why, and what to do.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use super::output::Look;

/// Exit codes, after `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 64,
    /// The daemon or a sink cannot be reached.
    Unavailable = 69,
    /// Try again.
    TryAgain = 75,
    /// Bad config.
    Config = 78,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command failed, printed as `error:`, `caused by:`, `hint:`.
#[derive(Debug)]
pub struct CommandError {
    code: Code,
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl CommandError {
    /// What failed.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), causes: Vec::new(), hint: None }
    }

    /// A config's report, which says everything by itself.
    pub fn report(report: String) -> Self {
        Self { code: Code::Config, what: report, causes: Vec::new(), hint: None }
    }

    /// Why, down to the root.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            self.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// What to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Why, in words.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.causes.push(why.into());
        self
    }

    /// The exit code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// For standard error.
    pub(super) fn render(&self, colour: bool) -> String {
        if self.what.contains('\n') {
            return self.what.clone();
        }
        let error = if colour { Look::Bad.paint("error:") } else { "error:".to_owned() };
        let mut text = format!("{error} {}\n", self.what);
        for cause in &self.causes {
            let _ = writeln!(text, "  caused by: {cause}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "  hint: {hint}");
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
}
