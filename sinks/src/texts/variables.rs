//! What templates can say: a notification's facts, fit to be shown, under the names that the handbook gives them.
//!
//! Text that is not there is empty, so that a template may print it unasked.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::context;
use minijinja::value::{Enumerator, Object, Value};

use super::clean::one_line;
use crate::{Incident, Instance, Notification};

/// Most characters of what is a name: longer ones would push the news out of a title.
const NAME: usize = 80;
/// Most characters of an identifier.
const IDENTIFIER: usize = 128;
/// Most characters of what somebody else said.
const WORDS: usize = 300;
/// Most characters of an address: the longest that SMTP allows (RFC 5321, 4.5.3.1).
pub(super) const ADDRESS: usize = 320;
/// From how many seconds on a message is late.
const LATE: i64 = 120;

/// All there is to say about a notification.
pub(super) fn of_notification(notification: &Notification) -> Value {
    let delay = seconds(notification.created_at, notification.at);
    let undelivered = notification.undelivered.as_ref().map(|other| {
        context! {
            notification => other.notification,
            kind => other.kind.as_str(),
            sink => one_line(&other.sink, NAME / 2),
            recipient => one_line(&other.recipient, ADDRESS),
            why => one_line(&other.why, WORDS),
            attempts => other.attempts,
        }
    });
    let about = context! {
        id => notification.id,
        kind => notification.kind.as_str(),
        attempt => notification.attempt,
        created_at => moment(notification.created_at),
        at => moment(notification.at),
        delay => delay,
        late => delay > LATE,
        last_failure => optional(notification.last_failure.as_deref(), WORDS),
        rule => optional(notification.rule.as_deref(), NAME),
        recipient => one_line(&notification.recipient, ADDRESS),
    };
    let downtime = seconds(notification.incident.opened_at, notification.incident.closed_at.unwrap_or(notification.at));
    context! {
        notification => about,
        undelivered => undelivered,
        incident => context! { downtime => downtime, ..incident(&notification.incident) },
        instance => instance(&notification.incident.instance),
        source => one_line(&notification.incident.source, NAME),
    }
}

/// What there is to say about an incident before anybody is notified of it.
pub(super) fn of_incident(of: &Incident) -> Value {
    context! { incident => incident(of), instance => instance(&of.instance), source => one_line(&of.source, NAME) }
}

fn incident(incident: &Incident) -> Value {
    context! {
        id => incident.id,
        reason => incident.reason.as_str(),
        error => optional(incident.error.as_deref(), WORDS),
        opened_at => moment(incident.opened_at),
        closed_at => incident.closed_at.map(moment).unwrap_or_default(),
        is_closed => incident.closed_at.is_some(),
    }
}

fn instance(instance: &Instance) -> Value {
    let labels = instance.labels.iter().map(|(key, value)| (one_line(key, NAME), one_line(value, ADDRESS)));
    let named = |text: &str| one_line(text, NAME);
    let title = Some(named(instance.title())).filter(|title| !title.is_empty());
    context! {
        id => one_line(&instance.id, IDENTIFIER),
        name => optional(instance.name.as_deref(), NAME),
        // A line must be called something, or no sentence about it makes sense.
        title => title.or_else(|| Some(named(&instance.id)).filter(|id| !id.is_empty())).unwrap_or_else(|| "?".to_owned()),
        phone => optional(instance.masked_phone().as_deref(), NAME / 2),
        labels => Value::from_object(Labels(labels.collect())),
    }
}

fn optional(text: Option<&str>, most: usize) -> String {
    text.map(|text| one_line(text, most)).unwrap_or_default()
}

/// As RFC 3339 writes it, which the filter `local` reads.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().max(0)
}

/// An instance's labels, of which those that it lacks are empty rather than undefined: which labels there are
/// differs from instance to instance.
#[derive(Debug)]
struct Labels(BTreeMap<String, String>);

impl Object for Labels {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        Some(Value::from(self.0.get(key).map_or("", String::as_str)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(Value::from).collect())
    }
}
