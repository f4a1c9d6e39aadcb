//! How far it is, on a terminal, while many lines are asked about.

use std::io::{IsTerminal, Write};

/// So few lines are done before one could read it.
const FEW: usize = 20;

/// One line on standard error that is overwritten; nothing where that is no terminal.
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
            let mut out = std::io::stderr().lock();
            // Whoever closed it does not want to know.
            let _ = write!(out, "\r{} {count} of {}", self.what, self.total).and_then(|()| out.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\u{1b}[K");
        }
    }
}
