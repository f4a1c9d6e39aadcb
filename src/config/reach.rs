//! Checks whether notifications reach somebody: the sinks against the inventory and the rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use linedown_sinks::{Incident, Instance, Key, Path, Problem, Reason};
use serde_json::{Map, Value};

use super::labels::Labels;
use super::matching::{Listed, may_be_of, nothing};
use super::pieces::INVENTORY;
use super::reader::Reader;
use crate::rule::inventory::{Entry, Inventory};
use crate::rule::{Rule, Step, Target};

/// Most lines without a recipient that are checked against the rules, for each sink: there may be a hundred thousand
/// lines and a thousand rules.
const MOST_LINES: usize = 10_000;

/// Warns of labels that a sink takes recipients from and that no line has, and of label values that cannot be
/// recipients. There may be a hundred thousand lines.
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

/// Warns of sinks that get no notifications, and of sinks for which nobody hears when they give up. `written` includes
/// the sinks with mistakes.
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
            reader.note(problem.unless(name).unless("notify"));
        } else if sink.fallback.is_none() && !sink.is_own_output() && !is_fallback {
            let problem = Problem::warning(path, "a notification that this sink gives up on is only logged");
            reader.note(problem.hint("name a `fallback`: a sink that tells somebody").unless("fallback"));
        }
    }
}

/// Warns of fallbacks whose recipients come from labels. A fallback is told why another sink fails and what to do about
/// it, which is not for somebody else's customers.
pub(super) fn check_fallbacks(sinks: &BTreeMap<String, Target>, reader: &mut Reader<'_>) {
    for (name, sink) in sinks {
        let Some((fallback, target)) = sink.fallback.as_ref().and_then(|fallback| sinks.get_key_value(fallback)) else {
            continue;
        };
        let labels: BTreeSet<String> = target.settings.labels().into_iter().map(|(_, key)| key).collect();
        let Some(label) = labels.first() else { continue };
        let path = Path(vec!["sinks".into(), name.as_str().into(), "fallback".into()]);
        let what = format!("`{fallback}` also sends to the label `{label}`: they would be told of {name}'s failures");
        let hint = "name a sink with fixed recipients only, such as a second one of type `email` for operators";
        reader.note(Problem::warning(path, what).hint(hint));
    }
}

/// Ends the address that stands for what a line has in a label.
const STAND_IN: &str = "@label.invalid";

/// Warns of addresses that a rule, or a step of it, tells by two sinks at the same time. Names the first address.
pub(super) fn check_twice(sinks: &BTreeMap<String, Target>, rules: &[Rule], reader: &mut Reader<'_>) {
    let addresses = sinks.iter().map(|(name, sink)| (name.as_str(), addresses(sink))).collect();
    for (index, rule) in rules.iter().enumerate() {
        let path = Path(vec!["rules".into(), index.into()]);
        let steps = rule.escalate.iter().enumerate();
        let steps = steps.map(|(step, Step { notify, .. })| (notify, path.join("escalate").join(step)));
        for (notify, path) in std::iter::once((&rule.notify, path.clone())).chain(steps) {
            let Some((first, sink, to)) = told_twice(notify, &addresses) else { continue };
            let to = to.strip_suffix(STAND_IN).map_or(to.into(), |key| format!("{{{{ instance.labels.{key} }}}}"));
            let what = format!("`{sink}` sends to {to}, as `{first}` does: whoever that is gets each message twice");
            let hint = "take the address out of one of them, or notify only one of them";
            reader.note(Problem::warning(path.join("notify"), what).hint(hint));
        }
    }
}

/// The first address that two sinks of a list send to, after those two.
fn told_twice<'s>(
    notify: &'s [String],
    addresses: &'s BTreeMap<&str, Vec<String>>,
) -> Option<(&'s str, &'s str, &'s str)> {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for sink in notify {
        for to in addresses.get(sink.as_str()).into_iter().flatten() {
            match known.insert(to, sink) {
                Some(first) if first != sink => return Some((first, sink, to)),
                _ => {}
            }
        }
    }
    None
}

/// The addresses that a sink sends to, without the names beside them. For a label it is a stand-in.
fn addresses(sink: &Target) -> Vec<String> {
    let labels = sink.settings.labels().into_iter().map(|(_, key)| (key.clone(), key + STAND_IN)).collect();
    let incident = Incident::of("", Instance { labels, ..nothing() }, Reason::Other, Timestamp::UNIX_EPOCH);
    let mut recipients = sink.settings.recipients(&incident);
    recipients.retain(|recipient| !recipient.is_empty() && sink.settings.reaches(recipient));
    let address = |recipient: String| match recipient.strip_suffix('>').and_then(|named| named.rsplit_once('<')) {
        Some((_, address)) => address.to_owned(),
        None => recipient,
    };
    recipients.into_iter().map(address).collect()
}

/// Warns of sinks that find no recipient for some of the lines whose incidents rules send to them. Names the first line
/// and the number of others.
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
        let leading = leading_to(name, sinks);
        let mut lines = lacking.filter(|entry| is_told(&leading, entry, &rules));
        let Some(first) = lines.next() else { continue };
        let more = lines.count();
        let others = if more == 0 { String::new() } else { format!(" and {more} more") };
        let problem =
            Problem::warning(path.clone(), format!("this has no recipient for instance {}{others}", first.id));
        let keys: BTreeSet<&str> = labels.iter().map(|(_, key)| key.as_str()).collect();
        let shown: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let hint = format!("give such instances the label {}, or add a fixed address", shown.join(" or "));
        // Without `match`, a rule may look as if it took every incident.
        reader.note(keys.into_iter().chain(["match"]).fold(problem.hint(hint), Problem::unless));
    }
}

/// A sink and all sinks that fall back to it, directly or over others.
fn leading_to<'s>(sink: &'s str, sinks: &'s BTreeMap<String, Target>) -> BTreeSet<&'s str> {
    let mut leading = BTreeSet::from([sink]);
    loop {
        let before = leading.len();
        let fall_back = |target: &Target| target.fallback.as_deref().is_some_and(|fallback| leading.contains(fallback));
        let more: Vec<&str> = sinks.iter().filter(|(_, target)| fall_back(target)).map(|(name, _)| &**name).collect();
        leading.extend(more);
        if leading.len() == before {
            return leading;
        }
    }
}

/// Whether the rules may send incidents of a line to one of the sinks, judging by what is settled for that line.
fn is_told(sinks: &BTreeSet<&str>, entry: &Entry<'_>, rules: &[&Rule]) -> bool {
    let line = Listed::of(entry);
    for rule in rules.iter().filter(|rule| line.may_pass(&rule.matcher)) {
        if rule.sinks().any(|sink| sinks.contains(sink)) {
            return true;
        }
        if !rule.goes_on && rule.matcher.fields().all(|field| line.settles(field)) {
            return false;
        }
    }
    false
}
