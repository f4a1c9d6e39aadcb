//! Judges whether every promise was kept: compares the answers that the gateway got with the messages that people got
//! and with what the store lists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::gateway::{Fate, Gateway, Line};
use crate::service::Service;
use crate::sides::{Sides, Told, about, lines};

/// The evidence.
pub(crate) struct Case {
    pub(crate) lines: BTreeMap<String, Line>,
    pub(crate) told: Vec<Told>,
    /// `linedown deliveries --state …`
    pub(crate) dead: Vec<Value>,
    pub(crate) pending: Vec<Value>,
    /// `linedown incidents --open`
    pub(crate) open: Vec<Value>,
}

impl Case {
    /// Gathers the evidence when everything is over.
    pub(crate) fn of(service: &Service, gateway: &Gateway, sides: &Sides) -> Self {
        Self {
            lines: gateway.lines(),
            told: sides.told(service),
            dead: service.rows(&["deliveries", "--state", "dead"]),
            pending: service.rows(&["deliveries", "--state", "pending"]),
            open: service.rows(&["incidents", "--open"]),
        }
    }
}

/// What came of the promises, for the table.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Webhooks that got a 2xx.
    pub(crate) promised: usize,
    /// Messages that these made owed and that arrived.
    pub(crate) delivered: usize,
    /// Messages that these made owed and that were given up, and another sink told somebody so.
    pub(crate) told_elsewhere: usize,
    /// Copies of messages, with the same id.
    pub(crate) repeated: usize,
    /// Each broken promise and other mistake, in words.
    pub(crate) broken: Vec<String>,
}

/// Judges the evidence.
pub(crate) fn judge(case: &Case) -> Verdict {
    let mut verdict = Verdict::default();
    let mut by_line: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for told in &case.told {
        by_line.entry(&told.instance).or_default().push(told);
    }
    let mut dead: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for row in &case.dead {
        *dead.entry(about(row)).or_default() += 1;
    }
    for row in &case.pending {
        verdict.broken.push(format!("still pending: {row}"));
    }
    for (name, line) in &case.lines {
        let told = by_line.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        verdict.promised += usize::from(line.down == Fate::Promised) + usize::from(line.up == Fate::Promised);
        for sink in line.sinks {
            if line.down == Fate::Promised {
                let there = told.iter().any(|told| told.sink == *sink && told.taken && is_alarm(told));
                settle(&mut verdict, &format!("{name} is down"), sink, there, &dead, told, name);
            }
            if line.up == Fate::Promised {
                let there = told.iter().any(|told| told.sink == *sink && told.taken && says_back(told));
                settle(&mut verdict, &format!("{name} is back"), sink, there, &dead, told, name);
            }
        }
    }
    let open: BTreeSet<&str> = case.open.iter().filter_map(|row| row["instance"].as_str()).collect();
    for (name, line) in &case.lines {
        if line.up == Fate::Promised && open.contains(name.as_str()) {
            verdict.broken.push(format!("{name} is back, and still listed as down"));
        }
        if line.down == Fate::Promised && line.up == Fate::Unsent && !open.contains(name.as_str()) {
            verdict.broken.push(format!("{name} is down, and not listed"));
        }
    }
    look_at_messages(case, &mut verdict);
    verdict
}

/// Settles one owed message: it must have arrived, or been given up with somebody else told.
fn settle(
    verdict: &mut Verdict,
    what: &str,
    sink: &str,
    there: bool,
    dead: &BTreeMap<(&str, &str), usize>,
    told: &[&Told],
    name: &str,
) {
    if there {
        verdict.delivered += 1;
    } else if !dead.contains_key(&(sink, name)) {
        verdict.broken.push(format!("{what}: {sink} was not told, and nothing was given up"));
    } else if told.iter().any(|told| told.taken && is_notice(told)) {
        verdict.told_elsewhere += 1;
    } else {
        verdict.broken.push(format!("{what}: given up for {sink}, and nobody else was told"));
    }
}

/// Whether a message tells that others could not be told. A mail about several losses has the kind of a digest.
fn is_notice(told: &Told) -> bool {
    let kind = told.kind.as_deref();
    kind == Some("undelivered") || (kind == Some("digest") && told.text.contains("linedown could not deliver"))
}

/// Whether a message tells of the outage itself; telling only of its end does not count.
fn is_alarm(told: &Told) -> bool {
    match told.kind.as_deref() {
        Some(_) if is_notice(told) => false,
        Some(kind) => kind != "resolved",
        None => !told.text.contains(BACK),
    }
}

/// The sign in a Slack message about a line that is back. A Slack message shows its kind in no other way.
const BACK: &str = "🟢";

/// Whether a message of any kind says that the line is back: a message about another sink's loss may come after that.
fn says_back(told: &Told) -> bool {
    let says = |words| told.text.contains(words);
    let in_a_list = |line: &str| line.contains("back since ") && lines(line).contains(told.instance.as_str());
    told.kind.as_deref() == Some("resolved")
        || says(" is back")
        || says("\"closed_at\":\"")
        || told.text.lines().any(in_a_list)
}

/// Whether it is an item of a digest in JSON, which does not have the gateway's words.
fn is_item(told: &Told) -> bool {
    told.text.contains("\"notification\"") && !told.text.contains("\"title\"")
}

/// Checks the messages: none about a line that was never posted, none garbled, none to a sink that is not concerned,
/// and none twice under different ids.
fn look_at_messages(case: &Case, verdict: &mut Verdict) {
    let instead = case.told.iter().filter(|told| is_notice(told));
    let instead: BTreeSet<(&str, &str)> = instead.map(|told| (told.sink, told.instance.as_str())).collect();
    let mut keys: BTreeMap<(&str, &str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    for told in &case.told {
        let Some(line) = case.lines.get(&told.instance) else {
            verdict.broken.push(format!("{} was told of {}, which was never posted", told.sink, told.instance));
            continue;
        };
        if !line.sinks.contains(&told.sink) && !instead.contains(&(told.sink, told.instance.as_str())) {
            verdict
                .broken
                .push(format!("{} was told of {}, which is not its concern: {}", told.sink, told.instance, told.text));
        }
        let shows_words = match told.kind.as_deref() {
            None => !told.text.contains(BACK),
            Some(kind) => kind == "down" && !is_item(told),
        };
        if shows_words && !told.text.contains(&line.words) {
            verdict
                .broken
                .push(format!("{}: a message of {} without its words: {}", told.sink, told.instance, told.text));
        }
        if let (Some(kind), Some(key)) = (told.kind.as_deref(), told.key.as_deref())
            && matches!(kind, "down" | "resolved")
        {
            *keys.entry((told.sink, &told.instance, kind)).or_default().entry(key).or_default() += 1;
        }
    }
    for ((sink, instance, kind), keys) in keys {
        if keys.len() > 1 {
            verdict.broken.push(format!("{sink} was told twice that {instance} is {kind}, as two messages: {keys:?}"));
        }
        verdict.repeated += keys.values().map(|count| count - 1).sum::<usize>();
    }
}
