//! Pure: a gateway's payload → an [`Event`]. One file a gateway; adding one is that file and a line in
//! [`KINDS`].

mod json;
mod z_api;

pub(crate) use z_api::reason as z_api_reason;

use jiff::{SignedDuration, Timestamp};
use linedown_sinks::{Reason, one_line};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::json::Payload;
use crate::clock;

/// The gateways linedown understands.
pub const KINDS: &[SourceKind] = &[SourceKind { name: "z-api", read: z_api::read }];

/// The name of a line of which neither instance nor phone is known.
pub(crate) const UNKNOWN: &str = "unknown";

/// Longest instance identifier kept, in characters.
pub(crate) const INSTANCE: usize = 128;
/// Longest error text kept, in characters.
const ERROR: usize = 500;
/// Longest phone number kept, in digits.
const PHONE: usize = 20;
/// How many bytes of a phone number's digest name its line: with 4, two of 100,000 share a name as likely as not.
const PHONE_DIGEST: usize = 8;
/// How far back a gateway's clock is believed: a webhook may be held up, but not for weeks.
const PAST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How far ahead a gateway's clock is believed.
pub(crate) const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// One kind of gateway: the `type` a user writes, and how its payloads are read.
#[derive(Clone, Copy)]
pub struct SourceKind {
    /// The value of `type`.
    pub name: &'static str,
    /// Reads one payload.
    read: fn(&Payload) -> Result<Reading, Unusable>,
}

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static SourceKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// One webhook, normalised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The configured source it came through.
    pub source: String,
    /// The line.
    pub instance: String,
    /// Up or down.
    pub kind: EventKind,
    /// Why it is down, if it is.
    pub reason: Reason,
    /// The line's number, digits only.
    pub phone: Option<String>,
    /// The gateway's own words, untrusted.
    pub error: Option<String>,
    /// When it happened, as well as can be known.
    pub at: Timestamp,
    /// When it happened by the gateway's clock, if that can be believed. Only these times may be compared to find out
    /// which of two webhooks is older.
    pub gateway_at: Option<Timestamp>,
    /// The gateway's own time value in milliseconds, believable or not: a webhook that is sent again has the same one.
    pub stamp: Option<i64>,
    /// When linedown received it.
    pub received_at: Timestamp,
    /// When the gateway was asked, if this was found by asking; `None` for a webhook.
    #[serde(default)]
    pub asked_at: Option<Timestamp>,
}

impl Event {
    /// An event that was found by asking the gateway, or about the gateway: no webhook came. It was asked just now.
    pub fn found(
        (source, instance): (&str, &str),
        kind: EventKind,
        reason: Reason,
        error: Option<&str>,
        now: Timestamp,
    ) -> Self {
        Self {
            source: source.to_owned(),
            instance: instance.to_owned(),
            kind,
            reason,
            phone: None,
            error: error.and_then(|error| line(error, ERROR)),
            at: now,
            gateway_at: None,
            stamp: None,
            received_at: now,
            asked_at: Some(now),
        }
    }
}

/// Up or down; for a reason that is no outage, whether it is the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The line lost its connection, or something else is wrong.
    Disconnected,
    /// The line has its connection (again), or what was wrong is right again.
    Connected,
    /// linedown no longer watches it, so nobody could say that it is right again. Only for a reason that is no outage.
    Unwatched,
}

impl EventKind {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connected => "connected",
            Self::Unwatched => "unwatched",
        }
    }

    /// From [`EventKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Disconnected, Self::Connected, Self::Unwatched].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a payload holds, before its source and time are known.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    /// Something linedown acts on.
    Report(Report),
    /// A `type` that linedown does not handle: dropped unread.
    Foreign,
}

#[derive(Debug, PartialEq, Eq)]
struct Report {
    kind: EventKind,
    reason: Reason,
    instance: Option<String>,
    phone: Option<String>,
    error: Option<String>,
    stamp: Option<i64>,
}

/// Why a body is not an event. The message goes to the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not JSON.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the mistake, from 1.
        line: usize,
        /// Column of the mistake, from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("the body is JSON but not an object")]
    NotAnObject,
    /// An object that does not say what it is.
    #[error("the body has no usable `type`; expected a string such as \"DisconnectedCallback\"")]
    NoType,
}

/// Reads a webhook's body. Returns `None` if it is valid, but of a type that linedown does not handle. `url_instance`
/// is the instance named in the webhook's address: the operator wrote it there, so it wins over the body's.
pub fn read(
    kind: &SourceKind,
    source: &str,
    url_instance: Option<&str>,
    body: &[u8],
    received_at: Timestamp,
) -> Result<Option<Event>, Unusable> {
    let Reading::Report(report) = (kind.read)(&Payload::read(body)?)? else { return Ok(None) };
    let gateway_at = believed(report.stamp, received_at);
    let instance = url_instance.and_then(|name| line(name, INSTANCE)).or(report.instance);
    // Somebody must be told even if nobody can say which line it is.
    let instance = instance.or_else(|| report.phone.as_deref().map(by_phone)).unwrap_or_else(|| UNKNOWN.to_owned());
    Ok(Some(Event {
        source: source.to_owned(),
        instance,
        kind: report.kind,
        reason: report.reason,
        phone: report.phone,
        error: report.error,
        at: gateway_at.map_or(received_at, |at| at.min(received_at)),
        gateway_at,
        stamp: report.stamp,
        received_at,
        asked_at: None,
    }))
}

/// Names a line of which only the phone is known: one phone always gets the same name, and two phones get different
/// ones. Instances appear in logs and phones must not, so the name is a digest. That hides the number from somebody who
/// reads a log, but not from somebody who tries all numbers. A key would, but the name must be the same for `linedown
/// explain`, and in the inventory of another store.
fn by_phone(phone: &str) -> String {
    let digest = Sha256::digest(phone);
    digest[..PHONE_DIGEST].iter().fold("phone-".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// A gateway's time value, in milliseconds, as a time, if it can be believed for a webhook that came at `received_at`.
pub(crate) fn believed(stamp: Option<i64>, received_at: Timestamp) -> Option<Timestamp> {
    stamp.map(clock::from_millis).filter(|at| believable(*at, received_at))
}

fn believable(at: Timestamp, received_at: Timestamp) -> bool {
    let age = received_at.duration_since(at);
    age <= PAST && age >= -AHEAD
}

/// A text from outside as one line; `None` if nothing is left of it.
fn line(text: &str, longest: usize) -> Option<String> {
    Some(one_line(text, longest)).filter(|line| !line.is_empty())
}

/// A member that may be a text or a number, as a text; `None` if it is neither.
fn text(value: Option<&Value>, longest: usize) -> Option<String> {
    match value? {
        Value::String(text) => line(text, longest),
        Value::Number(number) => line(&number.to_string(), longest),
        _ => None,
    }
}

/// A phone number's digits; `None` if there are none.
fn phone(value: Option<&Value>) -> Option<String> {
    let digits: String = text(value, 64)?.chars().filter(char::is_ascii_digit).take(PHONE).collect();
    if digits.is_empty() { None } else { Some(digits) }
}

/// A time since 1970, as a number or a text in seconds or milliseconds; returned in milliseconds.
pub(crate) fn stamp(value: Option<&Value>) -> Option<i64> {
    /// Larger values are milliseconds: as seconds they would lie beyond the year 5000.
    const SECONDS_END: u64 = 100_000_000_000;
    let number: serde_json::Number = match value? {
        Value::Number(number) => number.clone(),
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and such values are never believed")]
    let value = number.as_i64().or_else(|| number.as_f64().map(|float| float as i64))?;
    Some(if value.unsigned_abs() < SECONDS_END { value * 1000 } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_at(body: &str, received: i64) -> Result<Option<Event>, Unusable> {
        read(kind("z-api").unwrap(), "z-api", None, body.as_bytes(), clock::from_millis(received))
    }

    #[test]
    fn bodies_that_are_no_event_say_why() {
        for (body, why) in [
            ("", Unusable::NotJson { line: 1, column: 1 }),
            ("{\n\"type\": x", Unusable::NotJson { line: 2, column: 9 }),
            ("[]", Unusable::NotAnObject),
            ("null", Unusable::NotAnObject),
            ("{}", Unusable::NoType),
            (r#"{"type":7}"#, Unusable::NoType),
            (r#"{"type":" \t"}"#, Unusable::NoType),
            (r#"{"type":""}"#, Unusable::NoType),
        ] {
            assert_eq!(read_at(body, 0), Err(why), "{body}");
        }
    }

    #[test]
    fn the_gateways_clock_is_believed_within_reason() {
        let received = 1_700_000_000_000;
        let hour = 3_600_000;
        for (momment, at, believed) in [
            (received - 5000, received - 5000, true),
            (received - 8 * 24 * hour, received, false),
            (received + 5000, received, true),
            (received + hour, received, false),
            (0, received, false),
            (i64::MAX, received, false),
            (i64::MIN, received, false),
        ] {
            let body = format!(r#"{{"type":"DisconnectedCallback","instanceId":"A","momment":{momment}}}"#);
            let event = read_at(&body, received).unwrap().unwrap();
            assert_eq!(event.at, clock::from_millis(at), "{momment}");
            assert_eq!(event.gateway_at.is_some(), believed, "{momment}");
        }
    }

    #[test]
    fn times_come_in_many_shapes() {
        for (momment, millis) in [
            ("1698691825296", Some(1_698_691_825_296)),
            ("1580163342", Some(1_580_163_342_000)),
            ("\"1698691825296\"", Some(1_698_691_825_296)),
            ("\" 1580163342 \"", Some(1_580_163_342_000)),
            ("1698691825296.7", Some(1_698_691_825_296)),
            ("null", None),
            ("\"soon\"", None),
            ("{}", None),
            ("1e400", None),
        ] {
            let body = format!(r#"{{"type":"DisconnectedCallback","momment":{momment}}}"#);
            assert_eq!(read_at(&body, 0).unwrap().unwrap().stamp, millis, "{momment}");
        }
    }

    #[test]
    fn the_line_is_named_by_the_address_then_the_body_then_the_phone() {
        let name = |url: Option<&str>, body: &str| {
            read(kind("z-api").unwrap(), "z-api", url, body.as_bytes(), Timestamp::UNIX_EPOCH)
                .unwrap()
                .unwrap()
                .instance
        };
        let full = r#"{"type":"DisconnectedCallback","instanceId":"A","phone":"5544"}"#;
        assert_eq!(name(Some("B"), full), "B");
        assert_eq!(name(None, full), "A");
        assert_eq!(name(None, r#"{"type":"DisconnectedCallback","instanceId":null,"phone":5544}"#), by_phone("5544"));
        assert!(!by_phone("5544").contains("5544"));
        // The first four bytes of their digests are the same.
        assert_ne!(by_phone("5544900018774"), by_phone("5544900024143"));
        assert_eq!(name(None, r#"{"type":"DisconnectedCallback"}"#), "unknown");
        assert_eq!(name(None, r#"{"type":"DisconnectedCallback","instanceId":" \u0000 "}"#), "unknown");
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic_or_grow(
            body in prop::collection::vec(any::<u8>(), 0..200),
            instance in ".{0,300}", error in ".{0,2000}", momment in any::<f64>(),
        ) {
            let _ = read(kind("z-api").unwrap(), "z-api", None, &body, Timestamp::UNIX_EPOCH);
            let body = serde_json::json!({"type": "DisconnectedCallback", "instanceId": instance, "error": error, "momment": momment});
            let event = read_at(&body.to_string(), 1).unwrap().unwrap();
            prop_assert!(event.instance.chars().count() <= INSTANCE && !event.instance.is_empty());
            prop_assert!(event.error.is_none_or(|error| error.chars().count() <= ERROR));
        }
    }
}
