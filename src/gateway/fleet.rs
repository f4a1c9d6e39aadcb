//! Asks about many lines, with limits on concurrent calls, on calls per second, and on failures.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Client, Failure, Member};

/// Most calls in progress.
pub const AT_ONCE: usize = 16;
/// Most calls per second by a command. The gateway documents no limit; this is far below what one account's lines make.
pub const A_SECOND: u32 = 50;
/// Most attempts at a call that fails for a reason that may pass.
const TRIES: usize = 3;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause accepted from the gateway.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After this many failures of the API as a whole in a row, nothing more is asked.
const HOPELESS: usize = 20;
/// The number of instances on a page of the fleet, and the most pages read.
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

/// Failures of the API as a whole since the last answer: their number, and the latest.
#[derive(Default)]
struct Hopeless {
    count: usize,
    latest: Option<Failure>,
}

impl Fleet {
    /// Asks through this client, at most `a_second` times a second.
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

    /// Works on the lines with the places 0 to `count`, several at a time, and returns the results in that order.
    /// `done` is called with the number of finished lines.
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

    /// Makes a call when it is its turn, and repeats it if it fails for a reason that may pass. The call must be safe
    /// to repeat.
    pub async fn ask<T, C: Future<Output = Result<T, Failure>>>(&self, call: impl Fn() -> C) -> Result<T, Failure> {
        let mut tries = 0;
        loop {
            if let Some(failure) = self.hopeless() {
                return Err(failure);
            }
            self.turn().await;
            let failure = match call().await {
                Ok(answer) => {
                    *self.hopeless.lock() = Hopeless::default();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            if failure.is_general() {
                let mut hopeless = self.hopeless.lock();
                *hopeless = Hopeless { count: hopeless.count + 1, latest: Some(failure.clone()) };
            }
            tries += 1;
            if tries == TRIES || !failure.may_pass() {
                return Err(failure);
            }
            sleep(failure.retry_after.unwrap_or(PAUSE).min(LONGEST_PAUSE)).await;
        }
    }

    /// The reason why nothing more is asked, if the API as a whole has failed too often.
    fn hopeless(&self) -> Option<Failure> {
        let hopeless = self.hopeless.lock();
        hopeless.latest.clone().filter(|_| hopeless.count >= HOPELESS)
    }

    /// The instances of a partner's whole fleet that are not `known`.
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
            let mut next = self.next.lock();
            let turn = (*next).max(Instant::now());
            *next = turn + self.gap;
            turn
        };
        sleep_until(turn).await;
    }
}
