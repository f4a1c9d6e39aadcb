//! `linedown silence`: adds, lists and ends silences.

mod beginning;
mod matchers;

use std::time::Duration;

use linedown_sinks::Problem;

use super::client::Daemon;
use super::table::{Column, table};
use super::{Code, CommandError, Place, output, usage};
use crate::clock;
use crate::period::Period;
use crate::server::api::{SilenceAnswer, SilenceQuery};
use crate::store::view::SilenceRow;

/// Silences that ended longer ago are not listed.
const LISTED: Duration = Duration::from_hours(24);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Send nothing about matching lines for a while
    ///
    /// Messages that are being retried wait too. These are still sent: that somebody acknowledged an outage, that a sink
    /// gave up a notification, and tests.
    Add(AddArguments),
    /// List silences that are in force, are still to come, or ended within the last day
    List(ListArguments),
    /// End a silence now; what it held back is sent if the line is still down
    Expire(ExpireArguments),
}

#[derive(Debug, clap::Args)]
struct AddArguments {
    /// What must match, as in a rule: `labels.customer=acme`, `instance=39EC*`, `'labels.tier=["gold", "silver"]'`,
    /// `'name={ regex = "Loja .*" }'`
    #[arg(required = true, value_name = "FIELD=VALUE")]
    matchers: Vec<String>,
    /// From when on, such as 22:00, "2026-12-24 18:00" or 2026-12-24T18:00:00Z; by default from now
    #[arg(long, value_name = "TIME", value_parser = beginning::parse)]
    from: Option<beginning::Beginning>,
    /// For how long, such as 2h
    #[arg(long = "for", value_name = "PERIOD", value_parser = usage::period)]
    lasting: Period,
    /// Why, for whoever lists the silences
    #[arg(long, default_value = "")]
    comment: String,
    /// Who makes it; by default your user name on this machine
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// Print the silence as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ExpireArguments {
    /// The silence, by its number
    #[arg(value_parser = usage::number)]
    id: i64,
    /// Print its number as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    match &arguments.command {
        Command::Add(arguments) => add(place, arguments).await,
        Command::List(arguments) => list(place, arguments).await,
        Command::Expire(arguments) => expire(place, arguments).await,
    }
}

async fn add(place: &Place, arguments: &AddArguments) -> Result<Code, CommandError> {
    let now = clock::now();
    let starts_at = beginning::start(arguments.from, now)?;
    if arguments.lasting.0.is_zero() {
        return Err(
            CommandError::new(Code::Usage, "a silence of no duration holds nothing back").hint("such as --for 2h")
        );
    }
    let (matcher, breadth) = matchers::read(&arguments.matchers)?;
    let mut silence = SilenceRow {
        id: 0,
        matcher,
        starts_at,
        ends_at: clock::later(starts_at, arguments.lasting.0),
        comment: arguments.comment.clone(),
        made_by: super::person(arguments.by.as_deref()),
        made_at: now,
    };
    let daemon = Daemon::find_to_change(place).await?;
    warn(breadth.as_slice());
    if let Some(config) = place.config_if_right("linedown cannot tell whether this silence matches any of its lines") {
        warn(&config.amiss_with(&silence.matcher));
    }
    let answer: SilenceAnswer = daemon.post("silences", &silence).await?;
    silence.id = answer.id;
    if arguments.json {
        output::print_json(&silence)?;
    } else {
        let from = if starts_at > now { format!(" from {}", output::moment(starts_at)) } else { String::new() };
        output::print(&format!("silence {}{from} until {}\n", silence.id, output::moment(silence.ends_at)))?;
    }
    Ok(Code::Done)
}

/// Warns that the silence may not be what was meant.
fn warn(problems: &[Problem]) {
    for Problem { path, what, expected, hint, .. } in problems {
        let line = |name: &str, words: &Option<String>| {
            words.as_ref().map(|words| format!("  {name}: {}\n", output::printable(words))).unwrap_or_default()
        };
        let at = if path.0.is_empty() { String::new() } else { format!("{path}: ") };
        let what = output::printable(&format!("{at}{what}"));
        output::complain(&format!("warning: {what}\n{}{}", line("expected", expected), line("hint", hint)));
    }
}

async fn list(place: &Place, arguments: &ListArguments) -> Result<Code, CommandError> {
    let now = clock::now();
    let query = SilenceQuery { ended_after: now.checked_sub(LISTED).unwrap_or(now) };
    let silences: Vec<SilenceRow> = Daemon::find(place).await?.get("silences", &query).await?;
    if arguments.json {
        output::print_json(&silences)?;
    } else if silences.is_empty() {
        output::print("no silences\n")?;
    } else {
        let columns = [
            Column::whole("id"),
            Column::whole("state"),
            Column::moment("from"),
            Column::moment("until"),
            Column::text("matches"),
            Column::text("by"),
            Column::text("comment"),
        ];
        let rows = silences.into_iter().map(|silence| {
            let state = if silence.ends_at <= now {
                "over"
            } else if silence.starts_at > now {
                "to come"
            } else {
                "in force"
            };
            let matches = matchers::shown(&silence.matcher);
            let (from, until) = (output::moment(silence.starts_at), output::moment(silence.ends_at));
            vec![silence.id.to_string(), state.to_owned(), from, until, matches, silence.made_by, silence.comment]
        });
        output::print(&table(&columns, rows))?;
    }
    Ok(Code::Done)
}

async fn expire(place: &Place, arguments: &ExpireArguments) -> Result<Code, CommandError> {
    let path = format!("silences/{}/expire", arguments.id);
    let answer: SilenceAnswer = Daemon::find_to_change(place).await?.post(&path, &()).await?;
    if arguments.json {
        output::print_json(&answer)?;
    } else {
        output::print(&format!("silence {} is over\n", answer.id))?;
    }
    Ok(Code::Done)
}
