//! Audits the gateway on a schedule. Each finding is an incident until it is put right.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use linedown_sinks::Reason;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::audit::{Finding, findings, stranger};
use super::fleet::{AT_ONCE, Fleet};
use super::notices::Notices;
use super::orders::Orders;
use super::strangers::Strangers;
use super::{Client, Failure, LineAccess, Profile};
use crate::clock;
use crate::reception::Reception;
use crate::store::StoreError;

/// The longest delay from the daemon's start, or from a change of what is audited, to the next audit.
const FIRST: Duration = Duration::from_mins(1);
/// Most API calls per second; nobody waits for an audit.
const A_SECOND: u32 = 20;

/// What may be wrong with a line of the inventory. Each reason has incidents of its own.
const REASONS: [Reason; 2] = [Reason::WebhookDrift, Reason::Expiring];

/// The task that audits one source.
pub(crate) struct Auditor {
    name: String,
    /// One for each of [`REASONS`].
    notices: [Notices; 2],
    /// For instances that the inventory lacks.
    lacks: Notices,
    orders: watch::Receiver<Orders>,
    stop: watch::Receiver<bool>,
}

/// The lines with an open incident, for each of [`REASONS`].
type Told = [BTreeSet<String>; 2];

/// Why a line was not audited.
enum Unaudited {
    /// The gateway did not answer.
    Gateway(Failure),
    /// The findings could not be stored.
    Store(StoreError),
}

impl Auditor {
    pub(crate) fn new(
        name: String,
        reception: &Arc<Reception>,
        orders: watch::Receiver<Orders>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let notices = REASONS.map(|reason| Notices::new(reception, &name, reason));
        let lacks = Notices::new(reception, &name, Reason::NotInInventory);
        Self { name, notices, lacks, orders, stop }
    }

    /// Audits until the daemon stops or the source is gone.
    pub(crate) async fn run(mut self) {
        let mut due = None;
        let mut orders = self.orders.borrow().clone();
        loop {
            let latest = self.orders.borrow_and_update().clone();
            if !latest.are_audited_as(&orders) {
                due = due.map(|at: Instant| at.min(Instant::now() + FIRST));
            }
            // Drops the former orders, and with them the former config, before waiting for anything.
            orders = latest;
            let every = orders.access.audit.every.filter(|_| orders.access.can_be_audited());
            if every.is_none() && !self.leave_all().await {
                return;
            }
            due = every.map(|every| due.unwrap_or_else(|| Instant::now() + FIRST.min(every)));
            tokio::select! {
                _ = self.stop.changed() => return,
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        // The source is gone.
                        self.leave_all().await;
                        return;
                    }
                    continue;
                }
                () = reached(due) => {}
            }
            let mut stop = self.stop.clone();
            tokio::select! {
                _ = stop.changed() => return,
                done = self.audit(&orders) => self.note(done),
            }
            due = every.map(|every| Instant::now() + every);
        }
    }

    fn note(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::warn!(source = self.name, error = %error, "cannot store all findings of the gateway's audit; the next audit finds them again");
        }
    }

    async fn audit(&self, orders: &Orders) -> Result<(), StoreError> {
        let access = &orders.access;
        let client = match Client::new(Arc::clone(access), AT_ONCE) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(source = self.name, error = %error, "cannot audit the gateway");
                return Ok(());
            }
        };
        for notices in &self.notices {
            notices.leave(|instance| access.line(instance).is_none()).await?;
        }
        let [drift, expiring] = &self.notices;
        let told = [drift.told().await?, expiring.told().await?];
        let fleet = Fleet::new(client, A_SECOND);
        let lines = &access.lines;
        let work = |place: usize| self.one(orders, &fleet, &lines[place], &told);
        let mut outcome = Ok(());
        let mut failures: Vec<Failure> = Vec::new();
        for done in fleet.each(lines.len(), work, |_| {}).await {
            match done {
                Ok(()) => {}
                Err(Unaudited::Store(error)) => outcome = outcome.and(Err(error)),
                Err(Unaudited::Gateway(failure)) => failures.push(failure),
            }
        }
        let unknown = failures.len();
        if let Some(failure) = failures.pop() {
            let hint = failure.hint();
            tracing::warn!(source = self.name, lines = lines.len(), unknown, why = %failure, hint, "the audit of the gateway could not check all lines");
        }
        outcome.and(self.compare(orders, &fleet).await)
    }

    async fn one(&self, orders: &Orders, fleet: &Fleet, line: &LineAccess, told: &Told) -> Result<(), Unaudited> {
        let profile = fleet.ask(|| fleet.client().profile(line)).await.map_err(Unaudited::Gateway)?;
        self.judge(orders, line, &profile, told).await.map_err(Unaudited::Store)
    }

    /// Tells of findings that were not told before, and of those that are gone.
    async fn judge(
        &self,
        orders: &Orders,
        line: &LineAccess,
        profile: &Profile,
        told: &Told,
    ) -> Result<(), StoreError> {
        let due_within = orders.access.audit.due_within;
        let found = findings(&line.instance, profile, orders.addresses.as_deref(), due_within, clock::now());
        for (notices, told) in self.notices.iter().zip(told) {
            let of_it = found.iter().filter(|finding| finding.reason() == notices.reason());
            let amiss: Vec<String> = of_it.map(Finding::to_string).collect();
            match (amiss.is_empty(), told.contains(&*line.instance)) {
                (false, false) => notices.begin(&line.instance, Some(&amiss.join("; "))).await?,
                (true, true) => notices.end(&line.instance).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Compares the partner's fleet with the inventory, if the source has a partner token.
    async fn compare(&self, orders: &Orders, fleet: &Fleet) -> Result<(), StoreError> {
        if orders.access.partner_token.is_none() {
            return self.lacks.leave(|_| true).await;
        }
        let known = |instance: &str| orders.routing.inventory.contains(&self.name, instance);
        let lacked = match fleet.strangers(known).await {
            Ok(lacked) => lacked,
            Err(failure) => {
                let hint = failure.hint();
                tracing::warn!(source = self.name, why = %failure, hint, "the audit of the gateway could not list the partner's fleet");
                return Ok(());
            }
        };
        let strangers = Strangers::of(lacked.iter().map(|member| {
            let name = member.name.as_ref().map(|name| format!(", {name:?} at the gateway")).unwrap_or_default();
            let finding = stranger(member, orders.addresses.as_deref());
            (member.instance.clone(), format!("{finding}{name}"))
        }));
        let (begun, over) = strangers.changes(orders.access.host(), &self.lacks.told().await?);
        for (instance, why) in begun {
            self.lacks.begin(&instance, Some(&why)).await?;
        }
        for instance in over {
            self.lacks.end(&instance).await?;
        }
        Ok(())
    }

    /// Ends all incidents, because nobody looks any more. Returns false if the daemon stops before that is stored.
    async fn leave_all(&mut self) -> bool {
        for notices in self.notices.iter().chain([&self.lacks]) {
            if !notices.leave_all(&mut self.stop).await {
                return false;
            }
        }
        true
    }
}

/// Returns at a time, or never.
async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
