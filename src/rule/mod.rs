//! Pure: who is owed which notification.
//!
//! Three questions, each answered once, inside the transaction that makes it true: whom does a new incident
//! concern ([`Routing::owed`]); what does somebody who was told something need to hear now ([`news`]); and who
//! hears when a sink gives up ([`Routing::fallback`]).

pub mod matcher;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::{Incident, Instance, Kind, Reason, Settings};

use serde::Deserialize;

use matcher::{Matcher, Mismatch, Subject};

/// One rule of the config.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for people.
    pub name: String,
    /// Which incidents it is about.
    pub matcher: Matcher,
    /// The sinks to notify.
    pub notify: Vec<String>,
    /// Whether later rules are read although this one matched (`continue`).
    pub goes_on: bool,
    /// Whether those who were told are told that it is over.
    pub resolved: bool,
    /// How long a line must be down before anybody hears.
    pub hold: Option<Duration>,
    /// When they hear again; the last one repeats.
    pub remind: Vec<Duration>,
    /// Who else hears, and when.
    pub escalate: Vec<Step>,
}

/// One step of an escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long after the line went down.
    pub after: Duration,
    /// The sinks that hear.
    pub notify: Vec<String>,
}

impl Rule {
    /// Every sink it may notify.
    pub fn sinks(&self) -> impl Iterator<Item = &str> {
        self.notify.iter().chain(self.escalate.iter().flat_map(|step| &step.notify)).map(String::as_str)
    }
}

/// What routing needs to know of a sink.
#[derive(Clone)]
pub struct Target {
    /// Its `type`.
    pub kind: &'static str,
    /// Its checked section.
    pub settings: Arc<dyn Settings>,
    /// The sink that hears when this one gives up.
    pub fallback: Option<String>,
    /// How failures are retried.
    pub retry: Retry,
}

/// How failures are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How long after it was owed a notification is given up.
    pub give_up_after: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), max: Duration::from_mins(10), give_up_after: Duration::from_hours(24) }
    }
}

/// What the inventory says of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// Its name, for people.
    pub name: Option<String>,
    /// Its labels, for rules and templates.
    pub labels: BTreeMap<String, String>,
}

/// Rules, sinks and inventory: everything that decides who is told.
#[derive(Clone, Default)]
pub struct Routing {
    /// In the order they are read.
    pub rules: Vec<Rule>,
    /// By name.
    pub sinks: BTreeMap<String, Target>,
    /// By instance.
    pub inventory: HashMap<String, Entry>,
}

/// One notification that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The rule that owes it.
    pub rule: String,
    /// The sink it is owed to.
    pub sink: String,
    /// Whom there; empty where the sink itself is the address.
    pub recipient: String,
    /// Why.
    pub kind: Kind,
    /// Whether they want to know when it is over.
    pub resolved: bool,
}

impl Routing {
    /// The line with what the inventory knows of it.
    pub fn instance(&self, id: &str, phone: Option<String>) -> Instance {
        let entry = self.inventory.get(id).cloned().unwrap_or_default();
        Instance { id: id.to_owned(), name: entry.name, phone, labels: entry.labels }
    }

    /// What each rule says to an incident, in order, down to the one that ends the reading.
    pub fn verdicts<'r>(&'r self, incident: &Incident) -> Vec<(&'r Rule, Result<(), Mismatch>)> {
        let mut verdicts = Vec::new();
        for rule in &self.rules {
            let verdict = rule.matcher.matches(&Subject::from(incident));
            let ends = verdict.is_ok() && !rule.goes_on;
            verdicts.push((rule, verdict));
            if ends {
                break;
            }
        }
        verdicts
    }

    /// Who is to be told of an incident: each recipient once, owed by the first rule that names it.
    pub fn owed(&self, incident: &Incident) -> Vec<Owed> {
        let mut told = BTreeSet::new();
        let mut owed = Vec::new();
        for (rule, verdict) in self.verdicts(incident) {
            if verdict.is_err() {
                continue;
            }
            for sink in &rule.notify {
                for recipient in self.recipients(sink, incident) {
                    if told.insert((sink.clone(), recipient.clone())) {
                        owed.push(Owed {
                            rule: rule.name.clone(),
                            sink: sink.clone(),
                            recipient,
                            kind: Kind::Down,
                            resolved: rule.resolved,
                        });
                    }
                }
            }
        }
        owed
    }

    /// Who hears instead when a notification of `lost` is given up. `tried` are the sinks that were to carry the
    /// bad news so far, the latest last: none is asked twice.
    pub fn fallback(&self, lost: &Owed, tried: &[String], incident: &Incident) -> Vec<Owed> {
        let Some(sink) = self.next_sink(&lost.sink).filter(|sink| !tried.contains(sink)) else { return Vec::new() };
        let recipients = self.recipients(&sink, incident).into_iter();
        recipients
            .map(|recipient| Owed { sink: sink.clone(), recipient, kind: Kind::Undelivered, ..lost.clone() })
            .collect()
    }

    /// The fallback of a sink; of one that has left the config, whichever sink comes first.
    fn next_sink(&self, sink: &str) -> Option<String> {
        match self.sinks.get(sink) {
            Some(target) => target.fallback.clone(),
            None => self.sinks.keys().next().cloned(),
        }
    }

    fn recipients(&self, sink: &str, incident: &Incident) -> Vec<String> {
        self.sinks.get(sink).map(|target| target.settings.recipients(incident)).unwrap_or_default()
    }
}

/// The state of an incident as somebody knows it, or as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Why it is down.
    pub reason: Reason,
    /// Whether it is over.
    pub closed: bool,
}

/// What somebody who was told one state must hear, now that it is another.
pub fn news(told: State, now: State, wants_resolved: bool) -> Option<Kind> {
    if now.closed && !told.closed {
        wants_resolved.then_some(Kind::Resolved)
    } else if !now.closed && now.reason > told.reason {
        Some(Kind::Worse)
    } else {
        None
    }
}

/// What a notification is by the time it is sent: one that wanted to say "worse" of an outage that is over says
/// that it is over. (A `down` that comes late stays one, and says both.)
pub fn kind_when_sent(kind: Kind, now: State) -> Kind {
    if kind == Kind::Worse && now.closed { Kind::Resolved } else { kind }
}

#[cfg(test)]
pub(crate) mod tests;
