//! How many webhooks a second linedown accepts, each on disk before its answer, beside two limits of the machine: the
//! same web server doing nothing, and a file that is appended to and synced in the same batches.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::bare::Bare;
use crate::daemon::{Daemon, configure};
use crate::load::{self, Target, Webhooks};
use crate::row;

/// The number of connections, and of webhooks that are posted over them.
const LOADS: [(usize, usize); 3] = [(1, 3_000), (64, 60_000), (512, 60_000)];
/// The most rows in one sync, as in the store.
const BATCH: usize = 256;
/// The size of an appended row, in bytes.
const ROW: usize = 300;
/// The share of the slower limit that linedown aims at.
const AIM: f64 = 0.7;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = configure(
        folder.path(),
        "[sinks.console]\ntype = \"stdout\"\n\
         [[rules]]\nname = \"banned\"\nmatch = { reason = \"number-blocked\" }\nnotify = [\"console\"]\ncontinue = true\n\
         [[rules]]\nname = \"one\"\nmatch = { instance = \"39EC*\" }\nnotify = [\"console\"]\n\
         [[rules]]\nname = \"rest\"\nnotify = [\"console\"]\n",
    );
    let daemon = Daemon::start(&config);
    let bare = Bare::start();
    println!(
        "{:<14} {:>12} {:>12} {:>12} {:>9} {:>9} {:>11}",
        "connections", "accepted/s", "no-op/s", "append/s", "p50, ms", "p99, ms", "of slower"
    );
    let mut busiest = 0.0_f64;
    for (connections, requests) in LOADS {
        let webhooks = Webhooks::New(format!("{connections}-"));
        let nothing = load::flood(Target { address: &bare.address, webhooks: webhooks.clone() }, connections, requests);
        let appended = append(folder.path(), connections, requests);
        let accepted =
            load::flood(Target { address: daemon.address(), webhooks: webhooks.clone() }, connections, requests);
        let share = accepted.rate / nothing.rate.min(appended);
        busiest = busiest.max(accepted.rate);
        println!(
            "{connections:<14} {:>12.0} {:>12.0} {:>12.0} {:>9.2} {:>9.2} {:>10.0}%",
            accepted.rate,
            nothing.rate,
            appended,
            accepted.took.percentile(50),
            accepted.took.percentile(99),
            share * 100.0
        );
        row(&format!("intake at {connections}: the slower limit is faster by"), 1.0 / share, 1.0 / AIM);
    }
    let half =
        load::steady(Target { address: daemon.address(), webhooks: Webhooks::new("half-") }, 64, 30_000, busiest / 2.0);
    row("webhook at half of that load, p99, ms", half.took.percentile(99), 10.0);
}

/// How many rows a second this many producers append, each waiting for the sync of its row. One thread writes;
/// producers that wait at the same time share a sync.
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
