//! `linedown send-test`: sends one real, marked message through one sink.

use std::collections::BTreeSet;

use linedown_sinks::{FailureKind, Settings};

use super::client::Daemon;
use super::{Code, CommandError, Place, output, unknown_sink};
use crate::clock;
use crate::config::Config;
use crate::server::api::{TrialAnswer, TrialRequest};
use crate::trial::{self, Outcome};

/// The hint where recipients come from labels.
const NAME_A_LINE: &str = "test them with a line of the inventory that has these labels: --instance ID";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The sink, by its name in the config
    sink: String,
    /// The line that the test is about, by its identifier in the inventory: recipients that come from its labels are
    /// tested too
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Print the answers as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let Sent { results, goes_through_daemon, untested } = match place.config() {
        Ok(config) => sent(place, &config, arguments).await?,
        Err(report) => sent_by_daemon(place, report, arguments).await?,
    };
    let has_nobody = !untested.is_empty() && results.iter().all(|result| result.recipient.is_empty());
    if !untested.is_empty() && !has_nobody {
        let what = output::printable(&format!("not tested: the recipients that come from {untested}"));
        output::complain(&format!("warning: {what}\n  hint: {NAME_A_LINE}\n"));
    }
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
    if failed.is_empty() {
        return Ok(Code::Done);
    }
    let error = not_delivered(arguments, &failed, goes_through_daemon);
    Err(if has_nobody { error.hint(NAME_A_LINE) } else { error })
}

/// What became of a test.
struct Sent {
    /// One for each recipient.
    results: Vec<Outcome>,
    /// Whether the running daemon sent it: that has the rights, the network and the credentials with which real messages
    /// are sent.
    goes_through_daemon: bool,
    /// The labels with recipients that were not tested, as they are written in the config.
    untested: String,
}

/// Sends the test by this config.
async fn sent(place: &Place, config: &Config, arguments: &Arguments) -> Result<Sent, CommandError> {
    let Arguments { sink, instance, json } = arguments;
    let target = config.routing.sinks.get(sink).ok_or_else(|| unknown_sink(config, sink))?;
    let untested = if instance.is_none() { labels(target.settings.as_ref()) } else { String::new() };
    let line = match instance {
        Some(id) => Some(trial::line(&config.routing, id).ok_or_else(|| unknown_line(id))?),
        None => None,
    };
    let daemon = match Daemon::running(place, config).await? {
        None if config.sinks_without_credentials.contains(sink) => Some(Daemon::find_to_change(place).await?),
        daemon => daemon,
    };
    if let Some(daemon) = daemon {
        return Ok(Sent { results: asked(&daemon, arguments).await?, goes_through_daemon: true, untested });
    }
    let messages = json.then(output::divert_stdout).transpose()?;
    let results = trial::send(target.settings.as_ref(), line, clock::now()).await;
    drop(messages);
    Ok(Sent { results, goes_through_daemon: false, untested })
}

/// Has the running daemon send the test by the config that it loaded last, because the one on disk has mistakes by now.
async fn sent_by_daemon(place: &Place, report: CommandError, arguments: &Arguments) -> Result<Sent, CommandError> {
    let Ok(daemon) = Daemon::find_to_change(place).await else { return Err(report) };
    output::complain(
        "warning: the config has mistakes, so the daemon tests the sink by the config that it loaded last\n  \
         hint: `linedown check` shows them\n",
    );
    Ok(Sent { results: asked(&daemon, arguments).await?, goes_through_daemon: true, untested: String::new() })
}

async fn asked(daemon: &Daemon, arguments: &Arguments) -> Result<Vec<Outcome>, CommandError> {
    let request = TrialRequest { sink: arguments.sink.clone(), instance: arguments.instance.clone() };
    Ok(daemon.post::<TrialAnswer>("send-test", &request).await?.results)
}

/// The labels that the sink takes recipients from, as they are written in the config.
fn labels(settings: &dyn Settings) -> String {
    let labels: BTreeSet<String> = settings.labels().into_iter().map(|(_, key)| format!("labels.{key}")).collect();
    labels.into_iter().collect::<Vec<_>>().join(", ")
}

fn unknown_line(id: &str) -> CommandError {
    CommandError::new(Code::Usage, format!("there is no instance {id:?} in the inventory"))
        .hint("name one by its identifier: that of its section, [instances.ID]")
}

fn address(arguments: &Arguments, outcome: &Outcome) -> String {
    let to = if outcome.recipient.is_empty() { String::new() } else { format!(" to {}", outcome.recipient) };
    format!("{}{to}", arguments.sink)
}

/// The error for failed recipients. Failures that a person must mend come before temporary ones, and a sink's own
/// advice before the general hint.
fn not_delivered(arguments: &Arguments, failed: &[&Outcome], goes_through_daemon: bool) -> CommandError {
    use FailureKind::{Refused, TimedOut, Unauthorised, Unreachable};
    let of = |sorts: &[FailureKind]| {
        let of_these = |outcome: &&&Outcome| outcome.failure.is_some_and(|kind| sorts.contains(&kind));
        failed.iter().filter(of_these).copied().collect::<Vec<_>>()
    };
    let (mendable, unreached) = (of(&[Refused, Unauthorised]), of(&[Unreachable, TimedOut]));
    let (code, first, hint) = if !mendable.is_empty() || failed.iter().any(|outcome| outcome.failure.is_none()) {
        let reload = if goes_through_daemon { ", and reload the daemon" } else { "" };
        (Code::Failed, mendable, format!("correct [sinks.{}] in the config, or what it names{reload}", arguments.sink))
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
