//! Fuzzing of answers of Slack, or of whatever answers in its place.

use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use super::answer::outcome;
use crate::EXCERPT;
use crate::http::{self, Answer};

/// Reads a status (two bytes) and a body: only 200 with `ok` is a success, and any other answer becomes a failure with
/// a bounded message of one line.
pub(crate) fn answer(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk() else { return };
    let status = u16::from_be_bytes(*status) % 1000;
    let body = String::from_utf8_lossy(body).into_owned();
    let taken = status == 200 && body.trim() == "ok";
    match outcome(&Answer { status, retry_after: None, body, whole: true }) {
        Ok(receipt) => assert!(taken && receipt.0 == "ok"),
        Err(failure) => {
            assert!(!failure.message.is_empty() && failure.message.chars().count() <= EXCERPT, "{failure}");
            assert!(!failure.message.contains(char::is_control), "{failure:?}");
        }
    }
}

/// Reads the value of a `Retry-After` header: any value is read without a panic, and a number of seconds is a hint,
/// however large it is.
pub(crate) fn retry_after(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
    // The caller clamps the result.
    let hint = http::retry_after(&headers, "2026-11-23T08:00:00Z".parse().expect("a time"));
    assert!(hint.is_some() || data.is_empty() || !data.iter().all(u8::is_ascii_digit));
}
