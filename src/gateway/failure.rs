//! Failures of calls to the gateway's API: what happened, and what to do.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use linedown_sinks::http::{self, Answer};
use linedown_sinks::{Hidden, excerpt};

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// Details in the words of the gateway or the system: one line, bounded, without secrets.
    pub detail: Option<String>,
    /// How long the gateway asked us to wait, without a limit.
    pub retry_after: Option<Duration>,
}

/// The kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// No connection.
    Unreachable,
    /// The certificate at the other end is not vouched for by a trusted authority.
    NotTrusted,
    /// No complete answer in time.
    TimedOut,
    /// The connection broke before the answer was complete.
    Broken,
    /// 5xx.
    Busy,
    /// 429.
    RateLimited,
    /// The account requires its security token, and none is configured.
    ClientTokenMissing,
    /// The security token is not the account's.
    ClientTokenWrong,
    /// The account does not allow calls from this machine's address.
    AddressNotAllowed,
    /// 401 or 403: the token is not the instance's.
    Unauthorised,
    /// 404: no such instance.
    NotFound,
    /// 405.
    WrongMethod,
    /// 415.
    WrongMediaType,
    /// 3xx.
    Redirected,
    /// Any other status that is not a success.
    Refused,
    /// The answer is larger than what is read of it.
    TooLarge,
    /// Not JSON.
    NotJson,
    /// JSON, but not as documented.
    Unexpected,
}

/// The end of the API's answer to a call that the account does not allow. Before it stands what is not allowed: the
/// account's token, which is `null` if there was none, or this machine's address.
const NOT_ALLOWED: &str = "not allowed";

impl Failure {
    pub(super) fn new(kind: FailureKind) -> Self {
        Self { kind, detail: None, retry_after: None }
    }

    /// A failure with details, which are shortened and cleaned.
    pub(super) fn with(kind: FailureKind, detail: &str) -> Self {
        Self { detail: Some(excerpt(detail)).filter(|detail| !detail.is_empty()), ..Self::new(kind) }
    }

    /// The failure of a request without a complete answer.
    pub(super) fn of_request(error: &http::Error) -> Self {
        if error.is_late() {
            return Self::new(FailureKind::TimedOut);
        }
        let why = error.innermost();
        if matches!(error.tls(), Some(rustls::Error::InvalidCertificate(_))) {
            return Self::with(FailureKind::NotTrusted, &why);
        }
        Self::with(if error.is_unreachable() { FailureKind::Unreachable } else { FailureKind::Broken }, &why)
    }

    /// The failure in an answer with an error status or an error text, without the secrets that are `hidden`; none if
    /// the answer is a success.
    pub(super) fn of_answer(answer: &Answer, hidden: &Hidden) -> Option<Self> {
        let said = words(&answer.body);
        let refused = said.as_deref().filter(|said| said.trim_end_matches('.').ends_with(NOT_ALLOWED));
        let kind = match (refused, answer.status) {
            (Some(said), _) if said.starts_with("null") => FailureKind::ClientTokenMissing,
            (Some(said), _) if said.to_lowercase().contains("token") || hidden.is_in(said) => {
                FailureKind::ClientTokenWrong
            }
            (Some(_), _) => FailureKind::AddressNotAllowed,
            (None, 200..=299) => return None,
            (None, 300..=399) => FailureKind::Redirected,
            (None, 401 | 403) => FailureKind::Unauthorised,
            (None, 404) => FailureKind::NotFound,
            (None, 405) => FailureKind::WrongMethod,
            (None, 408) => FailureKind::TimedOut,
            (None, 415) => FailureKind::WrongMediaType,
            (None, 429) => FailureKind::RateLimited,
            (None, 500..) => FailureKind::Busy,
            (None, _) => FailureKind::Refused,
        };
        let status = format!("status {}", answer.status);
        let detail = said.map_or_else(|| status.clone(), |said| format!("{status}, {:?}", hidden.out_of(&said)));
        Some(Self { retry_after: answer.retry_after, ..Self::with(kind, &detail) })
    }

    /// Whether it concerns the API as a whole, rather than a single instance.
    pub fn is_general(&self) -> bool {
        use FailureKind as Kind;
        !matches!(self.kind, Kind::Unauthorised | Kind::NotFound | Kind::Refused | Kind::Unexpected | Kind::TooLarge)
    }

    /// Whether the same call may succeed a little later.
    pub fn may_pass(&self) -> bool {
        use FailureKind as Kind;
        matches!(self.kind, Kind::Unreachable | Kind::TimedOut | Kind::Broken | Kind::Busy | Kind::RateLimited)
    }

    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        use FailureKind as Kind;
        match self.kind {
            Kind::Unreachable => {
                "is this machine online? are its name resolution and proxy right? `api` in the source is the address that is asked"
            }
            Kind::NotTrusted => {
                "is the clock right? if a proxy intercepts TLS, the system must trust the proxy's authority"
            }
            Kind::TimedOut | Kind::Broken | Kind::Busy => "try again; if it still fails, ask the gateway's support",
            Kind::RateLimited => "ask less often, or wait",
            Kind::ClientTokenMissing => {
                "the account requires its security token: set `client_token` in the source; Z-API's panel shows it under Security"
            }
            Kind::ClientTokenWrong => "compare `client_token` in the source with Z-API's panel, under Security",
            Kind::AddressNotAllowed => "allow this machine's public address in Z-API's panel, under Security",
            Kind::Unauthorised | Kind::NotFound => "copy the instance's identifier and token again from Z-API's panel",
            Kind::WrongMethod | Kind::WrongMediaType => {
                "the API has changed, or `api` in the source is not Z-API's: look for a newer linedown"
            }
            Kind::Redirected => {
                "redirects are not followed: `api` in the source must be Z-API's own address; a proxy or a login page may also answer in its place"
            }
            Kind::Refused => "look at the instance in Z-API's panel: is it paid for, and does it still exist?",
            Kind::TooLarge | Kind::NotJson | Kind::Unexpected => {
                "something else may answer in its place: a proxy, a login page; or `api` in the source is not Z-API's"
            }
        }
    }
}

impl FailureKind {
    /// The failure in words.
    fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "the gateway's API cannot be reached",
            Self::NotTrusted => "the certificate of the gateway's API is not trusted",
            Self::TimedOut => "the gateway's API did not answer in time",
            Self::Broken => "the connection to the gateway's API broke",
            Self::Busy => "the gateway's API has a problem of its own",
            Self::RateLimited => "the gateway's API was asked too often",
            Self::ClientTokenMissing => "the gateway's API requires the account's security token",
            Self::ClientTokenWrong => "the gateway's API does not accept the account's security token",
            Self::AddressNotAllowed => "the account does not accept calls from this machine's address",
            Self::Unauthorised => "the gateway's API does not accept the instance's token",
            Self::NotFound => "the gateway's API does not know this instance, or its token is a different one",
            Self::WrongMethod => "the gateway's API does not accept calls with this method",
            Self::WrongMediaType => "the gateway's API does not accept this type of content",
            Self::Redirected => "the gateway's API refers to another address",
            Self::Refused => "the gateway's API refused",
            Self::TooLarge => "the answer of the gateway's API is too large",
            Self::NotJson => "the answer of the gateway's API is not JSON",
            Self::Unexpected => "the answer of the gateway's API is not one that its documentation describes",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.words())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

impl Error for Failure {}

/// The reason that an answer gives.
fn words(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let said = ["error", "message"].iter().find_map(|key| body.get(key)?.as_str());
    said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> Option<Failure> {
        let answer = Answer { status, retry_after: None, body: body.to_owned(), whole: true };
        Failure::of_answer(&answer, &Hidden::new(["T0KEN", "CL1ENT"]))
    }

    #[test]
    fn what_the_api_says_is_told_apart() {
        use FailureKind as Kind;
        for (status, body, kind) in [
            (200, r#"{"connected":true,"error":"You are already connected"}"#, None),
            (201, r#"{"content":[]}"#, None),
            (200, "<html>", None),
            (200, r#"{"error":"null not allowed"}"#, Some(Kind::ClientTokenMissing)),
            (403, r#"{"error":"null not allowed"}"#, Some(Kind::ClientTokenMissing)),
            (403, r#"{"error":"Client-Token CL1ENT not allowed"}"#, Some(Kind::ClientTokenWrong)),
            (403, r#"{"error":"CL1ENT not allowed"}"#, Some(Kind::ClientTokenWrong)),
            (403, r#"{"error":"[IP] not allowed"}"#, Some(Kind::AddressNotAllowed)),
            (403, r#"{"error":"203.0.113.9 not allowed."}"#, Some(Kind::AddressNotAllowed)),
            (401, "", Some(Kind::Unauthorised)),
            (403, r#"{"error":7}"#, Some(Kind::Unauthorised)),
            (404, "<html>", Some(Kind::NotFound)),
            (405, "", Some(Kind::WrongMethod)),
            (415, "", Some(Kind::WrongMediaType)),
            (429, "", Some(Kind::RateLimited)),
            (400, r#"{"error":"Instance not found"}"#, Some(Kind::Refused)),
            (302, "", Some(Kind::Redirected)),
            (500, "", Some(Kind::Busy)),
            (599, "", Some(Kind::Busy)),
        ] {
            assert_eq!(failure(status, body).map(|failure| failure.kind), kind, "{status} {body}");
        }
    }

    #[test]
    fn every_failure_says_what_happened_and_what_to_do_and_no_secret() {
        for body in [r#"{"error":"token T0KEN of CL1ENT is wrong"}"#, r#"{"message":"/token/T0KEN/me CL1ENT"}"#] {
            for status in [400, 401, 404, 405, 415, 429, 503] {
                let failure = failure(status, body).expect("a failure");
                let said = format!("{failure} {failure:?}");
                assert!(!said.contains("T0KEN") && !said.contains("CL1ENT"), "{said}");
                assert!(said.contains(&status.to_string()) && !failure.hint().is_empty(), "{said}");
            }
        }
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(10_000));
        assert!(failure(400, &long).expect("a failure").to_string().len() < 600);
    }
}
