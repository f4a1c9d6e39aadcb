//! A web server, in a process of its own, that answers without doing anything. It shows the limits of the load
//! generator, and of a sink that takes posts.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use warp::Filter as _;

/// The argument with which this program runs as that server.
pub(crate) const SERVE: &str = "answer-without-doing-anything";

/// The server; it ends when this is dropped.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: String,
}

impl Bare {
    pub(crate) fn start() -> Self {
        let this = std::env::current_exe().expect("it has a path");
        let mut child = Command::new(this).arg(SERVE).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut address = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut address).expect("it says where");
        Self { child, address: address.trim().to_owned() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers webhooks as linedown does, and any other post as Slack does, until it is killed.
pub(crate) fn serve() {
    let threads = available_parallelism().map_or(1, usize::from);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let answer =
            warp::body::bytes().map(|_| warp::reply::json(&serde_json::json!({ "id": "1", "duplicate": false })));
        let webhooks = warp::path!("hooks" / String / String).and(warp::post()).and(answer).map(|_, _, reply| reply);
        let messages = warp::post().and(warp::body::bytes()).map(|_| "ok");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        println!("{}", listener.local_addr().expect("it has an address"));
        let service = TowerToHyperService::new(warp::service(webhooks.or(messages)));
        while let Ok((stream, _)) = listener.accept().await {
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
}
