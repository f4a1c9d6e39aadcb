//! `linedown incidents` lists outages, and `linedown incident` tells the story of one.

use std::fmt::Write;

use jiff::Timestamp;

use super::client::Daemon;
use super::deliveries::{address, look, state, state_in_full};
use super::limit::Limit;
use super::line::Line;
use super::output::Look;
use super::table::{Column, Row, table};
use super::{Code, CommandError, Place, output, usage};
use crate::clock;
use crate::server::api::IncidentQuery;
use crate::source::{self, EventKind};
use crate::store::given_up;
use crate::store::view::{Delivery, Incident, IncidentStory};
use crate::trouble;

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only lines that are down now
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    line: Line,
    #[command(flatten)]
    limit: Limit,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The incident, by the number that messages and `linedown incidents` show
    #[arg(value_parser = usage::number)]
    id: i64,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) const COLUMNS: [Column; 10] = [
    Column::whole("id"),
    Column::text("line"),
    Column::identifier("instance"),
    Column::text("reason"),
    Column::moment("down since"),
    Column::whole("down for"),
    Column::text("taken by"),
    Column::whole("told"),
    Column::whole("pending"),
    Column::whole("dead"),
];

/// Said of an incident without notifications. (The store does not say which of the two it was, but the log says of each
/// incident that no rule matches.)
const NONE_KEPT: &str =
    "no notifications are kept: no rule matched, or they were lost when a damaged store was replaced (see the log)";

pub(super) async fn list(place: &Place, arguments: &ListArguments) -> Result<Code, CommandError> {
    let ListArguments { open, line, limit, .. } = arguments;
    let query = IncidentQuery { open: *open, line: line.asked_for(), limit: Some(limit.asked_for()) };
    let incidents: Vec<Incident> = Daemon::find(place).await?.get("incidents", &query).await?;
    if incidents.is_empty() {
        line.warn_if_unknown(place);
    }
    let nothing = match (open, query.line.is_some()) {
        (true, false) => "no line is down\n",
        (true, true) => "the line is not down\n",
        (false, _) => "no outages\n",
    };
    let now = clock::now();
    limit.print(incidents, arguments.json, nothing, &COLUMNS, |incident| row(incident, now))?;
    Ok(Code::Done)
}

fn row(incident: &Incident, now: Timestamp) -> Row {
    let lasting = lasting(incident, now);
    let over = if incident.closed_at.is_some() { ", over" } else { "" };
    let look = match &incident.notifications {
        notifications if notifications.dead > 0 => Look::Bad,
        notifications if notifications.pending > 0 => Look::Doubtful,
        _ if incident.closed_at.is_some() => Look::Faint,
        _ => Look::Plain,
    };
    let cells = vec![
        incident.id.to_string(),
        incident.name.clone().unwrap_or_else(|| incident.instance.clone()),
        incident.instance.clone(),
        incident.reason.as_str().to_owned(),
        output::moment(incident.opened_at),
        format!("{lasting}{over}"),
        incident.acknowledged_by.clone().unwrap_or_default(),
        incident.notifications.delivered.to_string(),
        incident.notifications.pending.to_string(),
        incident.notifications.dead.to_string(),
    ];
    Row::new(look, cells)
}

/// For how long an incident goes on, or went on. If it seems to begin later than now by more than a gateway's clock may be
/// ahead, nobody knows.
fn lasting(incident: &Incident, now: Timestamp) -> String {
    let until = incident.closed_at.unwrap_or(now);
    if incident.opened_at.duration_since(until) > source::AHEAD {
        return "unknown: the clock was set back".to_owned();
    }
    output::span(incident.opened_at, until)
}

pub(super) async fn show(place: &Place, arguments: &ShowArguments) -> Result<Code, CommandError> {
    let path = format!("incidents/{}", arguments.id);
    let story: IncidentStory = Daemon::find(place).await?.get(&path, &()).await?;
    if arguments.json {
        output::print_json(&story)?;
    } else {
        output::print(&told(&story, clock::now()))?;
    }
    Ok(Code::Done)
}

/// The story of an incident, for people.
fn told(story: &IncidentStory, now: Timestamp) -> String {
    let mut text = String::new();
    head(&mut text, &story.incident, now);
    text.push_str(&told_events(story));
    if story.deliveries.is_empty() {
        let _ = writeln!(text, "\n{NONE_KEPT}");
    }
    for delivery in &story.deliveries {
        let _ = writeln!(text);
        text.push_str(&told_delivery(delivery, &story.deliveries, now));
    }
    text
}

fn told_events(story: &IncidentStory) -> String {
    let is_own = story.incident.source == trouble::SOURCE;
    let rows = story.events.iter().map(|event| {
        let (kind, asked) = match (is_own, event.kind) {
            (true, EventKind::Connected) => ("over", ""),
            (_, EventKind::Unwatched) => ("no longer watched", ""),
            (true, _) => ("problem", ""),
            (false, kind) => (kind.as_str(), if event.found { ", found by asking" } else { "" }),
        };
        vec![
            output::moment(event.received_at),
            kind.to_owned(),
            format!("{}{asked}", event.change),
            event.error.clone().unwrap_or_default(),
        ]
    });
    let (title, at, words) =
        if is_own { ("seen", "at", "in detail") } else { ("webhooks", "received", "gateway's words") };
    let columns = [Column::moment(at), Column::whole("kind"), Column::whole("changed"), Column::text(words)];
    format!("\n{title}\n{}", table(&columns, rows))
}

fn head(text: &mut String, incident: &Incident, now: Timestamp) {
    let name = incident.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
    let phone = incident.phone.as_ref().map(|phone| format!(", {phone}")).unwrap_or_default();
    let lasting = lasting(incident, now);
    let until = match incident.closed_at {
        Some(closed_at) => {
            let unwatched = if incident.unwatched { ", and is no longer watched" } else { "" };
            format!("to {} ({lasting}){unwatched}", output::moment(closed_at))
        }
        None if incident.reason.is_outage() => format!("and still down ({lasting})"),
        None => format!("and not over yet ({lasting})"),
    };
    let line = format!("{name}{}{phone} at {}", incident.instance, incident.source);
    let _ = writeln!(text, "incident {}: {}", incident.id, output::printable(&line));
    let _ = writeln!(text, "  {} from {} {until}", incident.reason.as_str(), output::moment(incident.opened_at));
    if let (Some(by), Some(at)) = (&incident.acknowledged_by, incident.acknowledged_at) {
        let from = incident.acknowledged_from.as_ref().map(|from| format!(", from {from}")).unwrap_or_default();
        let by = output::printable(&format!("{by}{from}"));
        let _ = writeln!(text, "  taken by {by} at {}", output::moment(at));
    }
}

fn told_delivery(delivery: &Delivery, all: &[Delivery], now: Timestamp) -> String {
    let mut text = String::new();
    let lost = delivery.lost.map(|lost| format!(" instead of notification {lost}")).unwrap_or_default();
    let to = output::printable(&address(delivery));
    let head = format!(
        "notification {} ({}) to {to}{lost}, by rule {:?}: {}",
        delivery.id,
        delivery.kind,
        delivery.rule,
        state_in_full(delivery, now)
    );
    let _ = writeln!(text, "{}", output::painted(look(delivery), &head));
    if let Some(batch) = delivery.batch {
        let _ = writeln!(text, "  sent together with others, as message {batch}");
    }
    for attempt in delivery.attempts.iter().flatten() {
        let outcome = attempt.outcome.as_deref().unwrap_or("in progress");
        // Why the last one was the last is said below.
        let (detail, _) = given_up::split(attempt.detail.as_deref().unwrap_or_default());
        let detail = output::printable(detail);
        let started = output::moment(attempt.started_at);
        let _ = writeln!(text, "  {started}  try {}: {outcome}  {detail}", attempt.number);
    }
    if let Some(end) = told_end(delivery) {
        let _ = writeln!(text, "  {}  {}", output::moment_or_dash(delivery.settled_at), output::printable(&end));
    }
    if delivery.state == "dead" {
        text.push_str(&told_instead(delivery, all, now));
    }
    text
}

/// Why a notification was withdrawn or given up. If it was tried, its last try says what failed.
fn told_end(delivery: &Delivery) -> Option<String> {
    let detail = delivery.detail.as_deref().unwrap_or_default();
    let lasting = delivery.settled_at.map(|end| output::span(delivery.owed_at, end)).unwrap_or_default();
    match (delivery.state.as_str(), given_up::split(detail)) {
        ("withdrawn", _) => Some(detail.to_owned()),
        ("dead", (_, Some(why))) if delivery.tries > 0 => Some(format!("given up after {lasting}, {why}")),
        ("dead", (_, None)) if delivery.tries > 0 => Some("given up: trying again cannot help".to_owned()),
        ("dead", (failure, Some(why))) => Some(format!("given up after {lasting}, {why}: {failure}")),
        ("dead", (failure, None)) => Some(format!("given up: {failure}")),
        _ => None,
    }
}

/// Who was told instead that a notification was given up, or is to be told, or could not be told either.
fn told_instead(delivery: &Delivery, all: &[Delivery], now: Timestamp) -> String {
    let mut text = String::new();
    for notice in all.iter().filter(|other| other.lost == Some(delivery.id)) {
        let told = match notice.state.as_str() {
            "delivered" => "told instead",
            "pending" => "to be told instead",
            "dead" => "not told either",
            _ => "need not be told",
        };
        let to = format!("{} to {}, {}", notice.id, address(notice), state(notice, now));
        let _ = writeln!(text, "  {told}: notification {}", output::printable(&to));
    }
    match (text.is_empty(), delivery.lost) {
        (false, _) => text,
        (true, None) => {
            format!("  nobody was told instead: {} has no fallback\n", output::printable(&delivery.sink))
        }
        (true, Some(lost)) => {
            let is_told = |other: &&Delivery| other.lost == Some(lost) && other.state == "delivered";
            match all.iter().find(is_told) {
                Some(other) => {
                    let to = output::printable(&address(other));
                    format!("  somebody else was told of the same loss: notification {} to {to}\n", other.id)
                }
                None => "  nobody was told instead: no other sink was left\n".to_owned(),
            }
        }
    }
}
