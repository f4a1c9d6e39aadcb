//! What posts webhooks: so many connections, each with one request under way at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::SECRET;

/// Where the load goes.
#[derive(Clone, Copy)]
pub(crate) struct Target<'t> {
    pub(crate) address: &'t str,
    /// What the instances' names begin with, so that each run has lines of its own.
    pub(crate) lines: &'t str,
}

/// What came of it.
pub(crate) struct Outcome {
    /// Answered with 200, a second.
    pub(crate) rate: f64,
    /// How long each took, sorted.
    pub(crate) took: Vec<Duration>,
}

impl Outcome {
    /// In milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.took.len() * percent / 100).min(self.took.len() - 1);
        self.took[at].as_secs_f64() * 1e3
    }
}

/// As fast as they are answered.
pub(crate) fn flood(target: Target<'_>, connections: usize, requests: usize) -> Outcome {
    run(target, connections, requests, None)
}

/// At a steady rate, whether they are answered in time or not: what comes late counts from when it was to be sent.
pub(crate) fn steady(target: Target<'_>, connections: usize, requests: usize, rate: f64) -> Outcome {
    run(target, connections, requests, Some(Duration::from_secs_f64(connections as f64 / rate)))
}

fn run(target: Target<'_>, connections: usize, requests: usize, every: Option<Duration>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (address, lines): (Arc<str>, Arc<str>) = (target.address.into(), target.lines.into());
    runtime.block_on(async move {
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn(client(Arc::clone(&address), Arc::clone(&lines), Arc::clone(&next), requests, every));
        }
        let mut took: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
        let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
        took.sort_unstable();
        Outcome { rate, took }
    })
}

async fn client(
    address: Arc<str>,
    lines: Arc<str>,
    next: Arc<AtomicUsize>,
    requests: usize,
    every: Option<Duration>,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(&*address).await.expect("it accepts");
    stream.set_nodelay(true).expect("it can be set");
    let mut answer = [0; 1024];
    let mut took = Vec::new();
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
        let body = format!(
            "{{\"type\":\"DisconnectedCallback\",\"instanceId\":\"{lines}{number}\",\"phone\":\"5544999999999\",\
             \"momment\":1698691825296,\"disconnected\":true,\"error\":\"Device has been disconnected\"}}"
        );
        let request = format!(
            "POST /hooks/z-api/{SECRET} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut length = 0;
        while !is_whole(&answer[..length]) {
            let read = stream.read(&mut answer[length..]).await.expect("it answers");
            assert!(read > 0, "it closed the connection after {:?}", String::from_utf8_lossy(&answer[..length]));
            length += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
        took.push(started.elapsed());
    }
    took
}

/// An answer of ours is whole when the JSON object behind its head is.
fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"}")
}
