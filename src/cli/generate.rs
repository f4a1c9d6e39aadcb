//! `linedown completions` and `linedown man`, which packages use.

use std::path::PathBuf;

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

#[derive(Debug, clap::Args)]
pub(super) struct ManualArguments {
    /// Write the page of every command into this folder
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) fn manual(arguments: &ManualArguments, command: clap::Command) -> Result<Code, CommandError> {
    if let Some(folder) = &arguments.folder {
        let what = || format!("cannot write the manual into {}", folder.display());
        clap_mangen::generate_to(command, folder)
            .map_err(|error| CommandError::new(Code::Failed, what()).caused_by(&error))?;
        return Ok(Code::Done);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut text)
        .map_err(|error| CommandError::new(Code::Failed, "cannot write the manual").caused_by(&error))?;
    output::print(&String::from_utf8_lossy(&text)).map(|()| Code::Done)
}
