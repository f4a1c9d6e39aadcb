//! Whether what is sent reaches somebody: the sinks, held against the inventory and the rules.

use std::collections::{BTreeMap, BTreeSet};

use linedown_sinks::{Key, Path, Problem};
use serde_json::{Map, Value};

use super::labels::Labels;
use super::matching::{Line, may_be_of};
use super::pieces::INVENTORY;
use super::reader::Reader;
use crate::rule::inventory::{Entry, Inventory};
use crate::rule::{Rule, Target};

/// Most lines without anybody to tell that are held against the rules, of one sink: there may be a hundred thousand, and
/// a thousand rules.
const MOST_LINES: usize = 10_000;

/// Warns of labels that some sink sends to and no line has, and of lines' labels that some sink sends to and cannot.
/// There may be a hundred thousand lines.
pub(super) fn check_labels(
    sinks: &BTreeMap<String, Target>,
    inventory: &Inventory,
    labels: &Labels<'_>,
    reader: &mut Reader<'_>,
) {
    for (path, key) in sinks.values().flat_map(|sink| sink.settings.labels()) {
        labels.check(&key, path, reader);
    }
    for entry in inventory.iter() {
        if reader.is_full() {
            break;
        }
        for (key, value) in entry.labels() {
            let expected =
                sinks.iter().find_map(|(name, sink)| Some((name, sink.settings.expects_of_label(key, value)?)));
            if let Some((name, expected)) = expected {
                let path = Path([INVENTORY, entry.id, "labels", key].map(Key::from).into());
                let problem = Problem::warning(path, format!("{name} uses this as a recipient, but cannot send to it"));
                reader.note(problem.expected(expected));
            }
        }
    }
}

/// Warns of sinks that nothing is sent to, and of those whose giving up nobody would hear of. What is `written` has those
/// with a mistake, too.
pub(super) fn check_use(sinks: &BTreeMap<String, Target>, written: &Value, rules: &[Rule], reader: &mut Reader<'_>) {
    let written = written.as_object().into_iter().flat_map(Map::values);
    let fallbacks: BTreeSet<&str> = written.filter_map(|sink| sink.get("fallback")?.as_str()).collect();
    let notified: BTreeSet<&str> = rules.iter().flat_map(Rule::sinks).collect();
    for (name, sink) in sinks {
        let path = Path(vec!["sinks".into(), name.as_str().into()]);
        let (is_fallback, is_notified) = (fallbacks.contains(name.as_str()), notified.contains(name.as_str()));
        if !is_fallback && !is_notified {
            let problem = Problem::warning(path, format!("nothing is ever sent to {name}"));
            let problem = problem.hint("name it in a rule's `notify`, or as another sink's `fallback`");
            reader.note(problem.unless(name));
        } else if sink.fallback.is_none() && !sink.is_own_output() && !is_fallback {
            let problem = Problem::warning(path, "a notification that this sink gives up on is only logged");
            reader.note(problem.hint("name a `fallback`: a sink that tells somebody").unless("fallback"));
        }
    }
}

/// Warns of sinks that find nobody to tell of some lines that rules tell them of: of the first one, and how many there
/// are.
pub(super) fn check_people(
    sinks: &BTreeMap<String, Target>,
    inventory: &Inventory,
    rules: &[Rule],
    gateways: &[&str],
    reader: &mut Reader<'_>,
) {
    let rules: Vec<&Rule> = rules.iter().filter(|rule| may_be_of(&rule.matcher, gateways)).collect();
    for (name, sink) in sinks {
        let labels = sink.settings.labels();
        let Some((path, _)) = labels.first() else { continue };
        let has_nobody = |entry: &Entry<'_>| {
            let label = |key: &str| entry.labels().find(|(known, _)| *known == key).map(|(_, value)| value);
            sink.settings.has_nobody(&label)
        };
        let lacking = inventory.iter().filter(has_nobody).take(MOST_LINES);
        let mut lines = lacking.filter(|entry| is_told(name, entry, &rules));
        let Some(first) = lines.next() else { continue };
        let more = lines.count();
        let others = if more == 0 { String::new() } else { format!(" and {more} more") };
        let problem =
            Problem::warning(path.clone(), format!("this has no recipient for instance {}{others}", first.id));
        let keys: BTreeSet<&str> = labels.iter().map(|(_, key)| key.as_str()).collect();
        let shown: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let hint = format!("give such instances the label {}, or add a fixed address", shown.join(" or "));
        reader.note(keys.into_iter().fold(problem.hint(hint), Problem::unless));
    }
}

/// Whether the rules may tell a sink of a line, as far as that hangs on the line.
fn is_told(sink: &str, entry: &Entry<'_>, rules: &[&Rule]) -> bool {
    let line = Line::of(entry);
    for rule in rules.iter().filter(|rule| line.may_pass(&rule.matcher)) {
        if rule.sinks().any(|name| name == sink) {
            return true;
        }
        if !rule.goes_on && rule.matcher.fields().all(|field| line.settles(field)) {
            return false;
        }
    }
    false
}
