//! HTTP client for an ACME authority: with timeouts and a bound on answers, and with errors in plain words.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use linedown_sinks::http::{self, Manners};
use parking_lot::Mutex;
use url::Url;

use crate::clock;

/// Limits of requests to an authority.
const MANNERS: Manners =
    Manners { connect: Duration::from_secs(10), answer: Duration::from_secs(30), most: http::HEADS + LARGEST, kept: 1 };
/// Most bytes read of one answer. A certificate chain has a few kilobytes.
const LARGEST: usize = 256 * 1024;
/// Most characters kept of an authority's explanation.
const WORDS: usize = 500;

/// An authority, ready to be asked.
#[derive(Clone)]
pub(super) struct Authority {
    client: http::Client,
    /// How long it asked us to wait when it last refused a request.
    wait: Arc<Mutex<Option<Duration>>>,
}

impl Authority {
    /// Opens no connection. Fails if the address cannot be parsed or the client cannot be set up.
    pub(super) fn new(directory: &str) -> Result<Self, Error> {
        let url = Url::parse(directory).map_err(other)?;
        let client = http::Client::new(&url, MANNERS).map_err(|error| other(error.0))?;
        Ok(Self { client, wait: Arc::default() })
    }

    /// How long it asked us to wait with its last refusal, if it did.
    pub(super) fn wait(&self) -> Option<Duration> {
        *self.wait.lock()
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (mut parts, body) = request.into_parts();
        // linedown names itself.
        parts.headers.remove(USER_AGENT);
        let body = body.collect().await.map_err(other)?.to_bytes();
        let asks_for_the_directory = parts.method == Method::GET;
        let to = Url::parse(&parts.uri.to_string()).map_err(other)?;
        let mut request = http::request(parts.method.clone(), &to);
        if let Some(headers) = request.headers_mut() {
            headers.extend(parts.headers);
        }
        let response = self.client.send(request, body).await.map_err(|error| unreachable(&error))?;
        let parts = response.parts.clone();
        if !parts.status.is_success() {
            *self.wait.lock() = http::retry_after(&parts.headers, clock::now());
            let explains = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/problem+json");
            if asks_for_the_directory || !parts.headers.get(CONTENT_TYPE).is_some_and(explains) {
                return Err(other(format!("it answered {}", parts.status.as_u16())));
            }
        }
        let (body, whole) = response.read(LARGEST).await.map_err(|error| unreachable(&error))?;
        if !whole {
            return Err(other(format!("its answer has more than {} KiB", LARGEST / 1024)));
        }
        Ok(BytesResponse { parts, body: Box::new(Bytes::from(body)) })
    }
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}

fn unreachable(error: &http::Error) -> Error {
    if error.is_late() {
        other("it did not answer in time")
    } else {
        other(format!("it cannot be reached: {}", error.innermost()))
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Other(error.into())
}

/// What an authority says went wrong, as one line of at most [`WORDS`] characters.
pub(super) fn words(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or("no reason given");
    let details = problem.detail.iter().chain(problem.subproblems.iter().filter_map(|sub| sub.detail.as_ref()));
    let details = details.map(String::as_str).collect::<Vec<_>>().join("; ");
    let text = if details.is_empty() { kind.to_owned() } else { format!("{details} ({kind})") };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Asks an authority that gives this answer.
    async fn asked(head: &str, body: &[u8]) -> (Result<BytesResponse, Error>, Option<Duration>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let directory = format!("http://{}/dir", listener.local_addr().unwrap());
        let answer = [format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 2048];
            let length = stream.read(&mut request).unwrap();
            assert!(String::from_utf8_lossy(&request[..length]).contains("user-agent: linedown/"));
            let _ = stream.write_all(&answer);
        });
        let authority = Authority::new(&directory).unwrap();
        let request = Request::get(&directory).header(USER_AGENT, "instant-acme").body(BodyWrapper::default()).unwrap();
        (authority.request(request).await, authority.wait())
    }

    #[tokio::test]
    async fn answers_are_bounded() {
        assert!(asked("200 OK", &vec![b' '; LARGEST]).await.0.is_ok());
        assert!(asked("200 OK", &vec![b' '; LARGEST + 1]).await.0.is_err());
    }

    #[tokio::test]
    async fn a_refusal_is_said_in_words_with_the_wait_that_it_asks_for() {
        let (answer, wait) = asked("503 Busy\r\nretry-after: 7200\r\ncontent-type: text/html", b"<html>").await;
        assert_eq!(answer.err().unwrap().to_string(), "it answered 503");
        assert_eq!(wait, Some(Duration::from_hours(2)));
    }

    #[test]
    fn an_authoritys_words_are_one_short_line() {
        let problem = |text: &str| serde_json::from_str::<Problem>(text).unwrap();
        for (text, said) in [
            (r#"{"type": "urn:ietf:params:acme:error:caa", "detail": "no\nCAA"}"#, "no CAA (caa)"),
            (r#"{"type": "urn:ietf:params:acme:error:rateLimited"}"#, "rateLimited"),
            (r#"{"detail": "x", "subproblems": [{"detail": "y"}]}"#, "x; y (no reason given)"),
        ] {
            assert_eq!(words(&problem(text)), said);
        }
        assert_eq!(words(&problem(&format!(r#"{{"detail": "{}"}}"#, "ã".repeat(10_000)))).chars().count(), WORDS);
    }
}
