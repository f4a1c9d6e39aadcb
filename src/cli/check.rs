//! `linedown check`: reports every problem of the config at once.

use super::{Code, CommandError, Place, output};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the problems as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let report = place.load().report;
    if arguments.json {
        output::print_json(&report.rows())?;
    } else {
        let problems = report.render(output::colour_on_stdout());
        output::print(if problems.is_empty() { "no problems\n" } else { &problems })?;
    }
    Ok(if report.errors() > 0 { Code::Config } else { Code::Done })
}
