//! The targets of `make fuzz`: all code of this crate that reads input from outside. A target panics if a promise is
//! broken.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use linedown_sinks::fuzzing::Target;
use linedown_sinks::{Instance, Path, Reason, Secrets};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;

use crate::certificate::Certificate;
use crate::clock::from_millis;
use crate::config::{self, Process};
use crate::link::Purpose;
use crate::period::Period;
use crate::rule::matcher::{Matcher, Subject};
use crate::{gateway, link, server, source};

/// The targets, by the names of their folders in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("certificate", certificate),
    ("config", config),
    ("gateway", gateway::fuzz::answer),
    ("gzip", server::fuzz::gzip),
    ("link", link),
    ("matcher", matcher),
    ("payload", payload),
    ("period", period),
    ("pieces", config::fuzz::pieces),
    ("proxy-header", server::fuzz::proxy_header),
    ("sender", server::fuzz::sender),
];

/// The fixed time at which all targets run.
const NOW: Timestamp = Timestamp::constant(1_795_442_520, 0);

/// Input: one byte, for the kind of source and whether the webhook's address names the instance; then the body.
fn payload(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let kind = &source::KINDS[usize::from(*choice >> 1) % source::KINDS.len()];
    let in_address = (choice & 1 == 1).then_some("in the address");
    let Ok(Some(event)) = source::read(kind, "fuzzed", in_address, body, NOW) else { return };
    let fits = |text: &str, longest: usize| {
        !text.is_empty() && text.chars().count() <= longest && !text.contains(char::is_control)
    };
    assert!(fits(&event.instance, 128) && in_address.is_none_or(|name| name == event.instance), "{event:?}");
    assert!(event.error.as_ref().is_none_or(|error| fits(error, 500)), "{event:?}");
    let digits = |phone: &String| fits(phone, 20) && phone.bytes().all(|byte| byte.is_ascii_digit());
    assert!(event.phone.as_ref().is_none_or(digits), "{event:?}");
    assert!(event.at <= NOW && NOW.duration_since(event.at).as_hours() <= 7 * 24, "{event:?}");
    let stored = serde_json::to_string(&event).expect("an event can be written");
    assert_eq!(serde_json::from_str::<source::Event>(&stored).expect("and read again"), event);
}

/// Tests a token that was not made with our key, and one of ours with one byte changed.
fn link(data: &[u8]) {
    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    let Some((place, rest)) = data.split_first_chunk::<2>() else { return };
    let text = String::from_utf8_lossy(rest);
    let read = |token: &str| link::read(Purpose::Acknowledge, token, KEY, NOW);
    assert_eq!(read(&text), None, "{text:?}");

    let number = rest.iter().take(8).fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    let ours = link::make(Purpose::Acknowledge, "https://a.example", KEY, number, NOW);
    let token = ours.rsplit('/').next().unwrap_or_default();
    assert_eq!(read(token), Some(number));
    assert_eq!(link::read(Purpose::Acknowledge, token, b"another", NOW), None);
    assert_eq!(link::read(Purpose::Reconnect, token, KEY, NOW), None);
    let mut changed = token.as_bytes().to_vec();
    let at = usize::from(place[0]) % changed.len();
    changed[at] = place[1];
    if let Ok(changed) = std::str::from_utf8(&changed) {
        // The signature may be written in another way, such as in upper case; the number that is signed may not change.
        assert!(read(changed).is_none_or(|read| read == number), "{changed}");
    }
}

fn period(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(period) = text.parse::<Period>() {
        assert_eq!(period.to_string().parse(), Ok(period), "{text}");
        assert!(crate::clock::later(NOW, period.0) >= NOW);
    }
}

/// Tests a rule's `match`, as JSON, against several subjects.
fn matcher(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let (matcher, problems) = Matcher::read(&value, &Path(vec!["match".into()]));
    for problem in &problems {
        assert!(!problem.what.is_empty() && problem.path.0.first() == Some(&"match".into()), "{problem:?}");
    }
    let everything = matcher.takes_everything();
    for text in ["", "39ECB202B157D11E37905AE607963117", "São Paulo\n{{ x }}", "x"] {
        let instance = Instance {
            id: text.to_owned(),
            name: Some(text.to_owned()),
            phone: None,
            labels: BTreeMap::from([("tier".to_owned(), text.to_owned())]),
        };
        let subject = Subject { source: text, instance: &instance, reason: Reason::Other, error: Some(text) };
        let outcome = matcher.matches(&subject);
        assert!(!everything || outcome.is_ok(), "{value}");
        if let Err(mismatch) = outcome {
            assert!(!mismatch.to_string().is_empty());
        }
    }
}

/// Input: one byte, for whether the rest is a certificate in DER, a chain in PEM or a key in PEM. The missing part is
/// ours.
fn certificate(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let ours = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(include_bytes!("../fuzz/key.der").as_slice()));
    let der = || vec![CertificateDer::from(include_bytes!("../fuzz/certificate.der").as_slice())];
    let made = match choice % 3 {
        0 => Certificate::new(vec![CertificateDer::from(rest.to_vec())], ours()),
        1 => Certificate::new(CertificateDer::pem_slice_iter(rest).flatten().collect(), ours()),
        _ => match PrivateKeyDer::from_pem_slice(rest) {
            Ok(key) => Certificate::new(der(), key),
            Err(_) => return,
        },
    };
    let Ok(made) = made else { return };
    assert!(made.covers(&[]) && !made.covers(&["\u{0}".to_owned()]));
    if let Some(validity) = made.validity {
        assert!(validity.from.as_second().abs() < 400_000_000_000, "{validity:?}");
    }
}

/// Tests a main config file. The files that it refers to are read as usual; nothing is written or requested over the
/// network.
fn config(data: &[u8]) {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let folder = ["/dev/shm", "/tmp"].into_iter().map(FilePath::new).find(|folder| folder.is_dir());
        let folder = folder.unwrap_or(FilePath::new(".")).join(format!("linedown-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        folder.join("linedown.toml")
    });
    // The contents of other files do not matter here, and devices may never end.
    if data.windows(5).any(|window| window == b"/dev/" || window == b"/proc") {
        return;
    }
    std::fs::write(file, data).expect("a file can be written");
    let process = Process { variables: Vec::new(), secrets: Secrets { credentials: None }, now: NOW };
    let kinds: Vec<&str> = source::KINDS.iter().map(|kind| kind.name).collect();
    let loaded = config::load(file, linedown_sinks::KINDS, &kinds, &process);
    let _ = std::fs::remove_file(file);

    let lines: Vec<usize> = String::from_utf8_lossy(data).split('\n').map(|line| line.chars().count()).collect();
    for row in loaded.report.rows() {
        assert!(!row.what.is_empty(), "{row:?}");
        if let (Some(line), Some(column)) = (row.line, row.column) {
            let length = lines.get(line.wrapping_sub(1));
            assert!(length.is_some_and(|length| (1..=length + 1).contains(&column)), "outside of the file: {row:?}");
        }
    }
    assert!(loaded.report.render(false).len() < 10_000_000);
    assert_eq!(loaded.config.is_some(), loaded.report.errors() == 0);
    for quiet in loaded.config.iter().flat_map(|config| &config.routing.quiet) {
        for hour in 0..200 {
            let now = from_millis(NOW.as_millisecond() + hour * 3_600_000);
            assert!(
                quiet.ends(now).is_none_or(|end| end > now && end.duration_since(now).as_hours() <= 49),
                "{quiet:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_found_before_holds() {
        let corpus = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        assert!(linedown_sinks::fuzzing::replay(&corpus, TARGETS) >= TARGETS.len());
    }
}
