//! The line that stands for one notification.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Acknowledged, Flapping, Form, HeldBack, Item, Kind, Notification, Standing, Texts, Undelivered, one_line};

/// The most items of a digest on a line of JSON.
const ITEMS: usize = 1000;
/// The most instances of a digest named on a line of text.
const NAMES: usize = 5;
/// The most characters of each such name.
const NAME: usize = 40;

/// How a line is written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// Makes lines of notifications.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) format: Format,
    pub(super) texts: Texts,
}

impl Lines {
    /// The line for a notification, without its line break.
    pub(super) fn line(&self, notification: &Notification) -> String {
        let object = Line::new(notification, &self.texts);
        match self.format {
            Format::Text => object.text(),
            // serde_json fails only for maps whose keys are not text, and for a `Serialize` that fails; neither is
            // here.
            Format::Json => serde_json::to_string(&object).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")),
        }
    }
}

/// A line of `format = "json"`. Later versions only add keys. Times are RFC 3339 in UTC; an unknown value is null.
#[derive(Serialize)]
struct Line<'a> {
    /// The notification's number.
    notification: i64,
    /// A name that no other notification has; the same on every attempt.
    key: String,
    /// `down`, `worse`, `resolved`, `reminder`, `escalation`, `flapping`, `steady`, `acknowledged`, `digest`,
    /// `undelivered` or `test`.
    kind: &'a str,
    rule: Option<&'a str>,
    recipient: &'a str,
    /// The number of this attempt, from 1.
    attempt: u32,
    at: Timestamp,
    /// What the attempt before this one failed with.
    last_failure: Option<&'a str>,
    /// What held it back before the first try: `by` (`hold`, `silence` or `quiet-hours`), `name` and `until`.
    held_back: Option<&'a HeldBack>,
    /// The incident's number. For a digest, this and the incident's keys below are those of its first item.
    incident: i64,
    source: &'a str,
    instance: &'a str,
    name: Option<&'a str>,
    /// The phone number with its middle hidden.
    phone: Option<String>,
    labels: &'a std::collections::BTreeMap<String, String>,
    /// `device-disconnected`, `session-expired`, `number-blocked` or `other`; or a reason that is no outage.
    reason: &'a str,
    /// The gateway's own words.
    error: Option<&'a str>,
    opened_at: Timestamp,
    closed_at: Option<Timestamp>,
    /// For a closed incident that is no outage: linedown does not watch it any more, and the trouble may still exist.
    unwatched: bool,
    /// For the kind `undelivered`: `notification`, `kind`, `sink`, `recipient`, `why`, `attempts`, `untold` and
    /// `others_told`.
    undelivered: Option<&'a Undelivered>,
    /// For the kinds `flapping` and `steady`, also if they were lost: `since`, `outages`, `downtime` and `steady_for` in seconds, `times`.
    flapping: Option<&'a Flapping>,
    /// Who acknowledged, and when: `by` and `at`.
    acknowledged: Option<&'a Acknowledged>,
    /// The page on which the reader can acknowledge.
    acknowledge_url: Option<&'a str>,
    /// The page on which the reader can connect the line again.
    reconnect_url: Option<&'a str>,
    /// The line's state as the gateway says: `connected` and `said`.
    standing: Option<&'a Standing>,
    /// For the kind `digest`: its items, a thousand at most. What is over comes last, reminders after news, and the
    /// worst first within each of these groups.
    items: Option<Vec<ItemLine<'a>>>,
    /// For the kind `digest`: how many further items were left out.
    more: Option<usize>,
    title: String,
    text: String,
}

/// An item of a digest.
#[derive(Serialize)]
struct ItemLine<'a> {
    /// The number of the notification that the digest delivers.
    notification: i64,
    incident: i64,
    kind: &'a str,
    instance: &'a str,
    name: Option<&'a str>,
    reason: &'a str,
    opened_at: Timestamp,
    closed_at: Option<Timestamp>,
    unwatched: bool,
    undelivered: Option<&'a Undelivered>,
}

impl<'a> ItemLine<'a> {
    fn new(item: &'a Item) -> Self {
        let incident = &item.incident;
        Self {
            notification: item.notification,
            incident: incident.id,
            kind: item.kind.as_str(),
            instance: &incident.instance.id,
            name: incident.instance.name.as_deref(),
            reason: incident.reason.as_str(),
            opened_at: incident.opened_at,
            closed_at: incident.closed_at,
            unwatched: incident.unwatched,
            undelivered: item.undelivered.as_ref(),
        }
    }

    fn title(&self) -> String {
        self.name.unwrap_or(self.instance).chars().take(NAME).collect()
    }
}

impl<'a> Line<'a> {
    fn new(notification: &'a Notification, texts: &Texts) -> Self {
        let incident = &notification.incident;
        let items = (notification.kind == Kind::Digest).then_some(&notification.items);
        let [title, text] = texts.render(notification, [Form::Title, Form::Text]);
        Self {
            notification: notification.id,
            key: notification.key(),
            kind: notification.kind.as_str(),
            rule: notification.rule.as_deref(),
            recipient: &notification.recipient,
            attempt: notification.attempt,
            at: notification.at,
            last_failure: notification.last_failure.as_deref(),
            held_back: notification.held_back.as_ref(),
            incident: incident.id,
            source: &incident.source,
            instance: &incident.instance.id,
            name: incident.instance.name.as_deref(),
            phone: incident.instance.masked_phone(),
            labels: &incident.instance.labels,
            reason: incident.reason.as_str(),
            error: incident.error.as_deref(),
            opened_at: incident.opened_at,
            closed_at: incident.closed_at,
            unwatched: incident.unwatched,
            undelivered: notification.undelivered.as_ref(),
            flapping: notification.flapping.as_ref(),
            acknowledged: incident.acknowledged.as_ref(),
            acknowledge_url: notification.acknowledge_url.as_deref(),
            reconnect_url: notification.reconnect_url.as_deref(),
            standing: notification.standing.as_ref(),
            items: items.map(|items| items.iter().take(ITEMS).map(ItemLine::new).collect()),
            more: items.map(|items| items.len().saturating_sub(ITEMS)),
            title,
            text,
        }
    }

    fn text(&self) -> String {
        let mut line = format!("{:.0} {} | {}", self.at, self.title, self.kind);
        let mut add = |name: &str, value: &str| line.extend([" ", name, "=", value]);
        if let Some(items) = &self.items {
            let named: Vec<String> = items.iter().take(NAMES).map(ItemLine::title).collect();
            let rest = items.len() - named.len() + self.more.unwrap_or_default();
            let rest = if rest == 0 { String::new() } else { format!(", +{rest}") };
            add("instances", &format!("{}{rest}", named.join(", ")));
            let numbers = items.iter().take(NAMES).map(|item| item.incident).filter(|number| *number > 0);
            let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
            if !numbers.is_empty() {
                add("incidents", &format!("{}{rest}", numbers.join(", ")));
            }
            add("notification", &self.notification.to_string());
            return one_line(&line, usize::MAX);
        }
        add("instance", self.instance);
        add("reason", self.reason);
        add("since", &format!("{:.0}", self.opened_at));
        if let Some(closed) = self.closed_at {
            add("until", &format!("{closed:.0}"));
        }
        // A test message has no incident in the store.
        if self.incident > 0 {
            add("incident", &self.incident.to_string());
        }
        add("notification", &self.notification.to_string());
        one_line(&line, usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::notification as sample;

    /// A digest of that many copies of the sample, each with a name of its own.
    fn digest(items: usize) -> Notification {
        let mut digest = Notification { kind: Kind::Digest, ..sample() };
        for number in (1..).take(items) {
            let mut incident = digest.incident.clone();
            incident.id = number;
            incident.instance.id = format!("i-{number}");
            incident.instance.name = (number > 1).then(|| format!("Loja\n{number}"));
            digest.items.push(Item {
                notification: 100 + number,
                kind: Kind::Reminder,
                incident,
                flapping: None,
                undelivered: None,
            });
        }
        digest
    }

    #[test]
    fn a_digest_is_one_line() {
        let line = |format, digest: &Notification| Lines { format, texts: Texts::default() }.line(digest);
        let json = line(Format::Json, &digest(10_000));
        assert_eq!(json.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((json["items"].as_array().unwrap().len(), &json["more"]), (1000, &9000.into()));
        assert_eq!(
            json["items"][1],
            serde_json::json!({
                "notification": 102, "incident": 2, "kind": "reminder", "instance": "i-2", "name": "Loja\n2",
                "reason": "session-expired", "opened_at": "2026-11-23T07:58:00Z", "closed_at": null, "unwatched": false,
                "undelivered": null,
            })
        );
        assert_eq!(
            line(Format::Text, &digest(10_000)),
            "2026-11-23T08:00:00Z 🔴 10000 lines are still down: all need a new QR code | digest \
             instances=i-1, Loja 2, Loja 3, Loja 4, Loja 5, +9995 incidents=1, 2, 3, 4, 5, +9995 notification=42"
        );
        let two = line(Format::Text, &digest(2));
        assert!(two.ends_with("| digest instances=i-1, Loja 2 incidents=1, 2 notification=42"), "{two}");
    }

    #[test]
    fn text_cannot_break_out_of_its_line() {
        let mut notification = sample();
        notification.incident.instance.name = Some("Loja\n\u{1b}[2JCentro".into());
        let line = Lines { format: Format::Text, texts: Texts::default() }.line(&notification);
        assert!(!line.contains(char::is_control), "{line}");
        assert!(line.contains("incident=7") && line.contains("reason=session-expired"), "{line}");
    }
}
