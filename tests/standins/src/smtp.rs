//! A real SMTP server in a process of its own: aiosmtpd, run by a script (`smtp.py`) that can make it misbehave.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use mail_parser::{Message, MessageParser};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::inbox::Inbox;
use crate::{Certificates, DEADLINE, lock};

const SCRIPT: &str = include_str!("smtp.py");

/// How the server encrypts.
#[derive(Clone, Copy)]
pub enum Encryption<'a> {
    /// Not at all.
    None,
    /// After STARTTLS, which it requires.
    StartTls(&'a Certificates),
    /// From the start.
    Implicit(&'a Certificates),
}

/// The point of a conversation at which something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Before the greeting.
    Connect,
    /// EHLO
    Ehlo,
    /// STARTTLS
    StartTls,
    /// AUTH
    Auth,
    /// MAIL FROM
    Mail,
    /// RCPT TO
    Rcpt,
    /// DATA, instead of asking for the content
    Data,
    /// In the middle of the content
    Content,
    /// After the final dot; the message counts as received
    Dot,
    /// RSET
    Rset,
    /// NOOP
    Noop,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does<'a> {
    /// This answer instead of the usual one.
    Reply(&'a str),
    /// The usual answer, followed by this in one piece, as somebody on the way may add it.
    Add(&'a str),
    /// An answer without a line break and without an end.
    Babble,
    /// No answer at all.
    Hang,
    /// The connection is closed without an answer.
    Close,
}

/// A message that the server received.
#[derive(Clone, Debug, Deserialize)]
pub struct Received {
    /// MAIL FROM
    pub from: String,
    /// RCPT TO
    pub to: Vec<String>,
    /// Headers and body as they came.
    pub raw: String,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// The account that had logged in.
    pub account: Option<String>,
    /// The number of the connection over which it came.
    pub connection: u64,
    /// Whether further commands had come together with MAIL FROM.
    pub in_one_piece: bool,
    /// Whether the client was told that the message is taken.
    pub taken: bool,
}

impl Received {
    /// A header's value as a reader sees it: unfolded and decoded; or raw if it is not text.
    pub fn header(&self, name: &str) -> Option<String> {
        let message = self.parsed();
        let header = message.header(name)?;
        let text = header.as_text().map(str::to_owned);
        text.or_else(|| message.header_raw(name).map(|raw| raw.trim().to_owned()))
    }

    /// The plain text.
    pub fn text(&self) -> Option<String> {
        self.parsed().body_text(0).map(std::borrow::Cow::into_owned)
    }

    /// The HTML part.
    pub fn html(&self) -> Option<String> {
        self.parsed().body_html(0).map(std::borrow::Cow::into_owned)
    }

    /// The content types of the whole and of its parts: `multipart/alternative`, `text/plain`, …
    pub fn content_types(&self) -> Vec<String> {
        use mail_parser::MimeHeaders;
        let message = self.parsed();
        let types = message.parts.iter().map(|part| {
            part.content_type()
                .map_or_else(String::new, |t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()))
        });
        types.collect()
    }

    fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(self.raw.as_bytes()).expect("the message has headers")
    }
}

/// The server; it ends when this is dropped.
pub struct Smtp {
    child: Child,
    orders: Mutex<ChildStdin>,
    done: Mutex<Receiver<Value>>,
    received: Arc<Inbox<Received>>,
    port: u16,
    implicit: bool,
}

impl Smtp {
    /// A server without encryption, for everybody.
    pub fn new() -> Self {
        Self::start(Encryption::None, None, true)
    }

    /// Like [`Smtp::new`], but without PIPELINING.
    pub fn step_by_step() -> Self {
        Self::start(Encryption::None, None, false)
    }

    /// A server with this encryption, for everybody.
    pub fn with(encryption: Encryption<'_>) -> Self {
        Self::start(encryption, None, true)
    }

    /// A server for one account only.
    pub fn with_login(encryption: Encryption<'_>, account: &str, password: &str) -> Self {
        Self::start(encryption, Some([account, password]), true)
    }

    fn start(encryption: Encryption<'_>, login: Option<[&str; 2]>, pipelining: bool) -> Self {
        let (name, certificates) = match encryption {
            Encryption::None => ("none", None),
            Encryption::StartTls(certificates) => ("starttls", Some(certificates)),
            Encryption::Implicit(certificates) => ("implicit", Some(certificates)),
        };
        let options = json!({
            "encryption": name,
            "certificate": certificates.map(Certificates::certificate),
            "key": certificates.map(Certificates::key),
            "login": login,
            "pipelining": pipelining,
        });
        // Debian's own interpreter, since only that sees Debian's packages.
        let mut child = Process::new("/usr/bin/python3")
            .args(["-c", SCRIPT, &options.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the SMTP stand-in needs /usr/bin/python3: install Debian's packages python3 and python3-aiosmtpd");
        let orders = Mutex::new(child.stdin.take().expect("the input is piped"));
        let output = child.stdout.take().expect("the output is piped");
        let received = Arc::default();
        let (sender, done) = channel();
        let inbox = Arc::clone(&received);
        std::thread::spawn(move || read(output, &inbox, &sender));
        let implicit = name == "implicit";
        let mut smtp = Self { child, orders, done: Mutex::new(done), received, port: 0, implicit };
        let ready = smtp.wait_for_report();
        assert!(
            ready.get("missing").is_none(),
            "the SMTP stand-in needs Debian's package python3-aiosmtpd: apt-get install python3-aiosmtpd"
        );
        let port = ready["listening"].as_u64().and_then(|port| u16::try_from(port).ok());
        smtp.port = port.expect("the SMTP stand-in tells its port first");
        smtp
    }

    /// `smtp://127.0.0.1:…` or `smtps://127.0.0.1:…`
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.implicit { "smtps" } else { "smtp" }, self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes this go wrong at the next `times` occurrences of a command, after anything planned for it before. A
    /// recipient such as `450-ana@…` or `452-4.3.1-ana@…` needs no plan: it is answered with its code. At
    /// `cut-ana@…`, the connection is closed.
    pub fn plan(&self, command: Command, does: Does<'_>, times: usize) {
        let command = format!("{command:?}").to_uppercase();
        let (does, line) = match does {
            Does::Reply(line) => ("reply", line),
            Does::Add(line) => ("add", line),
            Does::Babble => ("babble", ""),
            Does::Hang => ("hang", ""),
            Does::Close => ("close", ""),
        };
        self.order(&json!({ "plan": command, "does": does, "line": line, "times": times }));
    }

    /// Forgets all plans, and cuts connections that hang.
    pub fn behave(&self) {
        self.order(&json!({ "behave": true }));
    }

    /// How many connections were left hanging since it last behaved.
    pub fn hanging(&self) -> u64 {
        self.order(&json!({}))["hanging"].as_u64().expect("smtp.py tells how many hang")
    }

    /// Cuts every connection and refuses new ones.
    pub fn go_away(&self) {
        self.order(&json!({ "listen": false }));
    }

    /// Listens again, on the same port.
    pub fn come_back(&self) {
        self.order(&json!({ "listen": true }));
    }

    /// All messages received so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.all()
    }

    /// Waits until there are at least `count` messages, and returns all of them.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        self.received.wait_for(count, "messages")
    }

    fn order(&self, order: &Value) -> Value {
        let mut orders = lock(&self.orders);
        writeln!(orders, "{order}").and_then(|()| orders.flush()).expect("the SMTP stand-in lives");
        self.wait_for_report()
    }

    fn wait_for_report(&self) -> Value {
        let done = lock(&self.done);
        done.recv_timeout(DEADLINE).expect("the SMTP stand-in starts and takes orders")
    }
}

impl Default for Smtp {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: ChildStdout, inbox: &Inbox<Received>, reports: &Sender<Value>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let Ok(mut report) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(received) = report.get_mut("received") {
            inbox.push(serde_json::from_value(received.take()).expect("smtp.py and Received agree"));
        } else if reports.send(report).is_err() {
            return;
        }
    }
}
