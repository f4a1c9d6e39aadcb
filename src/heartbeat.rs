//! The heartbeat: requests a watcher's URL at regular intervals as long as webhooks can be accepted, the store writes
//! and every worker makes progress. If the requests stop, the watcher knows that linedown is gone or stuck.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use linedown_sinks::BuildError;
use linedown_sinks::http::{self, Address, Client, Manners};
use tokio::time::{MissedTickBehavior, interval};
use url::Url;

use crate::config::Heartbeat;
use crate::reception::Reception;

/// Limits of a request to the watcher, which follows no redirects. The body of the answer is not read.
const MANNERS: Manners =
    Manners { connect: Duration::from_secs(5), answer: Duration::from_secs(10), most: http::HEADS, kept: 1 };

/// A heartbeat that is set up but not yet running.
pub(crate) struct Beats {
    client: Client,
    url: Url,
    every: Duration,
}

impl Beats {
    /// Opens no connection. Fails if the client cannot be set up.
    pub(crate) fn new(heartbeat: &Heartbeat) -> Result<Self, BuildError> {
        let Address(url) = heartbeat.url.clone();
        Ok(Self { client: Client::new(&url, MANNERS)?, url, every: heartbeat.every })
    }

    /// Sends heartbeats until it is dropped.
    pub(crate) async fn beat(self, reception: Arc<Reception>) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            ticks.tick().await;
            // The trouble is already in the log. Staying silent is how the watcher learns of it.
            if reception.readiness.not_ready().await.is_some() {
                reception.metrics.heartbeat("withheld");
                continue;
            }
            let why = match self.client.send(http::request(Method::GET, &self.url), "").await {
                Ok(answer) if answer.parts.status.is_success() => None,
                Ok(answer) => Some(format!("it answered {}", answer.parts.status.as_u16())),
                Err(error) if error.is_late() => Some("no answer in time".to_owned()),
                Err(_) => Some("it cannot be reached".to_owned()),
            };
            reception.metrics.heartbeat(if why.is_none() { "taken" } else { "failed" });
            match &why {
                Some(why) if !failed => {
                    tracing::warn!(why, "the watcher did not accept the heartbeat; it may think that linedown is gone");
                }
                None if failed => tracing::info!("the watcher accepts the heartbeat again"),
                _ => {}
            }
            failed = why.is_some();
        }
    }
}
