//! Fuzzing of relays' answers.

use lettre::Address;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::response::Response;

use super::answers::{self, Answers};
use super::reply::{Stage, answered};
use crate::EXCERPT;

/// Reads a stage (the first byte) and an answer as it comes over the wire. If it has a code, lettre reads that. The
/// failure made of it has a bounded message of one line, without the password.
pub(crate) fn reply(data: &[u8]) {
    const PASSWORD: &str = "hunter2";
    /// The login as PLAIN sends it, and the password as LOGIN does.
    const SENT: [&str; 2] = ["AGxpbmVkb3duAGh1bnRlcjI", "aHVudGVyMg"];
    let Some((stage, text)) = data.split_first() else { return };
    let (code, text) = match read(text) {
        Some(answer) => answers::of(&answer),
        None => (400 + 100 * u16::from(*stage / 128), String::from_utf8_lossy(text).into_owned()),
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

/// The first answer in the bytes, as lettre reads it.
fn read(bytes: &[u8]) -> Option<Response> {
    let (mut answers, mut spelt) = (Answers::default(), Vec::new());
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    answers.spell(half, &mut spelt);
    answers.spell(rest, &mut spelt);
    let answer = String::from_utf8(spelt).expect("UTF-8").parse::<Response>().ok();
    let first = bytes.split_inclusive(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\n"));
    if let Some([first @ b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', rest @ ..]) = first {
        let (first, read) = (u16::from(first - b'0'), answer.as_ref().map(|answer| answers::of(answer).0 / 100));
        if rest.starts_with(b"-") {
            // A yes may be taken back, a no may not.
            assert!(read.is_none_or(|read| read == first || (first < 4 && read >= 4)), "{read:?}");
        } else {
            assert_eq!(read, Some(first));
        }
    }
    answer
}
