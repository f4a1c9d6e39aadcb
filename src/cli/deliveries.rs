//! `linedown deliveries`: lists notifications and their states.

use jiff::Timestamp;

use super::client::Daemon;
use super::limit::Limit;
use super::line::Line;
use super::output::Look;
use super::table::{Column, Row};
use super::{Code, CommandError, Place, is_there, output};
use crate::clock;
use crate::store::view::{Delivery, DeliveryQuery, WaitReason, WaitsFor};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "delivered", "dead", "withdrawn"])]
    state: Option<String>,
    /// Only those of this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    #[command(flatten)]
    line: Line,
    #[command(flatten)]
    limit: Limit,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) const COLUMNS: [Column; 10] = [
    Column::whole("id"),
    Column::state("state"),
    Column::whole("kind"),
    Column::text("line"),
    Column::whole("incident"),
    Column::text("to"),
    Column::moment("owed at"),
    Column::moment("settled at").or_left_out(),
    Column::whole("tries").or_left_out(),
    Column::note("detail"),
];

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Code, CommandError> {
    let Arguments { state, sink, line, limit, .. } = arguments;
    let (asked, of_line) = (Some(limit.asked_for()), line.asked_for());
    let query = DeliveryQuery { state: state.clone(), sink: sink.clone(), line: of_line, limit: asked };
    let deliveries: Vec<Delivery> = Daemon::find(place).await?.get("deliveries", &query).await?;
    if deliveries.is_empty() {
        is_there(place, sink.as_deref())?;
        line.warn_if_unknown(place);
    }
    let now = clock::now();
    limit.print(deliveries, arguments.json, "no notifications\n", &COLUMNS, |delivery| row(delivery, now))?;
    Ok(Code::Done)
}

fn row(delivery: &Delivery, now: Timestamp) -> Row {
    let cells = vec![
        delivery.id.to_string(),
        state(delivery, now),
        delivery.kind.clone(),
        delivery.name.clone().unwrap_or_else(|| delivery.instance.clone()),
        delivery.incident.to_string(),
        address(delivery),
        output::moment(delivery.owed_at),
        output::moment_or_dash(delivery.settled_at),
        delivery.tries.to_string(),
        detail(delivery).unwrap_or_default(),
    ];
    Row::new(look(delivery), cells)
}

/// Highlights dead notifications, and pending ones with a failed attempt.
pub(super) fn look(delivery: &Delivery) -> Look {
    match delivery.state.as_str() {
        "dead" => Look::Bad,
        "pending" if delivery.tries > 0 || detail(delivery).is_some() => Look::Doubtful,
        "withdrawn" => Look::Faint,
        _ => Look::Plain,
    }
}

/// The receipt or the last failure; for a notification that has none and waits for its sink, the failure of that.
fn detail(delivery: &Delivery) -> Option<String> {
    delivery.detail.clone().or_else(|| why_sink_fails(delivery).map(str::to_owned))
}

/// Why the sink, or the recipient, fails that a notification waits for.
fn why_sink_fails(delivery: &Delivery) -> Option<&str> {
    delivery.waits_for.as_ref()?.why.as_deref()
}

/// The sink, with the recipient if there is one.
pub(super) fn address(delivery: &Delivery) -> String {
    match delivery.recipient.as_str() {
        "" => delivery.sink.clone(),
        recipient => format!("{} {recipient}", delivery.sink),
    }
}

/// The state; for a pending notification also what it waits for.
pub(super) fn state(delivery: &Delivery, now: Timestamp) -> String {
    state_with(delivery, "", now)
}

/// The state; for a notification that waits for its sink or its recipient also why that fails.
pub(super) fn state_in_full(delivery: &Delivery, now: Timestamp) -> String {
    let why = why_sink_fails(delivery).map(|why| format!(" ({})", output::printable(why)));
    state_with(delivery, &why.unwrap_or_default(), now)
}

fn state_with(delivery: &Delivery, why: &str, now: Timestamp) -> String {
    match (&delivery.waits_for, delivery.due_at) {
        _ if delivery.in_flight => "in flight".to_owned(),
        (Some(waits_for), _) => format!("pending, {}", waits_at(&delivery.sink, waits_for, why, now)),
        (None, Some(due_at)) if due_at > now => {
            let span = output::span(now, due_at);
            match delivery.held_by.as_deref() {
                Some(held_by) => format!("pending, {held_by}, in {span}"),
                None if delivery.tries == 0 => format!("pending, with its group, in {span}"),
                None => format!("pending, next try in {span}"),
            }
        }
        _ => delivery.state.clone(),
    }
}

/// What a notification waits for at a sink.
fn waits_at(sink: &str, WaitsFor { reason, until, .. }: &WaitsFor, why: &str, now: Timestamp) -> String {
    match (reason, until.filter(|until| *until > now)) {
        (WaitReason::Recipient, _) => format!("waits for its recipient, who fails{why}"),
        (WaitReason::Turn, _) => format!("waits for its turn at {sink}"),
        (WaitReason::Paused, Some(until)) => format!("{sink} asked for a pause until {}{why}", output::moment(until)),
        (WaitReason::Failing, Some(until)) => {
            format!("{sink} is failing{why}, next try in {}", output::span(now, until))
        }
        (WaitReason::Failing | WaitReason::Paused, None) => format!("{sink} is failing{why}, next try now"),
    }
}
