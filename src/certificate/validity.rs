//! Pure: reads from a certificate in DER when it is valid.

use jiff::Timestamp;

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub until: Timestamp,
}

/// Reads the validity of a certificate (RFC 5280, 4.1.2.5); none if the DER is not as it should be.
pub(super) fn read(certificate: &[u8]) -> Option<Validity> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (tag, validity, _) = element(fields)?;
    let (form, from, rest) = element(validity)?;
    let from = time(form, std::str::from_utf8(from).ok()?)?;
    let (form, until, _) = element(rest)?;
    let until = time(form, std::str::from_utf8(until).ok()?)?;
    (tag == SEQUENCE).then_some(Validity { from, until })
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let bytes = if bytes.len() <= 4 { bytes } else { return None };
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// A time in one of the two forms of certificates: `UTCTime` with two digits for the year, or `GeneralizedTime`.
fn time(form: u8, text: &str) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    let full = match form {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        _ => text.to_owned(),
    };
    let part = |from: usize, to: usize| full.get(from..to);
    let (date, clock) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, clock.0, clock.1, clock.2).parse().ok()
}
