//! Generated stories: any rules, any webhooks, any failures, restarts and jumps of the clock. Whatever happens,
//! everything settles, everybody is told what they are owed, and nobody anything else.
//!
//! `LINEDOWN_STORIES=20000` runs that many instead of the default, and other ones each time.

mod flapping;
mod invariants;
mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError};

use super::*;
use invariants::Person;
use story::{Ending, LINES, Step, Story};

const SINKS: [&str; 3] = ["slack", "mail", "log"];
/// Most turns until everything has settled.
const TURNS: usize = 500;
/// Longer than anything is held back by quiet hours or a silence, in seconds.
const CALM: i64 = 10_000;

/// One message that a sink took, or one part of a digest.
#[derive(Clone, Debug)]
struct Told {
    at: i64,
    sink: String,
    recipient: String,
    rule: String,
    kind: Kind,
    /// The row, and the message that it went out in.
    notification: i64,
    incident: i64,
    closed: bool,
    attempt: u32,
    message: String,
}

/// What happened to an incident, by the daemon's clock.
#[derive(Clone, Debug, Default)]
struct Past {
    line: String,
    reasons: Vec<Reason>,
    opened_at: i64,
    closed_at: Option<i64>,
    closed_heard: Option<i64>,
    acknowledged: Option<i64>,
    /// Whom the rules owe the bad news, each with the time it is due.
    down: BTreeMap<Person, i64>,
    /// The rules that had a say, and the steps of their escalations: to whom, and how long after the outage began.
    rules: BTreeSet<usize>,
    steps: BTreeSet<(Person, u64)>,
}

/// A silence; of every line if it names none.
#[derive(Clone, Debug)]
struct Silenced {
    id: i64,
    line: String,
    from: i64,
    to: i64,
    /// Until when it was first meant to last.
    planned: i64,
}

impl Silenced {
    fn is_about(&self, line: &str) -> bool {
        self.line.is_empty() || self.line == line
    }
}

/// A story as it is being run. Times are in seconds.
struct World<'s> {
    story: &'s Story,
    life: Option<Life>,
    /// The gateways' clock, which only goes forward.
    truth: i64,
    /// The daemon's clock.
    now: i64,
    last: Option<Event>,
    in_hand: Vec<(String, Due)>,
    told: Vec<Told>,
    /// What a person sent again, whatever became of the outage.
    sent_again: BTreeSet<i64>,
    past: BTreeMap<i64, Past>,
    silences: Vec<Silenced>,
}

/// In memory if possible, for speed: whether a disk keeps what it is given is not tested here.
fn place() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl<'s> World<'s> {
    fn new(story: &'s Story) -> Self {
        let folder = place();
        let database = Sqlite::open(&folder.path().join("x.db")).unwrap();
        let routing = Arc::new(story.routing());
        Self {
            story,
            life: Some(Life { folder, store: database, routing }),
            truth: 10_000_000,
            now: 10_000_000,
            last: None,
            in_hand: Vec::new(),
            told: Vec::new(),
            sent_again: BTreeSet::new(),
            past: BTreeMap::new(),
            silences: Vec::new(),
        }
    }

    fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }

    async fn live(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Wait(seconds) => {
                self.truth += seconds;
                self.now += seconds;
            }
            Step::Jump(seconds) => self.now += seconds,
            Step::Webhook { line, kind, reason, known, late } => {
                let at = self.truth - late;
                // A source does the same: it does not believe a clock that is too far off.
                let known = *known && at <= self.now + 600;
                self.webhook(*line, *kind, *reason, known.then_some(at)).await;
            }
            Step::Copy => {
                if let Some(event) = self.last.clone() {
                    let event = Event { received_at: from_millis(self.now * 1000), ..event };
                    self.accept(event).await;
                }
            }
            Step::Flicker(line, after) => {
                self.webhook(*line, EventKind::Disconnected, Reason::Other, Some(self.truth)).await;
                (self.truth, self.now) = (self.truth + after, self.now + after);
                self.webhook(*line, EventKind::Connected, Reason::Other, Some(self.truth)).await;
            }
            Step::Work(sinks, endings) => self.work(*sinks, endings).await?,
            Step::Finish(ending) => {
                for (sink, due) in std::mem::take(&mut self.in_hand) {
                    self.settle(sink, due, *ending).await;
                }
            }
            Step::Reopen => {
                self.in_hand.clear();
                self.life = self.life.take().map(Life::reopened);
            }
            Step::Acknowledge(number) => self.acknowledge(*number).await,
            Step::Silence(line, seconds) => {
                let line = line.map_or(String::new(), |line| LINES[line].to_owned());
                let matcher = if line.is_empty() { "{}".to_owned() } else { format!(r#"{{"instance":"{line}"}}"#) };
                let id = self.life().silence(&matcher, self.now, self.now + seconds).await;
                let (from, to) = (self.now, self.now + seconds);
                self.silences.push(Silenced { id, line, from, to, planned: to });
            }
            Step::EndSilence => {
                if let Some(silence) = self.silences.last_mut() {
                    let life = self.life.as_ref().unwrap();
                    if life.store.end_silence(silence.id, from_millis(self.now * 1000)).await.unwrap().is_some() {
                        (silence.from, silence.to) = (silence.from.min(self.now), self.now);
                    }
                }
            }
            Step::GiveUp(sink) => {
                let now = from_millis(self.now * 1000);
                let life = self.life();
                life.store.give_up(SINKS[*sink], now, "unreachable", now, Arc::clone(&life.routing)).await.unwrap();
            }
            Step::Retry => {
                let now = from_millis(self.now * 1000);
                let life = self.life();
                let routing = Arc::clone(&life.routing);
                let retried = life.store.retry(Which::Dead { sink: None }, now, routing, Pauses::new()).await.unwrap();
                self.sent_again.extend(retried.notifications);
            }
        }
        self.check_held().await
    }

    async fn webhook(&mut self, line: usize, kind: EventKind, reason: Reason, gateway_at: Option<i64>) {
        let (now, gateway_at) = (from_millis(self.now * 1000), gateway_at.map(|at| from_millis(at * 1000)));
        let event = Event {
            source: "z-api".into(),
            instance: LINES[line].into(),
            kind,
            reason,
            phone: None,
            error: None,
            at: gateway_at.unwrap_or(now),
            gateway_at,
            stamp: gateway_at.map(jiff::Timestamp::as_millisecond),
            received_at: now,
            asked_at: None,
        };
        self.last = Some(event.clone());
        self.accept(event).await;
    }

    async fn accept(&mut self, event: Event) {
        let life = self.life();
        let accepted = life.store.accept(event.clone(), "{}".into(), Arc::clone(&life.routing)).await.unwrap();
        let (Some(id), false) = (accepted.incident, accepted.duplicate) else { return };
        let incident = life.store.incident(id).await.unwrap().unwrap().incident;
        let seconds = |at: jiff::Timestamp| at.as_second();
        let (story, now) = (self.story, self.now);
        let past = self.past.entry(id).or_default();
        past.line = event.instance;
        past.opened_at = seconds(incident.opened_at);
        past.closed_at = incident.closed_at.map(seconds);
        if past.acknowledged.is_none() && matches!(accepted.change, "opened" | "missed" | "worsened") {
            past.steps.extend(story.steps_owed(&past.line, event.reason));
        }
        if matches!(accepted.change, "opened" | "missed" | "worsened") {
            past.rules.extend(story.rules_for(&past.line, event.reason).map(|(number, _)| number));
        }
        match accepted.change {
            "opened" | "missed" => {
                past.reasons.push(event.reason);
                past.down = story.owed_down(&past.line, event.reason, past.opened_at);
                past.closed_heard = incident.closed_at.map(|_| now);
            }
            "worsened" => {
                past.reasons.push(event.reason);
                for (person, due_at) in story.owed_down(&past.line, event.reason, past.opened_at) {
                    let before = past.down.entry(person).or_insert(due_at);
                    *before = (*before).min(due_at);
                }
            }
            "closed" => past.closed_heard = Some(now),
            _ => {}
        }
    }

    async fn acknowledge(&mut self, number: usize) {
        let open: Vec<i64> = self.past.iter().filter(|(_, past)| past.closed_at.is_none()).map(|(id, _)| *id).collect();
        let Some(id) = open.get(number % open.len().max(1)) else { return };
        let now = from_millis(self.now * 1000);
        if let crate::store::Acknowledgement::Done(_) =
            self.life().store.acknowledge(*id, "ana", "a test", now).await.unwrap()
        {
            self.past.get_mut(id).unwrap().acknowledged = Some(self.now);
        }
    }

    /// The workers of some sinks, given as a bit set, take what is due.
    async fn work(&mut self, sinks: u8, endings: &[Ending]) -> Result<(), TestCaseError> {
        let mut endings = endings.iter().cycle();
        for (_, sink) in SINKS.iter().enumerate().filter(|(number, _)| sinks & (1 << number) != 0) {
            for due in self.life().lease(sink, self.now).await {
                self.check_lease(sink, &due)?;
                match endings.next().copied().unwrap_or(Ending::Delivered) {
                    Ending::Hang => self.in_hand.push(((*sink).to_owned(), due)),
                    ending => self.settle((*sink).to_owned(), due, ending).await,
                }
            }
        }
        Ok(())
    }

    /// Checks that nothing is sent while a silence or quiet hours hold it back: no part of a message that is new, and not
    /// all parts of one that was tried before.
    fn check_lease(&self, sink: &str, due: &Due) -> Result<(), TestCaseError> {
        let rule = due.notification.rule.as_deref().unwrap();
        let checked = parts(&due.notification)
            .into_iter()
            .map(|(_, kind, incident)| self.check_part(kind, incident, (sink, rule)))
            .collect::<Vec<_>>();
        if due.notification.attempt > 1 && checked.iter().any(Result::is_ok) {
            return Ok(());
        }
        checked.into_iter().collect()
    }

    fn check_part(
        &self,
        kind: Kind,
        incident: &linedown_sinks::Incident,
        (sink, rule): (&str, &str),
    ) -> Result<(), TestCaseError> {
        if matches!(kind, Kind::Acknowledged | Kind::Undelivered) {
            return Ok(());
        }
        let line = &incident.instance.id;
        let silenced = self
            .silences
            .iter()
            .any(|silence| silence.is_about(line) && silence.from <= self.now && self.now < silence.to);
        prop_assert!(!silenced, "{kind:?} about {line} at {} in spite of a silence", self.now);
        let quiet = self.life().routing.quiet.iter().any(|quiet| quiet.ends(from_millis(self.now * 1000)).is_some());
        let critical = self.is_critical(incident.id, kind, sink, rule);
        prop_assert!(!quiet || critical, "{kind:?} at {} in quiet hours", self.now);
        Ok(())
    }

    /// Whether a rule that now applies to an incident, or the one that is named, is critical.
    fn is_critical(&self, incident: i64, kind: Kind, sink: &str, named: &str) -> bool {
        let past = &self.past[&incident];
        let Some(reason) = past.reasons.last() else { return false };
        let mut rules = self.story.rules_for(&past.line, *reason).filter(|(_, plan)| plan.has_a_say(kind, sink));
        rules.any(|(_, plan)| plan.critical) || self.story.rules[named.parse::<usize>().unwrap()].critical
    }

    /// Checks that quiet hours hold back nothing that is critical, since whenever it has been.
    async fn check_held(&self) -> Result<(), TestCaseError> {
        if !self.story.quiet {
            return Ok(());
        }
        for row in invariants::rows(self).await {
            let in_quiet_hours = row.held_by.as_ref().is_some_and(|by| by.starts_with("quiet hours"));
            let kind = Kind::parse(&row.kind).unwrap();
            let critical = self.is_critical(row.incident, kind, &row.sink, &row.rule);
            prop_assert!(!(in_quiet_hours && critical), "held back although it is critical: {row:?}");
        }
        Ok(())
    }

    async fn settle(&mut self, sink: String, due: Due, ending: Ending) {
        let outcome = match ending {
            Ending::Delivered | Ending::Hang => Outcome::Delivered("ok".into()),
            Ending::Again(after) => Outcome::Again {
                kind: FailureKind::Busy,
                why: "503".into(),
                due_at: from_millis((self.now + after) * 1000),
            },
            Ending::Dead => dead(),
        };
        if matches!(outcome, Outcome::Delivered(_)) {
            // Notices of losses by several rules may go out in one message.
            let rules: BTreeMap<i64, String> = match due.covers.len() {
                1 => BTreeMap::new(),
                _ => invariants::rows(self).await.into_iter().map(|row| (row.id, row.rule)).collect(),
            };
            for (notification, kind, incident) in parts(&due.notification) {
                self.told.push(Told {
                    notification,
                    at: due.notification.at.as_second(),
                    sink: sink.clone(),
                    recipient: due.notification.recipient.clone(),
                    rule: rules.get(&notification).or(due.notification.rule.as_ref()).cloned().unwrap(),
                    kind,
                    incident: incident.id,
                    closed: incident.closed_at.is_some(),
                    attempt: due.notification.attempt,
                    message: due.notification.key(),
                });
            }
        }
        self.life().settle(&due, self.now, outcome).await;
    }

    /// Lets every worker deliver what is due until nothing is. Returns when something will be.
    async fn settle_down(&mut self) -> Result<Option<i64>, TestCaseError> {
        for _ in 0..TURNS {
            let before = self.told.len();
            self.work(7, &[Ending::Delivered]).await?;
            if self.told.len() > before {
                continue;
            }
            let mut next = Vec::new();
            for sink in SINKS {
                let life = self.life();
                let now = from_millis(self.now * 1000);
                let leased = life.store.lease(sink, 10, Waits::new(), now, Arc::clone(&life.routing)).await.unwrap();
                prop_assert!(leased.due.is_empty());
                next.extend(leased.next.map(|next| (next.as_millisecond() + 999) / 1000));
            }
            let next = next.into_iter().min();
            prop_assert!(
                next.is_none_or(|next| next > self.now),
                "a timer is lost: due at {next:?}, it is {}",
                self.now
            );
            return Ok(next);
        }
        Err(TestCaseError::fail("workers are never idle"))
    }

    /// Every sink works, and nothing happens until no hold, silence or spell of flapping is left.
    async fn calm_down(&mut self) -> Result<(), TestCaseError> {
        // What was held back before the clock was set back is held back for that much longer.
        let jumps = self.story.steps.iter().map(|step| if let Step::Jump(by) = step { by.abs() } else { 0 });
        let calm = self.now + jumps.sum::<i64>() + CALM;
        self.live(&Step::Finish(Ending::Delivered)).await?;
        while let Some(next) = self.settle_down().await?.filter(|next| *next <= calm) {
            self.truth += next - self.now;
            self.now = next;
        }
        Ok(())
    }

    /// The story's end: every line comes back, every sink works, time passes.
    async fn end(&mut self) -> Result<(), TestCaseError> {
        (self.truth, self.now) = (self.truth + 10, self.now + 10);
        for line in 0..LINES.len() {
            let known = self.truth <= self.now + 600;
            self.webhook(line, EventKind::Connected, Reason::Other, known.then_some(self.truth)).await;
        }
        for _ in 0..TURNS {
            match self.settle_down().await? {
                None => return Ok(()),
                Some(next) => self.now = next,
            }
        }
        Err(TestCaseError::fail("it never settles"))
    }
}

/// What a message tells: itself, or each part of a digest.
fn parts(notification: &linedown_sinks::Notification) -> Vec<(i64, Kind, &linedown_sinks::Incident)> {
    if notification.items.is_empty() {
        return vec![(notification.id, notification.kind, &notification.incident)];
    }
    notification.items.iter().map(|item| (item.notification, item.kind, &item.incident)).collect()
}

fn stories() -> ProptestConfig {
    let usual = ProptestConfig { cases: 150, max_shrink_iters: 3_000, ..ProptestConfig::default() };
    let asked = std::env::var("LINEDOWN_STORIES").ok().and_then(|cases| cases.parse().ok());
    asked.map_or(usual.clone(), |cases| ProptestConfig { cases, rng_seed: RngSeed::Random, ..usual })
}

proptest! {
    #![proptest_config(stories())]

    #[test]
    fn whatever_happens_everybody_is_told_what_they_are_owed_once(story in story::any_story()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(&story);
            for step in &story.steps {
                world.live(step).await?;
            }
            world.live(&Step::Finish(Ending::Delivered)).await?;
            world.settle_down().await?;
            invariants::reminders_are_ahead(&world).await?;
            invariants::who_knows_hears_who_took_it(&world).await?;
            world.end().await?;
            invariants::hold(&world).await
        })?;
    }

    #[test]
    fn however_lines_come_and_go_nobody_is_left_in_the_dark(story in story::any_story_of_flapping()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(&story);
            for step in &story.steps {
                world.live(step).await?;
            }
            world.calm_down().await?;
            flapping::who_is_down_is_known(&world).await?;
            world.end().await?;
            flapping::hold(&world).await
        })?;
    }
}
