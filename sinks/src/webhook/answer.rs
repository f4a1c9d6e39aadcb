//! What a receiver's answer means: in Standard Webhooks 1.0.0, the status alone decides.

use crate::http::{self, Answer, Meaning};
use crate::{Failure, FailureKind, Receipt, excerpt};

/// What the far side is called.
pub(super) const WHO: &str = "the receiver";

/// Returns the outcome that an answer means. The receipt is the status and the first line of the body.
pub(super) fn outcome(answer: &Answer) -> Result<Receipt, Failure> {
    if let 200..=299 = answer.status {
        let first = answer.body.trim_start().lines().next().unwrap_or_default();
        return Ok(Receipt(excerpt(&format!("{} {first}", answer.status))));
    }
    Err(answer.failure(WHO, meaning(answer.status)))
}

fn meaning(status: u16) -> Meaning {
    use FailureKind::{Refused, Unauthorised};
    if let Some(meaning) = http::later(status) {
        return meaning;
    }
    match status {
        300..=399 => (Unauthorised, Some("redirects are not followed: set `url` to the new address")),
        401 | 403 => (
            Unauthorised,
            Some(
                "correct `secret` or `headers` (a credential needs a restart), or let the receiver take notifications again",
            ),
        ),
        404 | 405 => (Unauthorised, Some("nothing takes webhooks at `url`: correct it")),
        410 => (Unauthorised, Some("the receiver wants no more: set `url` to another address, or remove the sink")),
        _ => (Refused, Some("the receiver does not take this notification: its log may say why")),
    }
}
