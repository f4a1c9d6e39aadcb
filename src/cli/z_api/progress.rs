//! Shows progress on a terminal while many lines are being asked about.

use std::io::IsTerminal;

use crate::cli::output;

/// With at most this many lines, no progress is shown: it would be over too soon to read.
const FEW: usize = 20;

/// A line on standard error that is overwritten; nothing if that is not a terminal.
pub(super) struct Progress {
    what: &'static str,
    total: usize,
    shown: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: usize) -> Self {
        Self { what, total, shown: total > FEW && std::io::stderr().is_terminal() }
    }

    pub(super) fn done(&self, count: usize) {
        if self.shown {
            output::complain(&format!("\r{} {count} of {}", self.what, self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            output::complain("\r\u{1b}[K");
        }
    }
}
