//! The gateway: posts webhooks about invented lines, whatever happens to the daemon, and keeps a ledger of the promises
//! (2xx) that it got.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use linedown_standins::lock;
use serde_json::json;

use crate::service::SECRET;

/// Classes of lines, by the sinks that are told of them. The letter is part of their names.
pub(crate) const CLASSES: [(char, &[&str]); 5] =
    [('e', &["first"]), ('m', &["first", "second"]), ('g', &["console"]), ('s', &["slack"]), ('t', &["safe"])];

/// A rule for each class. The console's rule groups incidents.
pub(crate) fn rules(name: &str) -> String {
    let rule = |(class, sinks): &(char, &[&str])| {
        let interval = if *class == 'g' { "300ms" } else { "0s" };
        format!(
            "[[rules]]\nname = \"{name} {class}\"\nmatch = {{ instance = \"soak-{class}-*\" }}\nnotify = {sinks:?}\n\
             group_interval = \"{interval}\"\n"
        )
    };
    CLASSES.iter().map(rule).collect()
}

/// The least time between two lines of a Slack's class: the daemon paces Slack, so more would only pile up.
const PACE: Duration = Duration::from_millis(1500);
/// How often a webhook is posted again, at most.
const MOST_TRIES: usize = 100;
/// How long the gateway waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not posted.
    #[default]
    Unsent,
    /// No answer, or a refusal: the daemon may have taken it all the same.
    Unknown,
    /// 2xx: the daemon must tell of it.
    Promised,
}

/// A line and its webhooks.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) sinks: &'static [&'static str],
    /// The gateway's words, different for each line.
    pub(crate) words: String,
    pub(crate) down: Fate,
    pub(crate) up: Fate,
}

/// The gateway: what it posted, and the answers.
#[derive(Default)]
pub(crate) struct Gateway {
    /// Since when, and by how many seconds per second, its clock runs ahead. If it does, every line comes back, and the
    /// gateway posts each webhook again until it gets a 2xx.
    haste: Option<(Instant, u32)>,
    lines: Mutex<BTreeMap<String, Line>>,
    next: AtomicUsize,
    paced: Mutex<BTreeMap<char, Instant>>,
    /// The number of answers by status; 0 stands for no answer.
    answers: Mutex<BTreeMap<u16, usize>>,
}

impl Gateway {
    /// A gateway whose clock gains `haste` seconds in each second.
    pub(crate) fn hasty(haste: u32) -> Self {
        Self { haste: Some((Instant::now(), haste)), ..Self::default() }
    }

    /// Posts until told to stop.
    pub(crate) fn run(&self, address: SocketAddr, seed: u64, stop: &AtomicBool) {
        let mut rng = Rng::with_seed(seed);
        while !stop.load(Ordering::SeqCst) {
            let class = match rng.u8(..100) {
                0..55 => 'e',
                55..70 => 'm',
                70..85 => 'g',
                85..92 => 's',
                _ => 't',
            };
            self.post_one(address, self.in_pace(class), &mut rng, stop);
            thread::sleep(Duration::from_millis(rng.u64(2..40)));
        }
    }

    /// Makes a new line that goes down and perhaps comes back, posts its webhooks, and returns its name.
    pub(crate) fn post_one(&self, address: SocketAddr, class: char, rng: &mut Rng, stop: &AtomicBool) -> String {
        let name = format!("soak-{class}-{}", self.next.fetch_add(1, Ordering::SeqCst));
        let words = format!("Device has been disconnected ({:016x})", rng.u64(..));
        let sinks = CLASSES.iter().find(|(known, _)| *known == class).map_or(&[][..], |(_, sinks)| sinks);
        let line = Line { sinks, words: words.clone(), down: Fate::Unknown, up: Fate::Unsent };
        lock(&self.lines).insert(name.clone(), line);
        let stamp = self.now_ms();
        let down = json!({ "type": "DisconnectedCallback", "disconnected": true, "instanceId": name,
                           "phone": "5544999999999", "momment": stamp, "error": words });
        let fate = self.insist(address, &down.to_string(), rng, stop);
        self.change(&name, |line| line.down = fate);
        let comes_back = self.haste.is_some() || matches!(class, 'e' | 'm') && rng.bool();
        if fate == Fate::Promised && comes_back {
            thread::sleep(Duration::from_millis(rng.u64(..300)));
            let up = json!({ "type": "ConnectedCallback", "connected": true, "instanceId": name,
                             "momment": self.now_ms().max(stamp + 1) });
            let fate = self.insist(address, &up.to_string(), rng, stop);
            self.change(&name, |line| line.up = fate);
        }
        name
    }

    /// Posts a webhook, and again if it is not promised: once at random, or up to [`MOST_TRIES`] times in haste.
    fn insist(&self, address: SocketAddr, body: &str, rng: &mut Rng, stop: &AtomicBool) -> Fate {
        let mut fate = self.post(address, body);
        let mut tries = if self.haste.is_some() { MOST_TRIES } else { usize::from(rng.bool()) };
        while fate != Fate::Promised && tries > 0 && !stop.load(Ordering::SeqCst) {
            tries -= 1;
            thread::sleep(Duration::from_millis(rng.u64(..200)));
            fate = self.post(address, body);
        }
        fate
    }

    fn now_ms(&self) -> i64 {
        let ahead = self.haste.map_or(0, |(since, haste)| (since.elapsed() * haste).as_millis());
        now_ms() + i64::try_from(ahead).expect("it is not far ahead")
    }

    /// The class, or one without a pace if the class's turn has not come.
    fn in_pace(&self, class: char) -> char {
        if !matches!(class, 's' | 't') {
            return class;
        }
        let mut paced = lock(&self.paced);
        if paced.get(&class).is_some_and(|last| last.elapsed() < PACE) {
            return 'e';
        }
        paced.insert(class, Instant::now());
        class
    }

    fn post(&self, address: SocketAddr, body: &str) -> Fate {
        let status = post(address, body, PATIENCE).unwrap_or(0);
        *lock(&self.answers).entry(status).or_default() += 1;
        if (200..300).contains(&status) { Fate::Promised } else { Fate::Unknown }
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Line)) {
        lock(&self.lines).get_mut(name).map(change).expect("it is there");
    }

    /// How many webhooks got a 2xx.
    pub(crate) fn promised(&self) -> u64 {
        let answers = lock(&self.answers);
        answers.range(200..300).map(|(_, count)| *count as u64).sum()
    }

    /// How many webhooks were answered, whatever the answer.
    pub(crate) fn answered(&self) -> usize {
        lock(&self.answers).range(1..).map(|(_, count)| count).sum()
    }

    /// Every line by its name.
    pub(crate) fn lines(&self) -> BTreeMap<String, Line> {
        lock(&self.lines).clone()
    }

    /// The number of answers by status; 0 stands for no answer.
    pub(crate) fn answers(&self) -> BTreeMap<u16, usize> {
        lock(&self.answers).clone()
    }
}

/// Posts a webhook, and returns the status if an answer came in time.
pub(crate) fn post(address: SocketAddr, body: &str, patience: Duration) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.write_all(request(body).as_bytes()).ok()?;
    let mut answer = Vec::new();
    // A daemon that is killed after its answer resets the connection.
    let _ = stream.read_to_end(&mut answer);
    status(&answer)
}

/// A webhook as it goes over the wire.
pub(crate) fn request(body: &str) -> String {
    format!(
        "POST /hooks/z-api/{SECRET} HTTP/1.1\r\nhost: linedown.test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The status of an answer, if it is one.
pub(crate) fn status(answer: &[u8]) -> Option<u16> {
    String::from_utf8_lossy(answer).strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

pub(crate) fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a gateway has a clock of its own")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(now.as_millis()).expect("it is earlier than the year 292278994")
}
