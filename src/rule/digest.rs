//! Pure: one message about several outages.

use std::cmp::Reverse;
use std::iter;

use linedown_sinks::{Item, Kind, Notification};

/// Makes one message of a notification and all that goes out with it. The message's list may be cut, so what is over
/// comes last, after lines that are down again and have a message of their own, reminders come after news, and the worst
/// comes first.
pub fn digest(first: Notification, leader: i64, others: Vec<Notification>) -> Notification {
    // Losses are gathered over all rules.
    let rule = first.rule.clone().filter(|rule| others.iter().all(|part| part.rule.as_ref() == Some(rule)));
    let mut items: Vec<Item> = iter::once(first.clone())
        .chain(others)
        .map(|Notification { id, kind, incident, flapping, undelivered, .. }| Item {
            notification: id,
            kind,
            incident,
            flapping,
            undelivered,
        })
        .collect();
    items.sort_by_key(|item| {
        let Item { notification, kind, incident, undelivered, .. } = item;
        let is_over = incident.closed_at.is_some() && incident.first_news().is_none();
        let is_over = (is_over, is_over && incident.again.is_none());
        let news = undelivered.as_ref().map_or(*kind, |lost| lost.kind);
        (is_over, news == Kind::Reminder, Reverse(incident.reason), incident.opened_at, *notification)
    });
    let incident = items.first().map_or_else(|| first.incident.clone(), |item| item.incident.clone());
    Notification { id: leader, kind: Kind::Digest, incident, items, flapping: None, undelivered: None, rule, ..first }
}
