//! Pure: what the rules that name a recipient want, taken together. The strictest counts: it is critical if one of them
//! says so, the shortest hold is waited out, the reminders of each are sent, and the end is told if one of them says
//! so.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind};

use super::matcher::Subject;
use super::timing::{Held, Silence, held, next_reminder};
use super::wait::Wait;
use super::{Owed, Routing, Rule};
use crate::clock::later;

/// What some rules want together.
pub struct Terms<'r> {
    /// The most urgent of them, by which the messages go: a critical one before others, then the one with the shortest
    /// hold, then the first.
    pub rule: &'r Rule,
    rules: Vec<&'r Rule>,
}

impl<'r> Terms<'r> {
    /// Takes rules in the order they are read; `None` if there are none.
    fn of(rules: Vec<&'r Rule>) -> Option<Self> {
        let rule = *rules.iter().min_by_key(|rule| (!rule.critical, rule.hold.unwrap_or_default()))?;
        Some(Self { rule, rules })
    }

    /// Whether it is also heard in quiet hours.
    pub fn is_critical(&self) -> bool {
        self.rules.iter().any(|rule| rule.critical)
    }

    /// Whether the recipient is told that it is over.
    pub fn wants_resolved(&self) -> bool {
        self.rules.iter().any(|rule| rule.resolved)
    }

    /// How long a line must be down before the recipient hears.
    pub fn hold(&self) -> Duration {
        self.rules.iter().map(|rule| rule.hold.unwrap_or_default()).min().unwrap_or_default()
    }

    /// Whether the recipient is reminded.
    pub fn are_reminded(&self) -> bool {
        self.rules.iter().any(|rule| !rule.remind.is_empty())
    }

    /// When, after `now`, the recipient is next reminded of a line that is down since `opened_at`.
    pub fn next_reminder(&self, opened_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.rules.iter().filter_map(|rule| next_reminder(&rule.remind, opened_at, now)).min()
    }

    /// Puts a notification under the most urgent of the rules.
    pub(super) fn put_on(&self, owed: Owed, incident: &Incident) -> Owed {
        let resolved = owed.resolved || self.wants_resolved();
        Owed { rule: self.rule.name.clone(), group: self.rule.group(incident), resolved, ..owed }
    }

    /// What is owed to a recipient: the bad news or, if there is an `after`, that step of an escalation.
    fn owes(&self, sink: &str, recipient: String, after: Option<Duration>, incident: &Incident) -> Owed {
        let (kind, wait, held_by) = match after {
            Some(after) => (Kind::Escalation, after, (!after.is_zero()).then_some(Wait::Step(after))),
            None => (Kind::Down, self.hold(), self.waits_for()),
        };
        Owed {
            rule: self.rule.name.clone(),
            sink: sink.to_owned(),
            recipient,
            kind,
            resolved: self.wants_resolved(),
            group: self.rule.group(incident),
            due_at: later(incident.opened_at, wait),
            held_by,
            since: None,
        }
    }

    /// What the bad news waits for; `None` if it need not wait.
    pub(super) fn waits_for(&self) -> Option<Wait> {
        Some(self.hold()).filter(|hold| !hold.is_zero()).map(Wait::Hold)
    }
}

impl Rule {
    /// Every sink that the rule names: to be told, or to be told after some time by a step of its escalation.
    fn names(&self) -> impl Iterator<Item = (&str, Option<Duration>)> {
        let told = self.notify.iter().map(|sink| (sink.as_str(), None));
        let steps = self.escalate.iter();
        told.chain(steps.flat_map(|step| step.notify.iter().map(|sink| (sink.as_str(), Some(step.after)))))
    }

    /// Whether the rule has a say in messages of a kind to a sink. A sink that is told of an outage, and a sink that
    /// only hears when nobody takes it, both hear what becomes of it.
    pub(super) fn has_a_say(&self, kind: Kind, sink: &str) -> bool {
        self.names().any(|(named, after)| {
            let fits = match kind {
                Kind::Down | Kind::Reminder | Kind::Flapping | Kind::Steady => after.is_none(),
                Kind::Escalation => after.is_some(),
                _ => true,
            };
            fits && named == sink
        })
    }
}

impl Routing {
    /// What the rules owe for an incident: the bad news once to each recipient, and each step of an escalation once.
    pub(super) fn owed_by_rules(&self, incident: &Incident) -> Vec<Owed> {
        let mut named: BTreeMap<(&str, Option<Duration>), Vec<&Rule>> = BTreeMap::new();
        let mut order = Vec::new();
        for rule in self.rules.matching(&Subject::from(incident)) {
            for name in rule.names() {
                let rules = named.entry(name).or_default();
                if rules.is_empty() {
                    order.push(name);
                }
                rules.push(rule);
            }
        }
        let mut owed = Vec::new();
        for name @ (sink, after) in order {
            let Some(terms) = named.remove(&name).and_then(Terms::of) else { continue };
            let recipients = self.recipients(sink, incident).into_iter();
            owed.extend(recipients.map(|recipient| terms.owes(sink, recipient, after, incident)));
        }
        owed
    }

    /// What counts for messages of a kind to a sink about an incident: the rules that match now, and the rule that
    /// `named` the recipient before, as long as it is in the config.
    pub fn terms(&self, kind: Kind, sink: &str, incident: &Incident, named: Option<&str>) -> Option<Terms<'_>> {
        let mut rules = self.rules.matching(&Subject::from(incident));
        rules.retain(|rule| rule.has_a_say(kind, sink));
        let named = named.filter(|named| rules.iter().all(|rule| rule.name != *named));
        rules.extend(named.and_then(|named| self.rule(named)));
        Terms::of(rules)
    }

    /// Puts a notification under the most urgent of those rules.
    #[must_use]
    pub fn by_most_urgent(&self, owed: Owed, incident: &Incident) -> Owed {
        match self.terms(owed.kind, &owed.sink, incident, Some(&owed.rule)) {
            Some(terms) => terms.put_on(owed, incident),
            None => owed,
        }
    }

    /// The next reminder for somebody who has just been told of an outage, if there is to be one. (Also for somebody
    /// who could not be told: perhaps they can be by then.)
    pub fn reminder(&self, told: &Owed, incident: &Incident, now: Timestamp) -> Option<Owed> {
        let goes_on = incident.closed_at.is_none() && incident.acknowledged.is_none();
        // A sink that has left the config is not tried again and again.
        if !goes_on || !self.sinks.contains_key(&told.sink) {
            return None;
        }
        let named = match told.kind {
            Kind::Down | Kind::Reminder | Kind::Steady => Some(told.rule.as_str()),
            // By the rules that match now. A recipient who only hears by a step of an escalation is not reminded.
            Kind::Worse => None,
            _ => return None,
        };
        let terms = self.terms(Kind::Reminder, &told.sink, incident, named)?;
        let due_at = terms.next_reminder(incident.opened_at, now)?;
        let reminder = Owed { kind: Kind::Reminder, due_at, held_by: Some(Wait::Reminder), ..told.clone() };
        Some(terms.put_on(reminder, incident))
    }

    /// Returns what holds back now what a rule owes to a sink, if anything does. Quiet hours look at the line as rules do,
    /// by what it was called when the outage began; silences also by what it is called now.
    pub fn held(
        &self,
        kind: Kind,
        (sink, rule): (&str, Option<&str>),
        incident: &Incident,
        silences: &[Silence],
        now: Timestamp,
    ) -> Option<Held> {
        let is_critical = || self.terms(kind, sink, incident, rule).is_some_and(|terms| terms.is_critical());
        let line_now = if silences.is_empty() { None } else { self.line_now(incident) };
        held(kind, (incident, line_now.as_ref()), is_critical, silences, &self.quiet, now)
    }
}

#[cfg(test)]
mod tests {
    use linedown_sinks::Reason;

    use super::super::Step;
    use super::super::tests::{incident, routing, rule};
    use super::*;
    use crate::clock::from_millis;

    /// `critical`, `hold` in seconds, `remind` in seconds (0 for none), `resolved`.
    type Wants = (bool, u64, u64, bool);

    fn wanting(name: &str, (critical, hold, remind, resolved): Wants, matcher: &str) -> Rule {
        let seconds = |seconds: u64| Some(Duration::from_secs(seconds)).filter(|period| !period.is_zero());
        Rule {
            critical,
            hold: seconds(hold),
            remind: seconds(remind).into_iter().collect(),
            resolved,
            ..rule(name, matcher, &["slack"], true)
        }
    }

    #[test]
    fn the_strictest_of_what_several_rules_want_counts() {
        for (a, b, names, counts) in [
            ((false, 0, 0, false), (false, 0, 0, false), "a", (false, 0, 0, false)),
            ((false, 60, 0, true), (false, 5, 0, false), "b", (false, 5, 0, true)),
            ((false, 5, 0, false), (false, 60, 0, true), "a", (false, 5, 0, true)),
            ((false, 0, 0, true), (true, 60, 0, true), "b", (true, 0, 0, true)),
            ((true, 0, 90, false), (false, 0, 0, false), "a", (true, 0, 90, false)),
            ((false, 0, 90, true), (false, 0, 40, true), "a", (false, 0, 40, true)),
            ((false, 9, 0, true), (false, 0, 40, true), "b", (false, 0, 40, true)),
        ] {
            let routing = routing(vec![wanting("a", a, "{}"), wanting("b", b, "{}")]);
            let (about, now) = (incident(Reason::Other), from_millis(0));
            let terms = routing.terms(Kind::Down, "slack", &about, None).unwrap();
            let reminder = terms.next_reminder(now, now).map_or(0, |at| at.as_second().unsigned_abs());
            let wants = (terms.is_critical(), terms.hold().as_secs(), reminder, terms.wants_resolved());
            assert_eq!((terms.rule.name.as_str(), wants), (names, counts), "{a:?} {b:?}");

            let owed = routing.owed(&about);
            assert_eq!(owed.len(), 1, "nobody is told the same by two rules");
            assert_eq!((owed[0].rule.as_str(), owed[0].resolved), (names, counts.3));
            assert_eq!(owed[0].due_at, from_millis(i64::try_from(counts.1).unwrap() * 1000));
            assert_eq!(owed[0].held_by.is_some(), counts.1 > 0);
            let next = routing.reminder(&owed[0], &about, now).map(|reminder| (reminder.rule, reminder.resolved));
            assert_eq!(next, (counts.2 > 0).then(|| (names.to_owned(), counts.3)));
        }
    }

    #[test]
    fn the_rule_that_named_somebody_before_counts_although_it_does_not_match_any_more() {
        let milder = r#"{"reason":"device-disconnected"}"#;
        let rules = vec![wanting("dropped", (true, 0, 60, true), milder), wanting("all", (false, 0, 0, false), "{}")];
        let routing = routing(rules);
        let banned = incident(Reason::NumberBlocked);
        for (named, expected) in [
            (None, Some(("all", false))),
            (Some("all"), Some(("all", false))),
            (Some("dropped"), Some(("dropped", true))),
            (Some("gone"), Some(("all", false))),
        ] {
            let terms = routing.terms(Kind::Worse, "slack", &banned, named);
            let terms = terms.map(|terms| (terms.rule.name.as_str(), terms.is_critical()));
            assert_eq!(terms, expected, "{named:?}");
        }
        assert!(routing.terms(Kind::Down, "log", &banned, Some("gone")).is_none(), "no rule names it");
    }

    #[test]
    fn a_rule_has_a_say_in_what_it_names_a_sink_for() {
        let step = Step { after: Duration::from_secs(9), notify: vec!["log".to_owned()] };
        let rule = Rule { escalate: vec![step], ..rule("all", "{}", &["slack"], false) };
        for (kind, sink, expected) in [
            (Kind::Down, "slack", true),
            (Kind::Down, "log", false),
            (Kind::Reminder, "log", false),
            (Kind::Escalation, "slack", false),
            (Kind::Escalation, "log", true),
            (Kind::Worse, "slack", true),
            (Kind::Worse, "log", true),
            (Kind::Worse, "mail", false),
        ] {
            assert_eq!(rule.has_a_say(kind, sink), expected, "{kind:?} {sink}");
        }
    }

    #[test]
    fn each_step_of_an_escalation_is_owed_once_by_all_rules_together() {
        let step = |seconds| Step { after: Duration::from_secs(seconds), notify: vec!["log".to_owned()] };
        let escalating = |name: &str, critical, steps: &[u64]| {
            let escalate = steps.iter().copied().map(step).collect();
            Rule { escalate, critical, ..rule(name, "{}", &["slack"], true) }
        };
        let routing = routing(vec![escalating("a", false, &[9, 60]), escalating("b", true, &[9, 30])]);
        let owed = routing.owed(&incident(Reason::Other)).into_iter().filter(|owed| owed.kind == Kind::Escalation);
        let steps: Vec<(i64, String)> = owed.map(|owed| (owed.due_at.as_second(), owed.rule)).collect();
        assert_eq!(steps, [(9, "b".to_owned()), (60, "a".to_owned()), (30, "b".to_owned())]);
    }
}
