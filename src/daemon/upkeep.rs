//! What is over and old is forgotten, and what a wrong clock wrote is made to fit: in steps that keep no webhook waiting.

use std::sync::Arc;

use super::Daemon;
use crate::clock;
use crate::rule::Routing;
use crate::store::{Forgotten, LastReminders};

/// How many incidents are forgotten in one transaction, and as many of all else, so that intake never waits for long.
const PRUNED_AT_ONCE: u32 = 200;

/// How many notifications are made due earlier in one transaction, after the clock was set back; and how many lines are
/// made to fit it.
pub(super) const SET_BACK_AT_ONCE: u32 = 1000;

impl Daemon {
    /// A source that has left the config, or has another name, reports the end of no outage.
    pub(super) async fn warn_of_what_nobody_can_end(&self) {
        let down = match self.store.down().await {
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
                "lines are down whose source is not in the config, so nothing will report them back; put the source back, or stop their reminders with `linedown ack`"
            );
        }
    }

    /// What is being reminded of for the last time by a config that is, or is about to be, in force.
    pub(super) async fn last_reminders(&self, routing: &Arc<Routing>) -> LastReminders {
        let last = self.store.last_reminders(Arc::clone(routing)).await;
        last.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "cannot look for reminders by rules and sinks that are gone from the config");
            LastReminders::new()
        })
    }

    /// A rule or a sink that has left the config reminds nobody; what it had begun ends without a word. Besides what is
    /// left of that now, it is told what there was before.
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
                "some open outages have no reminders any more: the rule or the sink is not in the config, and no other rule sends reminders to that sink; `linedown incidents --open` lists open outages"
            );
        }
    }

    /// Quiet hours, and what is critical, are others now, or end at another time.
    pub(super) async fn hold_again(&self) {
        match self.store.hold_again(clock::now(), Arc::clone(&self.config.routing)).await {
            Ok(sinks) => self.hook.delivery.wake(&sinks),
            Err(error) => {
                tracing::error!(error = %error, "cannot update what quiet hours hold back; reload again once the store can be written to");
            }
        }
    }

    /// One step of forgetting what is over and old: signals have their turn in between. Answers whether there may be
    /// more.
    pub(super) async fn forget_some(&mut self) -> bool {
        let now = clock::now();
        let over_before = now.checked_sub(self.config.store.keep).unwrap_or(jiff::Timestamp::MIN);
        match self.store.prune(now, over_before, PRUNED_AT_ONCE).await {
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

    /// What the clock wrote before it was set back is made to fit it.
    pub(super) async fn set_back(&self) {
        loop {
            match self.store.set_back(clock::now(), SET_BACK_AT_ONCE).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = %error, "cannot make pending notifications due earlier; restart linedown once the store can be written to");
                    break;
                }
            }
        }
        self.hold_again().await;
        self.hook.delivery.clock_was_set_back();
    }
}
