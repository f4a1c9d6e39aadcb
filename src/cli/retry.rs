//! `linedown retry`: sends notifications again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::ArgGroup;
use jiff::Timestamp;

use super::client::Daemon;
use super::{Code, CommandError, Place, is_there, output, usage};
use crate::server::api::{RetryAnswer, RetryRequest};
use crate::store::view::{Later, WaitsFor};

/// The usage, in its two variants; clap would merge them.
const USAGE: &str = "linedown retry [OPTIONS] <ID>...\n       linedown retry [OPTIONS] --dead [--sink <NAME>]";

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("which").args(["ids", "dead"]).required(true)), override_usage = USAGE)]
pub(super) struct Arguments {
    /// Notifications, by the numbers that `linedown deliveries` shows
    #[arg(value_name = "ID", value_parser = usage::number)]
    ids: Vec<i64>,
    /// All notifications that were given up
    #[arg(long)]
    dead: bool,
    /// Only those of this sink
    #[arg(long, requires = "dead", conflicts_with = "ids", value_name = "NAME")]
    sink: Option<String>,
    /// Print their numbers as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let Arguments { ids, dead, sink, json } = arguments;
    let ids: BTreeSet<i64> = ids.iter().copied().collect();
    let request = RetryRequest { ids: ids.iter().copied().collect(), dead: *dead, sink: sink.clone() };
    let answer: RetryAnswer = Daemon::find_to_change(place).await?.post("retry", &request).await?;
    let again = &answer.notifications;
    if again.is_empty() {
        is_there(place, sink.as_deref())?;
    }
    let waits = waits(&answer);
    if *json {
        output::print_json(again)?;
        output::complain(&waits);
    } else {
        output::print(&format!("{}\n{waits}", counted(again.len(), answer.withdrawn.len())))?;
    }
    if answer.left > 0 {
        let error = CommandError::new(Code::Failed, format!("{} are not sent again: the store failed", answer.left));
        return Err(error.hint("the log says why: journalctl -u linedown -n 50; then try it again"));
    }
    let refused = by_reason(&answer);
    let left: Vec<String> = ids.iter().filter(|id| !again.contains(id)).map(i64::to_string).collect();
    if left.is_empty() {
        for (why, ids) in refused {
            output::complain(&format!("not sent again: {ids}: {why}\n"));
        }
        // What is withdrawn need not be sent.
        let is_stuck = again.is_empty() && answer.refused.len() > answer.withdrawn.len();
        return Ok(if is_stuck { Code::Failed } else { Code::Done });
    }
    let error = CommandError::new(Code::Failed, format!("not sent again: {}", left.join(", ")));
    Err(refused.iter().fold(error, |error, (why, ids)| error.because(format!("{ids}: {why}"))))
}

/// How many notifications are sent again, and how many are withdrawn instead.
fn counted(again: usize, withdrawn: usize) -> String {
    let again = match again {
        1 => "1 notification is sent again".to_owned(),
        many => format!("{many} notifications are sent again"),
    };
    match withdrawn {
        0 => again,
        1 => format!("{again}, 1 is withdrawn"),
        many => format!("{again}, {many} are withdrawn"),
    }
}

/// What the notifications wait for: with a line for each silence, all quiet hours of one name, and all groups, and a line
/// for each sink.
fn waits(answer: &RetryAnswer) -> String {
    let mut text = String::new();
    let mut later: BTreeMap<Option<&str>, Vec<Timestamp>> = BTreeMap::new();
    for (_, Later { until, by }) in answer.later.iter().filter(|(id, _)| answer.notifications.contains(id)) {
        later.entry(by.as_deref()).or_default().push(*until);
    }
    for (by, ends) in &later {
        let _ = writeln!(text, "  {}", output::printable(&waits_until(answer.notifications.len(), *by, ends)));
    }
    let now = answer.notifications.len() - later.values().map(Vec::len).sum::<usize>();
    let is_one = now == 1;
    for (sink, WaitsFor { why, until, .. }) in &answer.waits_for {
        let why = why.as_deref().unwrap_or_default();
        let line = match until {
            Some(until) => {
                let until = output::moment(*until);
                let then = if is_one { "it is sent" } else { "they are sent" };
                format!("{sink} asked for a pause until {until} ({why}): {then} after that")
            }
            None if is_one => format!("{sink} is failing ({why}): it is tried now"),
            None => format!("{sink} is failing ({why}): one is tried now, the others once it works"),
        };
        let _ = writeln!(text, "  {}", output::printable(&line));
    }
    text
}

/// What some of `all` notifications wait for, each until one of `ends`.
fn waits_until(all: usize, by: Option<&str>, ends: &[Timestamp]) -> String {
    let (count, is_one) = (ends.len(), ends.len() == 1);
    let who = if all == 1 { "it".to_owned() } else { count.to_string() };
    let what = match by {
        Some(by) => format!("for {by}"),
        None => format!("with {} group", if is_one { "its" } else { "their" }),
    };
    let last = ends.iter().max().copied().map(output::moment).unwrap_or_default();
    let or_less = if ends.iter().any(|end| Some(end) != ends.first()) { ", or less" } else { "" };
    format!("{who} wait{} {what} until {last}{or_less}", if is_one { "s" } else { "" })
}

/// Groups refused notifications by reason: for each reason, their numbers.
fn by_reason(answer: &RetryAnswer) -> BTreeMap<String, String> {
    let mut reasons: BTreeMap<String, String> = BTreeMap::new();
    for (id, why) in &answer.refused {
        let why = match answer.later.get(id) {
            Some(Later { until, by: Some(by) }) => {
                output::printable(&format!("held back by {by} until {}, and sent then", output::moment(*until)))
            }
            _ => why.clone(),
        };
        let ids = reasons.entry(why).or_default();
        let comma = if ids.is_empty() { "" } else { ", " };
        let _ = write!(ids, "{comma}{id}");
    }
    reasons
}
