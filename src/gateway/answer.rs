//! Pure: parses the answers of the gateway's API.

use base64::Engine;
use jiff::Timestamp;
use linedown_sinks::{Hidden, excerpt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{Failure, FailureKind, Webhook};
use crate::clock;
use crate::source;

/// Longest registered webhook address that is kept, in bytes.
const LONGEST_ADDRESS: usize = 4096;

/// The state of a line according to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Connected to WhatsApp.
    Up,
    /// Not connected.
    Down {
        /// The gateway's explanation, untrusted.
        error: Option<String>,
    },
}

/// What the API says about an instance.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The address that it posts to when the line loses its connection. It may contain a secret.
    pub disconnected: Option<SecretString>,
    /// The address that it posts to when the line is connected again.
    pub connected: Option<SecretString>,
    /// The end of the period that has been paid for.
    pub due: Option<Timestamp>,
    /// The state of the payment, in the gateway's words.
    pub payment: Option<String>,
}

impl Profile {
    /// The address that is registered for this webhook.
    pub fn registered(&self, webhook: Webhook) -> Option<&str> {
        let address = match webhook {
            Webhook::Disconnected => &self.disconnected,
            Webhook::Connected => &self.connected,
        };
        address.as_ref().map(ExposeSecret::expose_secret)
    }
}

/// One instance of a partner's fleet.
#[derive(Clone, Debug)]
pub struct Member {
    /// The gateway's identifier.
    pub instance: String,
    /// Its name at the gateway.
    pub name: Option<String>,
    /// What the API says about it.
    pub profile: Profile,
}

/// One page of a partner's fleet.
#[derive(Clone, Debug)]
pub struct Page {
    /// The instances.
    pub members: Vec<Member>,
    /// The number of entries on the page, including those that cannot be read.
    pub entries: usize,
}

/// The answer to a request for a QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QrCode {
    /// The code as a PNG image, to be read with the line's phone.
    Png(Vec<u8>),
    /// There is no code, because the line is connected.
    Connected,
}

/// Parses the answer about a line's state.
pub(super) fn standing(body: &str, hidden: &Hidden) -> Result<Standing, Failure> {
    let body = object(body)?;
    match body.get("connected") {
        Some(Value::Bool(true)) => Ok(Standing::Up),
        Some(Value::Bool(false)) => Ok(Standing::Down { error: words(&body, "error", hidden) }),
        _ => Err(unexpected("`connected` is neither true nor false")),
    }
}

/// Parses what the API says about an instance.
pub(super) fn profile(body: &str, hidden: &Hidden) -> Result<Profile, Failure> {
    let body = object(body)?;
    // An instance that was never set up may lack every key but these.
    let known = ["id", "token", "name", "connected", "disconnectedCallbackUrl", "connectedCallbackUrl", "due"];
    if !known.iter().any(|key| body.contains_key(*key)) {
        return Err(unexpected("it describes no instance"));
    }
    Ok(read_profile(&body, hidden))
}

fn read_profile(body: &Map<String, Value>, hidden: &Hidden) -> Profile {
    Profile {
        disconnected: address(body, "disconnectedCallbackUrl"),
        connected: address(body, "connectedCallbackUrl"),
        due: source::stamp(body.get("due")).filter(|due| *due > 0).map(clock::from_millis),
        payment: words(body, "paymentStatus", hidden),
    }
}

/// Parses a page of a partner's fleet. Leaves out entries without an identifier.
pub(super) fn page(body: &str, hidden: &Hidden) -> Result<Page, Failure> {
    let body = object(body)?;
    let Some(Value::Array(content)) = body.get("content") else { return Err(unexpected("it has no `content`")) };
    let members = content.iter().filter_map(|entry| {
        let entry = entry.as_object()?;
        let (instance, name) = (text(entry, "id")?, words(entry, "name", hidden));
        Some(Member { instance, name, profile: read_profile(entry, hidden) })
    });
    Ok(Page { members: members.collect(), entries: content.len() })
}

/// Parses the answer to a request for a QR code.
pub(super) fn qr_code(body: &str) -> Result<QrCode, Failure> {
    let body = object(body)?;
    if body.get("connected") == Some(&Value::Bool(true)) {
        return Ok(QrCode::Connected);
    }
    let image =
        body.get("value").and_then(Value::as_str).and_then(|value| value.strip_prefix("data:image/png;base64,"));
    let image = image.and_then(|image| base64::engine::general_purpose::STANDARD.decode(image.trim()).ok());
    image.filter(|image| image.starts_with(PNG)).map(QrCode::Png).ok_or_else(|| unexpected("it holds no PNG image"))
}

/// The signature of every PNG image.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn object(body: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(unexpected("it is not an object")),
        Err(_) => Err(Failure::new(FailureKind::NotJson)),
    }
}

fn unexpected(why: &str) -> Failure {
    Failure::with(FailureKind::Unexpected, why)
}

/// A text for people in the gateway's words, without secrets.
fn words(body: &Map<String, Value>, key: &str, hidden: &Hidden) -> Option<String> {
    let words = hidden.out_of(body.get(key)?.as_str()?);
    Some(excerpt(&words)).filter(|words| !words.is_empty())
}

fn text(body: &Map<String, Value>, key: &str) -> Option<String> {
    body.get(key)?.as_str().map(excerpt).filter(|text| !text.is_empty())
}

fn address(body: &Map<String, Value>, key: &str) -> Option<SecretString> {
    let address = body.get(key)?.as_str()?.trim();
    (!address.is_empty() && address.len() <= LONGEST_ADDRESS).then(|| address.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_true_is_up_and_only_false_is_down() {
        for (body, expected) in [
            (r#"{"connected":true,"error":"You are already connected","smartphoneConnected":true}"#, Ok(Standing::Up)),
            (
                r#"{"connected":false,"smartphoneConnected":true,"error":"You need to restore the session."}"#,
                Ok(Standing::Down { error: Some("You need to restore the session.".into()) }),
            ),
            (r#"{"connected":false,"error":null}"#, Ok(Standing::Down { error: None })),
            (r#"{"connected":"true"}"#, Err(FailureKind::Unexpected)),
            (r#"{"connected":1}"#, Err(FailureKind::Unexpected)),
            (r#"{"error":"x"}"#, Err(FailureKind::Unexpected)),
            ("[]", Err(FailureKind::Unexpected)),
            ("", Err(FailureKind::NotJson)),
            ("<html>", Err(FailureKind::NotJson)),
        ] {
            assert_eq!(standing(body, &Hidden::default()).map_err(|failure| failure.kind), expected, "{body}");
        }
    }

    #[test]
    fn what_was_paid_for_ends_in_seconds_or_milliseconds() {
        for (due, expected) in [
            ("1698691825", Some(1_698_691_825_000)),
            ("1698691825296", Some(1_698_691_825_296)),
            ("\"1698691825\"", Some(1_698_691_825_000)),
            ("0", None),
            ("-1", None),
            ("null", None),
            ("\"soon\"", None),
        ] {
            let profile = profile(&format!(r#"{{"id":"A","due":{due}}}"#), &Hidden::default()).expect(due);
            assert_eq!(profile.due.map(Timestamp::as_millisecond), expected, "{due}");
        }
    }

    #[test]
    fn addresses_are_kept_and_do_not_print_themselves() {
        let profile = profile(
            r#"{"disconnectedCallbackUrl":" https://a.example/s3cret ","connectedCallbackUrl":"","token":"s3cret"}"#,
            &Hidden::default(),
        );
        let profile = profile.expect("a profile");
        assert_eq!(profile.registered(Webhook::Disconnected), Some("https://a.example/s3cret"));
        assert_eq!(profile.registered(Webhook::Connected), None);
        assert!(!format!("{profile:?}").contains("s3cret"));
        assert_eq!(super::profile("{}", &Hidden::default()).expect_err("no instance").kind, FailureKind::Unexpected);
    }

    #[test]
    fn a_qr_code_is_a_png_or_not_needed() {
        let png = base64::engine::general_purpose::STANDARD.encode([PNG, b"rest"].concat());
        let body = |value: &str| format!(r#"{{"value":"{value}"}}"#);
        assert_eq!(qr_code(&body(&format!("data:image/png;base64,{png}"))), Ok(QrCode::Png([PNG, b"rest"].concat())));
        assert_eq!(qr_code(r#"{"connected":true}"#), Ok(QrCode::Connected));
        for wrong in ["{}", &body("data:image/png;base64,AAAA"), &body("data:text/html,x"), r#"{"connected":false}"#] {
            assert_eq!(qr_code(wrong).expect_err(wrong).kind, FailureKind::Unexpected, "{wrong}");
        }
    }

    #[test]
    fn a_page_leaves_out_what_is_no_instance() {
        let body = r#"{"total":3,"content":[{"id":"A","name":"Loja","due":1698691825},{"name":"x"},7]}"#;
        let page = page(body, &Hidden::default()).expect("a page");
        assert_eq!((page.entries, page.members.len(), page.members[0].instance.as_str()), (3, 1, "A"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_them_panic(body in ".{0,200}", value in ".{0,100}", number in any::<f64>()) {
            let made = serde_json::json!({"connected": number, "due": number, "value": value, "content": [{"id": value, "due": value}]});
            for body in [body, made.to_string()] {
                let hidden = Hidden::default();
                let _ = (standing(&body, &hidden), profile(&body, &hidden).is_ok(), page(&body, &hidden).is_ok(), qr_code(&body).is_ok());
            }
        }
    }
}
