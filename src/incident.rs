//! Pure: what an event changes about a line.
//!
//! An incident is one outage of one line: a disconnect opens it, a connect closes it. Webhooks may come twice,
//! late and out of order. Two of them are put in order by the gateway's own clock where both times can be
//! believed; otherwise by arrival. In doubt the line is taken to be down: a false alarm is the smaller evil.
//! Whatever the order, no two outages of a line overlap, where our own clock is not set back.

use jiff::{SignedDuration, Timestamp};
use linedown_sinks::Reason;

use crate::source::{Event, EventKind};

/// Some payloads carry whole seconds: times that differ by less are not in a known order.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// What is known of a line before an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The outage it is in.
    pub open: Option<Open>,
    /// The latest believable gateway time at which it was reported down.
    pub down_at: Option<Timestamp>,
    /// The latest believable gateway time at which it was reported up.
    pub up_at: Option<Timestamp>,
    /// When the latest webhook about it came.
    pub heard_at: Option<Timestamp>,
    /// When its latest outage ended, if that is over.
    pub over_at: Option<Timestamp>,
    /// Of its outages the first that ended at [`Line::belated`] or later: only that makes it needed.
    pub next: Option<Over>,
}

/// An outage that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The incident's number.
    pub incident: i64,
    /// Since when.
    pub opened_at: Timestamp,
    /// Why, by the worst report so far.
    pub reason: Reason,
}

/// An outage that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The incident's number.
    pub incident: i64,
    /// Since when.
    pub opened_at: Timestamp,
}

/// What an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new incident, still open.
    Opened {
        /// Since when; never before the last one was over.
        opened_at: Timestamp,
    },
    /// A new incident that is over already: the report of it was held up, and the line has come back since.
    Missed {
        /// When it came back; never after the next one opened.
        closed_at: Timestamp,
    },
    /// The open incident has a worse reason than was known.
    Worsened,
    /// One more report of the open incident, or of the [next](Line::next): that went on at the time, or the line is not
    /// known to have been back before it opened.
    Repeated,
    /// The open incident is over.
    Closed {
        /// Since when; never before it opened.
        closed_at: Timestamp,
    },
    /// A connect of a line that was not down, or one that is older than the outage.
    Nothing,
}

impl Line {
    /// What the event changes.
    pub fn step(&self, event: &Event) -> Change {
        if event.asked_at.is_some_and(|asked_at| self.knows_better(event, asked_at)) {
            return Change::Nothing;
        }
        match (event.kind, &self.open) {
            (EventKind::Disconnected, None) => self.down(event),
            (EventKind::Disconnected, Some(open)) if event.reason > open.reason => Change::Worsened,
            (EventKind::Disconnected, Some(_)) => Change::Repeated,
            (EventKind::Connected, Some(open)) if !older(event.gateway_at, self.down_at) => {
                Change::Closed { closed_at: event.at.max(open.opened_at) }
            }
            (EventKind::Unwatched, Some(open)) => Change::Closed { closed_at: event.at.max(open.opened_at) },
            (EventKind::Connected | EventKind::Unwatched, _) => Change::Nothing,
        }
    }

    /// What the report of an outage changes, while the line is not known to be in one.
    fn down(&self, event: &Event) -> Change {
        let up_at = self.up_at.filter(|_| self.belated(event).is_some());
        match (up_at, self.next) {
            (None, _) => {
                let opened_at = self.over_at.map_or(event.at, |over_at| event.at.max(over_at));
                Change::Opened { opened_at: opened_at.min(event.received_at) }
            }
            (Some(up_at), Some(next)) if up_at > next.opened_at => Change::Repeated,
            (Some(up_at), _) => Change::Missed { closed_at: up_at.min(event.received_at) },
        }
    }

    /// If it reports an outage after the news that the line is back: the earliest end of an outage that it may be about.
    pub fn belated(&self, event: &Event) -> Option<Timestamp> {
        let is_news = event.kind == EventKind::Disconnected && self.open.is_none();
        let at = event.gateway_at.filter(|at| is_news && older(Some(*at), self.up_at))?;
        Some(at.checked_sub(RESOLUTION).unwrap_or(Timestamp::MIN))
    }

    /// Whether an answer of the gateway is no news: a webhook came after it was asked, or says the same already.
    fn knows_better(&self, event: &Event, asked_at: Timestamp) -> bool {
        let overtaken = self.heard_at.is_some_and(|heard_at| heard_at >= asked_at);
        overtaken || self.open.is_some() == (event.kind == EventKind::Disconnected)
    }

    /// What is known of the line's clock after the event: its `(down_at, up_at)`.
    pub fn clocks_after(&self, event: &Event) -> (Option<Timestamp>, Option<Timestamp>) {
        match event.kind {
            EventKind::Disconnected => (self.down_at.max(event.gateway_at), self.up_at),
            EventKind::Connected => (self.down_at, self.up_at.max(event.gateway_at)),
            EventKind::Unwatched => (self.down_at, self.up_at),
        }
    }
}

/// Whether the first is known to be before the second.
fn older(first: Option<Timestamp>, second: Option<Timestamp>) -> bool {
    first.zip(second).is_some_and(|(first, second)| second.duration_since(first) > RESOLUTION)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::from_millis;

    /// When the first event of a story comes, in seconds; each other comes a second after the one before.
    const FIRST: i64 = 100_000;

    /// A line that is lived through.
    #[derive(Default)]
    struct Life {
        line: Line,
        /// Its outages that are over: since when, and until when.
        over: Vec<(Timestamp, Timestamp)>,
        changes: Vec<Change>,
    }

    impl Life {
        /// Through events, by seconds: `d` down, `b` banned, `c` connect; upper case without a gateway time.
        fn through(story: &[(char, i64)]) -> Self {
            let mut life = Self::default();
            for (received, (letter, second)) in (FIRST..).zip(story) {
                life.hear(&event(*letter, *second, received));
            }
            life
        }

        fn hear(&mut self, event: &Event) {
            let line = &mut self.line;
            line.over_at = if line.open.is_some() { None } else { self.over.iter().map(|(_, to)| *to).max() };
            line.next = line.belated(event).and_then(|ended| {
                let over = (0..).zip(&self.over).filter(|(_, (_, to))| *to >= ended);
                over.map(|(incident, (from, _))| Over { incident, opened_at: *from }).min_by_key(|over| over.opened_at)
            });
            let change = line.step(event);
            (line.down_at, line.up_at) = line.clocks_after(event);
            match change {
                Change::Opened { opened_at } => line.open = Some(Open { incident: 1, opened_at, reason: event.reason }),
                Change::Worsened => line.open.as_mut().unwrap().reason = event.reason,
                Change::Closed { closed_at } => self.over.push((line.open.take().unwrap().opened_at, closed_at)),
                Change::Missed { closed_at } => self.over.push((event.at, closed_at)),
                Change::Repeated => assert!(line.open.is_some() || line.next.is_some(), "it belongs to none"),
                Change::Nothing => {}
            }
            if event.asked_at.is_none() {
                line.heard_at = Some(event.received_at);
            }
            self.changes.push(change);
        }

        /// All its outages, the first one first; the last may go on.
        fn outages(&self) -> Vec<(Timestamp, Option<Timestamp>)> {
            let over = self.over.iter().map(|(from, to)| (*from, Some(*to)));
            let mut outages: Vec<_> = over.chain(self.line.open.iter().map(|open| (open.opened_at, None))).collect();
            outages.sort_by_key(|(from, to)| (*from, to.unwrap_or(Timestamp::MAX)));
            outages
        }
    }

    fn event(letter: char, second: i64, received: i64) -> Event {
        let gateway_at = letter.is_lowercase().then(|| from_millis(second * 1000));
        let (kind, reason) = match letter.to_ascii_lowercase() {
            'c' => (EventKind::Connected, Reason::Other),
            'u' => (EventKind::Unwatched, Reason::SinkFailing),
            'b' => (EventKind::Disconnected, Reason::NumberBlocked),
            _ => (EventKind::Disconnected, Reason::DeviceDisconnected),
        };
        Event {
            source: "z-api".into(),
            instance: "A".into(),
            kind,
            reason,
            phone: None,
            error: None,
            at: gateway_at.unwrap_or(from_millis(received * 1000)),
            gateway_at,
            stamp: None,
            received_at: from_millis(received * 1000),
            asked_at: None,
        }
    }

    #[test]
    fn stories() {
        use Change::{Missed, Nothing, Repeated, Worsened};
        let at = |second: i64| from_millis(second * 1000);
        let opened = |second: i64| Change::Opened { opened_at: at(second) };
        let closed = |second: i64| Change::Closed { closed_at: at(second) };
        let missed = |second: i64| Missed { closed_at: at(second) };
        for (what, story, changes) in [
            ("down and up", vec![('d', 10), ('c', 20)], vec![opened(10), closed(20)]),
            ("down twice", vec![('d', 10), ('d', 12)], vec![opened(10), Repeated]),
            ("worse", vec![('d', 10), ('b', 12), ('d', 13)], vec![opened(10), Worsened, Repeated]),
            ("connect without a disconnect", vec![('c', 10), ('C', 0)], vec![Nothing, Nothing]),
            ("an old connect comes late", vec![('d', 20), ('c', 10)], vec![opened(20), Nothing]),
            (
                "an old connect, after a newer report",
                vec![('d', 10), ('d', 20), ('c', 15)],
                vec![opened(10), Repeated, Nothing],
            ),
            ("an old disconnect comes late", vec![('c', 20), ('d', 10)], vec![Nothing, missed(20)]),
            (
                "a report of the outage that is over",
                vec![('d', 10), ('c', 20), ('b', 15), ('d', 25)],
                vec![opened(10), closed(20), Repeated, opened(25)],
            ),
            (
                "a report from before that, and no connect between",
                vec![('d', 10), ('c', 20), ('d', 5)],
                vec![opened(10), closed(20), Repeated],
            ),
            (
                "a report from before that, and a connect between",
                vec![('c', 10), ('d', 15), ('C', 0), ('d', 5), ('d', 7), ('c', FIRST + 5), ('d', 8)],
                vec![Nothing, opened(15), closed(FIRST + 2), missed(10), Repeated, Nothing, Repeated],
            ),
            (
                "a report of an outage between two others",
                vec![('d', 10), ('c', 20), ('c', 40), ('d', 30), ('d', 25), ('d', 5)],
                vec![opened(10), closed(20), Nothing, missed(40), Repeated, Repeated],
            ),
            (
                "a report from before an end of which the time is unknown",
                vec![('d', 10), ('C', 0), ('d', 20)],
                vec![opened(10), closed(FIRST + 1), opened(FIRST + 1)],
            ),
            ("the same time", vec![('d', 10), ('c', 10)], vec![opened(10), closed(10)]),
            ("whole seconds", vec![('d', 10), ('c', 9)], vec![opened(10), closed(10)]),
            ("unknown times go by arrival", vec![('D', 0), ('C', 0)], vec![opened(FIRST), closed(FIRST + 1)]),
            (
                "a known time does not beat an unknown one",
                vec![('D', 0), ('c', 50)],
                vec![opened(FIRST), closed(FIRST)],
            ),
        ] {
            assert_eq!(Life::through(&story).changes, changes, "{what}");
        }
    }

    #[test]
    fn what_asking_finds_gives_way_to_webhooks() {
        use Change::{Closed, Nothing};
        let opened = Change::Opened { opened_at: from_millis(101_000) };
        let open = Open { incident: 1, opened_at: from_millis(90_000), reason: Reason::Other };
        for (what, letter, open, heard, change) in [
            ("down, and no webhook came", 'D', None, None, opened),
            ("down, and the latest webhook is older", 'D', None, Some(99), opened),
            ("down, but a webhook has come since it was asked", 'D', None, Some(100), Nothing),
            ("down, as is known", 'B', Some(open.clone()), Some(90), Nothing),
            ("up, as is known", 'C', None, Some(90), Nothing),
            ("nobody looks any more", 'U', Some(open.clone()), Some(90), Closed { closed_at: from_millis(101_000) }),
            ("nobody looks any more, and nothing was amiss", 'U', None, Some(90), Nothing),
            ("up after an outage", 'C', Some(open.clone()), Some(90), Closed { closed_at: from_millis(101_000) }),
            ("up, but a webhook has come since it was asked", 'C', Some(open), Some(101), Nothing),
        ] {
            let line = Line { open, heard_at: heard.map(|second| from_millis(second * 1000)), ..Line::default() };
            let event = Event { asked_at: Some(from_millis(100_000)), ..event(letter, 0, 101) };
            assert_eq!(line.step(&event), change, "{what}");
        }
    }

    proptest! {
        /// Whatever comes in whatever order: after the newest report, with all times known, the line is as it says;
        /// and no outage ends before it began.
        #[test]
        fn the_newest_report_wins(mut story in prop::collection::vec((prop::sample::select(vec!['d', 'c', 'b']), 0_i64..1000), 1..12)) {
            for (spread, (_, second)) in story.iter_mut().enumerate() {
                *second = *second * 40 + i64::try_from(spread).unwrap() * 2;
            }
            let newest = *story.iter().max_by_key(|(_, second)| *second).unwrap();
            let Life { line, changes, .. } = Life::through(&story);
            if newest.0 == 'c' {
                prop_assert_eq!(line.open, None);
            } else {
                // A disconnect that is newest leaves the line down.
                prop_assert!(line.open.is_some());
            }
            let opened = changes.iter().filter(|change| matches!(change, Change::Opened { .. })).count();
            let closed = changes.iter().filter(|change| matches!(change, Change::Closed { .. })).count();
            prop_assert!(opened == closed || opened == closed + 1);
        }

        /// Whatever comes in whatever order, by webhook or by asking, with or without a time: an outage begins when the
        /// one before it is over, or later.
        #[test]
        fn outages_never_overlap(story in prop::collection::vec((prop::sample::select(vec!['d', 'c', 'b', 'D', 'C']), any::<bool>(), 0_i64..40), 1..16)) {
            let mut life = Life::default();
            for (received, (letter, found, second)) in (FIRST..).zip(story) {
                // Some of them are ahead of our clock.
                let mut event = event(letter, FIRST - 20 + second, received);
                event.at = event.at.min(event.received_at);
                event.asked_at = (found && event.gateway_at.is_none()).then(|| from_millis((received - 2) * 1000));
                life.hear(&event);
                let outages = life.outages();
                let apart = outages.windows(2).all(|pair| pair[0].1.is_some_and(|to| to <= pair[1].0));
                let forward = outages.iter().all(|(from, to)| to.is_none_or(|to| *from <= to));
                prop_assert!(apart && forward, "after {:?}: {:?}", event, outages);
            }
        }
    }
}
