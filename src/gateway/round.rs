//! Schedules the questions about one source's lines: when the next one is due, and how many are in progress.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::BuildError;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::watch::Watch;
use super::{Access, Client, Failure, FailureKind, Standing, Watched};
use crate::clock;

/// Most questions in progress for one source. With half a second per answer, that makes 256 a second.
const AT_ONCE: usize = 128;
/// The shortest time between two starts of questions, so that a large fleet does not wake the daemon for each.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long answers are gathered before they are processed together.
const GATHERED: Duration = Duration::from_secs(1);
/// The longest pause accepted from the gateway.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// An answer that has not been processed yet.
pub(super) struct Answer {
    /// The instance rather than its position, because the lines may have changed meanwhile.
    pub(super) instance: Box<str>,
    pub(super) asked_at: Timestamp,
    pub(super) said: Result<Standing, Failure>,
}

/// The questions about one source's lines. New orders do not start over: every line is asked about in its turn, however
/// often orders change.
pub(super) struct Round {
    client: Arc<Client>,
    /// What is known about the lines.
    pub(super) watch: Watch,
    every: Duration,
    /// The next line to ask about, and when to do so.
    next: usize,
    due: Instant,
    /// Until when the gateway asked for a pause.
    paused_until: Instant,
    /// When to check which questions are due.
    woken_at: Instant,
    asking: JoinSet<Option<Answer>>,
    answers: Vec<Answer>,
    /// When the gathered answers are processed.
    judged_at: Option<Instant>,
    /// When the current round through all lines began.
    begun: Instant,
}

impl Round {
    /// Begins, or continues the former round with what is known about lines that stay and with the questions in
    /// progress. Fails if the HTTP client cannot be set up.
    pub(super) fn begin(before: Option<Self>, access: &Arc<Access>, watched: Watched) -> Result<Self, BuildError> {
        let client = Arc::new(Client::new(Arc::clone(access), AT_ONCE)?);
        let now = Instant::now();
        Ok(match before {
            Some(before) => before.go_on(client, watched, now),
            None => Self {
                watch: Watch::new(access.lines.len(), watched, now),
                client,
                every: watched.every,
                next: 0,
                due: now,
                paused_until: now,
                woken_at: now,
                asking: JoinSet::new(),
                answers: Vec::new(),
                judged_at: None,
                begun: now,
            },
        })
    }

    /// Continues with the same next line, or the one after it. No line waits longer than it would have by the former
    /// orders.
    fn go_on(self, client: Arc<Client>, watched: Watched, now: Instant) -> Self {
        let (before, lines) = (Arc::clone(self.access()), Arc::clone(&client.access().lines));
        let next =
            before.lines.get(self.next).map_or(0, |next| lines.partition_point(|line| line.instance < next.instance));
        let due = self.due.min(now + gap(watched.every, lines.len())).max(self.paused_until);
        Self {
            client,
            watch: self.watch.go_on(&before.lines, &lines, watched, now),
            every: watched.every,
            next: if next < lines.len() { next } else { 0 },
            due,
            woken_at: due,
            // A round that began with another interval cannot be said to take too long.
            begun: if watched.every == self.every { self.begun } else { now },
            ..self
        }
    }

    /// The API and the lines that this round is about.
    pub(super) fn access(&self) -> &Arc<Access> {
        self.client.access()
    }

    /// Asks questions until there are answers to process. Can be cancelled without losing anything.
    pub(super) async fn answers(&mut self, source: &str) -> Vec<Answer> {
        loop {
            let may_ask = self.asking.len() < AT_ONCE;
            tokio::select! {
                Some(answer) = self.asking.join_next() => self.gather(answer.ok().flatten()),
                () = sleep_until(self.woken_at), if may_ask => self.ask(source),
                () = sleep_until(self.judged_at.unwrap_or(self.woken_at)), if self.judged_at.is_some() => {
                    self.judged_at = None;
                    return std::mem::take(&mut self.answers);
                }
            }
        }
    }

    /// Begins the questions that are due, up to [`AT_ONCE`].
    fn ask(&mut self, source: &str) {
        let now = Instant::now();
        let count = self.access().lines.len();
        while self.due <= now && self.asking.len() < AT_ONCE {
            let (client, line) = (Arc::clone(&self.client), self.next);
            self.asking.spawn(async move {
                let asked_at = clock::now();
                let line = client.access().lines.get(line)?;
                Some(Answer { instance: line.instance.clone(), asked_at, said: client.status(line).await })
            });
            self.next += 1;
            self.due += gap(self.every, count);
            if self.next >= count {
                self.next = 0;
                self.note(source, now);
            }
        }
        // Questions that could not be asked in time are not made up for: otherwise the next round would ask all at
        // once.
        if self.due <= now {
            self.due = now;
        }
        self.woken_at = self.due.max(now + TOGETHER);
    }

    /// Notes that all lines have been asked about, and warns if that took too long.
    fn note(&mut self, source: &str, now: Instant) {
        let took = now.duration_since(self.begun);
        if took > self.every * 2 {
            tracing::warn!(
                source,
                took_s = took.as_secs(),
                every_s = self.every.as_secs(),
                "asking about all lines takes longer than `watch.every`: the gateway answers slowly, or `every` is too short"
            );
        }
        self.begun = now;
    }

    fn gather(&mut self, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        let asked_to_wait = match &answer.said {
            Err(Failure { kind: FailureKind::RateLimited, retry_after, .. }) => {
                Some(retry_after.unwrap_or(GATHERED).min(LONGEST_PAUSE))
            }
            _ => None,
        };
        let now = Instant::now();
        if let Some(pause) = asked_to_wait {
            self.paused_until = self.paused_until.max(now + pause);
            self.due = self.due.max(self.paused_until);
            self.woken_at = self.woken_at.max(self.due);
        }
        self.answers.push(answer);
        self.judged_at.get_or_insert(now + GATHERED);
    }
}

/// The pause between two questions that spreads all lines evenly over the interval.
fn gap(every: Duration, lines: usize) -> Duration {
    every / u32::try_from(lines).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::{Audit, LineAccess};
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A round over these lines with this interval. Nobody listens at its address.
    fn begin(before: Option<Round>, lines: &str, every: Duration) -> Round {
        let line = |name: char| LineAccess { instance: name.to_string().into(), token: "t".into() };
        let (lines, watched) = (lines.chars().map(line).collect(), Watched { every, ..Watched::default() });
        let api = "http://127.0.0.1:1".parse().unwrap();
        let audit = Audit::default();
        let access = Access { api, client_token: None, partner_token: None, lines, watch: Some(watched), audit };
        Round::begin(before, &Arc::new(access), watched).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn new_orders_go_on_where_the_former_ones_were() {
        let start = Instant::now();
        for (what, lines, every, next, due) in [
            ("the same", "ACEG", MINUTE, "E", 12),
            ("others before it", "ABCDEG", MINUTE, "E", 10),
            ("it is gone", "ACFG", MINUTE, "F", 12),
            ("it is gone, and it was the last", "AC", MINUTE, "A", 12),
            ("more often", "ACEG", Duration::from_secs(8), "E", 2),
            ("more seldom", "ACEG", MINUTE * 60, "E", 12),
        ] {
            let before = Round { next: 2, due: start + Duration::from_secs(12), ..begin(None, "ACEG", MINUTE) };
            let round = begin(Some(before), lines, every);
            let (place, due_in) = (round.next, round.due.duration_since(start).as_secs());
            assert_eq!((&*round.access().lines[place].instance, due_in), (next, due), "{what}");
            assert_eq!(round.woken_at, round.due, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn new_orders_shorten_no_pause_that_the_gateway_asked_for_and_drop_no_answer() {
        let mut round = begin(None, "AC", MINUTE);
        let pause = Duration::from_secs(50);
        let failure = Failure { retry_after: Some(pause), ..Failure::new(FailureKind::RateLimited) };
        let answer = |name: &str, said| Some(Answer { instance: name.into(), asked_at: clock::now(), said });
        round.gather(answer("A", Err(failure)));
        round.asking.spawn(std::future::ready(answer("C", Ok(Standing::Up))));
        let mut round = begin(Some(round), "ABC", Duration::from_secs(3));
        assert_eq!(round.due.duration_since(Instant::now()), pause);
        let answered: String = round.answers("z-api").await.into_iter().map(|answer| answer.instance).collect();
        assert_eq!(answered, "AC");
    }
}
