use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::{FailureKind, Kind, Reason};
use tempfile::TempDir;

mod accepted;
mod acknowledged;
mod addressed;
mod again;
mod belated;
mod clock;
mod damaged;
mod flapping;
mod forgotten;
mod formats;
mod found;
mod gathered;
mod generated;
mod grouped;
mod kept_up;
mod late;
mod later;
mod lost;
mod notices;
mod numbered;
mod opened;
mod planned;
mod reloaded;
mod retold;
mod retry;
mod settled;
mod silenced;
mod steps;
mod timing;
mod told;
mod unreadable;
mod waits;
mod windows;
mod worse;

use super::*;
use crate::clock::from_millis;
use crate::rule::tests::{routing, rule};
use crate::source::EventKind;
use crate::store::{Due, Outcome, RecipientPause, RecipientPauses};

/// A store with rules, driven by hand. Times are in seconds.
struct Life {
    folder: TempDir,
    store: Sqlite,
    routing: Arc<Routing>,
}

impl Life {
    /// Everything goes to `sinks`.
    fn with(sinks: &[&str]) -> Self {
        Self::by(rule("all", "{}", sinks, false))
    }

    /// Everything goes by one rule.
    fn by(rule: crate::rule::Rule) -> Self {
        Self::by_rules(vec![rule])
    }

    fn by_rules(rules: Vec<crate::rule::Rule>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("x.db")).unwrap();
        Self { folder, store, routing: Arc::new(routing(rules)) }
    }

    /// Adds quiet hours, every Thursday from 00:00 to 07:00. (1970 began on a Thursday.)
    fn at_night(self) -> Self {
        let night = crate::rule::timing::Quiet {
            name: "night".into(),
            matcher: crate::rule::matcher::Matcher::default(),
            days: vec![jiff::civil::Weekday::Thursday],
            from: "00:00".parse().unwrap(),
            to: "07:00".parse().unwrap(),
            time_zone: jiff::tz::TimeZone::UTC,
        };
        Self { routing: Arc::new(Routing { quiet: vec![night], ..(*self.routing).clone() }), ..self }
    }

    async fn webhook(&self, kind: EventKind, reason: Reason, second: i64) -> Accepted {
        self.webhook_of("A", kind, reason, second).await
    }

    async fn webhook_of(&self, line: &str, kind: EventKind, reason: Reason, second: i64) -> Accepted {
        let event = Self::event(line, kind, reason, second);
        self.store.accept(event, "{}".into(), Arc::clone(&self.routing)).await.unwrap()
    }

    /// A webhook that arrives at once, from a clock that can be believed.
    fn event(line: &str, kind: EventKind, reason: Reason, second: i64) -> Event {
        let at = from_millis(second * 1000);
        Event {
            source: "z-api".into(),
            instance: line.into(),
            kind,
            reason,
            phone: Some("5544999999999".into()),
            error: None,
            at,
            gateway_at: Some(at),
            stamp: Some(second * 1000),
            received_at: at,
            asked_at: None,
        }
    }

    /// What a webhook whose time cannot be believed changes.
    async fn at_no_time(&self, kind: EventKind, stamp: i64, second: i64) -> &'static str {
        let event = Self::event("A", kind, Reason::Other, second);
        let event = Event { gateway_at: None, stamp: Some(stamp), ..event };
        self.store.accept(event, "{}".into(), Arc::clone(&self.routing)).await.unwrap().change
    }

    async fn down(&self, second: i64) -> Accepted {
        self.webhook(EventKind::Disconnected, Reason::Other, second).await
    }

    async fn up(&self, second: i64) -> Accepted {
        self.webhook(EventKind::Connected, Reason::Other, second).await
    }

    async fn lease(&self, sink: &str, second: i64) -> Vec<Due> {
        self.store
            .lease(sink, 10, RecipientPauses::new(), from_millis(second * 1000), Arc::clone(&self.routing))
            .await
            .unwrap()
            .due
    }

    async fn settle(&self, due: &Due, second: i64, outcome: Outcome) -> Settled {
        let settlement = Settlement { notifications: due.covers.clone(), at: from_millis(second * 1000), outcome };
        self.store.settle(settlement, Arc::clone(&self.routing)).await.unwrap()
    }

    /// Delivers everything that is due now, and returns the kinds of the messages.
    async fn deliver_all(&self, sink: &str, second: i64) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for due in self.lease(sink, second).await {
            self.settle(&due, second, Outcome::Delivered("ok".into())).await;
            kinds.push(due.notification.kind);
        }
        kinds
    }

    /// What follows when the clock was set back, in steps of up to `limit`. Returns how much was corrected.
    async fn set_back(&self, now: jiff::Timestamp, limit: u32) -> Result<usize, StoreError> {
        let Corrected { ahead, freed, .. } = self.corrected(now, limit).await?;
        Ok(ahead + freed)
    }

    async fn corrected(&self, now: jiff::Timestamp, limit: u32) -> Result<Corrected, StoreError> {
        let mut corrected = Corrected::default();
        let ahead = self.store.ahead(now).await?;
        for step in ahead.chunks(limit.try_into().unwrap()) {
            corrected.add(self.store.set_back(now, step.to_vec(), limit, Arc::clone(&self.routing)).await?);
        }
        loop {
            match self.store.set_back(now, Vec::new(), limit, Arc::clone(&self.routing)).await? {
                step if step.more() => corrected.add(step),
                _ => return Ok(corrected),
            }
        }
    }

    fn reopened(self) -> Self {
        let Self { folder, store, routing } = self;
        // The writer's thread closes the file after its last request.
        drop(store);
        let store = Sqlite::open(&folder.path().join("x.db")).unwrap();
        Self { folder, store, routing }
    }
}

/// Given up because the sink failed for too long: not because it refused the recipient.
fn lost() -> Outcome {
    Outcome::Dead { kind: FailureKind::Busy, why: "503".into() }
}

fn dead() -> Outcome {
    Outcome::Dead { kind: FailureKind::Refused, why: "no such user".into() }
}
