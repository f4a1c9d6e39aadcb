//! `linedown ack`: acknowledges incidents.

use super::client::Daemon;
use super::{Code, CommandError, Place, output, usage};
use crate::server::api::{AckAnswer, AckRequest};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The incidents, by the numbers that messages and `linedown incidents` show
    #[arg(required = true, value_name = "INCIDENT", value_parser = usage::number)]
    incidents: Vec<i64>,
    /// Who takes it; by default your user name on this machine
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let (daemon, by) = (Daemon::find_to_change(place).await?, super::person(arguments.by.as_deref()));
    let (mut answers, mut failed, mut broken_off) = (Vec::new(), Vec::new(), None);
    for &incident in &arguments.incidents {
        let answer: AckAnswer = match daemon.post("ack", &AckRequest { incident, by: by.clone() }).await {
            Ok(answer) => answer,
            Err(error) => {
                broken_off = Some(error);
                break;
            }
        };
        let said = output::printable(&answer.said);
        match &arguments.incidents[..] {
            _ if !answer.acknowledged => failed.push(format!("incident {incident} is not yours: {said}")),
            _ if arguments.json => {}
            [_] => output::print(&format!("{said}\n"))?,
            _ => output::print(&format!("{incident}: {said}\n"))?,
        }
        answers.push(answer);
    }
    if arguments.json {
        match (&answers[..], arguments.incidents.len()) {
            ([], 1) => {}
            ([answer], 1) => output::print_json(answer)?,
            (answers, _) => output::print_json(&answers)?,
        }
    }
    let rest = &arguments.incidents[answers.len()..];
    verdict(failed, answers.len(), broken_off.map(|error| (error, rest)))
}

/// How it went with `all` that were answered, of which some failed. What broke the rest off, if anything did, comes with
/// that rest.
fn verdict(
    mut failed: Vec<String>,
    all: usize,
    broken_off: Option<(CommandError, &[i64])>,
) -> Result<Code, CommandError> {
    if let Some((error, rest)) = broken_off {
        let error = failed.into_iter().fold(error, CommandError::because);
        let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
        let is_alone = all + rest.len() == 1;
        return Err(if is_alone { error } else { error.because(format!("not known to be done: {}", rest.join(", "))) });
    }
    let error = match (failed.len(), all) {
        (0, _) => return Ok(Code::Done),
        (1, 1) => CommandError::new(Code::Failed, failed.remove(0)),
        (some, all) => {
            let error = CommandError::new(Code::Failed, format!("{some} of {all} incidents are not yours"));
            failed.into_iter().fold(error, CommandError::because)
        }
    };
    Err(error.hint("`linedown incidents --open` lists those that are open, and who has taken them"))
}
