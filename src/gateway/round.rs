//! One source's questions about how its lines stand: when the next is due, and how many are under way.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::BuildError;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::watch::Watch;
use super::{Access, Client, Failure, FailureKind, Standing, Watched};
use crate::clock;

/// Most questions under way for one source. At half a second an answer that is 256 a second.
const AT_ONCE: usize = 128;
/// Questions begin together, so that a large fleet does not wake the daemon for each.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long answers are gathered before they are judged together.
const GATHERED: Duration = Duration::from_secs(1);
/// The longest pause that the gateway may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// An answer that waits to be judged.
pub(super) struct Answer {
    pub(super) line: usize,
    pub(super) asked_at: Timestamp,
    pub(super) said: Result<Standing, Failure>,
}

/// What is under way between two orders.
pub(super) struct Round {
    client: Arc<Client>,
    /// What is known of the lines.
    pub(super) watch: Watch,
    every: Duration,
    /// The next line to ask about, and when.
    next: usize,
    due: Instant,
    /// When it is looked what is due.
    woken_at: Instant,
    asking: JoinSet<Answer>,
    answers: Vec<Answer>,
    /// When the answers that are gathered are judged.
    judged_at: Option<Instant>,
    /// When the last line of the round before was asked about.
    begun: Instant,
}

impl Round {
    /// Begins, with what is known of the lines that stay from the round before.
    pub(super) fn begin(before: Option<Self>, access: &Arc<Access>, watched: Watched) -> Result<Self, BuildError> {
        let client = Arc::new(Client::new(Arc::clone(access), AT_ONCE)?);
        let (lines, now) = (&access.lines, Instant::now());
        let watch = match before {
            Some(Self { client, watch, .. }) => watch.go_on(&client.access().lines, lines, watched, now),
            None => Watch::new(lines.len(), watched, now),
        };
        Ok(Self {
            client,
            watch,
            every: watched.every,
            next: 0,
            due: now,
            woken_at: now,
            asking: JoinSet::new(),
            answers: Vec::new(),
            judged_at: None,
            begun: now,
        })
    }

    /// Whose lines they are.
    pub(super) fn access(&self) -> &Arc<Access> {
        self.client.access()
    }

    /// Asks, until there are answers to be judged. Nothing is lost if this is not waited for to its end.
    pub(super) async fn answers(&mut self, source: &str) -> Vec<Answer> {
        loop {
            let may_ask = self.asking.len() < AT_ONCE;
            tokio::select! {
                Some(answer) = self.asking.join_next() => self.gather(answer.ok()),
                () = sleep_until(self.woken_at), if may_ask => self.ask(source),
                () = sleep_until(self.judged_at.unwrap_or(self.woken_at)), if self.judged_at.is_some() => {
                    self.judged_at = None;
                    return std::mem::take(&mut self.answers);
                }
            }
        }
    }

    /// Begins the questions that are due, as far as there may be more under way.
    fn ask(&mut self, source: &str) {
        let now = Instant::now();
        let count = self.access().lines.len();
        let gap = self.every / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        while self.due <= now && self.asking.len() < AT_ONCE {
            let (client, line) = (Arc::clone(&self.client), self.next);
            self.asking.spawn(async move {
                let asked_at = clock::now();
                let said = match client.access().lines.get(line) {
                    Some(line) => client.status(line).await,
                    None => Err(Failure::new(FailureKind::NotFound)),
                };
                Answer { line, asked_at, said }
            });
            self.next += 1;
            self.due += gap;
            if self.next >= count {
                self.next = 0;
                self.note(source, now);
            }
        }
        // What could not be asked in time is not made up for: the next round would be all at once.
        if self.due <= now {
            self.due = now;
        }
        self.woken_at = self.due.max(now + TOGETHER);
    }

    /// All lines have been asked about.
    fn note(&mut self, source: &str, now: Instant) {
        let took = now.duration_since(self.begun);
        if took > self.every * 2 {
            tracing::warn!(
                source,
                took_s = took.as_secs(),
                every_s = self.every.as_secs(),
                "asking about all lines takes longer than `watch.every`; the gateway answers slowly, or `every` is too short"
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
            self.due = self.due.max(now + pause);
            self.woken_at = self.woken_at.max(self.due);
        }
        self.answers.push(answer);
        self.judged_at.get_or_insert(now + GATHERED);
    }
}
