//! HTTP to others, for sinks and the daemon: a client that follows no redirects, bounded answers, and failures.
//!
//! A URL may be a credential, so no text made here contains one.

mod address;

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Error, Response, Url, redirect};

use crate::failure::about_name_servers;
use crate::{BuildError, Failure, FailureKind, excerpt};

pub use self::address::{Address, Purpose};

/// The time limits of a client, and how many connections it keeps.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Time limit for the TCP connection and TLS.
    pub connect: Duration,
    /// Time limit from sending the request to the end of the answer.
    pub answer: Duration,
    /// The most idle connections kept for the next request.
    pub kept: usize,
}

/// The limits of sinks. Every connection is kept: a sink's `limits` bound how many are in use at the same time.
pub(crate) const SINK: Manners =
    Manners { connect: Duration::from_secs(10), answer: Duration::from_secs(20), kept: usize::MAX };
/// The most bytes of an answer that a sink reads.
pub(crate) const LARGEST: usize = 4096;

/// Makes ring the process's default TLS cryptography, unless one is set already. Every HTTP client needs one.
pub fn use_ring() {
    // Fails if a default is set already. ring is the only provider in this program, so that is ring as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns a client for one address. It reaches this machine's own addresses without a proxy.
pub fn client(address: &Url, manners: Manners) -> Result<Client, BuildError> {
    use_ring();
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(manners.connect)
        .timeout(manners.answer)
        .pool_max_idle_per_host(manners.kept)
        .user_agent(concat!("linedown/", env!("CARGO_PKG_VERSION")));
    if is_loopback(address) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| BuildError(format!("cannot set up the HTTP client: {}", innermost(&error))))
}

/// Whether the address is this machine's own; it then needs no encryption.
pub fn is_loopback(address: &Url) -> bool {
    address.host_str().is_some_and(is_loopback_host)
}

/// Whether the host of an address is this machine.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An answer, as far as it is read.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it asks linedown to wait, unclamped.
    pub retry_after: Option<Duration>,
    /// The body as far as it was read; anything that is not UTF-8 is replaced.
    pub body: String,
    /// Whether `body` is all of it.
    pub whole: bool,
}

impl Answer {
    /// Reads an answer that came at `now`: at most `largest` bytes of its body.
    pub async fn read(mut response: Response, largest: usize, now: Timestamp) -> Result<Self, Error> {
        let (mut body, mut whole) = (Vec::new(), true);
        while let Some(chunk) = response.chunk().await? {
            let read = chunk.len().min(largest - body.len());
            body.extend_from_slice(&chunk[..read]);
            whole = read == chunk.len();
            if !whole {
                break;
            }
        }
        Ok(Self {
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers(), now),
            body: String::from_utf8_lossy(&body).into_owned(),
            whole,
        })
    }

    /// The failure that this answer of `who` means, with what a person can do about it.
    pub(crate) fn failure(&self, who: &str, (kind, advice): Meaning) -> Failure {
        let proxy = if self.status == PROXY { "a proxy on the way to " } else { "" };
        let message = format!("{proxy}{who} answered {} {}", self.status, excerpt(&self.body));
        Failure::new(kind, message.trim_end()).advice(advice).retry_after(self.retry_after)
    }
}

/// What a status means: the kind of failure, and what a person can do about it.
pub(crate) type Meaning = (FailureKind, Option<&'static str>);

/// A proxy asks for a login (RFC 9110, 15.5.8): the far side has not been reached.
const PROXY: u16 = 407;

/// What a status means that leads to another attempt, whoever answers with it.
pub(crate) fn later(status: u16) -> Option<Meaning> {
    match status {
        PROXY => {
            let advice = "write the proxy's user name and password into HTTPS_PROXY or HTTP_PROXY";
            Some((FailureKind::Unreachable, Some(advice)))
        }
        408 => Some((FailureKind::TimedOut, None)),
        429 => Some((FailureKind::RateLimited, None)),
        // RFC 8470, 5.2: what came with the start of the connection is to be sent again.
        425 | 500.. => Some((FailureKind::Busy, None)),
        _ => None,
    }
}

/// Returns the failure of a sink's request that got no answer. `who` is the far side's name, not its address.
pub(crate) fn failure(who: &str, error: &Error) -> Failure {
    if is_late(error) {
        return Failure::new(
            FailureKind::TimedOut,
            format!("{who} did not answer within {} seconds", SINK.answer.as_secs()),
        );
    }
    let why = innermost(error);
    if error.is_connect() {
        let failure = Failure::new(FailureKind::Unreachable, format!("{who} cannot be reached: {why}"));
        let advice = about_name_servers(&why);
        return failure
            .advice(advice.unwrap_or("is this machine online? are its name resolution, proxy and clock right?"));
    }
    let what = format!("the connection to {who} broke before the answer was complete: {why}");
    Failure::new(FailureKind::Unreachable, what)
}

/// Whether the answer did not come in time. A connection that could not be made in time does not count: that far side
/// is unreachable.
pub fn is_late(error: &Error) -> bool {
    error.is_timeout() && !error.is_connect()
}

/// The text of the innermost cause. Only reqwest's outermost error contains the address.
pub fn innermost(error: &Error) -> String {
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}

/// Reads `Retry-After`: seconds, also with a fraction, or a date (RFC 9110, 10.2.3). Not clamped. Returns none for
/// anything else, also for negative seconds; a date in the past is zero.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_hints_are_hints() {
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, now)
        };
        for (value, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("31536000", Some(31_536_000)),
            ("Mon, 23 Nov 2026 08:01:30 GMT", Some(90)),
            ("Mon, 23 Nov 2020 08:01:30 GMT", Some(0)),
            ("-5", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read(value), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(read("1.5"), Some(Duration::from_millis(1500)));
    }

    #[tokio::test]
    async fn who_lets_nobody_connect_cannot_be_reached() {
        // The kernel accepts the connection, and nobody ever answers on it.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("https://{}/", silent.local_addr().unwrap()).parse().unwrap();
        let client = client(&url, Manners { connect: Duration::from_millis(50), ..SINK }).unwrap();
        let failure = failure("Slack", &client.get(url).send().await.unwrap_err());
        assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
        assert!(failure.message.starts_with("Slack cannot be reached"), "{failure}");
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (address, expected) in [
            ("http://localhost:1/", true),
            ("http://127.0.0.9/", true),
            ("http://[::1]:80/", true),
            ("http://localhost.example.com/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&address.parse().unwrap()), expected, "{address}");
        }
    }
}
