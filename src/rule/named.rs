//! Pure: what the config says now of an outage that began under a former config: what its line is called, and whom the
//! rules name for it.

use jiff::Timestamp;
use linedown_sinks::{Incident, Instance, Kind};

use super::matcher::Subject;
use super::wait::Wait;
use super::{Owed, Routing, step};

impl Routing {
    /// What the inventory now says of an incident's line; `None` if the inventory lacks the line, so that nothing newer is
    /// known than when the outage began. (It says nothing of linedown's own troubles.)
    pub fn line_now(&self, incident: &Incident) -> Option<Instance> {
        let Incident { source, instance, reason, .. } = incident;
        let is_known = !reason.is_own() && self.inventory.contains(source, &instance.id);
        is_known.then(|| self.instance(source, &instance.id, instance.phone.clone()))
    }

    /// An incident with what the inventory now says of its line.
    #[must_use]
    pub fn as_of_now(&self, incident: &Incident) -> Incident {
        let instance = self.line_now(incident).unwrap_or_else(|| incident.instance.clone());
        Incident { instance, ..incident.clone() }
    }

    /// Whether a rule now names a recipient for messages of a kind about an incident. That is not asked of recipients whom
    /// no rule names: those of a sink that has left the config, whose notifications are given up, and those who are told
    /// of linedown's own troubles because another sink fails.
    pub fn names(&self, kind: Kind, (sink, recipient): (&str, &str), incident: &Incident) -> bool {
        if self.names_nobody(sink, incident) {
            return true;
        }
        let incident = self.as_of_now(incident);
        self.rules.matching(&Subject::from(&incident)).iter().any(|rule| rule.has_a_say(kind, sink))
            && self.recipients(sink, &incident).iter().any(|named| named == recipient)
    }

    /// Whether the rules now have a step of an escalation for a recipient, known by what it waited for. That is not asked
    /// either of those whom no rule names.
    pub fn has_step(&self, step: &Wait, to: (&str, &str), incident: &Incident) -> bool {
        let is_it = |owed: &Owed| owed.kind == Kind::Escalation && step::is_same(owed, step, to);
        self.names_nobody(to.0, incident) || self.owed(&self.as_of_now(incident)).iter().any(is_it)
    }

    fn names_nobody(&self, sink: &str, incident: &Incident) -> bool {
        incident.reason.is_own() || !self.sinks.contains_key(sink)
    }

    /// Whether the rule that owed a message to somebody has left the config, or no longer notifies the sink, and no other
    /// names them.
    pub fn is_dropped(&self, owed: &Owed, incident: &Incident) -> bool {
        let Owed { rule, sink, recipient, .. } = owed;
        let by_rule = self.rule(rule).is_some_and(|rule| rule.has_a_say(Kind::Reminder, sink));
        !by_rule && !self.names(Kind::Reminder, (sink, recipient), incident)
    }

    /// Whether anybody whom the rules now name for an incident is reminded of it after `now`.
    pub fn reminds_somebody(&self, incident: &Incident, now: Timestamp) -> bool {
        let incident = self.as_of_now(incident);
        self.owed(&incident).iter().any(|owed| self.reminder(owed, &incident, now).is_some())
    }

    /// Whether the rules still remind a sink of an incident: those that apply to it now, or `rule`, by which the reminder
    /// goes. (If the sink has left the config, that is said otherwise.)
    pub fn reminds(&self, (sink, rule): (&str, Option<&str>), incident: &Incident) -> bool {
        let says_so = |incident: &Incident| {
            self.terms(Kind::Reminder, sink, incident, rule).is_some_and(|terms| terms.are_reminded())
        };
        !self.sinks.contains_key(sink) || says_so(incident) || says_so(&self.as_of_now(incident))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use linedown_sinks::Reason;

    use super::super::inventory::Inventory;
    use super::super::tests::{Toy, incident, routing, rule};
    use super::super::{Rule, Step};
    use super::*;

    #[test]
    fn a_recipient_is_named_by_a_rule_that_matches_and_by_the_sink_it_notifies() {
        let step = Step { after: Duration::from_secs(9), notify: vec!["log".to_owned()] };
        let about_a = Rule { escalate: vec![step], ..rule("a", r#"{"instance":"A"}"#, &["mail"], false) };
        let routing = routing(vec![about_a]);
        let mut of_b = incident(Reason::Other);
        of_b.instance.id = "B".to_owned();
        let own = Incident { reason: Reason::SinkFailing, ..of_b.clone() };
        for (kind, sink, recipient, about, expected) in [
            (Kind::Reminder, "mail", "ana", &incident(Reason::Other), true),
            (Kind::Reminder, "mail", "cid", &incident(Reason::Other), false),
            (Kind::Reminder, "slack", "", &incident(Reason::Other), false),
            (Kind::Reminder, "log", "", &incident(Reason::Other), false),
            (Kind::Escalation, "log", "", &incident(Reason::Other), true),
            (Kind::Escalation, "mail", "ana", &incident(Reason::Other), false),
            (Kind::Reminder, "mail", "ana", &of_b, false),
            (Kind::Reminder, "gone", "", &of_b, true),
            (Kind::Reminder, "slack", "", &own, true),
        ] {
            assert_eq!(routing.names(kind, (sink, recipient), about), expected, "{kind:?} {sink} {recipient}");
        }
    }

    #[test]
    fn labels_and_names_are_those_of_now_as_long_as_the_inventory_has_the_line() {
        let mut routing = routing(vec![rule("gold", r#"{"labels":{"tier":"gold"}}"#, &["mail"], false)]);
        routing.sinks.get_mut("mail").unwrap().settings = Arc::new(Toy(vec!["label owner"]));
        let labels = |tier: &str, owner: &str| {
            BTreeMap::from([("tier", tier), ("owner", owner)].map(|(key, value)| (key.to_owned(), value.to_owned())))
        };
        let mut about = incident(Reason::Other);
        about.instance.labels = labels("gold", "ana");
        for (now, expected) in [
            (None, [true, false]),
            (Some(labels("gold", "ana")), [true, false]),
            (Some(labels("gold", "bia")), [false, true]),
            (Some(labels("silver", "ana")), [false, false]),
        ] {
            let mut inventory = Inventory::default();
            if let Some(labels) = &now {
                inventory.push("A", None, None, labels);
            }
            routing.inventory = inventory;
            let named = ["ana", "bia"].map(|name| routing.names(Kind::Reminder, ("mail", name), &about));
            assert_eq!(named, expected, "{now:?}");
        }
    }
}
