use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::clock::from_millis;

fn at(second: i64) -> Timestamp {
    from_millis(second * 1000)
}

fn retry() -> &'static Retry {
    static RETRY: std::sync::LazyLock<Retry> = std::sync::LazyLock::new(Retry::default);
    &RETRY
}

fn failed(began: i64, now: i64) -> FailedAttempt<'static> {
    FailedAttempt { began: at(began), now: at(now), retry: retry(), dice: 0.5 }
}

/// Of the whole sink.
fn complaint(kind: FailureKind, why: &str, hint: Option<Duration>) -> SinkFailure<'_> {
    SinkFailure { kind, why, hint, recipient: None }
}

fn fail(breaker: &mut Breaker, began: i64, now: i64) -> bool {
    breaker.failed(complaint(FailureKind::Unreachable, "refused", None), failed(began, now))
}

#[test]
fn a_sink_that_is_down_is_probed() {
    let mut breaker = Breaker::default();
    assert_eq!(breaker.leave(at(0)), Leave::Full);
    assert!(fail(&mut breaker, 0, 1));
    assert_eq!(breaker.leave(at(2)), Leave::NotBefore(at(3)));
    assert_eq!(breaker.leave(at(3)), Leave::Probe);
    assert!(!fail(&mut breaker, 3, 4));
    assert_eq!(breaker.leave(at(7)), Leave::NotBefore(at(8)));
    assert_eq!(breaker.well("", true), Some(at(1)));
    assert_eq!(breaker.leave(at(7)), Leave::Full);
}

#[test]
fn a_sink_that_does_not_know_us_fails_and_is_tried_with_every_message() {
    let mut breaker = Breaker::default();
    assert_eq!(breaker.health(), Health::Unknown);
    assert_eq!((breaker.well("", true), breaker.health()), (None, Health::Well));
    let refuse = |breaker: &mut Breaker, second| {
        breaker.refused((FailureKind::Unauthorised, "no_service"), at(second));
    };
    refuse(&mut breaker, 1);
    refuse(&mut breaker, 2);
    let failing = |why: &str, failed_at, resume_at| {
        let (why, failed_at) = (why.to_owned(), at(failed_at));
        Health::Failing { since: at(1), failed_at, why, resume_at, asked_until: None }
    };
    assert_eq!(breaker.health(), failing("unauthorised: no_service", 2, None));
    assert_eq!(breaker.leave(at(2)), Leave::Full);
    fail(&mut breaker, 3, 4);
    assert_eq!(breaker.health(), failing("unreachable: refused", 4, Some(at(6))), "one spell, for another reason");
    refuse(&mut breaker, 5);
    assert_eq!((breaker.well("", true), breaker.health()), (Some(at(1)), Health::Well));
}

#[test]
fn failures_together_count_once() {
    let mut breaker = Breaker::default();
    for _ in 0..8 {
        fail(&mut breaker, 0, 1);
    }
    assert_eq!(breaker.leave(at(1)), Leave::NotBefore(at(3)));
}

fn ask(breaker: &mut Breaker, kind: FailureKind, hint: Duration, now: i64) {
    breaker.failed(complaint(kind, "slow", Some(hint)), failed(now, now));
}

#[test]
fn a_new_config_is_tried_at_once_but_what_the_sink_asked_for_is_kept_to() {
    for kind in [FailureKind::RateLimited, FailureKind::Busy] {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 0, 1);
        breaker.forgive(at(1));
        assert_eq!(breaker.leave(at(1)), Leave::Probe);
        ask(&mut breaker, kind, Duration::from_mins(1), 2);
        breaker.forgive(at(2));
        assert_eq!(breaker.leave(at(3)), Leave::NotBefore(at(62)), "{kind:?}");
        fail(&mut breaker, 3, 4);
        breaker.forgive(at(5));
        assert_eq!(breaker.leave(at(5)), Leave::NotBefore(at(62)), "whatever came after it");
        breaker.forgive(at(-100_000));
        assert_eq!(breaker.leave(at(-100_000)), Leave::NotBefore(at(-96_400)), "the clock was set back by a day");
    }
}

/// The time that the sink asked for is now sooner than our own wait.
#[test]
fn a_sink_is_forgiven_down_to_what_it_asked_for() {
    let mut breaker = Breaker::default();
    (0..9).for_each(|second| _ = fail(&mut breaker, second, second));
    ask(&mut breaker, FailureKind::RateLimited, Duration::from_secs(5), 10);
    breaker.forgive(at(11));
    assert_eq!(breaker.leave(at(11)), Leave::NotBefore(at(15)));
}

#[test]
fn pauses_begin_anew_with_a_sink_that_is_forgiven() {
    let mut breaker = Breaker::default();
    (0..9).for_each(|second| _ = fail(&mut breaker, second, second));
    breaker.forgive(at(10));
    fail(&mut breaker, 10, 11);
    assert_eq!(breaker.leave(at(11)), Leave::NotBefore(at(13)));
}

#[test]
fn a_sink_is_known_to_fail_while_it_pauses_and_then_only_until_its_last_failure() {
    let mut breaker = Breaker::default();
    fail(&mut breaker, 0, 1);
    let known_until = |breaker: &Breaker, now| breaker.trouble().unwrap().known_until(at(now));
    for (now, expected) in [(1, 1), (2, 2), (3, 1), (90_000, 1), (-5, -5)] {
        assert_eq!(known_until(&breaker, now), at(expected), "at {now}");
    }
    breaker.forgive(at(2));
    assert_eq!(known_until(&breaker, 2), at(1), "somebody says that it is mended");
    fail(&mut breaker, 3, 90_000);
    assert_eq!(known_until(&breaker, 90_001), at(90_001), "it was tried in vain");
    ask(&mut breaker, FailureKind::Busy, Duration::from_mins(1), 90_001);
    assert_eq!(known_until(&breaker, 90_060), at(90_060), "it asked not to be tried");
}

/// A sink with recipients, and the messages that wait for them.
struct World {
    breaker: Breaker,
    in_flight: usize,
    bad: BTreeSet<usize>,
    /// Whom each is for, the oldest first.
    pending: Vec<usize>,
    millis: i64,
    dice: f64,
    attempts: usize,
}

impl World {
    /// How long an attempt takes, in milliseconds.
    const ATTEMPT: i64 = 10;

    fn new(in_flight: usize, bad: BTreeSet<usize>, dice: f64) -> Self {
        Self { breaker: Breaker::default(), in_flight, bad, pending: Vec::new(), millis: 0, dice, attempts: 0 }
    }

    /// Makes all attempts that may be made without waiting. What fails stays pending.
    fn work(&mut self) {
        loop {
            let now = from_millis(self.millis);
            let room = match self.breaker.leave(now) {
                Leave::Full => self.in_flight,
                Leave::Probe => 1,
                Leave::NotBefore(_) => return,
            };
            let chosen = self.lease(room, now);
            if chosen.is_empty() {
                return;
            }
            for index in &chosen {
                self.breaker.begins(&self.pending[*index].to_string(), now);
            }
            self.millis += Self::ATTEMPT;
            let mut done = BTreeSet::new();
            for index in chosen {
                self.attempts += 1;
                if !self.end(self.pending[index], now) {
                    done.insert(index);
                }
            }
            let mut index = 0..;
            self.pending.retain(|_| index.next().is_none_or(|index| !done.contains(&index)));
        }
    }

    fn lease(&self, room: usize, now: Timestamp) -> Vec<usize> {
        let pauses = self.breaker.pauses(now, retry());
        let mut chosen: Vec<usize> = Vec::new();
        for (index, recipient) in self.pending.iter().enumerate() {
            let is_next = !chosen.iter().any(|other| self.pending[*other] == *recipient);
            let until = pauses.get(&recipient.to_string()).map(|pause| if is_next { pause.until } else { pause.then });
            if until.is_none_or(|until| until <= now) {
                chosen.push(index);
            }
            if chosen.len() == room {
                break;
            }
        }
        chosen
    }

    /// Whether it failed.
    fn end(&mut self, recipient: usize, began: Timestamp) -> bool {
        let (is_bad, recipient) = (self.bad.contains(&recipient), recipient.to_string());
        self.breaker.ended(&recipient);
        if is_bad {
            let complaint =
                SinkFailure { kind: FailureKind::Busy, why: "451", hint: None, recipient: Some(&recipient) };
            let failed = FailedAttempt { began, now: from_millis(self.millis), retry: retry(), dice: self.dice };
            self.breaker.failed(complaint, failed);
        } else {
            self.breaker.well(&recipient, true);
        }
        is_bad
    }

    /// Lets time pass, and makes each attempt as soon as it may be made.
    fn pass(&mut self, millis: i64) {
        let end = self.millis + millis;
        loop {
            self.work();
            let now = from_millis(self.millis);
            let next = match self.breaker.leave(now) {
                Leave::NotBefore(then) => Some(then),
                _ => self.breaker.pauses(now, retry()).values().map(|pause| pause.until).min(),
            };
            let next = next.map_or(end, |next| next.as_millisecond().max(self.millis + 1));
            if next >= end {
                self.millis = self.millis.max(end);
                return;
            }
            self.millis = next;
        }
    }

    fn owed_to(&self, is_bad: bool) -> usize {
        self.pending.iter().filter(|recipient| self.bad.contains(recipient) == is_bad).count()
    }
}

/// How many of the shortest pauses fit into a time.
fn pauses(within: i64) -> usize {
    let ends = (1..).scan(0, |end, failures| {
        *end += i64::try_from(backoff::wait(retry().first, retry().max, failures, 0.0).as_millis()).unwrap();
        Some(*end)
    });
    ends.take_while(|end| *end <= within).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the order, however many at once: the others are told without any wait, and the bad one is tried as
    /// rarely as a sink that is down.
    #[test]
    fn one_bad_recipient_delays_no_other(
        good in 1_usize..30, bad in 0_usize..30, in_flight in 1_usize..9,
        gaps in prop::collection::vec(0_i64..1_000_000, 1..30), dice in 0.0..1.0,
    ) {
        let bad = bad % (good + 1);
        let mut world = World::new(in_flight, BTreeSet::from([bad]), dice);
        let rounds = gaps.len();
        for gap in gaps {
            world.pending.extend(0..=good);
            world.work();
            prop_assert_eq!(world.owed_to(false), 0, "{:?}", world.breaker);
            world.pass(gap);
        }
        prop_assert_eq!(world.breaker.health(), Health::Well, "one recipient is not the sink");
        let (told, elapsed) = (rounds * good, world.millis);
        let most = in_flight + 2 + pauses(elapsed);
        prop_assert!(world.attempts - told <= most, "{} attempts, at most {most}", world.attempts - told);
    }

    /// Those who failed before do not speak against the sink again.
    #[test]
    fn however_many_fail_who_works_is_told_at_once_from_the_second_time_on(
        bad in 1_usize..30, in_flight in 1_usize..9,
        gaps in prop::collection::vec(600_001_i64..2_000_000, 2..12), dice in 0.0..1.0,
    ) {
        let mut world = World::new(in_flight, (0..bad).collect(), dice);
        for (round, gap) in gaps.into_iter().enumerate() {
            world.pending.extend(0..=bad);
            world.work();
            prop_assert!(round == 0 || world.owed_to(false) == 0, "{:?}", world.breaker);
            // The first time it is told as soon as all others have been tried.
            world.pass(if round == 0 { 600_000 * 31 } else { gap });
            prop_assert_eq!(world.owed_to(false), 0, "{:?}", world.breaker);
        }
    }

    /// A relay that fails for everybody, once a recipient is named, is probed gently and everything flows when it is
    /// back: with one recipient, with two, with hundreds.
    #[test]
    fn a_sink_that_fails_for_every_recipient_is_probed(
        recipients in prop_oneof![Just(1_usize), Just(2), 3_usize..20, Just(300)], each in 1_usize..4,
        in_flight in 1_usize..9, hours in 1_i64..12, works_first in any::<bool>(), dice in 0.0..1.0,
    ) {
        let mut world = World::new(in_flight, BTreeSet::new(), dice);
        if works_first {
            world.pending.extend(0..recipients);
            world.work();
            world.attempts = 0;
        }
        world.bad = (0..recipients).collect();
        for _ in 0..each {
            world.pending.extend(0..recipients);
        }
        let within = hours * 3_600_000;
        world.pass(within);
        // Some are tried that have failed before, and some that have not.
        let most = in_flight + 2 * (1 + pauses(within));
        prop_assert!(world.attempts <= most, "{} attempts, at most {most}", world.attempts);
        let is_failing = matches!(world.breaker.health(), Health::Failing { .. });
        prop_assert!(is_failing, "{:?}", world.breaker);
        world.bad.clear();
        world.pass(2 * 720_000);
        prop_assert_eq!(world.pending.len(), 0, "{:?}", world.breaker);
        prop_assert_eq!(world.breaker.health(), Health::Well);
    }
}
