//! Pure: a line that flaps, that is, comes and goes. One message says so, single outages are then kept quiet, and one
//! message gives the tally when the line has been steady, up or down, for long enough.

use std::time::Duration;

use jiff::Timestamp;
use linedown_sinks::{Incident, Kind, Reason};

use super::Owed;
use super::wait::Wait;
use crate::clock::{between, later};

/// When a rule takes a line to be flapping, and when to be steady again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// A line flaps after more outages than this
    pub count: u32,
    /// within this time; it is steady again when it has not changed for as long.
    pub within: Duration,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { count: 4, within: Duration::from_mins(30) }
    }
}

/// A spell of flapping, for one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// When the first of its outages began.
    pub since: Timestamp,
    /// When the spell is over, unless the line changes before.
    pub until: Timestamp,
    /// The worst reason that people know of.
    pub reason: Reason,
}

/// The outages of a line that a rule recently had a say in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// How many.
    pub outages: u32,
    /// When the first of them began.
    pub first: Option<Timestamp>,
}

/// What an outage is to a rule: one by itself, or part of a spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// One by itself.
    Alone,
    /// The one that is too many: a spell begins.
    Begins(Spell),
    /// One more outage in a spell.
    GoesOn(Spell),
    /// An outage in a spell, with a worse reason than any that people know of: they hear at once.
    Worse(Spell),
}

impl Flapping {
    /// What an outage is that begins now, after the line's other outages `lately`; `known` is the last spell, over or
    /// not. The other outages, which may be many, are only counted if no spell goes on.
    pub fn course<E>(
        &self,
        known: Option<Spell>,
        lately: impl FnOnce() -> Result<Lately, E>,
        incident: &Incident,
        now: Timestamp,
    ) -> Result<Course, E> {
        if let Some(spell) = known.filter(|spell| now < spell.until) {
            let is_worse = incident.reason > spell.reason;
            let course = if is_worse { Course::Worse } else { Course::GoesOn };
            return Ok(course(Spell { reason: incident.reason.max(spell.reason), ..spell }));
        }
        let Lately { outages, first } = lately()?;
        if outages < self.count {
            return Ok(Course::Alone);
        }
        Ok(Course::Begins(Spell {
            since: first.unwrap_or(incident.opened_at).min(incident.opened_at),
            until: later(now, self.within),
            reason: incident.reason,
        }))
    }

    /// What a rule owes about an outage on this course. What is kept quiet is not left out, but written down as
    /// withdrawn.
    pub fn plan(&self, owed: Owed, course: Course, incident: &Incident, now: Timestamp) -> Vec<Planned> {
        match (course, owed.kind) {
            (Course::Alone | Course::Worse(_), _) => vec![Planned::Owed(owed)],
            (_, Kind::Escalation) => vec![Planned::Owed(self.later_step(owed, incident, now))],
            (Course::GoesOn(_), _) => vec![Planned::Quiet(owed)],
            (Course::Begins(spell), _) => {
                let said = Owed { kind: Kind::Flapping, due_at: now, held_by: None, since: Some(spell.since), ..owed };
                let tally =
                    Owed { kind: Kind::Steady, due_at: spell.until, held_by: Some(Wait::Flapping), ..said.clone() };
                vec![Planned::Owed(said), Planned::Owed(tally)]
            }
        }
    }

    /// A step of an escalation counts from when the line is known to stay down.
    fn later_step(&self, owed: Owed, incident: &Incident, now: Timestamp) -> Owed {
        let after = between(incident.opened_at, owed.due_at);
        Owed {
            due_at: later(later(now, self.within), after),
            held_by: Some(Wait::StepAfterFlapping { after, flapping: self.within }),
            ..owed
        }
    }
}

/// What becomes of something that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// It is owed.
    Owed(Owed),
    /// It is withdrawn at once: the tally will tell of it.
    Quiet(Owed),
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::clock::from_millis;
    use crate::rule::tests::incident;

    fn at(minute: i64) -> Timestamp {
        from_millis(minute * 60_000)
    }

    #[test]
    fn one_outage_too_many_makes_a_line_flap() {
        let flapping = Flapping::default();
        let course = |spell, outages, reason, minute| {
            let incident = Incident { opened_at: at(minute), ..incident(reason) };
            let mut is_counted = false;
            let lately = || {
                is_counted = true;
                Ok::<_, Infallible>(Lately { outages, first: Some(at(1)) })
            };
            let Ok(course) = flapping.course(spell, lately, &incident, at(minute));
            assert_eq!(is_counted, matches!(course, Course::Alone | Course::Begins(_)), "{course:?}");
            course
        };
        let spell = Spell { since: at(1), until: at(50), reason: Reason::Other };
        assert_eq!(course(None, 3, Reason::Other, 20), Course::Alone);
        assert_eq!(course(None, 4, Reason::Other, 20), Course::Begins(spell));
        assert_eq!(course(Some(spell), 5, Reason::Other, 49), Course::GoesOn(spell));
        assert_eq!(course(Some(spell), 0, Reason::Other, 50), Course::Alone, "it was steady");
        let worse = Spell { reason: Reason::NumberBlocked, ..spell };
        assert_eq!(course(Some(spell), 5, Reason::NumberBlocked, 49), Course::Worse(worse));
        assert_eq!(course(Some(worse), 5, Reason::NumberBlocked, 49), Course::GoesOn(worse), "they know");
    }
}
