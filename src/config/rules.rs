//! `[[rules]]`: who is told of what.

use std::collections::BTreeSet;
use std::time::Duration;

use linedown_sinks::{Path, Problem, Section, excerpt};
use serde::Deserialize;
use serde_json::Value;

use super::layers::Element;
use super::matching::{Known, read_matcher};
use super::periods::{Lasting, NOTICED};
use super::reader::{Reader, UNKNOWN_KEY, some_of};
use crate::period::Period;
use crate::rule::flapping::Flapping;
use crate::rule::matcher::Field;
use crate::rule::{GROUP_INTERVAL, Rule, Step};

/// Most rules. Every incident is tested against each.
const MOST: usize = 1_000;

/// Most sinks, reminders or escalation steps of one rule.
const MOST_ELEMENTS: usize = 100;

/// Highest `flapping.count`: outages that may be told one by one before a line counts as flapping.
const MOST_OUTAGES: u32 = 1_000;

/// The bounds of `flapping.within`, the time in which they are counted.
const WITHIN: Lasting = Lasting::within(NOTICED, Period(Duration::from_hours(24 * 7)));

/// The bounds of a reminder's period, with a warning below a minute: that soon is a flood.
const REMINDED: Lasting = Lasting::within(NOTICED, Period::LONGEST).usually(Period(Duration::from_mins(1)));

/// The bounds of other waits, with a warning below a second, except for zero.
const WAIT: Lasting = Lasting::within(Period(Duration::ZERO), Period::LONGEST).usually(NOTICED);

/// Longest name of a rule, in characters.
const LONGEST_NAME: usize = 100;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    name: Option<String>,
    r#match: Option<Value>,
    notify: Vec<Value>,
    r#continue: bool,
    resolved: Option<bool>,
    hold: Option<Period>,
    remind: Vec<Value>,
    escalate: Vec<Value>,
    severity: Option<Severity>,
    group_by: Vec<Value>,
    group_interval: Option<Period>,
    flapping: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FlappingKeys {
    count: Option<u32>,
    within: Option<Period>,
}

/// How much a rule's incidents matter.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Severity {
    Normal,
    /// Also notifies people in quiet hours.
    Critical,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StepKeys {
    after: Option<Period>,
    notify: Vec<Value>,
}

/// Reads all rules.
pub(super) fn read(elements: &[Element], known: &Known<'_>, reader: &mut Reader<'_>) -> Vec<Rule> {
    let path = Path(vec!["rules".into()]);
    if elements.is_empty() {
        let problem = Problem::error(path.clone(), "there is no rule: nobody would be told");
        let hint = "add [[rules]] with `notify = [\"…\"]`; without `match` it is for every incident";
        reader.note(problem.hint(hint).unless("rules"));
    }
    if elements.len() > MOST {
        let what = format!("{} rules; at most {MOST} are allowed", elements.len());
        reader.note(Problem::error(path, what).hint("give instances labels and match those"));
        return Vec::new();
    }
    let errors = reader.errors();
    let mut rules = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        let path = path.join(index);
        if reader.element(element, &path).is_some() {
            rules.push((index, read_rule(element, index, &path, known, reader)));
        }
    }
    warn_of_names(&rules, reader);
    // A rule with a mistake may look as if it took every incident.
    if reader.errors() == errors {
        warn_of_order(&rules, reader);
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn read_rule(element: &Element, index: usize, path: &Path, known: &Known<'_>, reader: &mut Reader<'_>) -> Rule {
    let own = without_matchers(&element.value, path, reader);
    let keys: Keys = reader.read(&own, path, "[[rules]]");
    if keys.name.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > LONGEST_NAME) {
        let problem = Problem::error(path.join("name"), "this cannot be the name of a rule");
        reader.note(problem.expected(format!("1 to {LONGEST_NAME} characters")));
    }
    for (key, period) in [("hold", keys.hold), ("group_interval", keys.group_interval)] {
        WAIT.check(path.join(key), period.unwrap_or_default(), reader);
    }
    let hold = keys.hold.map(|hold| hold.0);
    let matcher = keys.r#match.map(|value| read_matcher(&value, &path.join("match"), known, reader));
    check_notify(element, &element.value, path, reader);
    let notify = sinks(&keys.notify, &path.join("notify"), known, reader);
    Rule {
        name: keys.name.unwrap_or_else(|| format!("rule {}", index + 1)),
        matcher: matcher.unwrap_or_default(),
        notify,
        goes_on: keys.r#continue,
        resolved: keys.resolved.unwrap_or(true),
        hold,
        remind: reminders(&keys.remind, hold.unwrap_or_default(), &path.join("remind"), reader),
        escalate: steps(element, &keys.escalate, hold.unwrap_or_default(), path, known, reader),
        critical: keys.severity == Some(Severity::Critical),
        group_by: fields(&keys.group_by, &path.join("group_by"), known, reader),
        group_interval: keys.group_interval.map_or(GROUP_INTERVAL, |interval| interval.0),
        flapping: flapping(keys.flapping.as_ref(), &path.join("flapping"), reader),
    }
}

/// The rule without what belongs in its `match`, which is noted.
fn without_matchers(rule: &Value, path: &Path, reader: &mut Reader<'_>) -> Value {
    let mut rule = rule.clone();
    let Some(table) = rule.as_object_mut() else { return rule };
    let is_matcher = |key: &String| key != "name" && (key == "labels" || Field::parse(key).is_some());
    for key in table.keys().filter(|key| is_matcher(key)).cloned().collect::<Vec<_>>() {
        table.remove(&key);
        let problem = Problem::error(path.join(key.as_str()), format!("{UNKNOWN_KEY} `{key}`"));
        reader.note(problem.hint(format!("write `match = {{ {key} = … }}`")));
    }
    rule
}

/// By default, lines can flap.
fn flapping(value: Option<&Value>, path: &Path, reader: &mut Reader<'_>) -> Option<Flapping> {
    let default = Flapping::default();
    let value = match value {
        None | Some(Value::Bool(true)) => return Some(default),
        Some(Value::Bool(false)) => return None,
        Some(value) => value,
    };
    reader.table(value, path, "flapping = { count = 4, within = \"30m\" }, or flapping = false")?;
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: FlappingKeys = section.read().unwrap_or_default();
    reader.finish(section);
    let count = keys.count.unwrap_or(default.count);
    let within = keys.within.map_or(default.within, |within| within.0);
    if count == 0 || count > MOST_OUTAGES {
        let problem = Problem::error(path.join("count"), format!("{count} is not a possible number of outages"));
        reader.note(problem.expected(format!("1 to {MOST_OUTAGES}")).hint("to report every outage: flapping = false"));
    }
    WITHIN.check(path.join("within"), Period(within), reader);
    Some(Flapping { count, within })
}

/// Reads the fields by which a rule's outages are grouped.
fn fields(names: &[Value], path: &Path, known: &Known<'_>, reader: &mut Reader<'_>) -> Vec<Field> {
    if is_too_long(names, path, reader) {
        return Vec::new();
    }
    let mut fields = Vec::new();
    for (index, name) in reader.each::<String>(names, path) {
        if let Some(field) = Field::parse(&name) {
            if let Field::Label(key) = &field {
                known.labels.check(key, path.join(index), reader);
            }
            fields.push(field);
        } else {
            let problem = Problem::error(path.join(index), format!("there is no field `{}`", excerpt(&name)));
            reader.note(problem.expected("`source`, `instance`, `name`, `phone`, `reason`, `error` or `labels.KEY`"));
        }
    }
    fields
}

/// Checks that the rule or the step at `path`, which is part of `element`, notifies somebody.
fn check_notify(element: &Element, value: &Value, path: &Path, reader: &mut Reader<'_>) {
    match value.get("notify") {
        None if reader.may_be_lost(element, "notify") => {}
        None => {
            let problem = Problem::error(path.clone(), "`notify` is missing");
            reader.note(problem.hint("name the sinks to notify: notify = [\"…\"]"));
        }
        Some(Value::Array(list)) if list.is_empty() => {
            let hint = "to leave lines out on purpose, notify a sink of type `stdout`; for a while, `linedown silence`";
            reader.note(Problem::error(path.join("notify"), "an empty list: nobody would be told").hint(hint));
        }
        Some(_) => {}
    }
}

/// The sinks in the `notify` at `path`.
fn sinks(names: &[Value], path: &Path, known: &Known<'_>, reader: &mut Reader<'_>) -> Vec<String> {
    if is_too_long(names, path, reader) {
        return Vec::new();
    }
    let mut sinks: Vec<String> = Vec::new();
    for (index, name) in reader.each::<String>(names, path) {
        let name_at = path.join(index);
        if !known.sinks.contains(&name.as_str()) {
            let problem = Problem::error(name_at, format!("there is no sink `{name}`"));
            let problem = problem.hint(format!("add [sinks.{name}], or name one that is there"));
            let mut problem = problem.did_you_mean(&name, known.sinks.iter().copied());
            problem.expected = (!known.sinks.is_empty()).then(|| some_of(&known.sinks));
            reader.note(problem.unless(name));
        } else if sinks.contains(&name) {
            let problem = Problem::warning(name_at, format!("`{name}` is named twice, but is notified once"));
            reader.note(problem.hint("take it out, or name the sink that was meant"));
        } else {
            sinks.push(name);
        }
    }
    sinks
}

fn is_too_long(values: &[Value], path: &Path, reader: &mut Reader<'_>) -> bool {
    let too_long = values.len() > MOST_ELEMENTS;
    if too_long {
        let what = format!("a list of {}; at most {MOST_ELEMENTS} are allowed", values.len());
        reader.note(Problem::error(path.clone(), what).hint("shorten it, or write several rules"));
    }
    too_long
}

/// Reads the reminders of a rule with this `hold`.
fn reminders(values: &[Value], hold: Duration, path: &Path, reader: &mut Reader<'_>) -> Vec<Duration> {
    if is_too_long(values, path, reader) {
        return Vec::new();
    }
    let periods = reader.each::<Period>(values, path);
    let mut latest = Period::default();
    for (index, period) in &periods {
        let is_usual = REMINDED.check(path.join(*index), *period, reader);
        // The last one repeats, so it may be shorter than those before it.
        if is_usual && period.0 <= hold && latest.0 <= hold {
            let problem = Problem::warning(path.join(*index), "this reminder is not later than `notify`");
            reader.note(problem.hint(longer_than_hold("it", hold)));
        } else if is_usual && *period <= latest && index + 1 < values.len() {
            let problem = Problem::warning(path.join(*index), format!("it never comes: {latest} is listed before it"));
            reader.note(problem.hint("each counts from when the line went down: write the shorter one first"));
        }
        latest = latest.max(*period);
    }
    periods.into_iter().map(|(_, period)| period.0).collect()
}

/// The hint about something that comes no later than the first message of a rule with this `hold`.
fn longer_than_hold(which: &str, hold: Duration) -> String {
    format!("both count from when the line went down: make {which} longer than `hold`, {}", Period(hold))
}

/// Reads the escalation steps of a rule with this `hold`.
fn steps(
    rule: &Element,
    values: &[Value],
    hold: Duration,
    path: &Path,
    known: &Known<'_>,
    reader: &mut Reader<'_>,
) -> Vec<Step> {
    let path = &path.join("escalate");
    if is_too_long(values, path, reader) {
        return Vec::new();
    }
    let steps = values.iter().enumerate().filter_map(|(index, value)| {
        let path = path.join(index);
        reader.table(value, &path, "escalate = [{ after = \"15m\", notify = [\"…\"] }]")?;
        let mut section = Section::new(value, path.clone(), &[], reader.environment);
        let keys: StepKeys = section.read().unwrap_or_default();
        if !reader.may_be_lost(rule, "after")
            && let Some(problem) = section.missing("after", "say how long after the line went down: after = \"15m\"")
        {
            problem.circumstances = None;
        }
        reader.finish(section);
        check_notify(rule, value, &path, reader);
        let notify = sinks(&keys.notify, &path.join("notify"), known, reader);
        let after = keys.after?;
        if WAIT.check(path.join("after"), after, reader) && after.0 <= hold {
            let what = "this step is not later than `notify`";
            reader.note(Problem::warning(path.join("after"), what).hint(longer_than_hold("`after`", hold)));
        }
        Some(Step { after: after.0, notify })
    });
    steps.collect()
}

/// Warns of names that two rules have.
fn warn_of_names(rules: &[(usize, Rule)], reader: &mut Reader<'_>) {
    let mut names = BTreeSet::new();
    for (index, rule) in rules {
        if !names.insert(&rule.name) && !rule.name.is_empty() {
            let what = format!("another rule is called {:?} as well", rule.name);
            let hint = "`linedown explain` and `linedown incident` name rules: make it unique";
            reader.note(Problem::warning(Path(vec!["rules".into(), (*index).into(), "name".into()]), what).hint(hint));
        }
    }
}

/// Warns of rules that can never match because an earlier rule takes every incident, and of incidents that match no
/// rule.
fn warn_of_order(rules: &[(usize, Rule)], reader: &mut Reader<'_>) {
    let path = |index: usize| Path(vec!["rules".into(), index.into()]);
    let last = rules.iter().position(|(_, rule)| !rule.goes_on && rule.matcher.takes_everything());
    for (index, _) in last.map_or(&[][..], |last| &rules[last + 1..]) {
        let taker = last.map(|last| rules[last].1.name.as_str()).unwrap_or_default();
        let problem =
            Problem::warning(path(*index), format!("never reached: {taker:?} above it matches every incident"));
        let problem = problem.hint("move it up, or write `continue = true` into that rule");
        // Without them, a rule may look as if it took every incident.
        reader.note(problem.unless("match").unless("continue"));
    }
    if let (Some((index, _)), false) = (rules.last(), rules.iter().any(|(_, rule)| rule.matcher.takes_everything())) {
        let what = "nobody is told of an incident that none of the rules matches";
        let hint = "add a last rule without `match`, for everything else";
        reader.note(Problem::warning(path(*index), what).hint(hint).unless("rules"));
    }
}
