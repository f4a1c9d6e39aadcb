//! What a story is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linedown_sinks::{Kind, Reason};
use proptest::prelude::*;

use super::SINKS;
use super::invariants::Person;
use crate::rule::flapping::Flapping;
use crate::rule::matcher::{Field, Matcher};
use crate::rule::tests::{routing, rule};
use crate::rule::timing::Quiet;
use crate::rule::{self, Routing, Rule};
use crate::source::EventKind;

pub(super) const LINES: [&str; 3] = ["A", "B", "C"];

/// Which incidents a rule is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Everything,
    Blocked,
    LineA,
}

/// A rule in few words. Times are in seconds, sinks by number.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "as a rule has them")]
pub(super) struct Plan {
    pub(super) about: About,
    pub(super) notify: Vec<usize>,
    pub(super) goes_on: bool,
    pub(super) resolved: bool,
    pub(super) hold: u64,
    pub(super) remind: Vec<u64>,
    pub(super) escalate: Vec<(u64, Vec<usize>)>,
    pub(super) critical: bool,
    pub(super) by_instance: bool,
    pub(super) interval: u64,
    /// More outages than this within so many seconds are too many.
    pub(super) flapping: Option<(u32, u64)>,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Delivered,
    Again(i64),
    Dead,
    /// The attempt does not end yet.
    Hang,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Wait(i64),
    /// The daemon's clock jumps.
    Jump(i64),
    Webhook {
        line: usize,
        kind: EventKind,
        reason: Reason,
        known: bool,
        late: i64,
    },
    Copy,
    /// The line is down, and up again after some seconds.
    Flicker(usize, i64),
    Work(u8, Vec<Ending>),
    Finish(Ending),
    Reopen,
    Acknowledge(usize),
    Silence(Option<usize>, i64),
    EndSilence,
    GiveUp(usize),
    /// A person sends everything again that was given up.
    Retry,
}

#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) rules: Vec<Plan>,
    pub(super) quiet: bool,
    pub(super) steps: Vec<Step>,
}

impl About {
    fn is(self, line: &str, reason: Reason) -> bool {
        match self {
            Self::Everything => true,
            Self::Blocked => reason == Reason::NumberBlocked,
            Self::LineA => line == "A",
        }
    }

    fn matcher(self) -> &'static str {
        match self {
            Self::Everything => "{}",
            Self::Blocked => r#"{"reason":"number-blocked"}"#,
            Self::LineA => r#"{"instance":"A"}"#,
        }
    }
}

impl Plan {
    /// Whether it names a sink in `notify`.
    pub(super) fn tells(&self, sink: &str) -> bool {
        self.notify.iter().any(|named| SINKS[*named] == sink)
    }

    /// Whether its wishes count for messages of a kind to a sink.
    pub(super) fn has_a_say(&self, kind: Kind, sink: &str) -> bool {
        let by_step = self.escalate.iter().flat_map(|(_, sinks)| sinks).any(|named| SINKS[*named] == sink);
        match kind {
            Kind::Down | Kind::Reminder | Kind::Flapping | Kind::Steady => self.tells(sink),
            Kind::Escalation => by_step,
            _ => by_step || self.tells(sink),
        }
    }

    pub(super) fn matches(&self, line: &str, reason: Reason) -> bool {
        self.about.is(line, reason)
    }

    fn rule(&self, number: usize) -> Rule {
        let names = |sinks: &[usize]| sinks.iter().map(|sink| SINKS[*sink].to_owned()).collect::<Vec<_>>();
        let seconds = Duration::from_secs;
        let step = |(after, sinks): &(u64, Vec<usize>)| rule::Step { after: seconds(*after), notify: names(sinks) };
        Rule {
            notify: names(&self.notify),
            resolved: self.resolved,
            hold: (self.hold > 0).then_some(seconds(self.hold)),
            remind: self.remind.iter().copied().map(seconds).collect(),
            escalate: self.escalate.iter().map(step).collect(),
            critical: self.critical,
            group_by: if self.by_instance { Field::parse("instance").into_iter().collect() } else { Vec::new() },
            group_interval: seconds(self.interval),
            flapping: self.flapping.map(|(count, within)| Flapping { count, within: seconds(within) }),
            ..rule(&number.to_string(), self.about.matcher(), &[], self.goes_on)
        }
    }
}

impl Story {
    pub(super) fn routing(&self) -> Routing {
        let rules = self.rules.iter().enumerate().map(|(number, plan)| plan.rule(number)).collect();
        let quiet = Quiet {
            name: "night".into(),
            matcher: Matcher::default(),
            days: vec![jiff::civil::Weekday::Sunday, jiff::civil::Weekday::Tuesday],
            from: "18:00".parse().unwrap(),
            to: "19:00".parse().unwrap(),
            time_zone: jiff::tz::TimeZone::UTC,
        };
        Routing { quiet: self.quiet.then_some(quiet).into_iter().collect(), ..routing(rules) }
    }

    /// The rules that apply to an incident, in order.
    pub(super) fn rules_for(&self, line: &str, reason: Reason) -> impl Iterator<Item = (usize, &Plan)> {
        let rules = self.rules.iter().enumerate();
        let matching: Vec<(usize, &Plan)> = rules.filter(|(_, plan)| plan.matches(line, reason)).collect();
        let ends = matching.iter().position(|(_, plan)| !plan.goes_on).map_or(matching.len(), |last| last + 1);
        matching.into_iter().take(ends)
    }

    /// Whom these rules owe the bad news, and when it is due: the shortest hold counts.
    pub(super) fn owed_down(&self, line: &str, reason: Reason, opened_at: i64) -> BTreeMap<Person, i64> {
        let mut people = BTreeMap::new();
        for (_, plan) in self.rules_for(line, reason) {
            let due_at = opened_at + i64::try_from(plan.hold).unwrap();
            for person in plan.notify.iter().flat_map(|sink| people_of(*sink)) {
                people.entry(person).and_modify(|before: &mut i64| *before = due_at.min(*before)).or_insert(due_at);
            }
        }
        people
    }

    /// The steps of their escalations: to whom, and how long after the outage began.
    pub(super) fn steps_owed(&self, line: &str, reason: Reason) -> BTreeSet<(Person, u64)> {
        let steps = self.rules_for(line, reason).flat_map(|(_, plan)| &plan.escalate);
        steps
            .flat_map(|(after, sinks)| sinks.iter().flat_map(|sink| people_of(*sink)).map(|who| (who, *after)))
            .collect()
    }
}

/// A sink's recipients, as the routing of these tests has them.
pub(super) fn people_of(sink: usize) -> Vec<Person> {
    let people: &[&str] = if SINKS[sink] == "mail" { &["ana", "bia"] } else { &[""] };
    people.iter().map(|name| (SINKS[sink].to_owned(), (*name).to_owned())).collect()
}

fn some_sinks() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence(vec![0, 1, 2], 1..=2)
}

fn plan() -> impl Strategy<Value = Plan> {
    let about = prop_oneof![3 => Just(About::Everything), 1 => Just(About::Blocked), 1 => Just(About::LineA)];
    let steps = prop::collection::vec((prop::sample::select(vec![60_u64, 900]), some_sinks()), 0..=2);
    let group = (any::<bool>(), prop::sample::select(vec![0_u64, 60]));
    let timing = (
        prop::sample::select(vec![0_u64, 0, 30, 300]),
        prop::sample::subsequence(vec![100_u64, 400, 3600], 0..=2),
        steps,
    );
    (about, some_sinks(), any::<[bool; 3]>(), timing, group).prop_map(
        |(about, notify, [goes_on, resolved, critical], (hold, remind, escalate), (by_instance, interval))| Plan {
            about,
            notify,
            goes_on,
            resolved,
            hold,
            remind,
            escalate,
            critical,
            by_instance,
            interval,
            flapping: None,
        },
    )
}

fn flapping_plan() -> impl Strategy<Value = Plan> {
    let flapping = prop::option::weighted(0.8, (1_u32..=2, prop::sample::select(vec![60_u64, 300])));
    (plan(), flapping).prop_map(|(plan, flapping)| Plan { flapping, ..plan })
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        4 => Just(Ending::Delivered),
        2 => prop::sample::select(vec![1_i64, 40, 1000]).prop_map(Ending::Again),
        1 => Just(Ending::Dead),
        1 => Just(Ending::Hang),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let reason =
        prop::sample::select(vec![Reason::Other, Reason::Other, Reason::SessionExpired, Reason::NumberBlocked]);
    let kind = prop::sample::select(vec![EventKind::Disconnected, EventKind::Connected]);
    let late = prop::sample::select(vec![0_i64, 0, 0, 5, 200]);
    let webhook = (0..LINES.len(), kind, reason, prop::bool::weighted(0.8), late)
        .prop_map(|(line, kind, reason, known, late)| Step::Webhook { line, kind, reason, known, late });
    prop_oneof![
        6 => prop::sample::select(vec![1_i64, 10, 29, 30, 31, 60, 100, 900, 4000]).prop_map(Step::Wait),
        1 => prop::sample::select(vec![-4000_i64, -50, 50, 4000]).prop_map(Step::Jump),
        8 => webhook,
        1 => Just(Step::Copy),
        6 => (1_u8..8, prop::collection::vec(ending(), 1..4)).prop_map(|(sinks, endings)| Step::Work(sinks, endings)),
        2 => ending().prop_map(Step::Finish),
        1 => Just(Step::Reopen),
        1 => (0_usize..3).prop_map(Step::Acknowledge),
        1 => (prop::option::of(0..LINES.len()), prop::sample::select(vec![60_i64, 1000]))
            .prop_map(|(line, seconds)| Step::Silence(line, seconds)),
        1 => Just(Step::EndSilence),
        1 => (0_usize..3).prop_map(Step::GiveUp),
        1 => Just(Step::Retry),
    ]
}

/// Stories under rules that tell each outage by itself.
pub(super) fn any_story() -> impl Strategy<Value = Story> {
    story(plan(), step())
}

/// Stories of lines that come and go, under rules that look for that.
pub(super) fn any_story_of_flapping() -> impl Strategy<Value = Story> {
    let flicker = (0..LINES.len(), prop::sample::select(vec![1_i64, 20]));
    story(flapping_plan(), prop_oneof![3 => step(), 1 => flicker.prop_map(|(line, after)| Step::Flicker(line, after))])
}

fn story(rule: impl Strategy<Value = Plan>, step: impl Strategy<Value = Step>) -> impl Strategy<Value = Story> {
    let rules = prop::collection::vec(rule, 1..=3);
    let steps = prop::collection::vec(step, 1..30);
    (rules, prop::bool::weighted(0.2), steps).prop_map(|(rules, quiet, steps)| Story { rules, quiet, steps })
}
