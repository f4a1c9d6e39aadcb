//! The line that stands for one notification.

mod text;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Acknowledged, Flapping, Form, HeldBack, Item, Kind, Notification, Standing, Texts, Undelivered};

/// The most bytes of a line of JSON. journald splits lines longer than 48 KiB (`LineMax=` in journald.conf(5)).
const LONGEST: usize = 47 * 1024;
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
pub(super) struct Printer {
    pub(super) format: Format,
    pub(super) texts: Texts,
}

impl Printer {
    /// The line for a notification, without its line break.
    pub(super) fn line(&self, notification: &Notification) -> String {
        let object = Object::new(notification, &self.texts);
        match self.format {
            Format::Text => object.text(&notification.items),
            Format::Json => object.json(&notification.items),
        }
    }
}

/// `serde_json` fails only for maps whose keys are not text, and for a `Serialize` that fails; neither is here.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

/// A line of `format = "json"`. Later versions only add keys. Times are RFC 3339 in UTC; an unknown value is null.
#[derive(Serialize)]
struct Object<'a> {
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
    /// For the kind `undelivered`: `notification`, `kind`, `sink`, `recipient`, `why`, `attempts`, `untold`,
    /// `others_told` and `others_being_told`.
    undelivered: Option<&'a Undelivered>,
    /// For the kinds `flapping` and `steady`, also if they were lost: `since`, `outages`, `downtime` and `steady_for` in
    /// seconds, `times`.
    flapping: Option<&'a Flapping>,
    /// Who acknowledged, and when: `by` and `at`.
    acknowledged: Option<&'a Acknowledged>,
    /// The page on which the reader can acknowledge.
    acknowledge_url: Option<&'a str>,
    /// The page on which the reader can connect the line again.
    reconnect_url: Option<&'a str>,
    /// The line's state as the gateway says: `connected` and `said`.
    standing: Option<&'a Standing>,
    /// For the kind `digest`: its items, as many as there is room for. What is over comes last, reminders after news, and
    /// the worst first within each of these groups.
    items: Option<Vec<ItemObject<'a>>>,
    /// For the kind `digest`: how many further items were left out.
    more: Option<usize>,
    title: String,
    /// Cut if there is no room for it.
    text: String,
}

/// An item of a digest.
#[derive(Serialize)]
struct ItemObject<'a> {
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

impl<'a> ItemObject<'a> {
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
}

impl<'a> Object<'a> {
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
            items: items.map(|_| Vec::new()),
            more: items.map(Vec::len),
            title,
            text,
        }
    }

    /// Returns one object with as many of the items as fit into [`LONGEST`] bytes. A text that is too long is cut.
    fn json(mut self, items: &'a [Item]) -> String {
        let without_items = json(&self).len();
        if let Some(excess) = without_items.checked_sub(LONGEST) {
            // Escaping shortens nothing, so each byte cut here saves at least one.
            let kept = self.text.len().saturating_sub(excess + '…'.len_utf8());
            self.text.truncate(self.text.floor_char_boundary(kept));
            self.text.push('…');
        }
        let Some((shown, more)) = self.items.as_mut().zip(self.more.as_mut()) else { return json(&self) };
        let mut room = LONGEST.saturating_sub(without_items);
        for item in items.iter().map(ItemObject::new) {
            // One more for the comma.
            let Some(rest) = room.checked_sub(json(&item).len() + 1) else { break };
            room = rest;
            shown.push(item);
            *more -= 1;
        }
        json(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::notification as sample;

    pub(super) fn line(format: Format, notification: &Notification) -> String {
        Printer { format, texts: Texts::default() }.line(notification)
    }

    /// A digest of that many copies of the sample, each with a name of its own.
    pub(super) fn digest(items: usize) -> Notification {
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
        let json = line(Format::Json, &digest(10_000));
        assert_eq!(json.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
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
             instances=\"i-1, Loja 2, Loja 3, Loja 4, Loja 5, +9995\" incidents=\"1, 2, 3, 4, 5, +9995\" notification=42"
        );
        let two = line(Format::Text, &digest(2));
        assert!(two.ends_with("| digest instances=\"i-1, Loja 2\" incidents=\"1, 2\" notification=42"), "{two}");
    }

    /// The 48 KiB of `LineMax=` in journald.conf(5), with what ends the line.
    #[test]
    fn journald_leaves_an_object_whole() {
        for (items, left_out) in [(0, false), (10, false), (100, false), (1000, true), (100_000, true)] {
            let json = line(Format::Json, &digest(items));
            assert!(json.len() < 48 * 1024, "{items}: {}", json.len());
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let (shown, more) = (json["items"].as_array().unwrap().len(), json["more"].as_u64().unwrap());
            assert_eq!((shown + usize::try_from(more).unwrap(), more > 0), (items, left_out));
            // Nothing is left out that there is room for.
            assert!(!left_out || json.to_string().len() > 47 * 1024 - 400, "{items}: {shown} shown");
        }
        let mut wide = digest(1000);
        wide.items.iter_mut().for_each(|item| item.incident.instance.id = "\"".repeat(128));
        assert!(line(Format::Json, &wide).len() < 48 * 1024);
    }

    #[test]
    fn a_text_that_is_too_long_for_journald_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("text.txt"), "{% for _ in range(9000) %}ação {% endfor %}").unwrap();
        let (keys, environment) = (serde_json::json!({}), crate::Environment::default());
        let mut section = crate::Section::new(&keys, crate::Path::default(), &[], &environment);
        let keys = crate::TextKeys { templates: Some(folder.path().into()), ..crate::TextKeys::default() };
        let texts = Texts::check(&keys, &mut section).unwrap();
        for notification in [sample(), digest(100)] {
            let json = Printer { format: Format::Json, texts: texts.clone() }.line(&notification);
            assert!((46 * 1024..48 * 1024).contains(&json.len()), "{}", json.len());
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert!(json["text"].as_str().unwrap().ends_with('…') && json["notification"] == 42);
        }
    }
}
