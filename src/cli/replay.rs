//! `linedown replay`: shows what the rules, or those of another config, would have sent for past webhooks. Sends
//! nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::client::Daemon;
use super::table::{Column, table};
use super::{Code, CommandError, Place, output, usage};
use crate::clock;
use crate::config::Config;
use crate::period::Period;
use crate::replay::{self, History, Lived, Outage, Sent};
use crate::rule::Routing;
use crate::server::api::{PastQuery, SilenceQuery};
use crate::store::view::Past;

/// Most webhooks that can be replayed.
const MOST: usize = 200_000;
/// Most unheard outages listed for people.
const LISTED: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How far back to go, such as 7d
    #[arg(long, value_name = "PERIOD", default_value = "7d", value_parser = usage::period)]
    since: Period,
    /// Another config to compare with; `--config` after `replay` means the same
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Renames `--config` after `replay` to `--with`: there it names the config to compare with. Before the command, it
/// names the daemon's config as usual.
pub(super) fn spelt_out(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut command = Vec::new();
    let mut named = false;
    let mut arguments = arguments.peekable();
    // The command is the first word after the program's name that is neither an option nor the value of `--config`.
    while let Some(argument) = arguments.next_if(|_| !named) {
        let before = command.last();
        let is_value = before.is_some_and(|before| before == "--config");
        named = before.is_some() && !is_value && !argument.to_string_lossy().starts_with('-');
        command.push(argument);
    }
    if command.last().is_none_or(|command| command != "replay") {
        return command.into_iter().chain(arguments).collect();
    }
    let spell = |argument: OsString| match argument.to_str().and_then(|text| text.strip_prefix("--config")) {
        Some("") => "--with".into(),
        Some(value) if value.starts_with('=') => format!("--with{value}").into(),
        _ => argument,
    };
    command.into_iter().chain(arguments.map(spell)).collect()
}

/// The result of a replay.
#[derive(Debug, Serialize)]
struct Comparison {
    since: Timestamp,
    until: Timestamp,
    webhooks: usize,
    outages: usize,
    messages: Vec<Count>,
    total: Pair,
    /// Outages that somebody will be told of later: their notifications are held back.
    waiting: Vec<Outage>,
    /// Outages that nobody is told of.
    unheard: Vec<Outage>,
    /// The outages in `unheard` that somebody is told of by the present config. None if there is no other config.
    newly_unheard: Option<Vec<Outage>>,
}

/// The number of messages by the present config, and by the other one if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Pair {
    now: usize,
    new: Option<usize>,
}

/// The number of messages by one rule to one recipient, of one kind.
#[derive(Debug, Serialize)]
struct Count {
    rule: String,
    sink: String,
    recipient: String,
    kind: &'static str,
    #[serde(flatten)]
    messages: Pair,
}

/// Reads the config to compare with.
fn other(place: &Place, file: &Path) -> Result<Config, CommandError> {
    if file.try_exists().is_ok_and(|is_there| !is_there) {
        let error = CommandError::new(Code::Config, format!("there is no file {}", file.display()));
        return Err(error.hint("name the config to compare with: --with FILE"));
    }
    Place { config: file.to_owned(), ..place.clone() }.config()
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let present = place.config()?;
    let other = match &arguments.with {
        Some(file) => Some(other(place, file)?),
        None => None,
    };
    let until = clock::now();
    let since = until.checked_sub(arguments.since.0).unwrap_or(Timestamp::MIN);
    let history = fetch(&Daemon::find(place).await?, since).await?;
    let now = live(&history, &present.routing, until).await?;
    let new = match &other {
        Some(other) => Some(live(&history, &other.routing, until).await?),
        None => None,
    };
    let comparison = compare(&history, &now, new.as_ref(), since, until);
    if arguments.json {
        output::print_json(&comparison)?;
    } else {
        output::print(&told(&comparison))?;
    }
    Ok(Code::Done)
}

async fn fetch(daemon: &Daemon, since: Timestamp) -> Result<History, CommandError> {
    let mut events: Vec<Past> = Vec::new();
    loop {
        let query = PastQuery { since, after: events.last().map_or(0, |past| past.id) };
        let mut page: Vec<Past> = daemon.get("past", &query).await?;
        if page.is_empty() {
            break;
        }
        events.append(&mut page);
        if events.len() > MOST {
            let error = CommandError::new(Code::Failed, format!("there are more than {MOST} webhooks since then"));
            return Err(error.hint("replay a shorter period, such as --since 24h"));
        }
    }
    let silences = daemon.get("silences", &SilenceQuery { ended_after: since }).await?;
    Ok(History { events, silences })
}

async fn live(history: &History, routing: &Arc<Routing>, until: Timestamp) -> Result<Lived, CommandError> {
    let lived = replay::live(history, Arc::clone(routing), until).await;
    lived.map_err(|error| CommandError::new(Code::Failed, "cannot replay the webhooks").caused_by(&error))
}

fn compare(history: &History, now: &Lived, new: Option<&Lived>, since: Timestamp, until: Timestamp) -> Comparison {
    let mut counts: BTreeMap<_, Pair> = BTreeMap::new();
    let fresh = || Pair { now: 0, new: new.is_some().then_some(0) };
    for sent in &now.sent {
        counts.entry(key(sent)).or_insert_with(fresh).now += 1;
    }
    for sent in new.iter().flat_map(|new| &new.sent) {
        *counts.entry(key(sent)).or_insert_with(fresh).new.get_or_insert_default() += 1;
    }
    let last = new.unwrap_or(now);
    let (heard_now, heard_last) = (now.heard(), last.heard());
    let unheard: Vec<i64> = now.outages.keys().copied().filter(|id| !heard_last.contains(id)).collect();
    let waiting: Vec<i64> = last.waiting.iter().copied().collect();
    let outages = |ids: &[i64]| ids.iter().filter_map(|id| now.outages.get(id).cloned()).collect();
    let newly: Vec<i64> = unheard.iter().copied().filter(|id| heard_now.contains(id)).collect();
    Comparison {
        since,
        until,
        webhooks: history.events.len(),
        outages: now.outages.len(),
        messages: counts
            .into_iter()
            .map(|((rule, sink, recipient, kind), messages)| Count {
                rule: rule.to_owned(),
                sink: sink.to_owned(),
                recipient: recipient.to_owned(),
                kind,
                messages,
            })
            .collect(),
        total: Pair { now: now.sent.len(), new: new.map(|new| new.sent.len()) },
        waiting: outages(&waiting),
        unheard: outages(&unheard),
        newly_unheard: new.map(|_| outages(&newly)),
    }
}

fn key(sent: &Sent) -> (&str, &str, &str, &'static str) {
    (&sent.rule, &sent.sink, &sent.recipient, sent.kind.as_str())
}

fn told(comparison: &Comparison) -> String {
    let unheard = comparison.newly_unheard.as_ref().unwrap_or(&comparison.unheard);
    let mut text = verdict(comparison.total, unheard.len());
    let _ = writeln!(
        text,
        "{} from {} to {}: {}",
        counted(comparison.webhooks, "webhook"),
        output::moment(comparison.since),
        output::moment(comparison.until),
        counted(comparison.outages, "outage")
    );
    let mut columns = ["rule", "sink", "to"].map(Column::text).to_vec();
    columns.extend(["kind", "now"].map(Column::whole));
    columns.extend(comparison.total.new.map(|_| Column::whole("new")));
    let row = |count: &Count| {
        let Count { rule, sink, recipient, kind, messages } = count;
        let mut row = vec![rule.clone(), sink.clone(), recipient.clone(), (*kind).to_owned(), messages.now.to_string()];
        row.extend(messages.new.map(|new| new.to_string()));
        row
    };
    if !comparison.messages.is_empty() {
        let _ = write!(text, "\n{}", table(&columns, comparison.messages.iter().map(row)));
    }
    if !comparison.waiting.is_empty() {
        let _ = writeln!(text, "\n{}", waiting(comparison.waiting.len()));
    }
    match &comparison.newly_unheard {
        Some(newly) => {
            list(&mut text, "Reported now, but not with the new config:", newly);
            let rest = comparison.unheard.len() - newly.len();
            if rest > 0 {
                let _ = writeln!(text, "\n{} more would be reported by neither config.", counted(rest, "outage"));
            }
        }
        None => list(&mut text, "Not reported to anybody:", &comparison.unheard),
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn waiting(count: usize) -> String {
    format!(
        "{} not reported yet, but will be: gathered with others, held, silenced or in quiet hours.",
        counted(count, "outage")
    )
}

#[expect(clippy::cast_precision_loss, reason = "a rounded percentage for people")]
fn verdict(Pair { now, new }: Pair, unheard: usize) -> String {
    let Some(new) = new else {
        return format!("{}; {} not reported to anybody.\n", counted(now, "message"), counted(unheard, "outage"));
    };
    let change = match (now, new) {
        (now, new) if now == new => "as many".to_owned(),
        (0, _) => "none now".to_owned(),
        (now, new) if new < now => format!("{:.0} % fewer", (now - new) as f64 / now as f64 * 100.0),
        (now, new) => format!("{:.0} % more", (new - now) as f64 / now as f64 * 100.0),
    };
    let lost = match unheard {
        0 => "every outage that is reported now still is".to_owned(),
        _ => format!("{} reported now would not be reported", counted(unheard, "outage")),
    };
    format!("{} instead of {now} ({change}); {lost}.\n", counted(new, "message"))
}

fn list(text: &mut String, what: &str, unheard: &[Outage]) {
    if unheard.is_empty() {
        return;
    }
    let rows = unheard.iter().take(LISTED).map(|outage| {
        let lasting = match outage.closed_at {
            Some(closed_at) => output::span(outage.opened_at, closed_at),
            None => "still down".to_owned(),
        };
        let number = outage.incident.map(|id| id.to_string()).unwrap_or_default();
        let name = outage.name.clone().unwrap_or_default();
        vec![number, name, outage.instance.clone(), output::moment(outage.opened_at), lasting]
    });
    let columns = [
        Column::whole("incident"),
        Column::text("line"),
        Column::identifier("instance"),
        Column::moment("down since"),
        Column::whole("down for"),
    ];
    let _ = write!(text, "\n{what}\n{}", table(&columns, rows));
    if let Some(more) = unheard.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let _ = writeln!(text, "and {more} more: --json lists them all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_after_replay_is_the_other_one() {
        let spelt = |text: &str| {
            let spelt = spelt_out(text.split(' ').map(OsString::from));
            spelt.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        for (typed, meant) in [
            ("linedown --config a replay --config b", "linedown --config a replay --with b"),
            ("linedown replay --since 7d --config=b", "linedown replay --since 7d --with=b"),
            ("linedown --config a check", "linedown --config a check"),
            ("linedown explain --config a", "linedown explain --config a"),
            ("linedown --config replay check --config a", "linedown --config replay check --config a"),
            ("linedown ack 1 --as replay --config a", "linedown ack 1 --as replay --config a"),
            ("linedown --config=a replay --config b", "linedown --config=a replay --with b"),
        ] {
            assert_eq!(spelt(typed), meant);
        }
    }

    #[test]
    fn verdicts() {
        for (now, new, unheard, said) in [
            (
                1930,
                Some(412),
                0,
                "412 messages instead of 1930 (79 % fewer); every outage that is reported now still is.\n",
            ),
            (2, Some(3), 1, "3 messages instead of 2 (50 % more); 1 outage reported now would not be reported.\n"),
            (0, Some(3), 0, "3 messages instead of 0 (none now); every outage that is reported now still is.\n"),
            (2, Some(2), 2, "2 messages instead of 2 (as many); 2 outages reported now would not be reported.\n"),
            (2, None, 3, "2 messages; 3 outages not reported to anybody.\n"),
        ] {
            assert_eq!(verdict(Pair { now, new }, unheard), said);
        }
    }
}
