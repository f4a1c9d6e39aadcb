//! What happens in a story: webhooks, silences, people, restarts and the clock.

use super::invariants::jumps;
use super::story::LINES;
use super::*;
use crate::store::Acknowledgement;

/// In memory if possible, for speed: whether a disk keeps what it is given is not tested here.
fn place() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl<'s> World<'s> {
    pub(super) fn new(story: &'s Story) -> Self {
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
            told_besides: BTreeSet::new(),
            sent_again: BTreeSet::new(),
            past: BTreeMap::new(),
            silences: Vec::new(),
        }
    }

    pub(super) fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }

    pub(super) async fn live(&mut self, step: &Step) -> Result<(), TestCaseError> {
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
        if matches!(step, Step::Reopen) || !jumps(self) {
            self.reload().await?;
        }
        self.check_held().await
    }

    /// Reads the same config again, which changes nothing.
    async fn reload(&mut self) -> Result<(), TestCaseError> {
        let before = invariants::rows(self).await;
        let life = self.life();
        life.store.keep_up(from_millis(self.now * 1000), Arc::clone(&life.routing)).await.unwrap();
        let after = invariants::rows(self).await;
        prop_assert!(jumps(self) || after == before, "it changes something: {:#?} {:#?}", before, after);
        Ok(())
    }

    pub(super) async fn webhook(&mut self, line: usize, kind: EventKind, reason: Reason, gateway_at: Option<i64>) {
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

    pub(super) async fn accept(&mut self, event: Event) {
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

    pub(super) async fn acknowledge(&mut self, number: usize) {
        let open: Vec<i64> = self.past.iter().filter(|(_, past)| past.closed_at.is_none()).map(|(id, _)| *id).collect();
        let Some(id) = open.get(number % open.len().max(1)) else { return };
        let now = from_millis(self.now * 1000);
        if let Acknowledgement::Done(_) = self.life().store.acknowledge(*id, "ana", "a test", now).await.unwrap() {
            self.past.get_mut(id).unwrap().acknowledged = Some(self.now);
        }
    }

    /// The story's end: every line comes back, every sink works, time passes.
    pub(super) async fn end(&mut self) -> Result<(), TestCaseError> {
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
