//! Pure: when a step of an escalation is sent. It says that somebody was told and that nobody took the outage, so its time
//! counts from the first message: if that was held back or heard of late, the step is as much later.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::Kind;

use super::Owed;
use super::wait::Wait;
use crate::clock::later;

/// One of the first messages about an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// When it was, or is, to be sent. (A sink that fails does not change that.)
    pub due_at: Timestamp,
    /// When its first attempt began.
    pub tried_at: Option<Timestamp>,
    /// When the attempt began that delivered it.
    pub told_at: Option<Timestamp>,
    /// When it is tried next, if it is pending.
    pub next_at: Option<Timestamp>,
    /// Whether it is to the recipient of the step.
    pub is_to_same: bool,
}

/// Returns how long a step comes after the first messages, and of which kind these are, if a wait is that of a step.
/// `hold` is how long these are held.
pub fn behind(step: &Wait, hold: Option<Duration>) -> Option<(Duration, Kind)> {
    match step {
        Wait::Step(after) => Some((after.saturating_sub(hold.unwrap_or_default()), Kind::Down)),
        Wait::StepAfterFlapping { after, .. } => Some((*after, Kind::Steady)),
        _ => None,
    }
}

/// A step that was or is owed to somebody.
#[derive(Clone, Debug)]
pub struct Had {
    /// The sink.
    pub sink: String,
    /// The recipient there.
    pub recipient: String,
    /// What it waits or waited for, as far as that is known.
    pub waited_for: [Option<Wait>; 2],
    /// Whether it is still to be sent.
    pub is_pending: bool,
}

impl Had {
    /// How long after the outage began it was to be sent. Not known of one that was due at once, or that was sent after
    /// something had held it back.
    fn after(&self) -> Option<Duration> {
        self.waited_for.iter().flatten().find_map(after)
    }

    fn is_to(&self, owed: &Owed) -> bool {
        (&self.sink, &self.recipient) == (&owed.sink, &owed.recipient)
    }
}

fn after(wait: &Wait) -> Option<Duration> {
    behind(wait, None).map(|(after, _)| after)
}

/// How long after the outage began a step is to be sent that the rules want.
fn wanted_after(owed: &Owed) -> Duration {
    owed.held_by.as_ref().and_then(after).unwrap_or_default()
}

/// Whether a step that the rules want is the one of which `step` is known, for this recipient.
pub fn is_same(owed: &Owed, step: &Wait, (sink, recipient): (&str, &str)) -> bool {
    owed.sink == sink && owed.recipient == recipient && after(step) == Some(wanted_after(owed))
}

/// Returns those of the `wanted` steps that their recipients have not had, each once. Where it is not known which step
/// somebody had, or the rules want it at another time now, that was the earliest.
pub fn lacking_steps(wanted: Vec<Owed>, had: &[Had]) -> Vec<Owed> {
    let mut lacking: Vec<Owed> = Vec::with_capacity(wanted.len());
    let of = |owed: &Owed| (owed.sink.clone(), owed.recipient.clone(), wanted_after(owed));
    for owed in wanted {
        if !lacking.iter().any(|other| of(other) == of(&owed)) {
            lacking.push(owed);
        }
    }
    let is_it = |had: &Had, owed: &Owed| had.is_to(owed) && had.after() == Some(wanted_after(owed));
    let (wanted, others): (Vec<_>, Vec<_>) = had.iter().partition(|had| lacking.iter().any(|owed| is_it(had, owed)));
    lacking.retain(|owed| !wanted.iter().any(|had| is_it(had, owed)));
    // One that is still pending under another time is withdrawn when that comes.
    for had in others.into_iter().filter(|had| !had.is_pending || had.after().is_none()) {
        let theirs = lacking.iter().enumerate().filter(|(_, owed)| had.is_to(owed));
        if let Some((earliest, _)) = theirs.min_by_key(|(_, owed)| wanted_after(owed)) {
            lacking.remove(earliest);
        }
    }
    lacking
}

/// Returns the earliest time at which a step may be sent that comes `behind` the first messages; `None` if there are
/// none. One recipient who could be told is enough; but who is to get the step must have been told, too, if a first
/// message is to them.
pub fn earliest(behind: Duration, firsts: &[First], now: Timestamp) -> Option<Timestamp> {
    let sent_at = |first: &First| first.tried_at.map_or(first.due_at, |tried_at| tried_at.min(first.due_at));
    let ahead = |first: &First| first.next_at.map(|next_at| next_at.max(now));
    let to_same = firsts.iter().filter(|first| first.is_to_same).filter_map(|first| first.told_at.or(ahead(first)));
    let told_at = firsts.iter().map(sent_at).min().max(to_same.max())?;
    Some(later(told_at, behind))
}

#[cfg(test)]
mod tests {
    use linedown_sinks::Reason;

    use super::super::tests::{incident, routing, rule};
    use super::*;
    use crate::clock::from_millis;

    fn at(second: i64) -> Timestamp {
        from_millis(second * 1000)
    }

    #[test]
    fn a_step_counts_from_who_could_be_told_first_and_from_what_its_own_recipient_was_told() {
        let sent = |due_at, tried_at: i64| First {
            due_at: at(due_at),
            tried_at: Some(at(tried_at)),
            told_at: Some(at(tried_at)),
            next_at: None,
            is_to_same: false,
        };
        let waits = |due_at| First { tried_at: None, told_at: None, next_at: Some(at(due_at)), ..sent(due_at, 0) };
        let given_up = |due_at| First { told_at: None, ..sent(due_at, due_at) };
        let fails = |next_at| First { next_at: Some(at(next_at)), ..given_up(0) };
        let same = |first| First { is_to_same: true, ..first };
        for (what, firsts, expected) in [
            ("nobody is to be told", vec![], None),
            ("in time", vec![sent(0, 1)], Some(10)),
            ("held back", vec![waits(300)], Some(310)),
            ("the sink fails", vec![waits(0)], Some(10)),
            ("sent again by a person", vec![sent(90, 5)], Some(15)),
            ("one of them in time", vec![waits(300), sent(0, 0)], Some(10)),
            ("the same person is told now", vec![sent(0, 0), same(waits(0))], Some(110)),
            ("the same person is told later", vec![sent(0, 0), same(waits(200))], Some(210)),
            ("the same person was told late", vec![sent(0, 0), same(sent(0, 90))], Some(100)),
            (
                "the same person could not be told at first",
                vec![same(First { tried_at: Some(at(0)), ..sent(0, 90) })],
                Some(100),
            ),
            ("the same person cannot be told yet", vec![sent(0, 0), same(fails(150))], Some(160)),
            ("the same person is being told", vec![sent(0, 0), same(fails(90))], Some(110)),
            ("somebody else cannot be told yet", vec![sent(0, 0), fails(150)], Some(10)),
            ("the same person could not be told", vec![same(given_up(0))], Some(10)),
        ] {
            assert_eq!(earliest(Duration::from_secs(10), &firsts, at(100)), expected.map(at), "{what}");
        }
    }

    #[test]
    fn a_step_that_somebody_had_is_not_lacking() {
        let minutes = Duration::from_mins;
        let step = |after| (after > 0).then(|| Wait::Step(minutes(after)));
        let wanted = |sink: &str, after| Owed {
            sink: sink.to_owned(),
            kind: Kind::Escalation,
            due_at: later(at(0), minutes(after)),
            held_by: step(after),
            ..routing(vec![rule("all", "{}", &["slack"], false)]).owed(&incident(Reason::Other)).remove(0)
        };
        let had = |sink: &str, waited_for| Had {
            sink: sink.to_owned(),
            recipient: String::new(),
            waited_for,
            is_pending: false,
        };
        let pending = |sink: &str, waited_for| Had { is_pending: true, ..had(sink, waited_for) };
        let flapping = Some(Wait::StepAfterFlapping { after: minutes(15), flapping: minutes(30) });
        for (what, wants, had, lacking) in [
            ("none", vec![15, 30], vec![], vec![15, 30]),
            ("two rules want it", vec![15, 15], vec![], vec![15]),
            ("one of them", vec![15, 30], vec![had("log", [step(15), None])], vec![30]),
            ("held back", vec![15, 30], vec![had("log", [Some(Wait::Silence(1)), step(30)])], vec![15]),
            ("of a line that flaps", vec![15, 30], vec![had("log", [flapping, None])], vec![30]),
            ("one that the rules want no more", vec![15], vec![pending("log", [step(30), None])], vec![15]),
            ("one that the rules want later now", vec![20, 30], vec![had("log", [step(15), None])], vec![30]),
            ("one of two that change", vec![15, 20], vec![had("log", [step(15), None])], vec![20]),
            ("one that was due at once", vec![0, 15], vec![had("log", [None, None])], vec![15]),
            ("one of which nothing is known", vec![15, 30], vec![had("log", [None, Some(Wait::Silence(1))])], vec![30]),
            (
                "and one of which more is known",
                vec![15, 30, 60],
                vec![had("log", [None, None]), had("log", [step(15), None])],
                vec![60],
            ),
            ("somebody else had it", vec![15], vec![had("mail", [step(15), None])], vec![15]),
        ] {
            let wanted = wants.into_iter().map(|after| wanted("log", after)).collect();
            let found: Vec<_> = lacking_steps(wanted, &had).iter().map(wanted_after).collect();
            assert_eq!(found, lacking.into_iter().map(minutes).collect::<Vec<_>>(), "{what}");
        }
    }

    #[test]
    fn a_hold_is_part_of_what_a_step_waits() {
        let minutes = Duration::from_mins;
        let after_flapping = Wait::StepAfterFlapping { after: minutes(15), flapping: minutes(30) };
        for (step, hold, expected) in [
            (Wait::Step(minutes(15)), None, Some((15, Kind::Down))),
            (Wait::Step(minutes(15)), Some(10), Some((5, Kind::Down))),
            (Wait::Step(minutes(15)), Some(20), Some((0, Kind::Down))),
            (after_flapping, Some(10), Some((15, Kind::Steady))),
            (Wait::Reminder, None, None),
        ] {
            let expected = expected.map(|(behind, kind)| (minutes(behind), kind));
            assert_eq!(behind(&step, hold.map(minutes)), expected, "{step}");
        }
    }
}
