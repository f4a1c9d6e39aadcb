//! The load generator: posts webhooks on a number of connections, each with one request in flight at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::SECRET;
use crate::latency::Latencies;

/// The address to which the load goes, and what it consists of.
pub(crate) struct Target<'t> {
    pub(crate) address: &'t str,
    pub(crate) webhooks: Webhooks,
}

/// The webhooks to post, each about the next line.
#[derive(Clone)]
pub(crate) enum Webhooks {
    /// New lines, whose names begin with this, are down.
    New(String),
    /// The lines of the [`fleet`] from this number on are down.
    Down(usize),
    /// The lines of the [`fleet`] from this number on are back.
    Back(usize),
    /// Other requests: their path, and the body of each by its number.
    Other(String, Arc<dyn Fn(usize) -> String + Send + Sync>),
}

impl Webhooks {
    pub(crate) fn new(prefix: &str) -> Self {
        Self::New(prefix.to_owned())
    }

    fn path(&self) -> String {
        match self {
            Self::New(_) | Self::Down(_) | Self::Back(_) => format!("/hooks/z-api/{SECRET}"),
            Self::Other(path, _) => path.clone(),
        }
    }

    fn body(&self, number: usize) -> String {
        match self {
            Self::New(prefix) => webhook(&format!("{prefix}{number}"), DOWN),
            Self::Down(first) => webhook(&fleet(first + number), DOWN),
            Self::Back(first) => webhook(&fleet(first + number), BACK),
            Self::Other(_, body) => body(number),
        }
    }
}

const DOWN: &str = "\"type\":\"DisconnectedCallback\",\"error\":\"Device has been disconnected\"";
const BACK: &str = "\"type\":\"ConnectedCallback\",\"connected\":true";

/// The body of a disconnection, as Z-API posts it.
pub(crate) fn down(line: &str) -> String {
    webhook(line, DOWN)
}

fn webhook(line: &str, what: &str) -> String {
    let now = linedown::clock::now().as_millisecond();
    format!("{{{what},\"instanceId\":\"{line}\",\"phone\":\"5544999999999\",\"momment\":{now}}}")
}

/// The identifier of a reseller's line: as random as a gateway's, so that lines used one after another are not
/// neighbours in an index.
pub(crate) fn fleet(number: usize) -> String {
    let number = number as u64;
    format!("{:016X}{:016X}", mixed(number), mixed(!number))
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood, 2014): each bit of the number changes half of the result's bits.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What came of a load.
pub(crate) struct Outcome {
    /// Requests answered with 200, per second.
    pub(crate) rate: f64,
    /// How long each of these took.
    pub(crate) took: Latencies,
    /// Requests answered otherwise, or not at all.
    pub(crate) refused: usize,
}

/// Posts as fast as requests are answered. All must be answered with 200.
pub(crate) fn flood(target: Target<'_>, connections: usize, requests: usize) -> Outcome {
    taken(run(target, connections, requests, None))
}

/// Posts at a steady rate, in requests per second. A request that is sent late, because the one before it was answered
/// late, counts from when it should have been sent. All must be answered with 200.
pub(crate) fn steady(target: Target<'_>, connections: usize, requests: usize, rate: f64) -> Outcome {
    taken(run(target, connections, requests, Some(Duration::from_secs_f64(connections as f64 / rate))))
}

/// Posts as fast as requests are answered, whatever the answers; a connection that is closed stops.
pub(crate) fn offer(target: Target<'_>, connections: usize, requests: usize) -> Outcome {
    run(target, connections, requests, None)
}

fn taken(outcome: Outcome) -> Outcome {
    assert_eq!(outcome.refused, 0, "all are taken");
    outcome
}

fn run(target: Target<'_>, connections: usize, requests: usize, every: Option<Duration>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (address, webhooks): (Arc<str>, Webhooks) = (target.address.into(), target.webhooks);
    runtime.block_on(async move {
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(client(Arc::clone(&address), webhooks.clone(), Arc::clone(&next), requests, every));
        }
        let took: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
        let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
        Outcome { rate, refused: requests - took.len(), took: Latencies::of(took) }
    })
}

/// Posts the next requests, one after another, and returns how long those took that were answered with 200.
async fn client(
    address: Arc<str>,
    webhooks: Webhooks,
    next: Arc<AtomicUsize>,
    requests: usize,
    every: Option<Duration>,
) -> Vec<Duration> {
    let mut took = Vec::new();
    let Ok(mut stream) = TcpStream::connect(&*address).await else { return took };
    stream.set_nodelay(true).expect("it can be set");
    let path = webhooks.path();
    let mut ticks = every.map(|every| {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        ticks
    });
    while let number = next.fetch_add(1, Ordering::Relaxed)
        && number < requests
    {
        let started = match &mut ticks {
            Some(ticks) => ticks.tick().await.into_std(),
            None => Instant::now(),
        };
        let body = webhooks.body(number);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        match post(&mut stream, request.as_bytes()).await {
            Ok(true) => took.push(started.elapsed()),
            Ok(false) => {}
            Err(_gone) => break,
        }
    }
    took
}

/// Posts one request, and returns whether the answer is 200.
async fn post(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<bool> {
    stream.write_all(request).await?;
    let mut answer = [0; 2048];
    let mut length = 0;
    while !is_whole(&answer[..length]) {
        let read = stream.read(&mut answer[length..]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        length += read;
    }
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

/// Whether an answer's body is as long as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    answer.len() >= head + 4 + length.unwrap_or_default()
}
