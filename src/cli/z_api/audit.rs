//! `linedown z-api audit`: finds what is wrong at the gateway before an alert gets lost because of it.

use serde::Serialize;

use super::progress::Progress;
use super::{ADD_TOKEN, NO_LINES, NO_TOKEN, Source, Trouble, hints, register};
use crate::cli::table::{Column, table};
use crate::cli::{Code, CommandError, output};
use crate::clock;
use crate::config::Config;
use crate::gateway::audit::{Finding, findings, stranger};
use crate::gateway::fleet::Fleet;
use crate::gateway::registration::Addresses;
use crate::gateway::{Failure, LineAccess, Member};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Register missing and wrong webhooks
    #[arg(long)]
    fix: bool,
    /// Only the instances of this source; all sources of the type z-api by default
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// A finding about an instance or a source.
#[derive(Debug, Serialize)]
struct Row {
    source: String,
    /// None if it is about the source as a whole.
    instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(flatten)]
    what: What,
    /// Whether the command has put it right.
    fixed: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
    Found(Finding),
    Other(Other),
}

/// A finding that only this command has.
#[derive(Debug, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
enum Other {
    /// The instance is in the inventory, but has no token.
    NoToken,
    /// The gateway could not be asked.
    Unknown { failure: Trouble },
}

/// Printed if there is no public address to compare with.
const UNCOMPARED: &str = "webhooks were not compared: set `public_url` in [server]\n";

pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<Code, CommandError> {
    let sources = Source::chosen(config, arguments.source.as_deref())?;
    let (mut rows, mut asked) = (Vec::new(), 0);
    let compares = arguments.fix || config.server.public_url.is_some();
    for source in &sources {
        // Without a public address, webhooks cannot be compared, but everything else is checked.
        let addresses = compares.then(|| source.addresses()).transpose()?;
        let (addresses, fleet) = (addresses.as_ref(), source.fleet()?);
        let lines = &source.access.lines;
        asked += lines.len();
        let progress = Progress::new("asking about", lines.len());
        let work = async |place: usize| {
            let line = &lines[place];
            let found = one(&fleet, addresses, line, arguments.fix).await;
            found.into_iter().map(|(what, fixed)| source.row(&line.instance, what, fixed)).collect::<Vec<Row>>()
        };
        let found = fleet.each(lines.len(), work, |count| progress.done(count)).await;
        drop(progress);
        rows.extend(found.into_iter().flatten());
        let without = source.without_token(&sources);
        rows.extend(without.into_iter().map(|id| source.row(id, What::Other(Other::NoToken), false)));
        if source.access.partner_token.is_some() {
            rows.append(&mut strangers(source, &fleet, addresses).await);
        }
    }
    if arguments.json {
        output::print_json(&rows)?;
        if !compares {
            output::complain(UNCOMPARED);
        }
    } else if asked == 0 && rows.is_empty() {
        output::print(NO_LINES)?;
    } else {
        let uncompared = if compares { "" } else { UNCOMPARED };
        output::print(&format!("{}{uncompared}", told(&rows, asked)))?;
    }
    Ok(if rows.iter().all(|row| row.fixed) { Code::Done } else { Code::Failed })
}

/// The findings about one line, and whether each was put right.
async fn one(fleet: &Fleet, addresses: Option<&Addresses>, line: &LineAccess, fix: bool) -> Vec<(What, bool)> {
    let unknown = |failure: &Failure| (What::Other(Other::Unknown { failure: failure.into() }), false);
    let profile = match fleet.ask(|| fleet.client().profile(line)).await {
        Ok(profile) => profile,
        Err(failure) => return vec![unknown(&failure)],
    };
    let mut rows = Vec::new();
    let due_within = fleet.client().access().audit.due_within;
    for finding in findings(&line.instance, &profile, addresses, due_within, clock::now()) {
        let mut fixed = false;
        if let (true, Some(addresses), Finding::WebhookDrift { webhook, .. }) = (fix, addresses, &finding) {
            match register::register(fleet, addresses, line, *webhook).await {
                Ok(()) => fixed = true,
                Err(failure) => rows.push(unknown(&failure)),
            }
        }
        rows.push((What::Found(finding), fixed));
    }
    rows
}

/// The partner's instances that are not in the inventory.
async fn strangers(source: &Source<'_>, fleet: &Fleet, addresses: Option<&Addresses>) -> Vec<Row> {
    let known = |instance: &str| source.config.routing.inventory.contains(source.name, instance);
    let members = match fleet.strangers(known).await {
        Ok(members) => members,
        Err(failure) => {
            let what = What::Other(Other::Unknown { failure: (&failure).into() });
            return vec![Row { source: source.name.to_owned(), instance: None, name: None, what, fixed: false }];
        }
    };
    let row = |member: Member| {
        let what = What::Found(stranger(&member, addresses));
        let Member { instance, name, .. } = member;
        Row { source: source.name.to_owned(), instance: Some(instance), name, what, fixed: false }
    };
    members.into_iter().map(row).collect()
}

impl Source<'_> {
    fn row(&self, instance: &str, what: What, fixed: bool) -> Row {
        let name = self.title(instance).map(str::to_owned);
        Row { source: self.name.to_owned(), instance: Some(instance.to_owned()), name, what, fixed }
    }
}

impl What {
    fn words(&self) -> String {
        match self {
            Self::Found(finding) => finding.to_string(),
            Self::Other(Other::NoToken) => NO_TOKEN.to_owned(),
            Self::Other(Other::Unknown { failure }) => failure.what.clone(),
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Found(finding) => finding.hint(),
            Self::Other(Other::NoToken) => ADD_TOKEN,
            Self::Other(Other::Unknown { failure }) => failure.hint,
        }
    }
}

fn told(rows: &[Row], asked: usize) -> String {
    if rows.is_empty() {
        return format!("{asked} asked, nothing wrong\n");
    }
    let cells = rows.iter().map(|row| {
        let (name, instance) = (row.name.clone().unwrap_or_default(), row.instance.clone().unwrap_or_default());
        let fixed = if row.fixed { "fixed" } else { "" };
        vec![name, instance, row.what.words(), fixed.to_owned()]
    });
    let columns = [Column::text("line"), Column::identifier("instance"), Column::text("problem"), Column::whole("")];
    let table = table(&columns, cells);
    let left = rows.iter().filter(|row| !row.fixed).count();
    let text = format!("{asked} asked, {} wrong, {} fixed\n\n{table}", rows.len(), rows.len() - left);
    text + &hints(rows.iter().filter(|row| !row.fixed).map(|row| row.what.hint()))
}
