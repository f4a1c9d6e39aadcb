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
    let (mut answers, mut failed) = (Vec::new(), Vec::new());
    for &incident in &arguments.incidents {
        let answer: AckAnswer = daemon.post("ack", &AckRequest { incident, by: by.clone() }).await?;
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
        match &answers[..] {
            [answer] => output::print_json(answer)?,
            answers => output::print_json(&answers)?,
        }
    }
    let error = match (failed.len(), answers.len()) {
        (0, _) => return Ok(Code::Done),
        (1, 1) => CommandError::new(Code::Failed, failed.remove(0)),
        (some, all) => {
            let error = CommandError::new(Code::Failed, format!("{some} of {all} incidents are not yours"));
            failed.into_iter().fold(error, CommandError::because)
        }
    };
    Err(error.hint("`linedown incidents --open` lists those that are open, and who has taken them"))
}
