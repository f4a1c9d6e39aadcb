//! Z-API, and the gateways that copy its webhooks.
//!
//! `type` decides what a payload is; every other field may be missing or null. The reason is only given as English
//! prose, whose wording varies at its end, so it is recognised by parts of it.

use linedown_sinks::Reason;
use serde_json::Value;

use super::json::Payload;
use super::{ERROR, EventKind, INSTANCE, Reading, Report, Unusable, phone, stamp, text};

pub(super) fn read(payload: &Payload) -> Result<Reading, Unusable> {
    let kind = match payload.get("type") {
        Some(Value::String(name)) if !name.trim().is_empty() => match name.as_str() {
            "DisconnectedCallback" => EventKind::Disconnected,
            "ConnectedCallback" if says_down(payload) => EventKind::Disconnected,
            "ConnectedCallback" => EventKind::Connected,
            _ => return Ok(Reading::Foreign),
        },
        _ => return Err(Unusable::NoType),
    };
    let error = text(payload.get("error").as_ref(), ERROR);
    Ok(Reading::Report(Report {
        kind,
        reason: reason(error.as_deref()),
        instance: text(payload.get("instanceId").as_ref(), INSTANCE),
        phone: phone(payload.get("phone").as_ref()),
        error,
        // Z-API spells it like that.
        stamp: stamp(payload.get("momment").as_ref()),
    }))
}

/// Whether a `ConnectedCallback` contradicts its own type. What is worse is believed.
fn says_down(payload: &Payload) -> bool {
    payload.get("disconnected") == Some(true.into()) || payload.get("connected") == Some(false.into())
}

/// Why a line is down, according to the gateway's words.
pub(crate) fn reason(error: Option<&str>) -> Reason {
    let Some(error) = error.map(str::to_lowercase) else { return Reason::Other };
    let says = |parts: &[&str]| parts.iter().any(|part| error.contains(part));
    if says(&["number blocking", "blocked", "banned"]) {
        Reason::NumberBlocked
    } else if says(&["restore a session", "restore the session", "login again"]) {
        Reason::SessionExpired
    } else if says(&["has been disconnected"]) {
        Reason::DeviceDisconnected
    } else {
        Reason::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(body: &str) -> Report {
        match read(&Payload::read(body.as_bytes()).unwrap()) {
            Ok(Reading::Report(report)) => report,
            other => panic!("{body}: {other:?}"),
        }
    }

    /// The documented payloads, and requests that users published.
    #[test]
    fn documented_payloads() {
        use EventKind::{Connected, Disconnected};
        for (body, kind, reason, instance, phone) in [
            (
                r#"{"type":"DisconnectedCallback","instanceId":"39ECB202B157D11E37905AE607963117","phone":"5544999999999","momment":1698691825296,"disconnected":true,"error":"It was not possible to restore a session with the current token, please login again"}"#,
                Disconnected,
                Reason::SessionExpired,
                Some("39ECB202B157D11E37905AE607963117"),
                Some("5544999999999"),
            ),
            (
                r#"{"type":"DisconnectedCallback","instanceId":"39ECB202B157D11E37905AE607963117","phone":"5544999999999","momment":1698691825296,"disconnected":true,"error":"The number was disconnected by a possible whatsapp number blocking"}"#,
                Disconnected,
                Reason::NumberBlocked,
                Some("39ECB202B157D11E37905AE607963117"),
                Some("5544999999999"),
            ),
            (
                r#"{"momment":1580163342,"error":"Device has been disconnected","disconnected":true,"type":"DisconnectedCallback","instanceId":"instance.id"}"#,
                Disconnected,
                Reason::DeviceDisconnected,
                Some("instance.id"),
                None,
            ),
            (
                r#"{"type":"ConnectedCallback","connected":true,"momment":1698691825296,"instanceId":"39ECB202B157D11E37905AE607963117","phone":"5544999999999","isBusiness":false}"#,
                Connected,
                Reason::Other,
                Some("39ECB202B157D11E37905AE607963117"),
                Some("5544999999999"),
            ),
            (r#"{"type":"DisconnectedCallback","connected":false}"#, Disconnected, Reason::Other, None, None),
            (
                r#"{"type":"DisconnectedCallback","instanceId":null,"phone":null,"momment":null,"error":null}"#,
                Disconnected,
                Reason::Other,
                None,
                None,
            ),
            (
                r#"{"type":"DisconnectedCallback","error":"IT WAS NOT POSSIBLE TO RESTORE A SESSION with the current token"}"#,
                Disconnected,
                Reason::SessionExpired,
                None,
                None,
            ),
            (r#"{"type":"DisconnectedCallback","error":"some news"}"#, Disconnected, Reason::Other, None, None),
            (r#"{"type":"ConnectedCallback","connected":false}"#, Disconnected, Reason::Other, None, None),
            (r#"{"type":"ConnectedCallback","disconnected":true}"#, Disconnected, Reason::Other, None, None),
            (r#"{"type":"ConnectedCallback"}"#, Connected, Reason::Other, None, None),
        ] {
            let report = report(body);
            assert_eq!((report.kind, report.reason), (kind, reason), "{body}");
            assert_eq!((report.instance.as_deref(), report.phone.as_deref()), (instance, phone), "{body}");
        }
    }

    #[test]
    fn words_on_two_lines_are_two_words() {
        let report = report(r#"{"type":"DisconnectedCallback","error":" Device has been\ndisconnected\u0000"}"#);
        assert_eq!(report.error.as_deref(), Some("Device has been disconnected"));
        assert_eq!(report.reason, Reason::DeviceDisconnected);
    }

    #[test]
    fn other_webhooks_are_none_of_ours() {
        for name in ["ReceivedCallback", "DeliveryCallback", "MessageStatusCallback", "PresenceChatCallback", "x"] {
            let body = serde_json::json!({ "type": name, "text": { "message": "private" } }).to_string();
            assert_eq!(read(&Payload::read(body.as_bytes()).unwrap()), Ok(Reading::Foreign), "{name}");
        }
    }
}
