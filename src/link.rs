//! Pure: signed links in messages. A link is valid for one notification's incident and for a limited time; only who
//! knows the store's key can make one.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use crate::clock::later;

/// What a link is for. A link that was made for one purpose is not valid for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To take the outage.
    Acknowledge,
    /// To connect the line again.
    Reconnect,
}

impl Purpose {
    /// The first part of the link's path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Acknowledge => "ack",
            Self::Reconnect => "reconnect",
        }
    }

    /// How long a link is valid.
    fn good_for(self) -> Duration {
        match self {
            Self::Acknowledge => Duration::from_hours(7 * 24),
            // Its page lets a phone log in to the line. Reminders bring new links.
            Self::Reconnect => Duration::from_hours(24),
        }
    }
}

/// How many bytes of the signature are in the link. 16 cannot be guessed.
const SIGNATURE: usize = 16;

/// Makes a link for the readers of a notification.
pub fn make(purpose: Purpose, public_url: &str, key: &[u8], notification: i64, now: Timestamp) -> String {
    let expires = later(now, purpose.good_for()).as_second();
    let (path, claim) = (purpose.path(), format!("{notification}.{expires}"));
    let mut signature = [0; SIGNATURE];
    signature.copy_from_slice(&signed(purpose, key, &claim).finalize().into_bytes()[..SIGNATURE]);
    format!("{}/{path}/{claim}.{:032x}", public_url.trim_end_matches('/'), u128::from_be_bytes(signature))
}

/// Returns the notification that a token, the last part of a link, was made for; `None` if it was not made with this
/// key for this purpose, or has expired.
pub fn read(purpose: Purpose, token: &str, key: &[u8], now: Timestamp) -> Option<i64> {
    let (claim, given) = token.rsplit_once('.')?;
    let (notification, expires) = claim.split_once('.')?;
    let mac = signed(purpose, key, claim);
    mac.verify_truncated_left(&unhex(given)?).ok()?;
    let expires = expires.parse::<i64>().ok()?;
    if now.as_second() > expires { None } else { notification.parse().ok() }
}

fn signed(purpose: Purpose, key: &[u8], claim: &str) -> Hmac<Sha256> {
    let mut mac = mac(key);
    mac.update(format!("{}/{claim}", purpose.path()).as_bytes());
    mac
}

/// A store's key is 64 hexadecimal digits, which are used as they are, undecoded.
fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104, section 3)")
}

/// Decodes a signature of exactly the right length: a shorter one would be easier to guess.
fn unhex(text: &str) -> Option<[u8; SIGNATURE]> {
    if text.len() != SIGNATURE * 2 {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::from_millis;

    fn token(link: &str) -> &str {
        link.rsplit('/').next().unwrap()
    }

    #[test]
    fn a_link_is_good_for_its_notification_for_a_week() {
        let read = |token: &str, key: &[u8], now| read(Purpose::Acknowledge, token, key, now);
        let link = make(Purpose::Acknowledge, "https://alerts.example.com/", b"key", 42, from_millis(0));
        assert!(link.starts_with("https://alerts.example.com/ack/42.604800."), "{link}");
        assert_eq!(read(token(&link), b"key", from_millis(604_800_000)), Some(42));
        assert_eq!(read(token(&link), b"key", from_millis(604_801_000)), None, "a week later");
        assert_eq!(read(token(&link), b"yek", from_millis(0)), None, "another store's");
        assert_eq!(read(&token(&link).replacen("42", "43", 1), b"key", from_millis(0)), None, "another notification");
        assert_eq!(read(&token(&link)[..token(&link).len() - 2], b"key", from_millis(0)), None, "a shorter signature");
        assert_eq!(super::read(Purpose::Reconnect, token(&link), b"key", from_millis(0)), None, "another purpose");
    }

    /// By Python's `hmac`: `hmac.new(key, b"ack/42.604800", "sha256").hexdigest()[:32]`.
    #[test]
    fn links_that_were_sent_stay_good() {
        let link = make(Purpose::Acknowledge, "", "0123456789abcdef".repeat(4).as_bytes(), 42, from_millis(0));
        assert_eq!(link, "/ack/42.604800.b1bdd4262db276960070f5c0bb1ef56b");
    }

    #[test]
    fn the_whole_of_a_key_counts() {
        let (key, other) = ([7; 65], [[7; 64].as_slice(), &[8]].concat());
        let link = make(Purpose::Acknowledge, "", &key, 42, from_millis(0));
        assert_eq!(read(Purpose::Acknowledge, token(&link), &key, from_millis(0)), Some(42));
        assert_eq!(read(Purpose::Acknowledge, token(&link), &other, from_millis(0)), None);
    }

    proptest! {
        #[test]
        fn nothing_else_is_a_link(token in ".{0,80}") {
            for purpose in [Purpose::Acknowledge, Purpose::Reconnect] {
                prop_assert_eq!(read(purpose, &token, b"key", from_millis(0)), None);
            }
        }
    }
}
