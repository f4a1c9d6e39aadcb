//! HTTP to others, for sinks and the daemon: a client that follows no redirects, bounded answers, and failures.
//!
//! A URL may be a credential, so no text made here contains one.

mod address;
mod client;
mod connector;
mod error;
mod wire;

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use url::Url;

use crate::failure::about_name_servers;
use crate::tls::{CLOSED, about_certificate, causes};
use crate::{Failure, FailureKind, excerpt};

pub use self::address::{Address, Purpose};
pub use self::client::{Client, Manners, Response, request};
pub use self::error::Error;

/// What an answer's heads may add to what is read of its body: see [`Manners::most`].
pub const HEADS: usize = 60 * 1024;
/// The limits of sinks. Every connection is kept: a sink's `limits` bound how many are in use at the same time.
pub(crate) const SINK: Manners = Manners {
    connect: Duration::from_secs(10),
    answer: Duration::from_secs(20),
    most: HEADS + LARGEST,
    kept: usize::MAX,
};
/// The most bytes of an answer that a sink reads.
pub(crate) const LARGEST: usize = 4096;

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
    pub async fn read(response: Response, largest: usize, now: Timestamp) -> Result<Self, Error> {
        let status = response.parts.status.as_u16();
        let retry_after = retry_after(&response.parts.headers, now);
        let (body, whole) = response.read(largest).await?;
        Ok(Self { status, retry_after, body: String::from_utf8_lossy(&body).into_owned(), whole })
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
    if error.is_late() {
        return Failure::new(
            FailureKind::TimedOut,
            format!("{who} did not answer within {} seconds", SINK.answer.as_secs()),
        );
    }
    let why = error.innermost();
    if error.is_endless() {
        return Failure::new(FailureKind::Unreachable, format!("{who} sent {why}")).advice(ENDLESS);
    }
    if error.is_unreachable() {
        let (what, advice) = about_tls(error).unwrap_or_else(|| {
            let advice = about_name_servers(&why).unwrap_or(OFFLINE);
            (format!("cannot be reached: {why}"), advice)
        });
        return Failure::new(FailureKind::Unreachable, format!("{who} {what}")).advice(advice);
    }
    let what = format!("the connection to {who} broke before the answer was complete: {why}");
    Failure::new(FailureKind::Unreachable, what)
}

const ENDLESS: &str = "is the address right? what answers there does not come to an end";

const OFFLINE: &str = "is this machine online? are its name resolution, proxy and clock right?";

const NO_TLS: &str = "is the port right? with https://, it must speak TLS";

/// Why TLS could not begin, as the end of a sentence that begins with the far side's name, and what to do.
fn about_tls(error: &Error) -> Option<(String, &'static str)> {
    let Some(found) = error.tls() else {
        let mut causes = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
        let is_closed = causes.any(|cause| cause.kind() == ErrorKind::UnexpectedEof);
        return is_closed.then(|| (CLOSED.to_owned(), NO_TLS));
    };
    if let rustls::Error::InvalidMessage(_) = found {
        return Some((format!("does not speak TLS ({found})"), NO_TLS));
    }
    let untrusted = "correct the host in the address, or have this system trust its authority \
                     (update-ca-certificates); is the clock right?";
    about_certificate(found, untrusted)
}

/// Reads `Retry-After`: seconds, also with a fraction, or a date (RFC 9110, 10.2.3). Not clamped; more seconds than a
/// [`Duration`] holds are its most. Returns none for anything else, also for negative seconds; a date in the past is
/// zero.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let is_hint = seconds >= 0.0 && value.contains(|c: char| c.is_ascii_digit());
        return is_hint.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use hyper::Method;

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
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read(value), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(read("1.5"), Some(Duration::from_millis(1500)));
        for endless in ["18446744073709551616", "1e300", &"9".repeat(400)] {
            assert_eq!(read(endless), Some(Duration::MAX), "{endless}");
        }
    }

    /// The failure of a request to this address.
    async fn failed(url: &Url, manners: Manners) -> Failure {
        let sent = Client::new(url, manners).unwrap().send(request(Method::GET, url), "").await;
        failure("Slack", &sent.err().expect("nobody answers"))
    }

    #[tokio::test]
    async fn who_lets_nobody_connect_cannot_be_reached() {
        // The kernel accepts the connection, and nobody ever answers on it.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("https://{}/", silent.local_addr().unwrap()).parse().unwrap();
        let manners = Manners { connect: Duration::from_millis(50), ..SINK };
        let failure = failed(&url, manners).await;
        assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
        assert!(failure.message.starts_with("Slack cannot be reached"), "{failure}");
    }

    #[tokio::test]
    async fn who_closes_the_connection_instead_of_speaking_tls_is_explained() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let closing = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All that came must be read: otherwise the connection is reset instead.
            let _ = io::Read::read(&mut stream, &mut [0; 16 * 1024]);
        });
        let failure = failed(&url, SINK).await;
        closing.join().unwrap();
        assert_eq!(failure.message, "Slack closed the connection when TLS was to begin");
        assert_eq!(failure.advice, Some(NO_TLS));
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
