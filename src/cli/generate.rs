//! `linedown completions` and `linedown man`, for packages.

use clap_complete::Shell;

use super::{Code, CommandError, output};

#[derive(Debug, clap::Args)]
pub(super) struct CompletionArguments {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(arguments: &CompletionArguments, command: &mut clap::Command) -> Result<Code, CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, command, "linedown", &mut text);
    output::print(&String::from_utf8_lossy(&text)).map(|()| Code::Done)
}

pub(super) fn manual(command: clap::Command) -> Result<Code, CommandError> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut text)
        .map_err(|error| CommandError::new(Code::Failed, "cannot write the manual").caused_by(&error))?;
    output::print(&String::from_utf8_lossy(&text)).map(|()| Code::Done)
}
