//! How many webhooks are accepted, each on disk before its answer, beside what the machine can do: the same web server
//! that does nothing, and a file that is appended to and synced with the same batching.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::Instant;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{mpsc, oneshot};
use warp::Filter as _;

use crate::daemon::Daemon;
use crate::load::{self, Target};
use crate::{SECRET, row};

/// Connections, and the webhooks that are posted over them.
const LOADS: [(usize, usize); 3] = [(1, 3_000), (64, 60_000), (512, 60_000)];
/// Most of them in one sync, as in the store.
const BATCH: usize = 256;
/// Bytes of each when it is only appended.
const ROW: usize = 300;
/// The share of the slower limit that is aimed at.
const AIM: f64 = 0.7;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = folder.path().join("linedown.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://{}/linedown.db\"\n\
         [sources.z-api]\ntype = \"z-api\"\nsecret = \"{SECRET}\"\n[sinks.console]\ntype = \"stdout\"\n\
         [[rules]]\nname = \"banned\"\nmatch = {{ reason = \"number-blocked\" }}\nnotify = [\"console\"]\ncontinue = true\n\
         [[rules]]\nname = \"one\"\nmatch = {{ instance = \"39EC*\" }}\nnotify = [\"console\"]\n\
         [[rules]]\nname = \"rest\"\nnotify = [\"console\"]\n",
        folder.path().display()
    );
    std::fs::write(&config, text).expect("the config can be written");
    let daemon = Daemon::start(&config);
    let bare = Bare::start();
    println!(
        "{:<14} {:>12} {:>12} {:>12} {:>9} {:>9} {:>11}",
        "connections", "accepted/s", "no-op/s", "append/s", "p50, ms", "p99, ms", "of slower"
    );
    let mut busiest = 0.0_f64;
    for (connections, requests) in LOADS {
        let lines = format!("{connections}-");
        let nothing = load::flood(Target { address: &bare.address, lines: &lines }, connections, requests);
        let appended = append(folder.path(), connections, requests);
        let accepted = load::flood(Target { address: daemon.address(), lines: &lines }, connections, requests);
        let share = accepted.rate / nothing.rate.min(appended);
        busiest = busiest.max(accepted.rate);
        println!(
            "{connections:<14} {:>12.0} {:>12.0} {:>12.0} {:>9.2} {:>9.2} {:>10.0}%",
            accepted.rate,
            nothing.rate,
            appended,
            accepted.percentile(50),
            accepted.percentile(99),
            share * 100.0
        );
        row(&format!("intake at {connections}: the slower limit is faster by"), 1.0 / share, 1.0 / AIM);
    }
    let half = load::steady(Target { address: daemon.address(), lines: "half-" }, 64, 30_000, busiest / 2.0);
    row("webhook at half of that load, p99, ms", half.percentile(99), 10.0);
}

/// Rows a second that so many producers append, each waiting for the sync of its own: one thread writes, and those who
/// wait at the same time share a sync.
fn append(folder: &std::path::Path, producers: usize, rows: usize) -> f64 {
    let mut file = File::create(folder.join("appended")).expect("a file can be made");
    let (send, mut waiting) = mpsc::channel::<oneshot::Sender<()>>(4096);
    let writer = std::thread::spawn(move || {
        let bytes = vec![b'x'; ROW * BATCH];
        let mut batch = Vec::new();
        while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
            file.write_all(&bytes[..ROW * batch.len()]).expect("it can be written");
            file.sync_data().expect("it can be synced");
            for done in batch.drain(..) {
                done.send(()).expect("it waits");
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let begun = Instant::now();
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..producers {
            let send = send.clone();
            clients.spawn(async move {
                for _ in 0..rows / producers {
                    let (done, synced) = oneshot::channel();
                    send.send(done).await.expect("the writer lives");
                    synced.await.expect("it is synced");
                }
            });
        }
        clients.join_all().await;
    });
    let rate = (rows / producers * producers) as f64 / begun.elapsed().as_secs_f64();
    drop(send);
    writer.join().expect("the writer ends");
    rate
}

/// A web server of its own process that reads a webhook and answers.
struct Bare {
    child: Child,
    address: String,
}

impl Bare {
    fn start() -> Self {
        let this = std::env::current_exe().expect("it has a path");
        let mut child = Command::new(this).arg(SERVE).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut address = String::new();
        let output = child.stdout.take().expect("it is piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut address).expect("it says where");
        Self { child, address: address.trim().to_owned() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The argument with which this program is that server.
pub(crate) const SERVE: &str = "answer-without-doing-anything";

/// Answers until it is killed.
pub(crate) fn serve() {
    let threads = available_parallelism().map_or(1, usize::from);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let answer =
            warp::body::bytes().map(|_| warp::reply::json(&serde_json::json!({ "id": "1", "duplicate": false })));
        let routes = warp::path!("hooks" / String / String).and(warp::post()).and(answer).map(|_, _, reply| reply);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        println!("{}", listener.local_addr().expect("it has an address"));
        let service = TowerToHyperService::new(warp::service(routes));
        while let Ok((stream, _)) = listener.accept().await {
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
}
