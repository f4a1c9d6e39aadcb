//! Generated stories: any rules, any webhooks, any failures, restarts and jumps of the clock. Whatever happens,
//! everything settles, everybody is told what they are owed, and nobody anything else.
//!
//! `LINEDOWN_STORIES=20000` runs that many instead of the default, and other ones each time.

mod flapping;
mod held;
mod invariants;
mod life;
mod story;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError};

use super::*;
use invariants::Person;
use story::{Ending, Step, Story};

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
    /// The rows that say that somebody was told of an outage by a message about the line's outage before.
    told_besides: BTreeSet<i64>,
    /// What a person sent again, whatever became of the outage.
    sent_again: BTreeSet<i64>,
    past: BTreeMap<i64, Past>,
    silences: Vec<Silenced>,
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
