//! Pure: who is owed which notification.
//!
//! Three questions, each answered once, in the transaction that raises it:
//! - Whom does a new incident concern? ([`Routing::owed`])
//! - What must somebody who was told something hear now? ([`news`])
//! - Who hears instead when a sink gives up? ([`Routing::fallback`])
//!
//! Where several rules name the same recipient, [`terms`] says what counts.

mod digest;
pub mod flapping;
pub mod inventory;
mod knowledge;
pub mod matcher;
mod named;
mod own;
pub mod rules;
pub mod step;
mod target;
pub mod terms;
pub mod timing;
pub mod wait;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Incident, Instance, Kind, Language, Reason};

pub use digest::digest;
pub use knowledge::{Class, Knows, State, class, kind_when_sent, news};
pub use target::{Retry, Target};

use flapping::Flapping;
use inventory::{Entry, Inventory};
use matcher::{Field, Matcher, Mismatch, Subject};
use rules::Rules;
use timing::Quiet;
use wait::Wait;

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
    /// Whether those who were told also hear when it is over.
    pub resolved: bool,
    /// How long a line must be down before anybody hears.
    pub hold: Option<Duration>,
    /// How long after the outage began they are reminded; the last of these repeats.
    pub remind: Vec<Duration>,
    /// Who else hears, and when, if nobody takes the outage.
    pub escalate: Vec<Step>,
    /// Whether it is also heard in quiet hours.
    pub critical: bool,
    /// What outages must have in common, besides the rule, to be told in one message.
    pub group_by: Vec<Field>,
    /// How long what follows a group's message is gathered; zero sends each outage by itself.
    pub group_interval: Duration,
    /// How many outages are too many to be told one by one; `None` tells each.
    pub flapping: Option<Flapping>,
}

/// The [`Rule::group_interval`] of a rule that has none in the config.
pub const GROUP_INTERVAL: Duration = Duration::from_mins(1);

/// How long what follows a notice of a loss is gathered, whatever the rules say: a sink that fails loses many messages at
/// once, and whoever stands in for it needs one message about them.
pub const LOST_INTERVAL: Duration = Duration::from_mins(1);

/// One step of an escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long after the line went down. If the first message is late, the step is as much later ([`step`]).
    pub after: Duration,
    /// The sinks that hear then.
    pub notify: Vec<String>,
}

impl Rule {
    /// The group of an incident: those of the same rule and group may go out in one message.
    fn group(&self, incident: &Incident) -> String {
        let subject = Subject::from(incident);
        let parts = self.group_by.iter().map(|field| field.of(&subject).to_owned());
        let parts = std::iter::once(self.name.clone()).chain(parts).chain(sort(incident).map(str::to_owned));
        parts.collect::<Vec<_>>().join("\u{1f}")
    }

    /// Every sink that the rule may notify.
    pub fn sinks(&self) -> impl Iterator<Item = &str> {
        self.notify.iter().chain(self.escalate.iter().flat_map(|step| &step.notify)).map(String::as_str)
    }
}

/// A message about several incidents says the same sort of thing of all of them: that lines are down, or else this.
fn sort(incident: &Incident) -> Option<&str> {
    (!incident.reason.is_outage()).then(|| incident.reason.as_str())
}

/// Rules, sinks and inventory: everything that decides who is told.
#[derive(Clone, Default)]
pub struct Routing {
    /// The rules, in the order they are read.
    pub rules: Rules,
    /// The sinks, by name.
    pub sinks: BTreeMap<String, Target>,
    /// What is known of the lines.
    pub inventory: Inventory,
    /// Quiet hours: only critical rules are heard then.
    pub quiet: Vec<Quiet>,
    /// Where people reach the daemon, for the links in messages.
    pub public_url: Option<String>,
    /// The language where nothing else is known of the readers.
    pub language: Language,
    /// The sinks that fail now. Only [`Routing::of_own_troubles`] fills it.
    pub failing: BTreeSet<String>,
}

/// One notification that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The rule by which it goes: the most urgent of those that owe it.
    pub rule: String,
    /// The sink it is owed to.
    pub sink: String,
    /// Its recipient there; empty where the sink itself is the address.
    pub recipient: String,
    /// What kind of message it is.
    pub kind: Kind,
    /// Whether the recipient wants to know when it is over.
    pub resolved: bool,
    /// Its group: others of the same group may go out in the same message.
    pub group: String,
    /// When it is to be sent; a time that has passed means now.
    pub due_at: Timestamp,
    /// What it waits for until then. It is withdrawn if the line is back by then.
    pub held_by: Option<Wait>,
    /// For a message about a line that flaps: when the first of its outages began.
    pub since: Option<Timestamp>,
}

impl Routing {
    /// The rule of this name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.named(name)
    }

    /// Whether any rule has steps of an escalation.
    pub fn escalates(&self) -> bool {
        self.rules.iter().any(|rule| !rule.escalate.is_empty())
    }

    /// How long news of a sort that a rule owes is gathered. A rule that has left the config gathers nothing any more.
    pub fn interval(&self, rule: Option<&str>, class: Class) -> Duration {
        match class {
            Class::Lost => LOST_INTERVAL,
            Class::Bad | Class::Good => {
                rule.and_then(|name| self.rule(name)).map(|rule| rule.group_interval).unwrap_or_default()
            }
        }
    }

    /// The longest time for which anything is gathered.
    pub fn longest_interval(&self) -> Duration {
        self.rules.iter().map(|rule| rule.group_interval).fold(LOST_INTERVAL, Duration::max)
    }

    /// Whether a sink that refused a message refused its recipient: a sink that is its own address has none.
    pub fn is_address(&self, sink: &str, recipient: &str) -> bool {
        let reaches = |target: &Target| target.settings.reaches(recipient);
        !recipient.is_empty() || !self.sinks.get(sink).is_none_or(reaches)
    }

    /// The language of a sink's messages, even if the sink has left the config.
    pub fn language(&self, sink: &str) -> Language {
        self.sinks.get(sink).map_or(self.language, |target| target.language)
    }

    /// A source's line, with what the inventory knows of it.
    pub fn instance(&self, source: &str, id: &str, phone: Option<String>) -> Instance {
        let entry = self.inventory.get(source, id);
        let name = entry.as_ref().and_then(|entry| entry.name).map(str::to_owned);
        let labels = entry.iter().flat_map(Entry::labels).map(|(key, value)| (key.to_owned(), value.to_owned()));
        Instance { id: id.to_owned(), name, phone, labels: labels.collect() }
    }

    /// Whether somebody must log in with the line's phone, and the gateway can be asked for the code to do so.
    pub fn needs_login(&self, incident: &Incident) -> bool {
        let reason = incident.first_news().map_or(incident.reason, |again| again.reason);
        matches!(reason, Reason::SessionExpired | Reason::DeviceDisconnected) && self.is_asked(incident)
    }

    /// Whether an incident's gateway can be asked about its line.
    pub fn is_asked(&self, incident: &Incident) -> bool {
        self.inventory.get(&incident.source, &incident.instance.id).is_some_and(|entry| entry.is_asked)
    }

    /// Returns what each rule says to an incident, in order, up to the rule that ends the reading.
    pub fn verdicts<'r>(&'r self, incident: &Incident) -> Vec<(&'r Rule, Result<(), Mismatch>)> {
        let mut verdicts = Vec::new();
        for rule in self.rules.iter() {
            let verdict = rule.matcher.matches(&Subject::from(incident));
            let ends = verdict.is_ok() && !rule.goes_on;
            verdicts.push((rule, verdict));
            if ends {
                break;
            }
        }
        verdicts
    }

    /// Returns who is to be told of an incident, and when: each recipient once, and once more by each step of an
    /// escalation. If several rules name a recipient, the strictest of what they want counts. Of a trouble of our own,
    /// somebody is told by a sink that works, if there is one.
    pub fn owed(&self, incident: &Incident) -> Vec<Owed> {
        let owed = self.owed_by_rules(incident);
        if incident.reason.is_own() { self.heard(owed, incident) } else { owed }
    }

    /// Returns who hears instead when the notification `lost` is given up: the recipients of the next sink. `tried` are
    /// the sinks that were to carry the bad news so far, the latest last: none is asked twice. Losses are gathered in one
    /// message, by whatever rules they were owed.
    pub fn fallback(&self, lost: &Owed, tried: &[String], incident: &Incident) -> Vec<Owed> {
        let Some(sink) = self.next_sink(&lost.sink, tried) else { return Vec::new() };
        let recipients = self.recipients(&sink, incident).into_iter();
        recipients
            .map(|recipient| Owed {
                sink: sink.clone(),
                recipient,
                kind: Kind::Undelivered,
                group: sort(incident).unwrap_or_default().to_owned(),
                held_by: None,
                ..lost.clone()
            })
            .collect()
    }

    /// The fallback of a sink. If one of the sinks so far has left the config, and its fallback with it, the first of
    /// the others is next. Never one that was tried.
    fn next_sink(&self, sink: &str, tried: &[String]) -> Option<String> {
        let fallback = self.sinks.get(sink).and_then(|target| target.fallback.clone());
        let mut before = tried.iter().map(String::as_str).chain([sink]);
        let others = if before.all(|sink| self.sinks.contains_key(sink)) { Vec::new() } else { self.others(sink) };
        fallback.into_iter().chain(others).find(|sink| !tried.contains(sink))
    }

    /// For a recipient that is no usable address: who the message is for, as the config now says of its line. `None` if
    /// the recipient can be reached, or the sink has left the config.
    pub fn instead_of(&self, recipient: &str, sink: &str, incident: &Incident) -> Option<Instead> {
        let settings = &self.sinks.get(sink)?.settings;
        if settings.reaches(recipient) {
            return None;
        }
        let instance = self.instance(&incident.source, &incident.instance.id, incident.instance.phone.clone());
        let mut recipients = settings.recipients(&Incident { instance, ..incident.clone() });
        let somebody_has_none = recipients.iter().any(|named| !settings.reaches(named));
        recipients.retain(|recipient| settings.reaches(recipient));
        Some(Instead { recipients, somebody_has_none })
    }

    fn recipients(&self, sink: &str, incident: &Incident) -> Vec<String> {
        self.sinks.get(sink).map(|target| target.settings.recipients(incident)).unwrap_or_default()
    }
}

/// Who a message is for now, if its recipient is no usable address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instead {
    /// The recipients that can be reached.
    pub recipients: Vec<String>,
    /// Whether the config still names an unusable address: it stands for somebody who cannot be reached yet.
    pub somebody_has_none: bool,
}

#[cfg(test)]
pub(crate) mod tests;
