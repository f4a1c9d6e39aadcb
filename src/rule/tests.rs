use std::sync::Arc;

use linedown_sinks::{BuildError, Limits, Notification, Path, Settings, Sink};
use proptest::prelude::*;

use super::*;
use crate::clock::from_millis;

/// A sink with these recipients; one that begins with "no " is no usable address, and "label owner" stands for what the
/// line has in that label.
pub(crate) struct Toy(pub(crate) Vec<&'static str>);

impl Settings for Toy {
    fn recipients(&self, incident: &Incident) -> Vec<String> {
        let of_label = |key| incident.instance.labels.get(key).cloned().unwrap_or_default();
        self.0.iter().map(|name| name.strip_prefix("label ").map_or_else(|| (*name).to_owned(), of_label)).collect()
    }

    fn reaches(&self, recipient: &str) -> bool {
        !recipient.starts_with("no ")
    }

    fn preview(&self, _notification: &Notification) -> String {
        String::new()
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn build(&self) -> Result<Arc<dyn Sink>, BuildError> {
        Err(BuildError("a toy".to_owned()))
    }
}

/// A rule in few words: `match` as JSON, the sinks, and whether it goes on.
pub(crate) fn rule(name: &str, matcher: &str, notify: &[&str], goes_on: bool) -> Rule {
    let (matcher, problems) = Matcher::read(&serde_json::from_str(matcher).unwrap(), &Path::default());
    assert_eq!(problems, []);
    Rule {
        name: name.to_owned(),
        matcher,
        notify: notify.iter().map(|sink| (*sink).to_owned()).collect(),
        goes_on,
        resolved: true,
        hold: None,
        remind: Vec::new(),
        escalate: Vec::new(),
        critical: false,
        group_by: Vec::new(),
        group_interval: Duration::ZERO,
        flapping: None,
    }
}

/// Rules over three sinks: `slack` falls back to `mail`, `mail` (to two people) back to `slack`, `log` to nobody.
pub(crate) fn routing(rules: Vec<Rule>) -> Routing {
    let target = |recipients: Vec<&'static str>, fallback: Option<&str>| Target {
        kind: "toy",
        settings: Arc::new(Toy(recipients)),
        language: Language::default(),
        limits: Limits::default(),
        fallback: fallback.map(str::to_owned),
        retry: Retry::default(),
    };
    let sinks = BTreeMap::from([
        ("slack".to_owned(), target(vec![""], Some("mail"))),
        ("mail".to_owned(), target(vec!["ana", "bia"], Some("slack"))),
        ("log".to_owned(), target(vec![""], None)),
    ]);
    Routing { rules: rules.into(), sinks, ..Routing::default() }
}

pub(crate) fn incident(reason: Reason) -> Incident {
    let line = Instance::of("A");
    Incident { id: 1, ..Incident::of("z-api", line, reason, from_millis(0)) }
}

fn told(owed: &[Owed]) -> Vec<String> {
    owed.iter().map(|owed| format!("{}:{}:{}", owed.rule, owed.sink, owed.recipient)).collect()
}

#[test]
fn the_first_rule_that_matches_wins_unless_it_goes_on() {
    let routing = routing(vec![
        rule("banned", r#"{"reason":"number-blocked"}"#, &["slack"], true),
        rule("other source", r#"{"source":"x"}"#, &["log"], false),
        rule("rest", "{}", &["mail", "slack"], false),
        rule("never", "{}", &["log"], false),
    ]);
    let verdicts = |reason| {
        routing.verdicts(&incident(reason)).into_iter().map(|(_, verdict)| verdict.is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(Reason::NumberBlocked), [true, false, true]);
    assert_eq!(verdicts(Reason::Other), [false, false, true]);
    assert_eq!(told(&routing.owed(&incident(Reason::Other))), ["rest:mail:ana", "rest:mail:bia", "rest:slack:"]);
    assert_eq!(
        told(&routing.owed(&incident(Reason::NumberBlocked))),
        ["banned:slack:", "rest:mail:ana", "rest:mail:bia"]
    );
}

#[test]
fn bad_news_goes_round_the_fallbacks_once() {
    let routing = routing(Vec::new());
    let lost = |sink: &str| Owed {
        rule: "r".to_owned(),
        sink: sink.to_owned(),
        recipient: String::new(),
        kind: Kind::Down,
        resolved: true,
        group: String::new(),
        due_at: from_millis(0),
        held_by: None,
        since: None,
    };
    let fallback = |sink: &str, tried: &[&str]| {
        let tried: Vec<String> = tried.iter().map(|sink| (*sink).to_owned()).collect();
        told(&routing.fallback(&lost(sink), &tried, &incident(Reason::Other)))
    };
    assert_eq!(fallback("slack", &["slack"]), ["r:mail:ana", "r:mail:bia"]);
    assert_eq!(fallback("mail", &["mail", "slack"]), [""; 0]);
    assert_eq!(fallback("log", &["log"]), [""; 0]);
    assert_eq!(fallback("gone", &["gone"]), ["r:log:"], "a sink that left the config has no fallback of its own");
}

#[test]
fn news_is_what_somebody_does_not_know() {
    use Reason::{NumberBlocked, Other, SessionExpired};
    let state = |reason, closed| State { reason, closed };
    for (told, now, wants_resolved, expected) in [
        (state(Other, false), state(Other, false), true, None),
        (state(Other, false), state(Other, true), true, Some(Kind::Resolved)),
        (state(Other, false), state(Other, true), false, None),
        (state(Other, true), state(Other, true), true, None),
        (state(Other, false), state(NumberBlocked, false), false, Some(Kind::Worse)),
        (state(NumberBlocked, false), state(SessionExpired, false), true, None),
        (state(Other, false), state(NumberBlocked, true), true, Some(Kind::Resolved)),
    ] {
        assert_eq!(news(told, now, wants_resolved), expected, "{told:?} {now:?}");
    }
}

#[test]
fn what_is_over_by_the_time_is_said_once_and_to_whom_it_matters() {
    let over = State { reason: Reason::Other, closed: true };
    for (kind, wants_resolved, knows, expected) in [
        (Kind::Worse, true, Knows::Outage, Some(Kind::Resolved)),
        (Kind::Worse, false, Knows::Outage, Some(Kind::Worse)),
        (Kind::Reminder, true, Knows::Outage, Some(Kind::Resolved)),
        (Kind::Reminder, false, Knows::Outage, None),
        (Kind::Worse, true, Knows::Milder, Some(Kind::Resolved)),
        (Kind::Worse, false, Knows::Milder, Some(Kind::Worse)),
        (Kind::Reminder, false, Knows::Milder, None),
        (Kind::Reminder, false, Knows::Nothing, Some(Kind::Down)),
        (Kind::Acknowledged, true, Knows::End, None),
        (Kind::Escalation, false, Knows::Outage, Some(Kind::Escalation)),
        (Kind::Escalation, true, Knows::End, None),
        (Kind::Down, true, Knows::End, Some(Kind::Down)),
    ] {
        assert_eq!(kind_when_sent(kind, over, wants_resolved, knows), expected, "{kind:?}");
    }
    let on = State { closed: false, ..over };
    for (kind, knows, expected) in [
        (Kind::Reminder, Knows::Outage, Kind::Reminder),
        (Kind::Reminder, Knows::Nothing, Kind::Down),
        (Kind::Reminder, Knows::Milder, Kind::Worse),
        (Kind::Worse, Knows::Outage, Kind::Worse),
        (Kind::Worse, Knows::Milder, Kind::Worse),
        (Kind::Escalation, Knows::Milder, Kind::Escalation),
        (Kind::Worse, Knows::Nothing, Kind::Down),
        (Kind::Escalation, Knows::Nothing, Kind::Escalation),
    ] {
        assert_eq!(kind_when_sent(kind, on, false, knows), Some(expected), "{kind:?} {knows:?}");
    }
}

proptest! {
    /// Whatever the rules: nobody is told twice of one incident, and only by rules that match.
    #[test]
    fn everyone_is_told_once(rules in prop::collection::vec((any::<bool>(), any::<bool>(), prop::sample::subsequence(vec!["slack", "mail", "log"], 1..=3)), 0..8)) {
        let matches = r#"{"reason":"other"}"#;
        let misses = r#"{"reason":"number-blocked"}"#;
        let rules: Vec<Rule> = rules.iter().enumerate().map(|(number, (hit, goes_on, sinks))| {
            rule(&format!("{}{number}", if *hit { "hit" } else { "miss" }), if *hit { matches } else { misses }, sinks, *goes_on)
        }).collect();
        let owed = routing(rules).owed(&incident(Reason::Other));
        let mut people: Vec<_> = owed.iter().map(|owed| (&owed.sink, &owed.recipient)).collect();
        people.sort();
        people.dedup();
        prop_assert_eq!(people.len(), owed.len());
        prop_assert!(owed.iter().all(|owed| owed.rule.starts_with("hit")));
    }
}
