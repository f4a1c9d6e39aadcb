//! `linedown explain`: what would be decided about a payload, and why. Sends nothing.

use std::fmt::Write as _;
use std::io::Read;

use jiff::Timestamp;
use linedown_sinks::{Incident, Notification};
use serde::Serialize;

use super::{Code, CommandError, Place, incidents, output};
use crate::clock;
use crate::incident::{Change, Line};
use crate::period::Period;
use crate::rule::flapping::Flapping;
use crate::rule::{Owed, Routing, Rule};
use crate::source::{self, Event};

/// Largest payload read, in bytes.
const LARGEST: u64 = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A webhook's body, or - for standard input
    #[arg(required_unless_present = "incident")]
    file: Option<String>,
    /// Tell the story of a past outage instead, with what would come next
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "source", "instance"])]
    incident: Option<i64>,
    /// The source it would come through; the only one by default
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
    event: Event,
    change: &'static str,
    rules: Vec<Verdict>,
    notifications: Vec<Planned>,
}

#[derive(Debug, Serialize)]
struct Verdict {
    rule: String,
    matched: bool,
    why: String,
}

#[derive(Debug, Serialize)]
struct Planned {
    rule: String,
    sink: String,
    recipient: String,
    when: String,
    message: String,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    if let Some(id) = arguments.incident {
        return incidents::show(place, &incidents::ShowArguments { id, json: arguments.json }).await;
    }
    let config = place.config()?;
    let body = read(arguments.file.as_deref().unwrap_or("-"))?;
    let source = match &arguments.source {
        Some(name) => config.sources.get_key_value(name),
        None => config.sources.first_key_value(),
    };
    let Some((name, source)) = source else {
        let names: Vec<&str> = config.sources.keys().map(String::as_str).collect();
        let error = CommandError::new(Code::Usage, "there is no such source in the config");
        return Err(error.hint(format!("there are: {}", names.join(", "))));
    };
    let kind = source::kind(&source.kind)
        .ok_or_else(|| CommandError::new(Code::Config, format!("nothing reads sources of type {}", source.kind)))?;
    let event = source::read(kind, name, arguments.instance.as_deref(), &body, clock::now())
        .map_err(|error| CommandError::new(Code::Failed, error.to_string()))?;
    let Some(event) = event else {
        output::print("a type that is none of ours: it is answered with 200, dropped and counted\n")?;
        return Ok(Code::Done);
    };
    let explanation = explain(event, &config.routing);
    if arguments.json {
        output::print_json(&explanation)?;
    } else {
        output::print(&told(&explanation))?;
    }
    Ok(Code::Done)
}

fn read(file: &str) -> Result<Vec<u8>, CommandError> {
    let mut body = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(LARGEST).read_to_end(&mut body),
        path => std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut body)),
    };
    read.map_err(|error| CommandError::new(Code::Failed, format!("cannot read {file}")).caused_by(&error))?;
    Ok(body)
}

/// Decides about an event on a line of which nothing else is known.
fn explain(event: Event, routing: &Routing) -> Explanation {
    let change = Line::default().step(&event);
    if change != Change::Opened {
        let change = "ends the line's outage, if it is in one: whoever was told of it is told that it is over";
        return Explanation { event, change, rules: Vec::new(), notifications: Vec::new() };
    }
    let incident = incident(&event, routing);
    let mut rules: Vec<Verdict> = routing
        .verdicts(&incident)
        .into_iter()
        .map(|(rule, verdict)| Verdict {
            rule: rule.name.clone(),
            matched: verdict.is_ok(),
            why: match verdict {
                Ok(()) if rule.goes_on => {
                    format!("matches, and the next rules are read as well{}{}", reminders(rule), flapping(rule))
                }
                Ok(()) => format!("matches, and ends the reading{}{}", reminders(rule), flapping(rule)),
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
    let notifications = routing.owed(&incident).into_iter().map(|owed| planned(owed, &incident, routing)).collect();
    Explanation { change: "opens an incident, unless the line is down already", event, rules, notifications }
}

/// When those whom a rule tells are told again.
fn reminders(rule: &Rule) -> String {
    let times: Vec<String> = rule.remind.iter().map(|after| Period(*after).to_string()).collect();
    match times.last() {
        None => String::new(),
        Some(last) => format!("; reminders after {}, then every {last}", times.join(", ")),
    }
}

/// From when on a rule tells of a line no more each time.
fn flapping(rule: &Rule) -> String {
    let words = |Flapping { count, within }| {
        format!("; after more than {count} outages within {} the line is flapping, and told of as such", Period(within))
    };
    rule.flapping.map(words).unwrap_or_default()
}

fn incident(event: &Event, routing: &Routing) -> Incident {
    Incident {
        id: 0,
        source: event.source.clone(),
        instance: routing.instance(&event.instance, event.phone.clone()),
        reason: event.reason,
        error: event.error.clone(),
        opened_at: event.at,
        closed_at: None,
        acknowledged: None,
        found: false,
    }
}

fn planned(owed: Owed, incident: &Incident, routing: &Routing) -> Planned {
    let now: Timestamp = clock::now();
    let notification = Notification {
        id: 0,
        store: "explain".to_owned(),
        kind: owed.kind,
        recipient: owed.recipient.clone(),
        rule: Some(owed.rule.clone()),
        attempt: 1,
        created_at: now,
        at: now,
        last_failure: None,
        incident: incident.clone(),
        undelivered: None,
        items: Vec::new(),
        flapping: None,
        acknowledge_url: None,
        reconnect_url: None,
        standing: None,
    };
    let target = routing.sinks.get(&owed.sink);
    let message = target.map(|target| target.settings.preview(&notification)).unwrap_or_default();
    let when = match &owed.held_by {
        Some(held_by) => format!("in {} ({held_by})", Period(clock::between(incident.opened_at, owed.due_at))),
        None => "now".to_owned(),
    };
    Planned { rule: owed.rule, sink: owed.sink, recipient: owed.recipient, when, message }
}

fn told(explanation: &Explanation) -> String {
    let mut text = String::new();
    let Explanation { event, change, rules, notifications } = explanation;
    let error = event.error.as_ref().map(|error| format!(" ({error:?})")).unwrap_or_default();
    let _ = writeln!(text, "event: {} {} at {}", event.kind.as_str(), output::printable(&event.instance), event.source);
    let _ = writeln!(text, "  reason {}{error}, {}", event.reason.as_str(), output::moment(event.at));
    let _ = writeln!(text, "  {change}");
    if !rules.is_empty() {
        let _ = writeln!(text, "rules:");
    }
    for rule in rules {
        let mark = if rule.matched { "+" } else { "-" };
        let _ = writeln!(text, "  {mark} {:?}: {}", rule.rule, output::printable(&rule.why));
    }
    if !rules.is_empty() && notifications.is_empty() {
        let _ = writeln!(text, "nobody is told: no rule matches");
    }
    for planned in notifications {
        let to = if planned.recipient.is_empty() { String::new() } else { format!(" to {}", planned.recipient) };
        let _ = writeln!(text, "\n{}: {}{to}, by rule {:?}:", planned.when, planned.sink, planned.rule);
        for line in planned.message.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}
