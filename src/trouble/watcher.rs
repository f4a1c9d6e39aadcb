//! Looks regularly at everything that linedown depends on, and tells people of troubles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::Reason;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::looks::{Key, Looks, News, Seen, Sign, What};
use super::memory::Memory;
use super::{SOURCE, Troubles, sign};
use crate::clock;
use crate::reception::Reception;
use crate::rule::Routing;
use crate::source::{Event, EventKind};
use crate::store::StoreError;

/// How often it looks; more often if a threshold is shorter.
const LOOK: Duration = Duration::from_secs(5);
/// How long the store may take to answer. A hanging disk must not keep the watcher from telling about it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The troubles that are stored as incidents: all but the store that cannot write.
const KEPT: [Reason; 4] =
    [Reason::SinkFailing, Reason::DiskNearlyFull, Reason::CertificateExpiring, Reason::StoreDamaged];
/// The name under which troubles of the store and of its disk are told.
const STORE: &str = "store";

/// The part of the config that the watcher follows.
#[derive(Clone)]
pub(crate) struct Scope {
    /// None if troubles are not to be told.
    pub(crate) troubles: Option<Troubles>,
    /// The host that the certificate is for.
    pub(crate) host: String,
}

/// The task that looks for troubles.
pub(crate) struct Watcher {
    reception: Arc<Reception>,
    scope: watch::Receiver<Scope>,
    looks: Looks,
    /// Troubles that were told and are not over.
    told: BTreeSet<Key>,
    /// Whether `told` includes the troubles that were told before the start.
    recalled: bool,
    /// What the store was asked to keep and has not answered yet. It may keep it all the same, so nothing else is asked
    /// meanwhile.
    asked: Option<(News, JoinHandle<Result<(), StoreError>>)>,
    memory: Memory,
}

impl Watcher {
    pub(crate) fn new(reception: Arc<Reception>, scope: watch::Receiver<Scope>) -> Self {
        let (told, memory) = (BTreeSet::new(), Memory::new(Arc::clone(&reception)));
        Self { reception, scope, looks: Looks::default(), told, recalled: false, asked: None, memory }
    }

    /// Runs until the daemon stops. Messages that are then being told from memory are abandoned.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.changed() => {}
            () = self.go_on() => {}
        }
    }

    async fn go_on(&mut self) {
        loop {
            let scope = self.scope.borrow_and_update().clone();
            self.look(&scope).await;
            tokio::select! {
                () = sleep(pause(scope.troubles.as_ref())) => {}
                changed = self.scope.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    async fn look(&mut self, scope: &Scope) {
        self.recall().await;
        if self.asked.as_ref().is_some_and(|(_, answer)| answer.is_finished()) {
            self.hear().await;
        }
        let seen = match &scope.troubles {
            Some(troubles) => self.see(troubles, &scope.host).await,
            None => Vec::new(),
        };
        for news in self.looks.judge(seen, &self.told, Instant::now()) {
            self.tell(news).await;
        }
    }

    /// Loads the troubles that were told before the start. If the store cannot answer now, it is asked again at the
    /// next look.
    async fn recall(&mut self) {
        if self.recalled {
            return;
        }
        for reason in KEPT {
            match timeout(PATIENCE, self.reception.store.open_lines(SOURCE, reason, None)).await {
                Ok(Ok(open)) => self.told.extend(open.into_iter().map(|name| (reason, name))),
                _ => return,
            }
        }
        self.recalled = true;
    }

    async fn see(&self, troubles: &Troubles, host: &str) -> Vec<Seen> {
        let seen = |reason, name: &str, sign, after| Seen { key: (reason, name.to_owned()), sign, after };
        let health = self.reception.delivery.health();
        let routing = self.reception.routing.load();
        let sinks = routing.sinks.keys().map(|sink| {
            let sign = health.get(sink).and_then(sign::of_sink);
            seen(Reason::SinkFailing, sink, sign, troubles.sink_failing_after)
        });
        let mut all: Vec<Seen> = sinks.collect();
        let store = Some(sign::of_store(self.reception.readiness.cannot_write()));
        all.push(seen(Reason::StoreNotWriting, STORE, store, troubles.store_not_writing_after));
        all.push(seen(Reason::DiskNearlyFull, STORE, self.see_disk(troubles).await, Duration::ZERO));
        let damaged = self.see_damage().await.into_iter();
        all.extend(damaged.map(|(name, sign)| seen(Reason::StoreDamaged, &name, sign, Duration::ZERO)));
        let served = self.reception.certificate.as_ref().and_then(|served| served.current()?.validity);
        if let Some(validity) = served {
            let sign = sign::of_certificate(validity, troubles.certificate_expires_within, clock::now());
            all.push(seen(Reason::CertificateExpiring, host, Some(sign), Duration::ZERO));
        }
        all
    }

    /// None while the store cannot write: that is told already, and the disk may hang.
    async fn see_disk(&self, troubles: &Troubles) -> Option<Sign> {
        if self.reception.readiness.cannot_write().is_some() {
            return None;
        }
        let room = timeout(PATIENCE, self.reception.store.room()).await.ok()?.ok()?;
        let told = self.told.contains(&(Reason::DiskNearlyFull, STORE.to_owned()));
        Some(sign::of_disk(room, troubles.disk_free_below, told))
    }

    /// Each damaged store that is kept or was told of: a second one is news as well. None while the store does not answer.
    async fn see_damage(&self) -> BTreeMap<String, Option<Sign>> {
        let told = self.told.iter().filter(|(reason, _)| *reason == Reason::StoreDamaged).map(|(_, name)| name.clone());
        let Ok(Ok(kept)) = timeout(PATIENCE, self.reception.store.was_damaged()).await else {
            return told.map(|name| (name, None)).collect();
        };
        let removed = told.map(|name| (name, Some(Sign::Right)));
        let kept = kept.into_iter().map(|(name, why)| (name, Some(Sign::Amiss { why, since: None })));
        removed.chain(kept).collect()
    }

    async fn tell(&mut self, news: News) {
        if news.key.0 == Reason::StoreNotWriting {
            match &news.what {
                What::Begun { why, lasted } => self.memory.begin(&news.key, why, *lasted, &self.routing()),
                What::Over => self.memory.end(false),
                What::Left => self.memory.end(true),
            }
            self.note(news);
        } else if self.reception.readiness.cannot_write().is_none() && self.asked.is_none() {
            // (Otherwise it is told as soon as the store can write again, or has answered.) If this look does not wait for
            // the end of it, what follows the commit is done all the same.
            let keeping = keep(Arc::clone(&self.reception), news.clone(), self.routing());
            self.asked = Some((news, tokio::spawn(keeping)));
            self.hear().await;
        }
    }

    /// Waits for the store's answer. If it failed, the news is told again at the next look.
    async fn hear(&mut self) {
        let Some((news, mut answer)) = self.asked.take() else { return };
        let heard = timeout(PATIENCE, &mut answer).await;
        if let Ok(Ok(Ok(()))) = heard {
            return self.note(news);
        }
        let (reason, instance) = (news.key.0.as_str(), &news.key.1);
        tracing::warn!(reason, instance, "cannot store a trouble of linedown's own; trying again");
        if heard.is_err() {
            self.asked = Some((news, answer));
        }
    }

    fn note(&mut self, News { key, what }: News) {
        match what {
            What::Begun { .. } => _ = self.told.insert(key),
            What::Over | What::Left => _ = self.told.remove(&key),
        }
    }

    /// The rules as they apply to linedown's own troubles, given which sinks fail now.
    fn routing(&self) -> Arc<Routing> {
        let failing = self.reception.delivery.failing().into_iter().map(|failing| failing.sink).collect();
        Arc::new(self.reception.routing.load().of_own_troubles(failing))
    }
}

/// Stores what is to be told as an incident.
async fn keep(
    reception: Arc<Reception>,
    News { key: (reason, name), what }: News,
    routing: Arc<Routing>,
) -> Result<(), StoreError> {
    let now = clock::now();
    let waiting = match &what {
        What::Begun { why, .. } if reason == Reason::SinkFailing => waiting(&reception, &name, why, now).await,
        _ => None,
    };
    let (kind, why, at) = match &what {
        What::Begun { why, lasted } => {
            let why = waiting.as_deref().unwrap_or(why);
            (EventKind::Disconnected, Some(why), now.checked_sub(*lasted).unwrap_or(now))
        }
        What::Over => (EventKind::Connected, None, now),
        What::Left => (EventKind::Unwatched, None, now),
    };
    let event = Event { at, ..Event::found((SOURCE, &name), kind, reason, why, now) };
    reception.found_of_itself(event, routing).await
}

/// Why a sink fails, with how many notifications wait for it; none if that is not known.
async fn waiting(reception: &Reception, sink: &str, why: &str, now: Timestamp) -> Option<String> {
    let overdue = reception.store.figures(now).await.ok()?.overdue;
    match overdue.iter().filter(|overdue| overdue.sink == sink).map(|overdue| overdue.count).sum::<u32>() {
        0 => None,
        1 => Some(format!("{why}; 1 message waits")),
        many => Some(format!("{why}; {many} messages wait")),
    }
}

fn pause(troubles: Option<&Troubles>) -> Duration {
    let Some(troubles) = troubles else { return LOOK };
    LOOK.min(troubles.sink_failing_after).min(troubles.store_not_writing_after)
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::super::Free;
    use super::*;
    use crate::delivery::Delivery;
    use crate::metrics::Metrics;
    use crate::store::{Sqlite, Store};

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_store_keeps_late_is_logged_and_counted_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(&path).unwrap());
        let (routing, metrics) = (Arc::new(ArcSwap::from_pointee(Routing::default())), Arc::<Metrics>::default());
        let delivery = Delivery::new(Arc::clone(&store), Arc::clone(&routing), Arc::clone(&metrics), Arc::default());
        let (delivery, counted) = (Arc::new(delivery), Arc::clone(&metrics));
        let reception = Reception::new(routing, Arc::clone(&store), delivery, counted, None);
        let scope = |bytes| {
            let troubles = Troubles { disk_free_below: Free::Bytes(bytes), ..Troubles::default() };
            Scope { troubles: Some(troubles), host: String::new() }
        };
        let (_sender, receiver) = watch::channel(scope(u64::MAX));
        let mut watcher = Watcher::new(Arc::new(reception), receiver);
        let disk = rusqlite::Connection::open(&path).unwrap();
        disk.execute_batch("BEGIN IMMEDIATE").unwrap();
        watcher.look(&scope(u64::MAX)).await;
        assert!(watcher.told.is_empty());
        disk.execute_batch("ROLLBACK").unwrap();

        tokio::time::resume();
        let counted = || metrics.open_metrics().contains("linedown_incidents_unrouted_total 1");
        let told = async {
            while !counted() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), told).await.expect("nobody is told of it, which counts");
        watcher.look(&scope(u64::MAX)).await;
        assert_eq!(watcher.told.len(), 1);
        watcher.look(&scope(0)).await;
        assert!(watcher.told.is_empty());
        assert!(store.open_lines(SOURCE, Reason::DiskNearlyFull, None).await.unwrap().is_empty());
    }
}
