//! The worker of one sink: leases due notifications, as many as the sink's limits allow, makes attempts, and records
//! them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Failure, Limits, Sink};
use tokio::sync::{Notify, watch};
use tokio::task::JoinError;
use tokio::time::sleep;

use super::SharedRouting;
use super::attempt::{standing, survived, within};
use super::bells::{Bell, Bells};
use super::breaker::{Breaker, Leave, SinkFailure};
use super::in_hand::{Ended, InHand, Recorded};
use super::outcome::{note, note_given_up, note_waited_too_long, settlements};
use super::pause::FailedAttempt;
use super::pulse::Pulse;
use super::record::record;
use crate::clock;
use crate::gateway::asking::SharedGateways;
use crate::metrics::Metrics;
use crate::rule::Retry;
use crate::store::{Due, Settled, Store, given_up};

/// The longest sleep. After it the wall clock is read again, because it may have been set meanwhile.
const NAP: Duration = Duration::from_secs(30);
/// The pause after an error of the store.
pub(super) const STORE_REST: Duration = Duration::from_secs(1);
/// How often the notifications of a sink that is down are searched for those that have waited too long.
const SWEEP: Duration = Duration::from_secs(5);

/// A sink, with its settings.
#[derive(Clone)]
pub struct Assignment {
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// How much it can take.
    pub limits: Limits,
    /// How failures are retried.
    pub retry: Retry,
    /// Whether it stands in for a sink that has left the config. The outcomes then say nothing about a sink's health.
    pub stands_in: bool,
}

/// The worker of one sink.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) routing: Arc<SharedRouting>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) gateways: Arc<SharedGateways>,
    pub(super) bell: Arc<Bell>,
    pub(super) bells: Arc<Bells>,
    pub(super) assignment: watch::Receiver<Assignment>,
    /// Notified when somebody says that the sink is mended, or when the clock was set back.
    pub(super) forgiven: Arc<Notify>,
    /// To whom the sink last accepted a message that came past this worker.
    pub(super) reached: watch::Receiver<String>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Worker {
    /// Works until the daemon stops, and then finishes what is in progress.
    pub(super) async fn run(mut self) {
        let mut breaker = Breaker::default();
        let mut in_hand = InHand::default();
        loop {
            self.pulse.beat(breaker.health());
            self.bell.looks();
            let nap = self.start_what_is_due(&mut breaker, &mut in_hand).await;
            let woken_at = clock::later(clock::now(), nap);
            self.bell.looks_again_at(in_hand.nothing_until.map_or(woken_at, |until| until.max(woken_at)));
            tokio::select! {
                Some(ended) = in_hand.attempts.join_next() => {
                    // The sink counts by when messages arrive, which may be well after they were sent.
                    in_hand.last = Some(clock::now());
                    self.ended(&mut breaker, &mut in_hand, ended);
                    // One query of the store then serves all places that are free by now.
                    while let Some(ended) = in_hand.attempts.try_join_next() {
                        self.ended(&mut breaker, &mut in_hand, ended);
                    }
                }
                Some(recorded) = in_hand.records.join_next() => {
                    if let Some(settled) = self.untold_of(recorded) {
                        in_hand.nothing_until = None;
                        // Whoever hears of a loss is to hear of all that are lost with it in the same message.
                        self.give_up_what_waited_too_long(&breaker).await;
                        tell_others(&self.metrics, &self.bells, &settled);
                    }
                }
                () = self.bell.rung() => in_hand.nothing_until = None,
                () = sleep(nap) => self.give_up_what_waited_too_long(&breaker).await,
                Ok(()) = self.reached.changed() => {
                    in_hand.nothing_until = None;
                    let recipient = self.reached.borrow_and_update().clone();
                    self.learn(&mut breaker, &mut in_hand, (clock::now(), &recipient), None);
                }
                Ok(()) = self.assignment.changed() => {
                    in_hand.nothing_until = None;
                    if self.assignment.borrow().stands_in {
                        breaker = Breaker::default();
                    }
                    breaker.forgive(clock::now());
                }
                () = self.forgiven.notified() => {
                    in_hand.nothing_until = None;
                    breaker.forgive(clock::now());
                }
                _ = self.stop.changed() => break,
            }
        }
        while let Some(ended) = in_hand.attempts.join_next().await {
            self.ended(&mut breaker, &mut in_hand, ended);
        }
        while let Some(recorded) = in_hand.records.join_next().await {
            if let Some(settled) = self.untold_of(recorded) {
                tell_others(&self.metrics, &self.bells, &settled);
            }
        }
    }

    /// Starts as many attempts as the sink allows now. Returns how long to sleep if nothing else happens.
    async fn start_what_is_due(&self, breaker: &mut Breaker, in_hand: &mut InHand) -> Duration {
        let now = clock::now();
        let assignment = self.assignment.borrow().clone();
        let limits = assignment.limits;
        let room = match room(breaker.leave(now), in_hand, &limits, now) {
            Room::For(attempts) => attempts,
            Room::NoneFor(wait) => return wait,
        };
        let pauses = breaker.pauses(now, &assignment.retry);
        match self.store.lease(&self.name, room, pauses, now, self.routing.load_full()).await {
            Ok(leased) => {
                self.bells.ring(&leased.sinks);
                let full = leased.due.len() == room;
                for mut due in leased.due {
                    in_hand.explain(&mut due);
                    in_hand.last = Some(now);
                    breaker.begins(&due.notification.recipient, now);
                    in_hand.attempts.spawn(self.attempt(due, &assignment));
                }
                let next = leased.next.map_or(NAP, |next| clock::between(now, next).min(NAP));
                in_hand.nothing_until = (!full).then(|| clock::later(now, next));
                match limits.interval {
                    _ if !full => next,
                    interval if interval.is_zero() => NAP,
                    interval => interval.max(next),
                }
            }
            Err(error) => {
                tracing::error!(sink = self.name, error = %error, "cannot read from the store what is due; trying again");
                STORE_REST
            }
        }
    }

    fn attempt(&self, due: Due, assignment: &Assignment) -> impl Future<Output = Ended> + Send + 'static {
        let Assignment { sink, limits, retry, .. } = assignment.clone();
        let (name, metrics) = (self.name.clone(), Arc::clone(&self.metrics));
        let gateways = self.gateways.load_full();
        async move {
            let Due { mut notification, covers, parts_owed_at, tries, .. } = due;
            let result = survived(async {
                notification.standing = standing(&gateways, &notification).await;
                within(limits.timeout, sink.deliver(&notification)).await
            });
            let result = result.await;
            let parts = covers.into_iter().zip(parts_owed_at).collect();
            let settlements = settlements(&result, parts, tries, &retry, clock::now());
            // The outcome is recorded even if logging panics; otherwise the notification would stay leased for ever.
            let _ = catch_unwind(AssertUnwindSafe(|| note(&name, &notification, &settlements, &metrics)));
            Ended { notification: Box::new(notification), failure: result.err(), settlements }
        }
    }

    /// Updates the breaker after an attempt, and starts to record the outcome.
    fn ended(&self, breaker: &mut Breaker, in_hand: &mut InHand, ended: Result<Ended, JoinError>) {
        let Ended { notification, failure, settlements } = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(sink = self.name, error = %error, "an attempt ended without a result; this is a bug in linedown, and the notification is tried again after a restart");
                // It may have been the one that its recipient waits for.
                breaker.forgive(clock::now());
                return;
            }
        };
        let failed = failure.is_some();
        breaker.ended(&notification.recipient);
        self.learn(breaker, in_hand, (notification.at, &notification.recipient), failure.as_ref());
        let (store, routing) = (Arc::clone(&self.store), Arc::clone(&self.routing));
        let (metrics, bells) = (Arc::clone(&self.metrics), Arc::clone(&self.bells));
        let name = self.name.clone();
        in_hand.records.spawn(async move {
            let (mut all, mut untold) = (Settled::default(), Vec::with_capacity(settlements.len()));
            for settlement in &settlements {
                let settled = record(store.as_ref(), settlement, &routing).await;
                untold.push(settled.untold);
                all.add(settled);
            }
            let note = || {
                for (settlement, untold) in settlements.iter().zip(untold) {
                    note_given_up(&name, &notification, settlement, settlements.len() == 1, untold);
                }
            };
            // The others are told even if logging panics.
            let _ = catch_unwind(AssertUnwindSafe(note));
            if failed {
                return Recorded::Failed(all);
            }
            tell_others(&metrics, &bells, &all);
            Recorded::Taken
        });
    }

    /// What the record of a failed attempt settled, which nobody has heard of yet.
    fn untold_of(&self, recorded: Result<Recorded, JoinError>) -> Option<Settled> {
        match recorded {
            Ok(Recorded::Taken) => None,
            Ok(Recorded::Failed(settled)) => Some(settled),
            Err(error) => {
                tracing::error!(sink = self.name, error = %error, "recording an attempt ended without a result; this is a bug in linedown, and the notification may be tried again after a restart");
                Some(Settled::default())
            }
        }
    }

    /// Updates what is known of the sink after an attempt for a recipient, which began at a time.
    fn learn(
        &self,
        breaker: &mut Breaker,
        in_hand: &mut InHand,
        attempt: (Timestamp, &str),
        failure: Option<&Failure>,
    ) {
        if self.assignment.borrow().stands_in {
            return;
        }
        let was_down = breaker.trouble().map(|trouble| trouble.why.clone());
        self.judge(breaker, attempt, failure);
        let down = breaker.trouble().map(|trouble| trouble.why.clone()).or(was_down);
        in_hand.down = down.map(|why| (clock::now(), why)).or(in_hand.down.take());
    }

    fn judge(&self, breaker: &mut Breaker, (began, recipient): (Timestamp, &str), failure: Option<&Failure>) {
        match failure {
            Some(failure) if failure.kind.concerns_whole_sink() && failure.kind.is_transient() => {
                let (retry, why) = (self.assignment.borrow().retry, failure.in_full());
                let failed = FailedAttempt { began, now: clock::now(), retry: &retry, dice: fastrand::f64() };
                let sink_failure = SinkFailure {
                    kind: failure.kind,
                    why: &why,
                    hint: failure.retry_after,
                    recipient: failure.may_spare_others.then_some(recipient),
                };
                if breaker.failed(sink_failure, failed) {
                    tracing::warn!(name: "sink-failing", sink = self.name, failure = failure.described(), advice = failure.advice, "the sink is failing; it is probed until it is back");
                }
            }
            Some(failure) if failure.kind.concerns_whole_sink() => {
                breaker.refused((failure.kind, failure.in_full().as_str()), clock::now());
            }
            _ => {
                if let Some(since) = breaker.well(recipient, failure.is_none()) {
                    tracing::info!(name: "sink-back", sink = self.name, since = %since, "the sink is back");
                }
            }
        }
    }

    /// While the sink is down only probes are sent. Notifications that had waited for longer than `give_up_after` when it
    /// was known to fail are given up, with the trouble as their reason.
    async fn give_up_what_waited_too_long(&self, breaker: &Breaker) {
        let Some(trouble) = breaker.trouble() else { return };
        let now = clock::now();
        let patience = self.assignment.borrow().retry.give_up_after;
        let owed_before = trouble.known_until(now).checked_sub(patience).unwrap_or(Timestamp::MIN);
        let why = given_up::with(&trouble.why, given_up::WHILE_FAILING);
        let given_up = self.store.give_up(&self.name, owed_before, &why, now, self.routing.load_full()).await;
        match given_up {
            Ok(settled) => {
                if settled.dead > 0 {
                    note_waited_too_long(&self.name, settled.dead, settled.untold, &why);
                    self.metrics.given_up(&self.name, settled.dead);
                }
                // Something else may be due now, because giving up withdraws what need no longer be told.
                tell_others(&self.metrics, &self.bells, &settled);
            }
            Err(error) => {
                tracing::error!(sink = self.name, error = %error, "cannot give up notifications that waited too long; trying again");
            }
        }
    }
}

/// How many attempts may start.
enum Room {
    /// This many, at least one.
    For(usize),
    /// None for this long, if nothing else happens.
    NoneFor(Duration),
}

/// Decides how many attempts may start now: as the breaker, the sink's limits and what is in progress allow.
fn room(leave: Leave, in_hand: &InHand, limits: &Limits, now: Timestamp) -> Room {
    let mut room = in_hand.room(limits.in_flight.max(1));
    match leave {
        Leave::Full => {}
        Leave::Probe => room = usize::from(in_hand.is_empty()),
        Leave::NotBefore(then) => {
            return Room::NoneFor(clock::between(now, then).min(SWEEP).max(Duration::from_millis(1)));
        }
    }
    if !limits.interval.is_zero() {
        let open_at = in_hand.last.map_or(now, |last| clock::later(last, limits.interval));
        // After the clock was set back, the wait must not grow beyond the interval.
        let wait = clock::between(now, open_at).min(limits.interval);
        if !wait.is_zero() {
            return Room::NoneFor(wait);
        }
        room = room.min(1);
    }
    match in_hand.nothing_until.filter(|until| now < *until) {
        _ if room == 0 => Room::NoneFor(NAP),
        Some(until) => Room::NoneFor(clock::between(now, until).min(NAP)),
        None => Room::For(room),
    }
}

/// Counts what nobody is told of, and wakes the workers of the sinks for which a settlement made something due.
fn tell_others(metrics: &Metrics, bells: &Bells, settled: &Settled) {
    metrics.untold(settled.untold);
    bells.ring(&settled.sinks);
}
