//! Pure: what an event changes about a line.
//!
//! An incident is one outage of one line: a disconnect opens it, a connect closes it. Webhooks may come twice, late and
//! out of order. Two of them are ordered by the gateway's own clock if both times can be believed, otherwise by
//! arrival. In doubt the line counts as down: a false alarm is the smaller evil.

use jiff::{SignedDuration, Timestamp};
use linedown_sinks::Reason;

use crate::source::{Event, EventKind};

/// Some payloads carry whole seconds: times that differ by no more than this have no known order.
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
    /// Its latest outage, if that is over: when it began and when it ended. Only needed for an event that is
    /// [belated](Line::is_belated).
    pub last: Option<(Timestamp, Timestamp)>,
}

/// An outage that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The incident's number.
    pub incident: i64,
    /// Since when.
    pub opened_at: Timestamp,
    /// The worst reason reported so far.
    pub reason: Reason,
}

/// What an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new incident, still open.
    Opened,
    /// A new incident that is already over: its report was held up, and the line has come back since.
    Missed {
        /// When it came back; at the latest when the next known outage began.
        closed_at: Timestamp,
    },
    /// The open incident has a worse reason than was known.
    Worsened,
    /// One more report of the open incident, or of the latest one, if that was going on at the time.
    Repeated,
    /// The open incident is over.
    Closed {
        /// Since when; never before it opened.
        closed_at: Timestamp,
    },
    /// A connect of a line that was not down, or one that is older than the outage; or an answer of the gateway that is
    /// no news.
    Nothing,
}

impl Line {
    /// What the event changes.
    pub fn step(&self, event: &Event) -> Change {
        if event.asked_at.is_some_and(|asked_at| self.knows_better(event, asked_at)) {
            return Change::Nothing;
        }
        match (event.kind, &self.open) {
            (EventKind::Disconnected, None) => match self.up_at.filter(|_| self.is_belated(event)) {
                Some(_) if self.was_down_at(event) => Change::Repeated,
                Some(up_at) => {
                    Change::Missed { closed_at: self.began_after(event).map_or(up_at, |from| from.min(up_at)) }
                }
                None => Change::Opened,
            },
            (EventKind::Disconnected, Some(open)) if event.reason > open.reason => Change::Worsened,
            (EventKind::Disconnected, Some(_)) => Change::Repeated,
            (EventKind::Connected, Some(open)) if !older(event.gateway_at, self.down_at) => {
                Change::Closed { closed_at: event.at.max(open.opened_at) }
            }
            (EventKind::Unwatched, Some(open)) => Change::Closed { closed_at: event.at.max(open.opened_at) },
            (EventKind::Connected | EventKind::Unwatched, _) => Change::Nothing,
        }
    }

    /// Whether the event reports an outage, but is older than the news that the line is back.
    pub fn is_belated(&self, event: &Event) -> bool {
        let is_down = event.kind == EventKind::Disconnected;
        is_down && self.open.is_none() && older(event.gateway_at, self.up_at)
    }

    /// Whether a report of an outage that looks like a copy of an earlier one may be of another: its time is in whole
    /// seconds, and the line came back within that second, or so little before it that the order is not known.
    pub fn may_be_down_again(&self, event: &Event) -> bool {
        let second = event.gateway_at.filter(|at| at.as_millisecond() % 1000 == 0);
        let is_down = event.kind == EventKind::Disconnected && self.open.is_none();
        let is_back_within =
            |(second, up_at): (Timestamp, Timestamp)| (-RESOLUTION..RESOLUTION).contains(&up_at.duration_since(second));
        is_down && second.zip(self.up_at).is_some_and(is_back_within)
    }

    /// Whether the latest outage was going on at the time of the event.
    fn was_down_at(&self, event: &Event) -> bool {
        self.last.is_some_and(|(from, to)| !older(event.gateway_at, Some(from)) && !older(Some(to), event.gateway_at))
    }

    /// When the latest outage began, if that was after the report: the reported outage was over by then.
    fn began_after(&self, event: &Event) -> Option<Timestamp> {
        self.last.map(|(from, _)| from).filter(|from| *from > event.at)
    }

    /// Whether an answer of the gateway is no news: a webhook came after it was asked, or it only says what is known.
    fn knows_better(&self, event: &Event, asked_at: Timestamp) -> bool {
        let overtaken = self.heard_at.is_some_and(|heard_at| heard_at >= asked_at);
        overtaken || self.open.is_some() == (event.kind == EventKind::Disconnected)
    }

    /// The line's `down_at` and `up_at` after the event.
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

    /// A line lived through events, by seconds: `d` down, `c` connect, `b` banned; upper case without a gateway time.
    fn live(story: &[(char, i64)]) -> (Line, Vec<Change>) {
        let mut line = Line::default();
        let mut changes = Vec::new();
        for (order, (letter, second)) in (100..).zip(story) {
            let event = event(*letter, *second, order);
            let change = line.step(&event);
            changes.push(change);
            apply(&mut line, &event, change);
        }
        (line, changes)
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

    fn apply(line: &mut Line, event: &Event, change: Change) {
        let (down_at, up_at) = line.clocks_after(event);
        match change {
            Change::Opened => line.open = Some(Open { incident: 1, opened_at: event.at, reason: event.reason }),
            Change::Worsened => line.open.as_mut().unwrap().reason = event.reason,
            Change::Closed { closed_at } => line.last = line.open.take().map(|open| (open.opened_at, closed_at)),
            Change::Missed { closed_at } => line.last = Some((event.at, closed_at)),
            Change::Repeated | Change::Nothing => {}
        }
        (line.down_at, line.up_at) = (down_at, up_at);
    }

    #[test]
    fn stories() {
        use Change::{Closed, Missed, Nothing, Opened, Repeated, Worsened};
        let at = |second: i64| from_millis(second * 1000);
        for (what, story, changes) in [
            ("down and up", vec![('d', 10), ('c', 20)], vec![Opened, Closed { closed_at: at(20) }]),
            ("down twice", vec![('d', 10), ('d', 12)], vec![Opened, Repeated]),
            ("worse", vec![('d', 10), ('b', 12), ('d', 13)], vec![Opened, Worsened, Repeated]),
            ("connect without a disconnect", vec![('c', 10), ('C', 0)], vec![Nothing, Nothing]),
            ("an old connect comes late", vec![('d', 20), ('c', 10)], vec![Opened, Nothing]),
            (
                "an old connect, after a newer report",
                vec![('d', 10), ('d', 20), ('c', 15)],
                vec![Opened, Repeated, Nothing],
            ),
            ("an old disconnect comes late", vec![('c', 20), ('d', 10)], vec![Nothing, Missed { closed_at: at(20) }]),
            (
                "a report of the outage that is over",
                vec![('d', 10), ('c', 20), ('b', 15), ('d', 25)],
                vec![Opened, Closed { closed_at: at(20) }, Repeated, Opened],
            ),
            (
                "a report of an outage before that",
                vec![('d', 10), ('c', 20), ('d', 5)],
                vec![Opened, Closed { closed_at: at(20) }, Missed { closed_at: at(10) }],
            ),
            ("the same time", vec![('d', 10), ('c', 10)], vec![Opened, Closed { closed_at: at(10) }]),
            ("whole seconds", vec![('d', 10), ('c', 9)], vec![Opened, Closed { closed_at: at(10) }]),
            ("unknown times go by arrival", vec![('D', 0), ('C', 0)], vec![Opened, Closed { closed_at: at(101) }]),
            (
                "a known time does not beat an unknown one",
                vec![('D', 0), ('c', 50)],
                vec![Opened, Closed { closed_at: at(100) }],
            ),
        ] {
            assert_eq!(live(&story).1, changes, "{what}");
        }
    }

    #[test]
    fn what_asking_finds_gives_way_to_webhooks() {
        use Change::{Closed, Nothing, Opened};
        let open = Open { incident: 1, opened_at: from_millis(90_000), reason: Reason::Other };
        for (what, letter, open, heard, change) in [
            ("down, and no webhook came", 'D', None, None, Opened),
            ("down, and the latest webhook is older", 'D', None, Some(99), Opened),
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
        /// Whatever comes in whatever order: with all times known, the line ends as the newest report says, and each
        /// outage that was opened is closed, except perhaps the last.
        #[test]
        fn the_newest_report_wins(mut story in prop::collection::vec((prop::sample::select(vec!['d', 'c', 'b']), 0_i64..1000), 1..12)) {
            for (spread, (_, second)) in story.iter_mut().enumerate() {
                *second = *second * 40 + i64::try_from(spread).unwrap() * 2;
            }
            let newest = *story.iter().max_by_key(|(_, second)| *second).unwrap();
            let (line, changes) = live(&story);
            if newest.0 == 'c' {
                prop_assert_eq!(line.open, None);
            } else {
                // A disconnect that is newest leaves the line down.
                prop_assert!(line.open.is_some());
            }
            let opened = changes.iter().filter(|change| matches!(change, Change::Opened)).count();
            let closed = changes.iter().filter(|change| matches!(change, Change::Closed { .. })).count();
            prop_assert!(opened == closed || opened == closed + 1);
        }
    }
}
