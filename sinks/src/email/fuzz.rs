//! Fuzzing of relays' answers.

use lettre::Address;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::response::Response;

use super::reply::{Stage, answered};
use crate::EXCERPT;

/// Reads a stage (the first byte) and an answer as it comes over the wire: the failure made of it has a bounded message
/// of one line, without the password.
pub(crate) fn reply(data: &[u8]) {
    const PASSWORD: &str = "hunter2";
    /// The login as PLAIN sends it, and the password as LOGIN does.
    const SENT: [&str; 2] = ["AGxpbmVkb3duAGh1bnRlcjI", "aHVudGVyMg"];
    let Some((stage, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let (code, text) = match text.parse::<Response>() {
        Ok(response) => (u16::from(response.code()), response.message().collect::<Vec<_>>().join("\n")),
        Err(_) => (400 + 100 * u16::from(*stage / 128), text.into_owned()),
    };
    let address: Address = "ana@example.com".parse().expect("an address");
    let credentials = Credentials::new("linedown".to_owned(), PASSWORD.to_owned());
    let stage = match stage % 5 {
        0 => Stage::Connect,
        1 => Stage::Login,
        2 => Stage::Sender(&address),
        3 => Stage::Recipient(&address),
        _ => Stage::Message(&address),
    };
    let failure = answered(&stage, code, &text, Some(&credentials));
    assert!(!failure.message.is_empty() && failure.message.chars().count() <= EXCERPT, "{failure}");
    assert!(!failure.message.contains(char::is_control), "{failure:?}");
    assert!(!failure.message.contains(PASSWORD), "{failure}");
    let said = &failure.message;
    for part in SENT.iter().flat_map(|sent| sent.as_bytes().windows(4)) {
        assert!(!said.as_bytes().windows(4).any(|few| few.eq_ignore_ascii_case(part)), "{failure}");
    }
}
