//! Deletes old data, and corrects times that a wrong clock wrote: in small steps, so that no webhook has to wait long.

use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use crate::clock;
use crate::rule::Routing;
use crate::store::{Corrected, Forgotten, LastReminders, Store, StoreError};
use crate::timekeeper::Lag;

/// Most incidents, and most items of each other sort, deleted in one transaction, so that webhooks never wait long.
const PRUNED_AT_ONCE: u32 = 200;

/// Most notifications made due earlier in one transaction after the clock was set back, and most lines whose times are
/// corrected.
const SET_BACK_AT_ONCE: u32 = 1000;

/// Corrects the times that the clock wrote before it was set back while no daemon ran. Returns how the clock may be
/// behind, if there were any.
pub(super) async fn set_back_meanwhile(store: &dyn Store, routing: &Arc<Routing>) -> Result<Option<Lag>, StoreError> {
    let since = clock::now();
    let corrected = correct(store, routing).await?;
    if corrected.ahead == 0 {
        return Ok(None);
    }
    tracing::warn!(
        corrected = corrected.ahead,
        "the clock was set back while linedown was stopped: times in its store lay in the future; notifications are made due earlier, and reminders and steps count from now"
    );
    Ok(Some(Lag::new(since, corrected.by)))
}

/// Corrects all times that lie in the future.
async fn correct(store: &dyn Store, routing: &Arc<Routing>) -> Result<Corrected, StoreError> {
    let mut corrected = Corrected::default();
    let ahead = store.ahead(clock::now()).await?;
    for step in ahead.chunks(SET_BACK_AT_ONCE as usize) {
        corrected.add(store.set_back(clock::now(), step.to_vec(), SET_BACK_AT_ONCE, Arc::clone(routing)).await?);
    }
    loop {
        let step = store.set_back(clock::now(), Vec::new(), SET_BACK_AT_ONCE, Arc::clone(routing)).await?;
        if !step.more() {
            return Ok(corrected);
        }
        corrected.add(step);
    }
}

impl Daemon {
    /// Warns of outages of sources that are no longer in the config (or have been renamed): nobody can report their
    /// end.
    pub(super) async fn warn_of_what_nobody_can_end(&self) {
        let down = match self.reception.store.down().await {
            Ok(down) => down,
            Err(error) => {
                tracing::warn!(error = %error, "cannot look for outages of sources that are gone from the config");
                return;
            }
        };
        for (source, incidents) in down.iter().filter(|(source, _)| !self.config.sources.contains_key(*source)) {
            tracing::warn!(
                source,
                incidents,
                "lines are down whose source is not in the config, so nothing will report them back; put the \
                 source back, or stop their reminders with `linedown ack`"
            );
        }
    }

    /// The reminders that are the last ones under a config that is, or is about to be, in force.
    pub(super) async fn last_reminders(&self, routing: &Arc<Routing>) -> LastReminders {
        let last = self.reception.store.last_reminders(Arc::clone(routing)).await;
        last.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "cannot look for reminders by rules and sinks that are gone from the config");
            LastReminders::new()
        })
    }

    /// Warns of outages that go on without reminders because the rule or the sink has left the config. `before` holds
    /// those found before the swap, whose last reminder may have gone out since.
    pub(super) async fn warn_of_last_reminders(&self, before: LastReminders) {
        let mut last = self.last_reminders(&self.config.routing).await;
        for (by, reminded) in before {
            last.entry(by).or_default().extend(reminded);
        }
        for ((rule, sink), reminded) in last {
            tracing::warn!(
                rule,
                sink,
                reminders = reminded.len(),
                "some open outages have no reminders any more: the rule or the sink is not in the config, and no other \
                 rule sends reminders to that sink; `linedown incidents --open` lists open outages"
            );
        }
    }

    /// Recomputes what quiet hours hold back, after a new config or a step of the clock.
    pub(super) async fn hold_again(&self) {
        match self.reception.store.hold_again(clock::now(), Arc::clone(&self.config.routing)).await {
            Ok(sinks) => self.reception.delivery.wake(&sinks),
            Err(error) => {
                // A part may have been done.
                self.reception.delivery.wake_all();
                tracing::error!(error = %error, "cannot update what quiet hours hold back; reload again once the store can be written to");
            }
        }
    }

    /// Brings reminders and escalations of open outages in line with a config that may have changed.
    pub(super) async fn keep_up(&self) {
        match self.reception.store.keep_up(clock::now(), Arc::clone(&self.config.routing)).await {
            Ok(sinks) => self.reception.delivery.wake(&sinks),
            Err(error) => {
                // A part may have been done.
                self.reception.delivery.wake_all();
                tracing::error!(
                    error = %error,
                    "cannot update the reminders and escalations of open outages; reload again once the store can be \
                     written to"
                );
            }
        }
    }

    /// Deletes one batch of old data, so that signals are handled in between. Returns whether there may be more.
    pub(super) async fn forget_some(&mut self) -> bool {
        let now = clock::now();
        let over_before = now.checked_sub(self.config.store.keep).unwrap_or(jiff::Timestamp::MIN);
        match self.reception.store.prune(now, over_before, PRUNED_AT_ONCE).await {
            Ok(Forgotten { old, more }) => {
                self.forgotten += old;
                if more {
                    return true;
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot delete old data from the store; trying again in an hour");
            }
        }
        let forgotten = std::mem::take(&mut self.forgotten);
        if forgotten > 0 {
            tracing::info!(forgotten, "deleted old data from the store");
        }
        false
    }

    /// Corrects the times that the clock wrote before it was set back by this much.
    pub(super) async fn set_back(&mut self, by: Duration) {
        tracing::warn!(seconds = by.as_secs(), "the clock was set back; pending notifications are made due earlier");
        self.lag = Some(Lag::grown(self.lag, clock::now(), by));
        if let Err(error) = correct(&*self.reception.store, &self.config.routing).await {
            tracing::error!(error = %error, "cannot make pending notifications due earlier; restart linedown once the store can be written to");
        }
        self.hold_again().await;
        self.reception.delivery.clock_was_set_back();
    }

    /// If the clock was behind before it was set ahead by this much, corrects the times that it wrote meanwhile. It may
    /// still be behind, by what is left.
    pub(super) async fn set_ahead(&mut self, by: Duration) {
        let Some(lag) = self.lag else { return };
        self.lag = lag.left(by);
        let since = lag.since();
        let until = clock::now().checked_sub(by).unwrap_or(since);
        match self.reception.store.set_ahead(since, until, by).await {
            Ok(notifications) => {
                let seconds = by.as_secs();
                tracing::warn!(
                    seconds,
                    notifications,
                    "the clock was behind, and was set ahead; what it made wait is due later"
                );
            }
            Err(error) => {
                tracing::error!(error = %error, "cannot make notifications due later after the clock was set ahead; they are sent early");
            }
        }
    }
}
