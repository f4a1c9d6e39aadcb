//! Delivers notifications from the store to the sinks. Each sink has a worker of its own, so that none delays another.

mod attempt;
mod bells;
mod breaker;
mod in_hand;
mod missing;
mod outcome;
mod pause;
mod pulse;
mod recipients;
mod record;
mod waits;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{BuildError, Failure, FailureKind, Notification};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock;
use crate::gateway::asking::SharedGateways;
use crate::metrics::Metrics;
use crate::rule::Routing;
use crate::store::view::{Delivery as Row, WaitsFor};
use crate::store::{Outcome, Pauses, Settlement, Store, StoreError};
use bells::Bells;
use missing::missing;
use pulse::Pulse;
use worker::Worker;

pub(crate) use attempt::deliver;
pub use breaker::Health;
pub use worker::Assignment;

/// The rules and sinks in force, shared by intake and workers, and swapped as a whole on reload.
pub type SharedRouting = arc_swap::ArcSwap<Routing>;

/// The workers of all sinks.
pub struct Delivery {
    store: Arc<dyn Store>,
    routing: Arc<SharedRouting>,
    metrics: Arc<Metrics>,
    gateways: Arc<SharedGateways>,
    stop: watch::Sender<bool>,
    bells: Arc<Bells>,
    workers: Mutex<Workers>,
}

#[derive(Default)]
struct Workers {
    /// By sink.
    hired: BTreeMap<String, Hired>,
    tasks: JoinSet<()>,
}

/// The handles of a worker.
struct Hired {
    assignment: watch::Sender<Assignment>,
    forgiven: Arc<Notify>,
    reached: watch::Sender<String>,
    pulse: Arc<Pulse>,
    task: AbortHandle,
}

/// A sink that is failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its name.
    pub sink: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last tried.
    pub failed_at: Timestamp,
}

/// The sinks of a config, set up. After this, nothing in a reload can fail.
pub struct Built(BTreeMap<String, Assignment>);

/// The error if a sink cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the sink {sink}")]
pub struct NotBuilt {
    /// The sink's name.
    pub sink: String,
    /// Why.
    pub source: BuildError,
}

/// Sets up every sink of the config. Opens no connection.
pub fn build(routing: &Routing) -> Result<Built, NotBuilt> {
    let assignments = routing.sinks.iter().map(|(name, target)| {
        let sink = target.settings.build().map_err(|source| NotBuilt { sink: name.clone(), source })?;
        Ok((name.clone(), Assignment { sink, limits: target.limits, retry: target.retry, stands_in: false }))
    });
    assignments.collect::<Result<_, _>>().map(Built)
}

impl Delivery {
    /// Has no workers until [`Delivery::assign`] starts them.
    pub fn new(
        store: Arc<dyn Store>,
        routing: Arc<SharedRouting>,
        metrics: Arc<Metrics>,
        gateways: Arc<SharedGateways>,
    ) -> Self {
        Self {
            store,
            routing,
            metrics,
            gateways,
            stop: watch::Sender::new(false),
            bells: Arc::default(),
            workers: Mutex::default(),
        }
    }

    /// Gives each sink to a worker. New sinks get a new worker; the others go on with their new settings after what is
    /// in progress. If a sink in `owing` has left the config, its notifications are given up.
    pub fn assign(&self, built: Built, owing: &BTreeSet<String>) {
        let Built(mut assignments) = built;
        let mut workers = self.workers.lock();
        let gone: Vec<String> = workers.hired.keys().chain(owing).cloned().collect();
        for name in gone {
            assignments.entry(name.clone()).or_insert_with(|| missing(name));
        }
        for (name, assignment) in assignments {
            match workers.hired.get(&name) {
                Some(hired) => {
                    hired.assignment.send_replace(assignment);
                }
                None => self.hire(&mut workers, name, assignment),
            }
        }
    }

    fn hire(&self, workers: &mut Workers, name: String, assignment: Assignment) {
        let (sender, receiver) = watch::channel(assignment);
        let (reached, heard_of) = watch::channel(String::new());
        let (forgiven, pulse) = (Arc::<Notify>::default(), Arc::<Pulse>::default());
        let worker = Worker {
            name: name.clone(),
            store: Arc::clone(&self.store),
            routing: Arc::clone(&self.routing),
            metrics: Arc::clone(&self.metrics),
            gateways: Arc::clone(&self.gateways),
            bell: self.bells.bell_of(&name),
            bells: Arc::clone(&self.bells),
            assignment: receiver,
            forgiven: Arc::clone(&forgiven),
            reached: heard_of,
            pulse: Arc::clone(&pulse),
            stop: self.stop.subscribe(),
        };
        let task = workers.tasks.spawn(worker.run());
        workers.hired.insert(name, Hired { assignment: sender, forgiven, reached, pulse, task });
    }

    /// Wakes workers because something is due for their sinks at these times.
    pub fn wake_for(&self, due: &BTreeMap<String, Timestamp>) {
        self.stand_in(self.bells.ring_for(due, clock::now()));
    }

    /// Wakes workers because something may be due for their sinks.
    pub fn wake(&self, sinks: &BTreeSet<String>) {
        self.stand_in(self.bells.ring(sinks));
    }

    /// Wakes all workers because something may be due for any sink.
    pub fn wake_all(&self) {
        let sinks = self.workers.lock().hired.keys().cloned().collect();
        self.wake(&sinks);
    }

    /// Tries these sinks now, although they were failing: somebody says that they are mended.
    pub fn try_now(&self, sinks: &BTreeSet<String>) {
        let workers = self.workers.lock();
        sinks.iter().filter_map(|sink| workers.hired.get(sink)).for_each(|hired| hired.forgiven.notify_one());
        drop(workers);
        self.wake(sinks);
    }

    /// The sink has accepted a message that came past its worker: it works, at least for this recipient.
    pub fn reached(&self, sink: &str, recipient: &str) {
        if let Some(hired) = self.workers.lock().hired.get(sink) {
            hired.reached.send_replace(recipient.to_owned());
        }
    }

    /// Starts a stand-in for each sink that has left the config and is owed something only now, such as the end of an
    /// outage that it was told of, or a retried notification. The stand-in gives it up.
    fn stand_in(&self, sinks: Vec<&String>) {
        if sinks.is_empty() {
            return;
        }
        let (mut workers, routing) = (self.workers.lock(), self.routing.load());
        for sink in sinks {
            // A sink of the config is about to get its own worker; and after the stop, no worker starts.
            let comes = routing.sinks.contains_key(sink) || *self.stop.borrow();
            if !comes && !workers.hired.contains_key(sink) {
                self.hire(&mut workers, sink.clone(), missing(sink.clone()));
            }
        }
    }

    /// After the clock was set back: tries every sink now, and looks anew for what is due.
    pub fn clock_was_set_back(&self) {
        self.workers.lock().hired.values().for_each(|hired| hired.forgiven.notify_one());
    }

    /// A sink whose worker has ended or is stuck, if there is one.
    pub fn stuck(&self) -> Option<String> {
        let workers = self.workers.lock();
        let stuck = workers.hired.iter().find(|(_, hired)| hired.task.is_finished() || hired.pulse.is_gone());
        stuck.map(|(sink, _)| sink.clone())
    }

    /// The health of each sink.
    pub fn health(&self) -> BTreeMap<String, Health> {
        self.workers.lock().hired.iter().map(|(sink, hired)| (sink.clone(), hired.pulse.health())).collect()
    }

    /// The sinks that are failing.
    pub fn failing(&self) -> Vec<Failing> {
        let failing = |(sink, health)| match health {
            Health::Failing { since, failed_at, .. } => Some(Failing { sink, since, failed_at }),
            Health::Unknown | Health::Well => None,
        };
        self.health().into_iter().filter_map(failing).collect()
    }

    /// The sinks that asked for a pause, and until when.
    pub fn pauses(&self) -> Pauses {
        let now = clock::now();
        let until = |(sink, health): (String, Health)| Some((sink, waits::pause(&health, now)?));
        self.health().into_iter().filter_map(until).collect()
    }

    /// Adds to rows that are due what they wait for, and to steps that wait for a late first message when they come.
    pub async fn say_what_they_wait_for(&self, rows: &mut [Row]) -> Result<(), StoreError> {
        let (health, now) = (self.health(), clock::now());
        let steps = rows.iter().filter(|row| waits::is_untried_step(row)).map(|row| (row.id, row.sink.clone()));
        let late = self.store.late_steps(steps.collect(), now, self.routing.load_full()).await?;
        for row in rows {
            if let Some(later) = late.get(&row.id) {
                waits::put_off(row, later);
            }
            row.waits_for = health.get(&row.sink).and_then(|health| waits::waits_for(row, health, now));
        }
        Ok(())
    }

    /// What notifications that a person sends again wait for, by sink: of `sinks`, those that fail. Unless they asked for
    /// a pause, [`Delivery::try_now`] tries them at once.
    pub fn what_a_retry_waits_for(&self, sinks: &BTreeSet<String>) -> BTreeMap<String, WaitsFor> {
        let (health, now) = (self.health(), clock::now());
        let waits = |sink: &String| Some((sink.clone(), waits::after_a_retry(health.get(sink)?, now)?));
        sinks.iter().filter_map(waits).collect()
    }

    /// Makes one attempt to deliver a notification that is not in the store, bypassing the worker; used when the store
    /// cannot write. `again_at` is when the caller will try again; none for the last attempt.
    pub(crate) async fn hand_over(
        &self,
        sink: &str,
        notification: &Notification,
        again_at: Option<Timestamp>,
    ) -> Outcome {
        let assignment = self.workers.lock().hired.get(sink).map(|hired| hired.assignment.borrow().clone());
        let result = match assignment {
            Some(Assignment { sink, limits, .. }) => deliver(&*sink, notification, limits.timeout).await,
            None => Err(Failure::new(FailureKind::Refused, "the sink is no longer in the config")),
        };
        let outcome = match (result, again_at) {
            (Ok(receipt), _) => {
                self.reached(sink, &notification.recipient);
                Outcome::Delivered(receipt.0)
            }
            (Err(failure), Some(due_at)) if failure.kind.is_transient() => {
                Outcome::Again { kind: failure.kind, why: failure.in_full(), due_at }
            }
            (Err(failure), _) => Outcome::Dead { kind: failure.kind, why: failure.in_full() },
        };
        let settlement = Settlement { notifications: vec![notification.id], at: clock::now(), outcome };
        outcome::note(sink, notification, std::slice::from_ref(&settlement), &self.metrics);
        // What is not in the store has no fallback.
        outcome::note_given_up(sink, notification, &settlement, true, 1);
        settlement.outcome
    }

    /// Starts nothing new, and waits for attempts in progress for at most `within`; the rest stays in the store.
    /// Returns the number of sinks that did not finish.
    pub async fn drain(&self, within: Duration) -> usize {
        let mut tasks = {
            let mut workers = self.workers.lock();
            self.stop.send_replace(true);
            workers.hired.clear();
            std::mem::take(&mut workers.tasks)
        };
        let finish = async { while tasks.join_next().await.is_some() {} };
        let finished = tokio::time::timeout(within, finish).await;
        if finished.is_ok() { 0 } else { tasks.len() }
    }
}

#[cfg(test)]
mod tests;
