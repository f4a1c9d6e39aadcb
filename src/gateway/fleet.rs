//! Asks about many lines: so many at once, so many a second, and no longer than it makes sense.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Client, Failure, Member};

/// Most calls under way.
pub const AT_ONCE: usize = 16;
/// Most calls that a command begins a second. The gateway documents no limit; this is far below what one account's lines make.
pub const A_SECOND: u32 = 50;
/// How often a call is tried that failed for what may pass.
const TRIES: usize = 3;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that the gateway may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So many failures of the whole API one after the other, and the rest is not asked any more.
const HOPELESS: usize = 20;
/// Instances a page of the fleet; pages that are read.
const PAGE: usize = 100;
const PAGES: usize = 1000;

/// The lines of one source.
pub struct Fleet {
    client: Client,
    gap: Duration,
    /// When the next call may begin.
    next: Mutex<Instant>,
    hopeless: Mutex<Hopeless>,
}

/// Failures of the whole API without an answer in between, and the latest.
#[derive(Default)]
struct Hopeless {
    count: usize,
    latest: Option<Failure>,
}

impl Fleet {
    /// Asks through a client, so many times a second at most.
    pub fn new(client: Client, a_second: u32) -> Self {
        Self {
            client,
            gap: Duration::from_secs(1) / a_second.max(1),
            next: Mutex::new(Instant::now()),
            hopeless: Mutex::default(),
        }
    }

    /// The client, for calls in [`Fleet::ask`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Does something for each of so many lines, by their place, and answers in that order. `done` hears how many are
    /// done.
    pub async fn each<T, W: Future<Output = T>>(
        &self,
        count: usize,
        work: impl Fn(usize) -> W,
        mut done: impl FnMut(usize),
    ) -> Vec<T> {
        let working = (0..count).map(|place| {
            let work = work(place);
            async move { (place, work.await) }
        });
        let mut working = stream::iter(working).buffer_unordered(AT_ONCE);
        let mut answers = Vec::with_capacity(count);
        while let Some(answer) = working.next().await {
            answers.push(answer);
            done(answers.len());
        }
        answers.sort_unstable_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// One call in its turn, tried again if it failed for what may pass. What is asked must be safe to repeat.
    pub async fn ask<T, C: Future<Output = Result<T, Failure>>>(&self, call: impl Fn() -> C) -> Result<T, Failure> {
        let mut tries = 0;
        loop {
            if let Some(failure) = self.hopeless() {
                return Err(failure);
            }
            self.turn().await;
            let failure = match call().await {
                Ok(answer) => {
                    *self.lock() = Hopeless::default();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            if failure.is_general() {
                let mut hopeless = self.lock();
                *hopeless = Hopeless { count: hopeless.count + 1, latest: Some(failure.clone()) };
            }
            tries += 1;
            if tries == TRIES || !failure.may_pass() {
                return Err(failure);
            }
            sleep(failure.retry_after.unwrap_or(PAUSE).min(LONGEST_PAUSE)).await;
        }
    }

    /// Why nothing more is asked, if the API as a whole has failed too often.
    fn hopeless(&self) -> Option<Failure> {
        let hopeless = self.lock();
        hopeless.latest.clone().filter(|_| hopeless.count >= HOPELESS)
    }

    fn lock(&self) -> MutexGuard<'_, Hopeless> {
        self.hopeless.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instances of a partner's whole fleet that are not known.
    pub async fn strangers(&self, known: impl Fn(&str) -> bool) -> Result<Vec<Member>, Failure> {
        let mut strangers = Vec::new();
        for page in 1..=PAGES {
            let read = self.ask(|| self.client.page(page, PAGE)).await?;
            strangers.extend(read.members.into_iter().filter(|member| !known(&member.instance)));
            if read.entries < PAGE {
                break;
            }
        }
        Ok(strangers)
    }

    /// Waits for the next call's turn.
    async fn turn(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.gap;
            turn
        };
        sleep_until(turn).await;
    }
}
