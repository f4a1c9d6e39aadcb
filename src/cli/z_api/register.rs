//! `linedown z-api register`: registers this daemon's address for the webhooks of instances.

use serde::Serialize;

use super::progress::Progress;
use super::{NO_LINES, Source, Trouble, hints};
use crate::cli::table::{Column, table};
use crate::cli::{Code, CommandError, output};
use crate::config::Config;
use crate::gateway::fleet::Fleet;
use crate::gateway::registration::{Addresses, Registration};
use crate::gateway::{Failure, LineAccess, Webhook};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["instance", "all"]))]
pub(super) struct Arguments {
    /// Register these instances
    #[arg(long, value_name = "ID", num_args = 1..)]
    instance: Vec<String>,
    /// Register all instances in the inventory
    #[arg(long)]
    all: bool,
    /// Only those of this source; all sources of the type z-api by default
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Change nothing, and show what would be changed
    #[arg(long)]
    dry_run: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// The result for one instance.
#[derive(Debug, Serialize)]
struct Done {
    source: String,
    instance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// One for each webhook, unless the registrations could not be read.
    webhooks: Vec<Step>,
    /// Why something failed or could not be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Trouble>,
}

/// What was registered for one webhook, and what was done about it.
#[derive(Debug, Serialize)]
struct Step {
    webhook: Webhook,
    was: Registration,
    was_address: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Unchanged,
    Registered,
    WouldRegister,
    Failed,
}

impl Outcome {
    fn words(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Registered => "registered",
            Self::WouldRegister => "would be registered",
            Self::Failed => "FAILED",
        }
    }
}

pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<Code, CommandError> {
    let sources = Source::chosen(config, arguments.source.as_deref())?;
    for instance in &arguments.instance {
        if !sources.iter().any(|source| source.access.line(instance).is_some()) {
            let error =
                CommandError::new(Code::Usage, format!("the config has no token for the instance {instance:?}"));
            return Err(error.hint(format!("add `token` to [instances.{instance}]; Z-API's panel shows it")));
        }
    }
    let mut all = Vec::new();
    for source in &sources {
        let addresses = source.addresses()?;
        let wanted = |line: &&LineAccess| arguments.all || arguments.instance.iter().any(|id| **id == *line.instance);
        let lines: Vec<&LineAccess> = source.access.lines.iter().filter(wanted).collect();
        let fleet = source.fleet()?;
        let progress = Progress::new("registering", lines.len());
        let work = |place: usize| one(source, &fleet, &addresses, lines[place], arguments.dry_run);
        all.append(&mut fleet.each(lines.len(), work, |count| progress.done(count)).await);
        if arguments.all {
            all.extend(source.without_token(&sources).into_iter().map(|instance| without_token(source, instance)));
        }
    }
    if arguments.json {
        output::print_json(&all)?;
    } else {
        output::print(&told(&all, arguments.dry_run))?;
    }
    let good = |done: &Done| done.failure.is_none();
    Ok(if all.iter().all(good) { Code::Done } else { Code::Failed })
}

async fn one(source: &Source<'_>, fleet: &Fleet, addresses: &Addresses, line: &LineAccess, dry_run: bool) -> Done {
    let (webhooks, failure) = match set(fleet, addresses, line, dry_run).await {
        Ok(found) => found,
        Err(failure) => (Vec::new(), Some(failure)),
    };
    Done {
        source: source.name.to_owned(),
        instance: line.instance.to_string(),
        name: source.title(&line.instance).map(str::to_owned),
        webhooks,
        failure: failure.as_ref().map(Trouble::from),
    }
}

/// Reads what is registered and changes what differs. Fails if the registrations cannot be read; a failed change is
/// returned with the steps.
async fn set(
    fleet: &Fleet,
    addresses: &Addresses,
    line: &LineAccess,
    dry_run: bool,
) -> Result<(Vec<Step>, Option<Failure>), Failure> {
    let profile = fleet.ask(|| fleet.client().profile(line)).await?;
    let (mut steps, mut first_failure) = (Vec::new(), None);
    for webhook in Webhook::ALL {
        let registered = profile.registered(webhook);
        let was = addresses.judge(&line.instance, registered);
        let outcome = match was {
            Registration::Right => Outcome::Unchanged,
            _ if dry_run => Outcome::WouldRegister,
            _ => match register(fleet, addresses, line, webhook).await {
                Ok(()) => Outcome::Registered,
                Err(failure) => {
                    first_failure = first_failure.or(Some(failure));
                    Outcome::Failed
                }
            },
        };
        let was_address = addresses.shown(&line.instance, registered);
        steps.push(Step { webhook, was, was_address, outcome });
    }
    Ok((steps, first_failure))
}

/// Registers one webhook of one line.
pub(super) async fn register(
    fleet: &Fleet,
    addresses: &Addresses,
    line: &LineAccess,
    webhook: Webhook,
) -> Result<(), Failure> {
    let address = addresses.of(&line.instance);
    fleet.ask(|| fleet.client().register(line, webhook, &address)).await
}

fn without_token(source: &Source<'_>, instance: &str) -> Done {
    Done {
        source: source.name.to_owned(),
        instance: instance.to_owned(),
        name: source.title(instance).map(str::to_owned),
        webhooks: Vec::new(),
        failure: Some(Trouble::no_token()),
    }
}

const COLUMNS: [Column; 5] = [
    Column::text("line"),
    Column::identifier("instance"),
    Column::text("webhook"),
    Column::whole(""),
    Column::text("before"),
];

/// The text for people. Instances without a change are only counted.
fn told(all: &[Done], dry_run: bool) -> String {
    if all.is_empty() {
        return NO_LINES.to_owned();
    }
    let mut rows = Vec::new();
    for done in all {
        let row = |webhook: &str, outcome: &str, was: &str| {
            let name = done.name.clone().unwrap_or_default();
            vec![name, done.instance.clone(), webhook.to_owned(), outcome.to_owned(), was.to_owned()]
        };
        for step in done.webhooks.iter().filter(|step| step.outcome != Outcome::Unchanged) {
            rows.push(row(step.webhook.as_str(), step.outcome.words(), &format!("{}: {}", step.was, step.was_address)));
        }
        if let Some(failure) = &done.failure {
            rows.push(row("", "FAILED", &failure.what));
        }
    }
    let unchanged = all.iter().filter(|done| done.failure.is_none());
    let unchanged =
        unchanged.filter(|done| done.webhooks.iter().all(|step| step.outcome == Outcome::Unchanged)).count();
    let failed = all.iter().filter(|done| done.failure.is_some()).count();
    let changed = all.len() - unchanged - failed;
    let verb = if dry_run { "would be changed" } else { "changed" };
    let count = format!("{changed} {verb}, {unchanged} as they should be, {failed} failed\n");
    let table = match rows.len() {
        0 => String::new(),
        _ => format!("\n{}", table(&COLUMNS, rows)),
    };
    let hints = hints(all.iter().filter_map(|done| done.failure.as_ref()).map(|failure| failure.hint));
    count + &table + &hints
}
