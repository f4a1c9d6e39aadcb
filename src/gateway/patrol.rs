//! Watches the lines of a source: asks the gateway for the state of each, spread evenly over the interval, and stores
//! what it finds in the same way as webhooks.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use linedown_sinks::Reason;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Failure;
use super::notices::{Notices, rest};
use super::orders::Orders;
use super::round::{Answer, Round};
use super::watch::{Suspicion, changes, unknown};
use crate::clock;
use crate::reception::Reception;
use crate::source::{self, Event, EventKind};
use crate::store::StoreError;

/// Most findings being stored at the same time, so that most of the store's queue is left to webhooks.
const FINDINGS: usize = 64;

/// The task that watches the lines of one source.
pub(crate) struct Patrol {
    name: String,
    reception: Arc<Reception>,
    notices: Notices,
    orders: watch::Receiver<Orders>,
    stop: watch::Receiver<bool>,
}

impl Patrol {
    pub(crate) fn new(
        name: String,
        reception: Arc<Reception>,
        orders: watch::Receiver<Orders>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let notices = Notices::new(&reception, &name, Reason::GatewayUnreachable);
        Self { name, reception, notices, orders, stop }
    }

    /// Watches until the daemon stops or the source is gone. Questions in progress are then dropped; the next start
    /// asks again.
    pub(crate) async fn run(mut self) {
        let Some(mut told) = self.recall().await else { return };
        let mut round: Option<Round> = None;
        loop {
            let orders = self.orders.borrow_and_update().clone();
            round = self.begin(round.take(), &orders);
            if round.is_none() && !self.leave(&mut told).await {
                return;
            }
            if !self.go_round(round.as_mut(), &mut told).await {
                if !*self.stop.borrow() {
                    self.leave(&mut told).await;
                }
                return;
            }
        }
    }

    /// Loads the notices that were open before the start, retrying until the store answers or the daemon stops: without
    /// them, nobody would close these notices.
    async fn recall(&mut self) -> Option<BTreeSet<String>> {
        loop {
            match self.notices.told().await {
                Ok(told) => return Some(told),
                Err(error) => {
                    tracing::warn!(source = self.name, error = %error, "cannot look up the open incidents about the gateway; trying again");
                }
            }
            if !rest(&mut self.stop).await {
                return None;
            }
        }
    }

    /// Begins or continues a round by new orders; none if there is nothing to watch.
    fn begin(&self, before: Option<Round>, orders: &Orders) -> Option<Round> {
        let lines = orders.access.lines.len();
        let watched = orders.access.watch.filter(|_| lines > 0)?;
        match Round::begin(before, &orders.access, watched) {
            Ok(round) => {
                tracing::info!(source = self.name, lines, every_s = watched.every.as_secs(), "watching the lines");
                Some(round)
            }
            Err(error) => {
                tracing::error!(source = self.name, error = %error, "cannot watch the lines");
                None
            }
        }
    }

    /// Works until there are new orders. Returns whether to go on.
    async fn go_round(&mut self, round: Option<&mut Round>, told: &mut BTreeSet<String>) -> bool {
        let Some(round) = round else {
            return tokio::select! {
                _ = self.stop.changed() => false,
                changed = self.orders.changed() => changed.is_ok(),
            };
        };
        loop {
            tokio::select! {
                _ = self.stop.changed() => return false,
                changed = self.orders.changed() => return changed.is_ok(),
                answers = round.answers(&self.name) => self.judge(round, answers, told).await,
            }
        }
    }

    /// Compares answers with what the store knows, and stores what is new.
    async fn judge(&self, round: &mut Round, answers: Vec<Answer>, told: &mut BTreeSet<String>) {
        let (now, access) = (Instant::now(), Arc::clone(round.access()));
        let mut suspicions = Vec::new();
        let mut failure = None;
        for answer in answers {
            self.reception.metrics.checked(&self.name, &answer.said);
            // The line may have left the config since it was asked about.
            let Some(line) = access.place(&answer.instance) else { continue };
            if let Some(suspicion) = round.watch.note(line, &answer.said, now) {
                suspicions.push((line, answer.asked_at, suspicion));
            }
            failure = answer.said.err().or(failure);
        }
        if let Err(error) = self.settle(round, suspicions).await {
            tracing::warn!(source = self.name, error = %error, "cannot store what the gateway answered about the lines; asking again");
        }
        let unknown = unknown(&round.watch.unknown(now), &access.lines, access.host(), told);
        self.tell(told, &unknown, failure.as_ref()).await;
    }

    async fn settle(
        &self,
        round: &mut Round,
        suspicions: Vec<(usize, Timestamp, Suspicion)>,
    ) -> Result<(), StoreError> {
        let lines = Arc::clone(&round.access().lines);
        let instance = |line: usize| lines.get(line).map(|line| line.instance.to_string()).unwrap_or_default();
        let names = suspicions.iter().map(|(line, ..)| instance(*line)).collect();
        let down = self.reception.store.open_lines(&self.name, Reason::Other, Some(names)).await?;
        let found = |instance: &str, kind, reason, error: Option<&str>, asked_at| {
            let event = Event::found((&self.name, instance), kind, reason, error, clock::now());
            Event { asked_at: Some(asked_at), ..event }
        };
        let mut news = Vec::new();
        for (line, asked_at, suspicion) in suspicions {
            let instance = instance(line);
            match (suspicion, down.contains(&instance)) {
                (Suspicion::Down(_), true) => round.watch.known(line),
                (Suspicion::Down(error), false) => {
                    let reason = source::z_api_reason(error.as_deref());
                    news.push((line, found(&instance, EventKind::Disconnected, reason, error.as_deref(), asked_at)));
                }
                (Suspicion::Up, true) => {
                    news.push((line, found(&instance, EventKind::Connected, Reason::Other, None, asked_at)));
                }
                (Suspicion::Up, false) => {}
            }
        }
        let mut accepting = stream::iter(news)
            .map(|(line, event)| async move { (line, self.reception.found(event).await) })
            .buffer_unordered(FINDINGS);
        let mut failed = Ok(());
        while let Some((line, accepted)) = accepting.next().await {
            match accepted {
                Ok(_) => round.watch.known(line),
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    /// Closes all notices, because nobody asks any more. Returns false if the daemon stops before that is stored.
    async fn leave(&mut self, told: &mut BTreeSet<String>) -> bool {
        told.clear();
        self.notices.leave_all(&mut self.stop).await
    }

    /// Opens notices for those who have become unknown for long, and closes them for those who no longer are.
    async fn tell(&self, told: &mut BTreeSet<String>, unknown: &BTreeSet<String>, why: Option<&Failure>) {
        let why = why.map(ToString::to_string);
        let (begun, over) = changes(unknown, told);
        let note = |kept: Result<(), StoreError>| {
            if let Err(error) = &kept {
                tracing::warn!(source = self.name, error = %error, "cannot store an incident about the gateway; trying again");
            }
            kept.is_ok()
        };
        for name in begun {
            if note(self.notices.begin(&name, why.as_deref()).await) {
                told.insert(name);
            }
        }
        for name in over {
            if note(self.notices.end(&name).await) {
                told.remove(&name);
            }
        }
    }
}
