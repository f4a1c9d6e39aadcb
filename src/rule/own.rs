//! Pure: who hears of linedown's own troubles. The usual rules say so, but no sink is asked to tell of its own failure,
//! and if none of the sinks that are asked works, another one is asked as well.

use std::collections::BTreeSet;

use linedown_sinks::{Incident, Kind, Reason};

use super::inventory::Inventory;
use super::{Owed, Routing};

impl Routing {
    /// This routing for linedown's own troubles, while some sinks fail. It has no inventory, since that says nothing of
    /// them.
    #[must_use]
    pub fn of_own_troubles(&self, failing: BTreeSet<String>) -> Self {
        let (rules, sinks, quiet) = (self.rules.clone(), self.sinks.clone(), self.quiet.clone());
        let (inventory, public_url) = (Inventory::default(), self.public_url.clone());
        Self { rules, sinks, inventory, quiet, public_url, language: self.language, failing }
    }

    /// Changes what the rules owe for a trouble of our own so that it can be told.
    pub(super) fn heard(&self, mut owed: Vec<Owed>, incident: &Incident) -> Vec<Owed> {
        let Some(first) = owed.iter().find(|owed| owed.kind == Kind::Down).cloned() else { return owed };
        let about = (incident.reason == Reason::SinkFailing).then_some(incident.instance.id.as_str());
        owed.retain(|owed| Some(owed.sink.as_str()) != about);
        let works = |sink: &str| !self.failing.contains(sink);
        let now: Vec<&Owed> = owed.iter().filter(|owed| owed.kind == Kind::Down).collect();
        if now.iter().any(|owed| works(&owed.sink)) {
            return owed;
        }
        let mut others = self.others(about.unwrap_or(&first.sink));
        others.retain(|other| now.iter().all(|owed| owed.sink != *other));
        // If all sinks fail and nobody else is asked, one that fails is asked: it tells of the trouble once it works
        // again.
        let other = others.iter().find(|other| works(other)).or(others.first().filter(|_| now.is_empty()));
        let Some(other) = other.cloned() else { return owed };
        let recipients = self.recipients(&other, incident).into_iter();
        owed.extend(recipients.map(|recipient| Owed { sink: other.clone(), recipient, ..first.clone() }));
        owed
    }

    /// All sinks but one, in the order in which they stand in for it: its fallback, the fallback of that, and so on;
    /// then the others by name, last those that only write to our own output.
    pub(super) fn others(&self, sink: &str) -> Vec<String> {
        let mut order = Vec::new();
        let mut next = self.sinks.get(sink).and_then(|target| target.fallback.clone());
        while let Some(fallback) = next.filter(|fallback| fallback != sink && !order.contains(fallback)) {
            next = self.sinks.get(&fallback).and_then(|target| target.fallback.clone());
            order.push(fallback);
        }
        let mut rest: Vec<_> = self.sinks.iter().filter(|(name, _)| *name != sink && !order.contains(name)).collect();
        rest.sort_by_key(|(_, target)| target.is_own_output());
        let rest: Vec<String> = rest.into_iter().map(|(name, _)| name.clone()).collect();
        order.extend(rest);
        order
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linedown_sinks::{Language, Limits};

    use super::super::tests::{Toy, incident, routing, rule};
    use super::super::{Retry, Rule, Step, Target};
    use super::*;

    fn about(sink: &str) -> Incident {
        let mut incident = incident(Reason::SinkFailing);
        incident.source = "linedown".to_owned();
        sink.clone_into(&mut incident.instance.id);
        incident
    }

    fn target(kind: &'static str, fallback: Option<&str>) -> Target {
        Target {
            kind,
            settings: Arc::new(Toy(vec![""])),
            fallback: fallback.map(str::to_owned),
            retry: Retry::default(),
            limits: Limits::default(),
            language: Language::default(),
        }
    }

    /// `slack` falls back to `mail`, `mail` to `sms`; `console` is our own output, and `pager` comes after it by name.
    fn with(rules: Vec<Rule>, failing: &[&str]) -> Routing {
        let sinks = [
            ("slack", target("toy", Some("mail"))),
            ("mail", target("toy", Some("sms"))),
            ("sms", target("toy", Some("slack"))),
            ("console", target("stdout", None)),
            ("pager", target("toy", None)),
        ];
        let sinks = sinks.map(|(name, target)| (name.to_owned(), target)).into();
        Routing { sinks, ..routing(rules) }.of_own_troubles(failing.iter().map(|sink| (*sink).to_owned()).collect())
    }

    fn told(routing: &Routing, of: &Incident) -> Vec<String> {
        routing.owed(of).into_iter().map(|owed| owed.sink).collect()
    }

    #[test]
    fn a_failing_sink_is_told_of_by_others() {
        for (what, notify, failing, expected) in [
            ("who else is asked", &["slack", "mail"][..], &["slack"][..], &["mail"][..]),
            ("it alone: its fallback", &["slack"], &["slack"], &["mail"]),
            ("the fallback fails, too", &["slack"], &["slack", "mail"], &["sms"]),
            ("the first that works", &["slack"], &["slack", "mail", "sms"], &["pager"]),
            ("our own output at the last", &["slack"], &["slack", "mail", "sms", "pager"], &["console"]),
            (
                "all fail: it is kept for the fallback",
                &["slack"],
                &["slack", "mail", "sms", "pager", "console"],
                &["mail"],
            ),
            ("who is asked fails, too", &["slack", "pager"], &["slack", "pager"], &["pager", "mail"]),
            (
                "all who are asked fail, and no other works",
                &["slack", "pager"],
                &["slack", "mail", "sms", "pager", "console"],
                &["pager"],
            ),
            ("somebody else is asked, and works", &["mail"], &["slack"], &["mail"]),
        ] {
            let routing = with(vec![rule("all", "{}", notify, false)], failing);
            assert_eq!(told(&routing, &about("slack")), expected, "{what}");
        }
    }

    /// Nobody knows any more what its fallback was.
    #[test]
    fn what_a_sink_owed_that_has_left_the_config_is_told_by_the_first_that_does_not_write_to_our_own_output() {
        let routing = with(vec![rule("all", "{}", &["mail"], false)], &[]);
        let lost = Owed { sink: "gone".to_owned(), ..routing.owed(&about("x")).remove(0) };
        let told = |routing: &Routing, tried: &[&str]| {
            let tried: Vec<String> = tried.iter().map(|sink| (*sink).to_owned()).collect();
            routing.fallback(&lost, &tried, &about("x")).into_iter().map(|owed| owed.sink).collect::<Vec<_>>()
        };
        assert_eq!(told(&routing, &["gone"]), ["mail"]);
        assert_eq!(told(&routing, &["mail", "gone"]), ["pager"], "no sink is asked twice");
        let second = Owed { sink: "pager".to_owned(), ..lost.clone() };
        let next = routing.fallback(&second, &["gone", "pager"].map(str::to_owned), &about("x"));
        assert_eq!(next[0].sink, "mail", "nor is it over where one of them has no fallback");
        let mut alone = routing.clone();
        alone.sinks.retain(|name, _| name == "console");
        assert_eq!(told(&alone, &["gone"]), ["console"], "rather than nobody");
        assert_eq!(told(&alone, &["console", "gone"]), [""; 0]);
    }

    #[test]
    fn with_no_other_sink_nobody_is_told() {
        let mut routing = with(vec![rule("all", "{}", &["slack"], false)], &["slack"]);
        routing.sinks.retain(|name, _| name == "slack");
        assert_eq!(told(&routing, &about("slack")), [""; 0]);
    }

    #[test]
    fn what_no_rule_is_for_is_told_to_nobody() {
        let routing = with(vec![rule("lines", r#"{"source":"z-api"}"#, &["mail"], false)], &["slack"]);
        assert_eq!(told(&routing, &about("slack")), [""; 0]);
    }

    #[test]
    fn a_step_does_not_go_to_the_sink_that_fails() {
        let step = Step { after: std::time::Duration::from_mins(15), notify: vec!["slack".into(), "sms".into()] };
        let routing = with(vec![Rule { escalate: vec![step], ..rule("all", "{}", &["mail"], false) }], &["slack"]);
        assert_eq!(told(&routing, &about("slack")), ["mail", "sms"]);
    }

    #[test]
    fn other_troubles_are_told_by_all_who_are_asked_and_by_one_that_works() {
        let disk = Incident { reason: Reason::DiskNearlyFull, ..about("store") };
        let told_of_disk = |failing: &[&str]| told(&with(vec![rule("all", "{}", &["slack"], false)], failing), &disk);
        assert_eq!(told_of_disk(&[]), ["slack"]);
        assert_eq!(told_of_disk(&["slack"]), ["slack", "mail"]);
        let down = incident(Reason::Other);
        assert_eq!(
            told(&with(vec![rule("all", "{}", &["slack"], false)], &["slack"]), &down),
            ["slack"],
            "no outage is"
        );
    }
}
