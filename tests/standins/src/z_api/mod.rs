//! A stand-in for Z-API's API: it enforces the documentation, and can misbehave for all instances or for one.

mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use serde_json::{Value, json};

use crate::http::{self, Connection, Request};
use crate::inbox::Inbox;
use crate::{Certificates, Port, lock};

/// One instance. A test that changes it plays the phone, or somebody at the gateway's panel.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The token that its calls need.
    pub token: String,
    /// Its name at the gateway.
    pub name: String,
    /// Whether it is connected. Any value, since a gateway may answer anything.
    pub connected: Value,
    /// The `error` in the answer to `/status`.
    pub error: Value,
    /// The address to which it posts that the line lost its connection.
    pub disconnected_url: Value,
    /// The address to which it posts that the line is back.
    pub connected_url: Value,
    /// The address to which it posts people's messages, which linedown must not touch.
    pub received_url: Value,
    /// When the subscription ends, in seconds or milliseconds since 1970.
    pub due: Value,
    /// The state of the payment.
    pub payment: Value,
}

impl Instance {
    /// An instance that is connected and paid for, without webhooks.
    fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            name: "Loja".to_owned(),
            connected: json!(true),
            error: json!("You are already connected"),
            disconnected_url: Value::Null,
            connected_url: Value::Null,
            received_url: json!("https://crm.example.com/messages"),
            due: json!(4_102_444_800_000_u64),
            payment: json!("PAID"),
        }
    }

    /// Makes the line lose its session.
    pub fn drop_session(&mut self) {
        self.connected = json!(false);
        self.error = json!("You need to restore the session.");
    }

    /// Connects the line, as if somebody had scanned the QR code.
    pub fn log_in(&mut self) {
        self.connected = json!(true);
        self.error = json!("You are already connected");
    }
}

/// A call that arrived, whatever the answer was.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it arrived.
    pub at: Instant,
    /// GET, PUT, …
    pub method: String,
    /// The instance that it is about; none for the partner's calls.
    pub instance: Option<String>,
    /// The call: `status`, `me`, `update-webhook-disconnected`, …
    pub name: String,
    /// The body; null if it was not JSON.
    pub body: Value,
    /// The status answered; none if there was no answer.
    pub status: Option<u16>,
}

/// An odd answer.
#[derive(Clone, Debug)]
pub enum Odd {
    /// A status and a body.
    Answer(u16, String),
    /// A status, a content type, and a body.
    Typed(u16, &'static str, String),
    /// The usual answer, later by this much.
    Late(Duration),
    /// No answer until the stand-in ends.
    Hang,
    /// The usual answer, byte by byte with this pause.
    Drip(Duration),
    /// The connection is cut before an answer.
    Cut,
}

impl Odd {
    /// A status and a body.
    pub fn answer(status: u16, body: &str) -> Self {
        Self::Answer(status, body.to_owned())
    }
}

/// The stand-in; it stops listening when this is dropped.
pub struct ZApi {
    port: Port,
    scheme: &'static str,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    account: Mutex<Account>,
    calls: Inbox<Call>,
    /// How many calls came, recorded or not.
    count: AtomicUsize,
    unrecorded: AtomicBool,
    ended: AtomicBool,
    /// How many calls are being answered now, and the most at any time.
    at_once: Mutex<(usize, usize)>,
}

/// Everything that the gateway knows.
#[derive(Default)]
struct Account {
    client_token: Option<String>,
    partner_token: Option<String>,
    instances: BTreeMap<String, Instance>,
    /// Answers planned for an instance, each given once.
    odd: BTreeMap<String, VecDeque<Odd>>,
    /// The answer to every call, until it is changed.
    always: Option<Odd>,
}

impl ZApi {
    /// A stand-in without encryption.
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

    /// Makes the account require its security token.
    #[must_use]
    pub fn with_client_token(self, token: &str) -> Self {
        self.account().client_token = Some(token.to_owned());
        self
    }

    /// Adds a partner, who may list the fleet.
    #[must_use]
    pub fn with_partner_token(self, token: &str) -> Self {
        self.account().partner_token = Some(token.to_owned());
        self
    }

    /// Keeps no record of calls, only how many there were.
    #[must_use]
    pub fn without_record(self) -> Self {
        self.state.unrecorded.store(true, Ordering::SeqCst);
        self
    }

    /// The address of the API.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port.number())
    }

    /// Adds an instance: connected, without webhooks.
    pub fn add(&self, id: &str, token: &str) {
        self.account().instances.insert(id.to_owned(), Instance::new(token));
    }

    /// Changes an instance.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        change(self.account().instances.get_mut(id).expect("there is such an instance"));
    }

    /// An instance as it is now.
    pub fn instance(&self, id: &str) -> Instance {
        self.account().instances.get(id).expect("there is such an instance").clone()
    }

    /// Plans the answer to an instance's next call, after those planned before.
    pub fn plan(&self, id: &str, odd: Odd) {
        self.account().odd.entry(id.to_owned()).or_default().push_back(odd);
    }

    /// Answers every call like this from now on; none for the usual answers again.
    pub fn always(&self, odd: Option<Odd>) {
        self.account().always = odd;
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.all()
    }

    /// Waits until there are at least `count` calls, and returns all of them.
    pub fn wait_for(&self, count: usize) -> Vec<Call> {
        self.state.calls.wait_for(count, "calls")
    }

    /// How many calls came, recorded or not.
    pub fn count(&self) -> usize {
        self.state.count.load(Ordering::SeqCst)
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.port.connections()
    }

    /// The most calls that were being answered at the same time.
    pub fn most_at_once(&self) -> usize {
        lock(&self.state.at_once).1
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.state.account)
    }
}

impl Default for ZApi {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ZApi {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn serve(&self, stream: Box<dyn Connection>) {
        let mut input = BufReader::new(stream);
        while let Ok(request) = http::read(&mut input) {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            self.enter();
            let answer = self.answer(&request);
            lock(&self.at_once).0 -= 1;
            self.note(&request, answer.as_ref().map(|answer| answer.status));
            if answer.is_none_or(|answer| self.send(input.get_mut(), &answer).is_err()) {
                return;
            }
        }
    }

    fn send(&self, stream: &mut dyn Write, answer: &Answer) -> io::Result<()> {
        let headers = [("Content-Type".to_owned(), answer.content_type.to_owned())];
        let Some(pause) = answer.pause else {
            return http::answer(stream, answer.status, &headers, &answer.body, answer.body.len());
        };
        http::answer(stream, answer.status, &headers, "", answer.body.len())?;
        for byte in answer.body.bytes() {
            if self.ended.load(Ordering::SeqCst) {
                break;
            }
            std::thread::sleep(pause);
            stream.write_all(&[byte])?;
            stream.flush()?;
        }
        Ok(())
    }

    fn enter(&self) {
        let mut at_once = lock(&self.at_once);
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
    }

    fn note(&self, request: &Request, status: Option<u16>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        if self.unrecorded.load(Ordering::SeqCst) {
            return;
        }
        let (instance, name) = rules::parts(&request.path);
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        self.calls.push(Call { at: Instant::now(), method: request.method.clone(), instance, name, body, status });
    }

    /// The answer to a request; none if the connection is to be cut.
    fn answer(&self, request: &Request) -> Option<Answer> {
        let odd = {
            let mut account = lock(&self.account);
            let instance = rules::parts(&request.path).0.unwrap_or_default();
            account.odd.get_mut(&instance).and_then(VecDeque::pop_front).or_else(|| account.always.clone())
        };
        let (content_type, mut pause) = ("application/json", None);
        match odd {
            None => {}
            Some(Odd::Answer(status, body)) => return Some(Answer { status, content_type, body, pause }),
            Some(Odd::Typed(status, content_type, body)) => return Some(Answer { status, content_type, body, pause }),
            Some(Odd::Late(by)) => std::thread::sleep(by),
            Some(Odd::Drip(every)) => pause = Some(every),
            Some(Odd::Cut) => return None,
            Some(Odd::Hang) => {
                while !self.ended.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return None;
            }
        }
        let (status, body) = rules::answer(&mut lock(&self.account), request);
        Some(Answer { status, content_type, body, pause })
    }
}

struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
    /// The pause between two bytes of the body.
    pause: Option<Duration>,
}
