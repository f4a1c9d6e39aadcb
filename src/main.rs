//! linedown with the sinks that ship with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    linedown::cli::run(linedown_sinks::KINDS)
}
