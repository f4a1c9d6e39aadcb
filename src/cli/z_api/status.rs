//! `linedown z-api status`: lists the state of each line according to the gateway, the worst first.

use serde::Serialize;

use super::progress::Progress;
use super::{NO_LINES, Source, Trouble, hints};
use crate::cli::output::Look;
use crate::cli::table::{self, Column};
use crate::cli::{Code, CommandError, output};
use crate::config::Config;
use crate::gateway::{LineAccess, Standing};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only these instances, by their identifiers or names; all by default
    #[arg(value_name = "INSTANCE")]
    instances: Vec<String>,
    /// Only the instances of this source; all sources of the type z-api by default
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Print the lines as JSON
    #[arg(long)]
    json: bool,
}

/// The state of one line.
#[derive(Debug, Serialize)]
struct Row {
    source: String,
    instance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    state: State,
    /// The gateway's explanation if the line is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Why the state is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Trouble>,
}

/// In the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Down,
    Unknown,
    Up,
}

pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<Code, CommandError> {
    let sources = Source::chosen(config, arguments.source.as_deref())?;
    arguments.check(&sources)?;
    let mut rows = Vec::new();
    for source in &sources {
        let lines = source.access.lines.iter().filter(|line| arguments.want(source, &line.instance));
        let (fleet, lines) = (source.fleet()?, lines.collect::<Vec<&LineAccess>>());
        let progress = Progress::new("asking", lines.len());
        let work = async |place: usize| {
            let line = lines[place];
            let standing = fleet.ask(|| fleet.client().status(line)).await;
            let (state, error, failure) = match standing {
                Ok(Standing::Up) => (State::Up, None, None),
                Ok(Standing::Down { error }) => (State::Down, error, None),
                Err(failure) => (State::Unknown, None, Some(Trouble::from(&failure))),
            };
            Row { error, ..source.standing(&line.instance, state, failure) }
        };
        rows.append(&mut fleet.each(lines.len(), work, |count| progress.done(count)).await);
        let without = source.without_token(&sources).into_iter().filter(|id| arguments.want(source, id));
        rows.extend(without.map(|id| source.standing(id, State::Unknown, Some(Trouble::no_token()))));
    }
    rows.sort_by_key(|row| row.state);
    if arguments.json {
        output::print_json(&rows)?;
    } else {
        output::print(&told(&rows))?;
    }
    Ok(if rows.iter().all(|row| row.state != State::Unknown) { Code::Done } else { Code::Failed })
}

impl Arguments {
    /// Whether to ask about an instance of a source.
    fn want(&self, source: &Source<'_>, id: &str) -> bool {
        self.instances.is_empty() || self.instances.iter().any(|wanted| is_called(source, id, wanted))
    }

    /// Fails if one of the instances is in the inventory of none of the sources.
    fn check(&self, sources: &[Source<'_>]) -> Result<(), CommandError> {
        let is_there = |wanted: &str| {
            sources.iter().any(|source| {
                let asked = source.access.lines.iter().map(|line| &*line.instance);
                asked.chain(source.without_token(sources)).any(|id| is_called(source, id, wanted))
            })
        };
        match self.instances.iter().find(|wanted| !is_there(wanted)) {
            None => Ok(()),
            Some(unknown) => {
                let what = format!("no instance in the inventory has the identifier or the name {unknown:?}");
                Err(CommandError::new(Code::Usage, what).hint("`linedown z-api status` lists all of the inventory"))
            }
        }
    }
}

/// Whether an instance of a source has this identifier or this name.
fn is_called(source: &Source<'_>, id: &str, wanted: &str) -> bool {
    id == wanted || source.title(id) == Some(wanted)
}

impl Source<'_> {
    fn standing(&self, instance: &str, state: State, failure: Option<Trouble>) -> Row {
        let name = self.title(instance).map(str::to_owned);
        Row { source: self.name.to_owned(), instance: instance.to_owned(), name, state, error: None, failure }
    }
}

fn told(rows: &[Row]) -> String {
    if rows.is_empty() {
        return NO_LINES.to_owned();
    }
    let cells = rows.iter().map(|row| {
        let (state, look) = match row.state {
            State::Down => ("DOWN", Look::Bad),
            State::Unknown => ("unknown", Look::Doubtful),
            State::Up => ("up", Look::Plain),
        };
        let says = row.failure.as_ref().map(|failure| failure.what.clone()).or_else(|| row.error.clone());
        let name = row.name.clone().unwrap_or_default();
        table::Row::new(look, vec![name, row.instance.clone(), state.to_owned(), says.unwrap_or_default()])
    });
    let columns = [
        Column::text("line"),
        Column::identifier("instance"),
        Column::whole("state"),
        Column::note("the gateway says"),
    ];
    let table = table::table(&columns, cells);
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    let text =
        format!("{} down, {} unknown, {} up\n\n{table}", count(State::Down), count(State::Unknown), count(State::Up));
    text + &hints(rows.iter().filter_map(|row| row.failure.as_ref()).map(|failure| failure.hint))
}
