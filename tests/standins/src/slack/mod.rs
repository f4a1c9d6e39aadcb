//! A Slack that enforces what Slack documents, and that can be told to misbehave.

mod rules;

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use serde_json::Value;

use crate::http::{self, Connection, Request};
use crate::inbox::Inbox;
use crate::{Certificates, Port, lock};

/// The secret part of the address, for which tests can look where it must not be.
const PATH: &str = "/services/T0CANARY/B0CANARY/x0canaryx0canaryx0canary";

/// The least time between two messages through one webhook.
const INTERVAL: Duration = Duration::from_secs(1);

/// A request that arrived, whatever the answer was.
#[derive(Clone, Debug)]
pub struct Post {
    /// When it arrived.
    pub at: Instant,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null if it was not JSON.
    pub body: Value,
    /// The body as it came.
    pub raw: Vec<u8>,
    /// The status answered; none if there was no answer.
    pub status: Option<u16>,
}

impl Post {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A planned answer, given instead of the usual one.
#[derive(Clone, Debug)]
pub enum Scripted {
    /// A status, further headers, and a body.
    Answer(u16, Vec<(String, String)>, String),
    /// No answer until the stand-in ends.
    Hang,
    /// The first text, and then the second again and again, as long as the client reads.
    Endless(&'static str, &'static str),
    /// The connection is cut before an answer.
    Cut,
    /// The connection is cut in the middle of the answer.
    CutWithin,
}

impl Scripted {
    /// A status and a body.
    pub fn answer(status: u16, body: &str) -> Self {
        Self::Answer(status, Vec::new(), body.to_owned())
    }

    /// An interim answer, and another, and so on.
    pub fn interim() -> Self {
        Self::Endless("", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    }

    /// 429 with this `Retry-After`.
    pub fn rate_limited(retry_after: &str) -> Self {
        let header = ("Retry-After".to_owned(), retry_after.to_owned());
        Self::Answer(429, vec![header], "rate_limited".to_owned())
    }
}

/// The stand-in; it stops listening when this is dropped.
pub struct Slack {
    port: Port,
    scheme: &'static str,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    posts: Inbox<Post>,
    scripted: Mutex<VecDeque<Scripted>>,
    last_taken: Mutex<Option<Instant>>,
    unlimited: AtomicBool,
    lenient: AtomicBool,
    too_fast: AtomicUsize,
    /// Connections that hang.
    held: Mutex<Vec<Box<dyn Connection>>>,
}

impl Slack {
    /// Listens on a free port.
    pub fn new() -> Self {
        Self::listen(None)
    }

    /// Like the real one: over HTTPS only.
    pub fn over_tls(certificates: &Certificates) -> Self {
        Self::listen(Some(certificates.server()))
    }

    fn listen(tls: Option<Arc<ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let port = Port::serve(move |stream| shared.serve(http::connection(stream, tls.clone())));
        Self { port, scheme, state }
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.port.connections()
    }

    /// Takes any number of messages a second.
    #[must_use]
    pub fn without_rate_limit(self) -> Self {
        self.state.unlimited.store(true, Ordering::SeqCst);
        self
    }

    /// Takes whatever is posted to its address, as another receiver of webhooks would, and any number a second.
    #[must_use]
    pub fn without_rules(self) -> Self {
        self.state.lenient.store(true, Ordering::SeqCst);
        self.without_rate_limit()
    }

    /// The address of the webhook, a secret.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}{PATH}", self.scheme, self.port())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// A part of the secret address, which must not be seen anywhere.
    pub fn canary(&self) -> &'static str {
        "0canary"
    }

    /// Plans the next answer, after those planned before.
    pub fn script(&self, scripted: Scripted) {
        lock(&self.state.scripted).push_back(scripted);
    }

    /// Forgets planned answers, and closes connections that hang.
    pub fn behave(&self) {
        lock(&self.state.scripted).clear();
        lock(&self.state.held).clear();
    }

    /// The requests so far.
    pub fn posts(&self) -> Vec<Post> {
        self.state.posts.all()
    }

    /// Waits until there are at least `count` requests, and returns all of them.
    pub fn wait_for(&self, count: usize) -> Vec<Post> {
        self.state.posts.wait_for(count, "posts")
    }

    /// How often a message came sooner than Slack allows.
    pub fn too_fast(&self) -> usize {
        self.state.too_fast.load(Ordering::SeqCst)
    }
}

impl Default for Slack {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        lock(&self.state.held).clear();
    }
}

impl State {
    /// Serves one request after another: the real Slack keeps connections open, too.
    fn serve(&self, stream: Box<dyn Connection>) {
        let mut stream = BufReader::new(stream);
        while let Ok(request) = http::read(&mut stream) {
            let scripted = lock(&self.scripted).pop_front();
            let answer = scripted.unwrap_or_else(|| self.usual(&request));
            let status = if let Scripted::Answer(status, ..) = answer { Some(status) } else { None };
            let body = serde_json::from_slice(&request.body).unwrap_or_default();
            self.posts.push(Post { at: Instant::now(), headers: request.headers, body, raw: request.body, status });
            let usual = ("Content-Type".to_owned(), "text/html".to_owned());
            // The client may be gone.
            let answered = match answer {
                Scripted::Answer(status, headers, body) => {
                    http::answer(stream.get_mut(), status, &[&[usual], &headers[..]].concat(), &body, body.len())
                }
                Scripted::CutWithin => {
                    let _ = http::answer(stream.get_mut(), 200, &[usual], "o", 2);
                    return;
                }
                Scripted::Endless(first, then) => {
                    let mut sent = stream.get_mut().write_all(first.as_bytes());
                    let then = then.repeat(10_000);
                    while sent.is_ok() {
                        sent = stream.get_mut().write_all(then.as_bytes());
                    }
                    return;
                }
                Scripted::Cut => return,
                Scripted::Hang => {
                    lock(&self.held).push(stream.into_inner());
                    return;
                }
            };
            if answered.is_err() {
                return;
            }
        }
    }

    fn usual(&self, request: &Request) -> Scripted {
        if request.path != PATH {
            return Scripted::answer(404, "no_service");
        }
        if request.method != "POST" {
            return Scripted::answer(405, "method_not_allowed");
        }
        // Refused messages count against Slack's rate limit, too.
        if !self.unlimited.load(Ordering::SeqCst) && !self.in_time() {
            self.too_fast.fetch_add(1, Ordering::SeqCst);
            return Scripted::rate_limited("1");
        }
        if self.lenient.load(Ordering::SeqCst) {
            return Scripted::answer(202, "queued as 0815\nthank you");
        }
        match rules::check(request) {
            Ok(()) => Scripted::answer(200, "ok"),
            Err(error) => Scripted::answer(400, error),
        }
    }

    fn in_time(&self) -> bool {
        let mut last = lock(&self.last_taken);
        let now = Instant::now();
        let in_time = last.is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if in_time {
            *last = Some(now);
        }
        in_time
    }
}
