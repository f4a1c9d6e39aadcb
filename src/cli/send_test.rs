//! `linedown send-test`: sends one real, marked message through one sink.

use linedown_sinks::FailureKind;

use super::client::Daemon;
use super::{Code, CommandError, Place, output, unknown_sink};
use crate::clock;
use crate::server::api::{TrialAnswer, TrialRequest};
use crate::trial::{self, Outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The sink, by its name in the config
    sink: String,
    /// Print the answers as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let config = place.config()?;
    let Some(target) = config.routing.sinks.get(&arguments.sink) else {
        return Err(unknown_sink(&config, &arguments.sink));
    };
    // Credentials from systemd are only available to the daemon.
    let results = if config.lacks_credentials {
        let request = TrialRequest { sink: arguments.sink.clone() };
        Daemon::find_to_change(place).await?.post::<TrialAnswer>("send-test", &request).await?.results
    } else {
        let messages = arguments.json.then(output::divert_stdout).transpose()?;
        let results = trial::send(target.settings.as_ref(), clock::now()).await;
        drop(messages);
        results
    };
    if arguments.json {
        output::print_json(&results)?;
    } else {
        for result in results.iter().filter(|result| result.delivered) {
            output::print(&format!(
                "{}: delivered: {}\n",
                address(arguments, result),
                output::printable(&result.said)
            ))?;
        }
    }
    let failed: Vec<&Outcome> = results.iter().filter(|result| !result.delivered).collect();
    if failed.is_empty() { Ok(Code::Done) } else { Err(not_delivered(arguments, &failed)) }
}

fn address(arguments: &Arguments, outcome: &Outcome) -> String {
    let to = if outcome.recipient.is_empty() { String::new() } else { format!(" to {}", outcome.recipient) };
    format!("{}{to}", arguments.sink)
}

/// The error for failed recipients. Failures that a person must mend come before temporary ones, and a sink's own
/// advice before the general hint.
fn not_delivered(arguments: &Arguments, failed: &[&Outcome]) -> CommandError {
    use FailureKind::{Refused, TimedOut, Unauthorised, Unreachable};
    let of = |sorts: &[FailureKind]| {
        let of_these = |outcome: &&&Outcome| outcome.failure.is_some_and(|kind| sorts.contains(&kind));
        failed.iter().filter(of_these).copied().collect::<Vec<_>>()
    };
    let (mendable, unreached) = (of(&[Refused, Unauthorised]), of(&[Unreachable, TimedOut]));
    let (code, first, hint) = if !mendable.is_empty() || failed.iter().any(|outcome| outcome.failure.is_none()) {
        (Code::Failed, mendable, format!("correct [sinks.{}] in the config, or what it names", arguments.sink))
    } else if !unreached.is_empty() {
        (Code::Unavailable, unreached, "check that the address is right, and that this machine can reach it".to_owned())
    } else {
        (Code::TryAgain, failed.to_vec(), "try it again in a while".to_owned())
    };
    let hint = first.iter().find_map(|outcome| outcome.advice.clone()).unwrap_or(hint);
    let error = CommandError::new(code, format!("the test message was not delivered to {}", arguments.sink));
    let because = |error: CommandError, outcome: &&Outcome| {
        let said = output::printable(&outcome.said);
        error.because(if outcome.recipient.is_empty() { said } else { format!("{}: {said}", outcome.recipient) })
    };
    failed.iter().fold(error, because).hint(hint)
}
