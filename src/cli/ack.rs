//! `linedown ack`: somebody takes an incident.

use super::client::Daemon;
use super::{Code, CommandError, Place, output};
use crate::server::api::{AckAnswer, AckRequest};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The outage, by the number that messages and `linedown incidents` show
    incident: i64,
    /// Who takes it; this machine's user by default
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let by = super::person(arguments.by.as_deref());
    let request = AckRequest { incident: arguments.incident, by };
    let answer: AckAnswer = Daemon::find(place)?.post("ack", &request).await?;
    if arguments.json {
        output::print_json(&answer)?;
    } else if answer.acknowledged {
        output::print(&format!("{}\n", output::printable(&answer.said)))?;
    }
    if answer.acknowledged {
        return Ok(Code::Done);
    }
    let what = format!("incident {} is not yours: {}", arguments.incident, output::printable(&answer.said));
    Err(CommandError::new(Code::Failed, what)
        .hint("see `linedown incidents --open` for those that go on, and who has them"))
}
