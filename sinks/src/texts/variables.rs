//! The variables of templates: a notification's facts, cleaned and bounded, under the names that the handbook lists.
//!
//! A missing text is empty, so that a template may print it without checking.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use minijinja::context;
use minijinja::value::{Enumerator, Object, Value};

use super::clean::{address, identifier, isolated, one_line};
use super::digest::{Digest, Line};
use super::news::News;
use crate::{
    Acknowledged, Again, Flapping, HeldBack, Incident, Instance, Kind, Notification, Reason, Standing, Undelivered,
};

/// The most characters of a name: a longer one would push the news out of a title.
const NAME: usize = 80;
/// The most characters of an identifier.
const IDENTIFIER: usize = 128;
/// The most characters of the gateway's words or of an error.
const WORDS: usize = 300;
/// The most characters of an address: the longest that SMTP allows (RFC 5321, 4.5.3.1).
pub(super) const ADDRESS: usize = 320;
/// The most characters of a name in a digest: a hundred names of the worst characters must fit into a message.
const LISTED: usize = 40;
/// A message is late after more than this many seconds.
const LATE: i64 = 120;

/// The variables of a notification; of a digest's lines, only the first `most`.
pub(super) fn of_notification(notification: &Notification, most: usize) -> Value {
    let digest = Digest::of(notification);
    let lines = digest.as_ref().map(|digest| digest.outages.as_slice()).unwrap_or_default();
    let lead = digest.as_ref().and_then(Digest::lead);
    let about = lead.map_or(&notification.incident, |line| line.incident);
    let flaps = lead.map_or(notification.flapping.as_ref(), |line| line.flapping);
    let lost = lead.map_or(notification.undelivered.as_ref(), |line| line.undelivered);
    let shown = &lines[..lines.len().min(most)];
    let news = News::of(notification, digest.as_ref(), about, lost);
    // The names that templates ask for most come first: the engine looks through them in this order.
    context! {
        incident => incident(about, NAME, Some(notification.at)),
        notification => of_message(notification),
        news => of_news(&news),
        digest => digest.as_ref().map(|digest| counts(digest, shown.len())),
        instance => instance(&about.instance, isolated(title(&about.instance, NAME)), NAME),
        source => one_line(&about.source, NAME),
        undelivered => lost.map(undelivered),
        held_back => notification.held_back.as_ref().map(held_back),
        flapping => flaps.map(|flaps| flapping(flaps, notification.at)),
        items => shown.iter().map(|line| item(line, notification.at)).collect::<Vec<_>>(),
        acknowledge_url => asked_url(notification, notification.acknowledge_url.as_deref()),
        reconnect_url => asked_url(notification, notification.reconnect_url.as_deref()),
        standing => notification.standing.as_ref().map(standing),
    }
}

fn of_news(news: &News) -> Value {
    context! {
        file => news.sort.file(),
        kind => news.kind.as_str(),
        lost => news.lost,
        is_explained => news.is_explained,
    }
}

fn of_message(notification: &Notification) -> Value {
    let delay = seconds(notification.created_at, notification.at);
    context! {
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
    }
}

fn undelivered(lost: &Undelivered) -> Value {
    let whom = if lost.recipient.is_empty() { &lost.sink } else { &lost.recipient };
    context! {
        notification => lost.notification,
        kind => lost.kind.as_str(),
        sink => one_line(&lost.sink, NAME / 2),
        recipient => one_line(&lost.recipient, ADDRESS),
        whom => one_line(whom, NAME / 2),
        why => one_line(&lost.why, WORDS),
        attempts => lost.attempts,
        untold => lost.untold.iter().map(|sink| one_line(sink, NAME / 2)).collect::<Vec<_>>(),
        others_told => lost.others_told,
        others_being_told => lost.others_being_told,
    }
}

/// What held the message back before it was first tried.
fn held_back(of: &HeldBack) -> Value {
    context! {
        by => of.by.as_str(),
        name => one_line(&of.name, NAME),
        until => of.until.map(moment).unwrap_or_default(),
    }
}

/// How often the line came and went.
fn flapping(of: &Flapping, now: Timestamp) -> Value {
    context! {
        since => moment(of.since),
        lasting => seconds(of.since, now),
        outages => of.outages,
        downtime => of.downtime,
        times => of.times.iter().copied().map(moment).collect::<Vec<_>>(),
        steady_for => of.steady_for.unwrap_or_default(),
    }
}

fn counts(digest: &Digest<'_>, shown: usize) -> Value {
    let reasons: BTreeMap<_, _> = Reason::ALL.map(|reason| (reason.as_str(), digest.count(reason))).into();
    context! {
        total => digest.lines.len(),
        outages => digest.outages.len(),
        more => digest.outages.len() - shown,
        down => digest.down,
        new => digest.new,
        back => digest.lines.len() - digest.down - digest.again - digest.dropping,
        missed => digest.missed,
        again => digest.again,
        flapping => digest.flapping,
        dropping => digest.dropping,
        unwatched => digest.unwatched,
        worse => digest.worse,
        taken => digest.taken,
        kind => digest.kind().map(Kind::as_str).unwrap_or_default(),
        reasons => reasons,
        worst => digest.worst().map(Reason::as_str).unwrap_or_default(),
        messages => digest.messages,
        undelivered => digest.undelivered,
        lost_sink => digest.lost_sink().map(|sink| one_line(sink, NAME / 2)).unwrap_or_default(),
        lost_recipients => digest.lost_recipients(),
        lost_alike => digest.lost_alike(),
        others_told => digest.others_told(),
        others_being_told => digest.others_being_told(),
    }
}

/// A line of a digest: the same variables as for the line of any message, with shorter names.
fn item(line: &Line<'_>, now: Timestamp) -> Value {
    context! {
        notification => line.notification,
        kind => line.kind.as_str(),
        incident => incident(line.incident, LISTED, Some(now)),
        instance => instance(&line.incident.instance, isolated(title(&line.incident.instance, LISTED)), LISTED),
        source => one_line(&line.incident.source, NAME),
        flapping => line.flapping.map(|flaps| flapping(flaps, now)),
        undelivered => line.undelivered.map(undelivered),
    }
}

/// The line's state, as the gateway says.
fn standing(standing: &Standing) -> Value {
    context! { connected => standing.connected, said => optional(standing.said.as_deref(), WORDS) }
}

/// A link with which the reader can act on the line; empty if there is nothing to do.
fn asked_url(notification: &Notification, url: Option<&str>) -> String {
    url.filter(|_| notification.asks_to_act()).and_then(address).unwrap_or_default()
}

/// The variables of an incident alone, for templates in the config: there is no notification yet.
pub(super) fn of_incident(of: &Incident) -> Value {
    context! {
        incident => incident(of, NAME, None),
        instance => instance(&of.instance, title(&of.instance, NAME), NAME),
        source => one_line(&of.source, NAME),
    }
}

/// An incident; how long it lasts is only known of a message, which has a `now`.
fn incident(incident: &Incident, most: usize, now: Option<Timestamp>) -> Value {
    let lasting = |since: Timestamp| now.map_or(Value::UNDEFINED, |now| seconds(since, now).into());
    let closed_at = incident.closed_at.filter(|_| now.is_some());
    let downtime = closed_at.map_or_else(|| lasting(incident.opened_at), |end| seconds(incident.opened_at, end).into());
    context! {
        reason => incident.reason.as_str(),
        is_closed => incident.closed_at.is_some(),
        acknowledged => incident.acknowledged.as_ref().map(|by| acknowledged(by, most)),
        is_outage => incident.reason.is_outage(),
        is_own => incident.reason.is_own(),
        downtime => downtime,
        id => incident.id,
        error => optional(incident.error.as_deref(), WORDS),
        opened_at => moment(incident.opened_at),
        closed_at => incident.closed_at.map(moment).unwrap_or_default(),
        found => incident.found,
        is_unwatched => incident.unwatched,
        again => incident.again.as_ref().map(|of| again(of, lasting(of.opened_at))),
    }
}

/// The line's next outage, if it is in progress.
fn again(again: &Again, lasting: Value) -> Value {
    context! {
        id => again.incident,
        reason => again.reason.as_str(),
        opened_at => moment(again.opened_at),
        lasting => lasting,
        besides => again.besides.as_str(),
    }
}

fn acknowledged(acknowledged: &Acknowledged, most: usize) -> Value {
    context! { by => isolated(one_line(&acknowledged.by, most)), at => moment(acknowledged.at) }
}

/// An instance; `title` is what it is called.
fn instance(instance: &Instance, title: String, most: usize) -> Value {
    let labels = instance.labels.iter().map(|(key, value)| (one_line(key, NAME), one_line(value, ADDRESS)));
    context! {
        id => identifier(&instance.id, IDENTIFIER),
        name => optional(instance.name.as_deref(), NAME),
        title => title,
        phone => optional(instance.masked_phone().as_deref(), most / 2),
        labels => Value::from_object(Labels(labels.collect())),
    }
}

/// What to call an instance: its name or its identifier, the first with something visible, or `?`. Without a title, no
/// sentence about the line would make sense.
pub(crate) fn title(instance: &Instance, most: usize) -> String {
    let title = identifier(instance.title(), most);
    if title.is_empty() { "?".to_owned() } else { title }
}

fn optional(text: Option<&str>, most: usize) -> String {
    text.map(|text| one_line(text, most)).unwrap_or_default()
}

/// A time in RFC 3339, which the filter `local` reads.
fn moment(at: Timestamp) -> String {
    DateTimePrinter::new().precision(Some(0)).timestamp_to_string(&at)
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().max(0)
}

/// An instance's labels. A label that it lacks is empty, not undefined, because instances differ in their labels.
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
