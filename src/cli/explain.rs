//! `linedown explain`: shows what would be decided about a payload, and why. Sends nothing.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind, Notification, read_bounded, read_file};
use serde::Serialize;

use super::{Code, CommandError, Place, output};
use crate::clock;
use crate::config::{Config, Source};
use crate::incident::{Change, Line};
use crate::link::{self, Purpose};
use crate::period::Period;
use crate::rule::flapping::Flapping;
use crate::rule::step::{self, First};
use crate::rule::timing::Held;
use crate::rule::{Owed, Routing, Rule};
use crate::source::{self, Event, EventKind, Unusable};

/// Most bytes of a payload, unless `server.max_body` allows more.
const LARGEST: usize = 1024 * 1024;

/// Printed because only the daemon knows the silences; the config has everything else.
const SILENCES: &str = "silences are not taken into account; `linedown silence list` shows them";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// File with a webhook's body, or - for standard input
    file: String,
    /// The source that receives it; by default the only one in the config
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The instance in the webhook's address
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Print the decision as JSON
    #[arg(long)]
    json: bool,
}

/// The decision about one payload.
#[derive(Debug, Serialize)]
struct Explanation {
    /// None if the webhook is not about a line's connection.
    event: Option<Event>,
    change: &'static str,
    rules: Vec<Verdict>,
    notifications: Vec<Planned>,
}

/// Whether a rule matches, and why.
#[derive(Debug, Serialize)]
struct Verdict {
    rule: String,
    matched: bool,
    why: String,
}

/// A notification that would be sent: to whom, when (in words), and its text.
#[derive(Debug, Serialize)]
struct Planned {
    rule: String,
    sink: String,
    recipient: String,
    when: String,
    message: String,
    /// The earliest time at which it is sent.
    #[serde(skip)]
    at: Timestamp,
}

pub(super) fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let config = place.config()?;
    let file = arguments.file.as_str();
    let body = read(file, config.server.max_body.max(LARGEST))?;
    if body.len() > config.server.max_body {
        return Err(too_large(file, body.len(), config.server.max_body));
    }
    let (name, source) = chosen(&config, arguments.source.as_deref())?;
    let kind = source::kind(&source.kind)
        .ok_or_else(|| CommandError::new(Code::Config, format!("nothing reads sources of type {}", source.kind)))?;
    let event = source::read(kind, name, arguments.instance.as_deref(), &body, clock::now())
        .map_err(|error| unusable(file, &error))?;
    let explanation = explain(event, &config.routing);
    if arguments.json {
        output::print_json(&explanation)?;
    } else {
        output::print(&told(&explanation))?;
    }
    Ok(Code::Done)
}

/// The source that the webhook is read for: the named one, or the only one.
fn chosen<'c>(config: &'c Config, name: Option<&str>) -> Result<(&'c str, &'c Source), CommandError> {
    let names = || config.sources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let found = match name {
        Some(name) => config.sources.get_key_value(name),
        None if config.sources.len() > 1 => {
            let error = CommandError::new(Code::Usage, "there are several sources in the config");
            return Err(error.hint(format!("name one of them with --source: {}", names())));
        }
        None => config.sources.first_key_value(),
    };
    let found = found.map(|(name, source)| (name.as_str(), source));
    let unknown = || CommandError::new(Code::Usage, "there is no such source in the config");
    found.ok_or_else(|| unknown().hint(format!("there are: {}", names())))
}

/// The name of the file in messages.
fn shown(file: &str) -> &str {
    if file == "-" { "the standard input" } else { file }
}

fn too_large(file: &str, bytes: usize, most: usize) -> CommandError {
    let what = format!("{} is too large for a webhook: linedown answers it with 413 and tells nobody", shown(file));
    let why = format!("it has {bytes} bytes, and `server.max_body` is {most}");
    CommandError::new(Code::Failed, what).because(why).hint("raise `server.max_body`, and reload the daemon")
}

fn unusable(file: &str, why: &Unusable) -> CommandError {
    let what = format!("{} cannot be read as a webhook", shown(file));
    CommandError::new(Code::Failed, what).caused_by(why).hint("give the complete body, as the gateway sends it")
}

fn read(file: &str, most: usize) -> Result<Vec<u8>, CommandError> {
    let body = match file {
        "-" => read_bounded(std::io::stdin().lock(), most, Vec::new()),
        path => read_file(Path::new(path), most),
    };
    body.map_err(|error| {
        let error = CommandError::new(Code::Failed, format!("cannot read {file}")).caused_by(&error);
        error.hint("name a file with a webhook's body, or - for the standard input")
    })
}

/// Decides about an event, as if nothing were known about its line yet.
fn explain(event: Option<Event>, routing: &Routing) -> Explanation {
    let nobody = |event, change| Explanation { event, change, rules: Vec::new(), notifications: Vec::new() };
    let Some(event) = event else {
        return nobody(
            None,
            "linedown does not handle this type: the webhook is answered with 200, dropped and counted",
        );
    };
    let changed = Line::default().step(&event);
    let instance = routing.instance(&event.source, &event.instance, event.phone.clone());
    // Rules see the whole phone number; people see it masked.
    let event = Event { phone: instance.masked_phone(), ..event };
    if changed != Change::Opened {
        let change = "closes the line's open incident, if there is one; whoever was told of it is told that it is over";
        return nobody(Some(event), change);
    }
    let of_the_line = Incident::of(&event.source, instance, event.reason, event.at);
    let incident = Incident { error: event.error.clone(), ..of_the_line };
    let notifications = planned(&incident, routing);
    let rules = verdicts(&incident, routing);
    let change = "opens an incident, unless the line is down already";
    Explanation { event: Some(event), change, rules, notifications }
}

/// For each rule, whether it matches and why.
fn verdicts(incident: &Incident, routing: &Routing) -> Vec<Verdict> {
    let mut rules: Vec<Verdict> = routing
        .verdicts(incident)
        .into_iter()
        .map(|(rule, verdict)| Verdict {
            rule: rule.name.clone(),
            matched: verdict.is_ok(),
            why: match verdict {
                Ok(()) if rule.goes_on => {
                    format!("matches; the next rules are read as well{}{}", reminders(rule), flapping(rule))
                }
                Ok(()) => format!("matches; later rules are not read{}{}", reminders(rule), flapping(rule)),
                Err(mismatch) => mismatch.to_string(),
            },
        })
        .collect();
    for rule in routing.rules.iter().skip(rules.len()) {
        rules.push(Verdict {
            rule: rule.name.clone(),
            matched: false,
            why: "not read: an earlier rule matched".to_owned(),
        });
    }
    rules
}

/// The reminders of a rule, in words.
fn reminders(rule: &Rule) -> String {
    let times: Vec<String> = rule.remind.iter().map(|after| Period(*after).to_string()).collect();
    match times.last() {
        None => String::new(),
        Some(last) => format!("; reminders after {}, then every {last}", times.join(", ")),
    }
}

/// When a rule considers a line as flapping, in words.
fn flapping(rule: &Rule) -> String {
    let words = |Flapping { count, within }| {
        format!(
            "; after more than {count} outages within {} the line is flapping, and its outages are summed up",
            Period(within)
        )
    };
    rule.flapping.map(words).unwrap_or_default()
}

/// Everything that is owed as long as the line stays down and nobody acknowledges, up to the first reminder.
fn planned(incident: &Incident, routing: &Routing) -> Vec<Planned> {
    let (owed, now) = (routing.owed(incident), clock::now());
    let sent = |owed: Owed, firsts: &[Sent]| Sent::of(owed, incident, routing, firsts, now);
    let (firsts, steps): (Vec<Owed>, Vec<Owed>) = owed.into_iter().partition(|owed| owed.kind == Kind::Down);
    let firsts: Vec<Sent> = firsts.into_iter().map(|first| sent(first, &[])).collect();
    let reminders = firsts.iter().filter_map(|first| routing.reminder(&first.owed, incident, first.at));
    let later: Vec<Sent> = steps.into_iter().chain(reminders).map(|owed| sent(owed, &firsts)).collect();
    firsts.into_iter().chain(later).map(|sent| plan(sent, incident, routing)).collect()
}

/// What is owed, and when it is sent if all goes well.
struct Sent {
    owed: Owed,
    /// When the first messages allow it, if that is later than it is due: a step of an escalation counts from them.
    after_first: Option<Timestamp>,
    /// The quiet hours that hold it back.
    held: Option<Held>,
    at: Timestamp,
}

impl Sent {
    fn of(owed: Owed, incident: &Incident, routing: &Routing, firsts: &[Self], now: Timestamp) -> Self {
        let due_at = owed.due_at.max(now);
        let rule = routing.rule(&owed.rule);
        let behind = owed.held_by.as_ref().and_then(|step| step::behind(step, rule.and_then(|rule| rule.hold)));
        let after_first = behind.and_then(|(behind, _)| {
            let firsts: Vec<First> = firsts.iter().map(|first| first.before(&owed)).collect();
            step::earliest(behind, &firsts, now).filter(|earliest| *earliest > due_at)
        });
        let ready_at = after_first.unwrap_or(due_at);
        let held = routing.held(owed.kind, (&owed.sink, Some(&owed.rule)), incident, &[], ready_at);
        let at = held.as_ref().map_or(ready_at, |held| held.until.max(ready_at));
        Self { owed, after_first, held, at }
    }

    fn before(&self, step: &Owed) -> First {
        let is_to_same = (&self.owed.sink, &self.owed.recipient) == (&step.sink, &step.recipient);
        let sent_at = if self.held.is_some() { self.at } else { self.owed.due_at };
        First { due_at: sent_at, tried_at: None, told_at: Some(sent_at), next_at: None, is_to_same }
    }
}

fn plan(sent: Sent, incident: &Incident, routing: &Routing) -> Planned {
    let Sent { owed, after_first, held, at } = sent;
    let mut notification = Notification {
        store: "explain".to_owned(),
        recipient: owed.recipient.clone(),
        rule: Some(owed.rule.clone()),
        held_back: held.as_ref().and_then(|held| held.by.held_back(Some(held.until))),
        ..Notification::about(incident.clone(), owed.kind, at)
    };
    if let Some(public_url) = routing.public_url.as_deref().filter(|_| notification.asks_to_act()) {
        let link = |purpose| link::make(purpose, public_url, b"of an example", 0, at);
        notification.acknowledge_url = Some(link(Purpose::Acknowledge));
        notification.reconnect_url = routing.needs_login(incident).then(|| link(Purpose::Reconnect));
    }
    let target = routing.sinks.get(&owed.sink);
    let message = target.map(|target| target.settings.preview(&notification)).unwrap_or_default();
    let mut when = match &owed.held_by {
        Some(held_by) => format!("in {} ({held_by})", Period(clock::between(incident.opened_at, owed.due_at))),
        None => "now".to_owned(),
    };
    if let Some(Held { until, by }) = held {
        let _ = write!(when, ", but not before {} ({by})", output::moment(until));
    } else if let Some(until) = after_first {
        let _ = write!(when, ", but not before {} (the first message is held back)", output::moment(until));
    }
    Planned { rule: owed.rule, sink: owed.sink, recipient: owed.recipient, when, message, at }
}

impl Planned {
    /// The sink, with the recipient if there is one.
    fn address(&self) -> String {
        let to = if self.recipient.is_empty() { String::new() } else { format!(" to {}", self.recipient) };
        output::printable(&format!("{}{to}", self.sink))
    }
}

/// One line that says who is told and when: each recipient once, with the first time, in order of time.
fn answer(notifications: &[Planned]) -> String {
    let mut first: Vec<(String, &str)> = Vec::new();
    let mut by_time: Vec<&Planned> = notifications.iter().collect();
    by_time.sort_by_key(|planned| planned.at);
    for planned in by_time {
        let address = planned.address();
        if first.iter().all(|(known, _)| *known != address) {
            first.push((address, &planned.when));
        }
    }
    let each: Vec<String> = first.into_iter().map(|(address, when)| format!("{address} {when}")).collect();
    if each.is_empty() { "nobody is told: no rule matches".to_owned() } else { format!("owed: {}", each.join("; ")) }
}

fn told(explanation: &Explanation) -> String {
    let mut text = String::new();
    let Explanation { event, change, rules, notifications } = explanation;
    let Some(event) = event else { return format!("{change}\n") };
    let opens = event.kind == EventKind::Disconnected;
    let _ = writeln!(text, "{}", if opens { answer(notifications) } else { (*change).to_owned() });
    let error = event.error.as_ref().map(|error| format!(" ({error:?})")).unwrap_or_default();
    let _ = writeln!(text, "event: {} {} at {}", event.kind.as_str(), output::printable(&event.instance), event.source);
    let reason = if opens { format!("reason {}{error}, ", event.reason.as_str()) } else { String::new() };
    let _ = writeln!(text, "  {reason}{}", output::moment(event.at));
    if opens {
        let _ = writeln!(text, "  {change}");
    }
    if !rules.is_empty() {
        let _ = writeln!(text, "rules:");
    }
    for rule in rules {
        let mark = if rule.matched { "+" } else { "-" };
        let _ = writeln!(text, "  {mark} {:?}: {}", rule.rule, output::printable(&rule.why));
    }
    for planned in notifications {
        let _ = writeln!(text, "\n{}: {}, by rule {:?}:", planned.when, planned.address(), planned.rule);
        for line in planned.message.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    if !notifications.is_empty() {
        let _ = writeln!(text, "\n{SILENCES}");
    }
    text
}
