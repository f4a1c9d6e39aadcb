//! Notifications of every sort, on which templates are tried before they are needed.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    Acknowledged, Again, Besides, Flapping, HeldBack, Holder, Incident, Instance, Item, Kind, Notification, Reason,
    Standing, Undelivered,
};

/// The time at which the samples' outages begin: Monday, 2026-11-23 14:02 UTC.
const OPENED: Timestamp = Timestamp::constant(1_795_442_520, 0);

/// All samples:
/// - every kind about every reason, the worst first: with everything known and with as little as possible, about a line
///   that is down and about one that is back;
/// - digests of one line, of three, of more than anybody reads, of reminders or escalations alone, and of both news and
///   reminders;
/// - lines whose gateway was asked, lines that are down again, and troubles that are not watched any more.
pub(super) fn all() -> Vec<Notification> {
    let mut samples = Vec::new();
    for kind in Kind::ALL {
        for reason in Reason::ALL.into_iter().rev() {
            for (full, closed) in [(true, true), (true, false), (false, true), (false, false)] {
                samples.push(sample(kind, reason, full, closed));
            }
        }
    }
    samples.extend([1, 3, 1000].map(digest));
    samples.extend([Kind::Reminder, Kind::Escalation].map(digest_of));
    samples.push(digest_with_one_new());
    samples.extend([1, 3].map(digest_lost));
    samples.push(digest_over());
    samples.extend([Holder::Hold, Holder::Silence, Holder::QuietHours].map(held_back));
    samples.extend(Reason::ALL.map(|reason| asked(sample(Kind::Down, reason, true, false))));
    samples.extend(Reason::ALL.into_iter().filter(|reason| !reason.is_outage()).flat_map(unwatched));
    for besides in [Besides::Told, Besides::GivenUp, Besides::Nothing] {
        samples.extend(Kind::ALL.map(|kind| again(sample(kind, Reason::Other, true, true), besides)));
        samples.push(again(digest_over(), besides));
    }
    samples
}

/// The same when the line of each outage that is over is down again, needs a new QR code, and the reader is told so much
/// of that besides.
pub(super) fn again(mut notification: Notification, besides: Besides) -> Notification {
    let opened_at = notification.at - SignedDuration::from_secs(3);
    let again = Again { incident: 40, reason: Reason::SessionExpired, opened_at, besides };
    let items = notification.items.iter_mut().map(|item| &mut item.incident);
    for incident in items.chain([&mut notification.incident]).filter(|incident| incident.closed_at.is_some()) {
        incident.again = Some(again.clone());
    }
    notification
}

/// A notification that has everything that any may have, so that every variable is defined.
pub(super) fn everything() -> Notification {
    let lost = Some(undelivered(true));
    let mut everything = asked(Notification { undelivered: lost, flapping: Some(flapping()), ..digest(3) });
    for item in &mut everything.items {
        item.incident.acknowledged = Some(acknowledged());
        item.incident.closed_at = Some(everything.at);
        item.flapping = Some(flapping());
        item.undelivered = Some(undelivered(true));
    }
    everything.held_back = held_back(Holder::Silence).held_back;
    again(everything, Besides::Told)
}

/// Adds the gateway's answer and the page for a new login.
pub(super) fn asked(notification: Notification) -> Notification {
    let standing = Standing { connected: false, said: text(true, "You need to restore the session.") };
    let reconnect_url = text(true, "https://linedown.example/reconnect/7");
    Notification { standing: Some(standing), reconnect_url, ..notification }
}

/// A trouble that is not watched any more, alone and in a digest.
fn unwatched(reason: Reason) -> [Notification; 2] {
    let mut alone = sample(Kind::Resolved, reason, true, true);
    alone.incident.unwatched = true;
    let mut digest = digest(3);
    digest.incident = alone.incident.clone();
    digest.items.iter_mut().for_each(|item| item.incident = alone.incident.clone());
    [alone, digest]
}

/// A digest of that many lines: of the four reasons for an outage in turn, every fourth acknowledged, every fifth back.
pub(super) fn digest(lines: usize) -> Notification {
    let mut digest = sample(Kind::Digest, Reason::Other, true, false);
    digest.items = (1..=lines).map(item).collect();
    digest.items.sort_by_key(|item| (item.incident.closed_at.is_some(), Reverse(item.incident.reason)));
    if let Some(worst) = digest.items.first() {
        digest.incident = worst.incident.clone();
    }
    digest
}

/// A digest of three lines, all of this kind.
fn digest_of(kind: Kind) -> Notification {
    let mut digest = digest(3);
    digest.items.iter_mut().for_each(|item| item.kind = kind);
    digest
}

/// A digest of two reminders and one line that is news.
fn digest_with_one_new() -> Notification {
    let mut digest = digest_of(Kind::Reminder);
    digest.items.iter_mut().take(1).for_each(|item| item.kind = Kind::Down);
    digest
}

/// A digest of so many lines of which another sink was to tell, each to two people.
pub(super) fn digest_lost(lines: usize) -> Notification {
    let mut digest = digest(lines);
    digest.items.iter_mut().for_each(|item| {
        (item.kind, item.undelivered) = (Kind::Undelivered, Some(undelivered(true)));
    });
    let to_another = digest.items.clone().into_iter().map(|mut item| {
        item.notification += 1000;
        item.undelivered.iter_mut().for_each(|lost| "bia@acme.example".clone_into(&mut lost.recipient));
        item
    });
    digest.items.extend(to_another.collect::<Vec<_>>());
    digest
}

/// A digest of three lines that are back: of two of them the reader hears only now.
pub(super) fn digest_over() -> Notification {
    let mut digest = digest(3);
    let at = OPENED + SignedDuration::from_mins(5);
    for (number, item) in digest.items.iter_mut().enumerate() {
        (item.incident.closed_at, item.incident.acknowledged) = (Some(at), None);
        item.kind = if number == 2 { Kind::Resolved } else { Kind::Down };
    }
    digest.incident = digest.items[0].incident.clone();
    digest
}

/// Sent when what held it back had ended.
pub(super) fn held_back(by: Holder) -> Notification {
    let down = sample(Kind::Down, Reason::Other, true, false);
    let name = match by {
        Holder::Hold => "5m",
        Holder::Silence => "3",
        Holder::QuietHours => "night",
    };
    let held_back = Some(HeldBack { by, name: name.to_owned(), until: Some(down.at) });
    Notification { created_at: down.at, last_failure: None, held_back, ..down }
}

fn item(number: usize) -> Item {
    let back = number.is_multiple_of(5);
    let closed = back.then_some(OPENED + SignedDuration::from_mins(5));
    let mut incident = incident(Reason::ALL[Reason::ALL.len() - 1 - number % 4], !number.is_multiple_of(3), closed);
    incident.id += i64::try_from(number).unwrap_or_default();
    incident.instance.id = format!("i-{number}");
    incident.instance.name = incident.instance.name.map(|name| format!("{name} {number}"));
    incident.acknowledged = number.is_multiple_of(4).then(acknowledged);
    Item {
        notification: 100 + incident.id,
        kind: if back { Kind::Resolved } else { Kind::Down },
        incident,
        flapping: None,
        undelivered: None,
    }
}

fn flapping() -> Flapping {
    let times = [-18, -12, -9, -5, 0].map(|minute| OPENED + SignedDuration::from_mins(minute));
    Flapping { since: times[0], outages: 5, downtime: 480, times: times.into(), steady_for: Some(1800) }
}

fn acknowledged() -> Acknowledged {
    Acknowledged { by: "Ana".to_owned(), at: OPENED + SignedDuration::from_mins(3) }
}

/// One sample. `full` has everything known. All are late, except those about a line that is back with little known.
pub(super) fn sample(kind: Kind, reason: Reason, full: bool, closed: bool) -> Notification {
    let at = OPENED + SignedDuration::from_mins(if closed { 12 } else { 7 });
    let mut incident = incident(reason, full, closed.then_some(at));
    incident.acknowledged = (full && matches!(kind, Kind::Reminder | Kind::Acknowledged)).then(acknowledged);
    Notification {
        id: 12,
        store: "s4mpl3".to_owned(),
        recipient: text(full, "dono@acme.example").unwrap_or_default(),
        rule: text(full, "gold customers"),
        attempt: if full { 4 } else { 1 },
        created_at: if closed && !full { at } else { OPENED },
        last_failure: text(full, "unreachable: connection refused"),
        undelivered: (kind == Kind::Undelivered).then(|| undelivered(full)),
        flapping: (full && matches!(kind, Kind::Flapping | Kind::Steady)).then(flapping),
        acknowledge_url: text(full, "https://linedown.example/ack/7?by=dono&key=k3y"),
        ..Notification::about(incident, kind, at)
    }
}

/// The incident of a sample.
pub(super) fn incident(reason: Reason, full: bool, closed_at: Option<Timestamp>) -> Incident {
    let incident = incident_of_a_line(reason, full, closed_at);
    if !reason.is_own() {
        return incident;
    }
    let instance = Instance { id: "ops-slack".to_owned(), name: None, phone: None, labels: BTreeMap::new() };
    Incident { source: "linedown".to_owned(), instance, ..incident }
}

fn incident_of_a_line(reason: Reason, full: bool, closed_at: Option<Timestamp>) -> Incident {
    let labels = [("customer", "acme"), ("owner", "dono@acme.example")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let instance = Instance {
        id: "39ECB202B157D11E37905AE607963117".to_owned(),
        name: text(full, "Loja Centro"),
        phone: text(full, "5544999999999"),
        labels: if full { labels.into() } else { BTreeMap::new() },
    };
    let error = text(full, "Something went wrong");
    Incident { id: 7, error, closed_at, ..Incident::of("z-api", instance, reason, OPENED) }
}

fn undelivered(full: bool) -> Undelivered {
    Undelivered {
        others_told: if full { 0 } else { 50 },
        others_being_told: 0,
        notification: 11,
        kind: if full { Kind::Down } else { Kind::Test },
        sink: "ops-slack".to_owned(),
        recipient: text(full, "+55 44 9999").unwrap_or_default(),
        why: "unauthorised: 404 no_service".to_owned(),
        attempts: if full { 9 } else { 1 },
        untold: if full { vec!["bia@acme.example".to_owned()] } else { Vec::new() },
    }
}

fn text(full: bool, text: &str) -> Option<String> {
    full.then(|| text.to_owned())
}
