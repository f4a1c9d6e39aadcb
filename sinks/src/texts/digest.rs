//! A digest, several incidents in one message: which incidents it lists, and how many lines there are of each sort.

use std::collections::{HashMap, HashSet};

use crate::{Flapping, GIVEN_UP, Incident, Item, Kind, Notification, Reason, Undelivered};

/// A digest by its lines. Each line counts once and each incident is listed once, however many of the digest's
/// notifications are about it.
pub(super) struct Digest<'a> {
    /// Each line once: lines down that are news, then lines down that are reminders, then all others. Within each group
    /// the items' order stays: the worst first.
    pub(super) lines: Vec<Line<'a>>,
    /// Each incident once, in the same order.
    pub(super) outages: Vec<Line<'a>>,
    /// How many lines are down, as far as this message tells. (One that is down again and has another message for that
    /// is only counted in `again`.)
    pub(super) down: usize,
    /// How many of the lines that are down are news, not reminders.
    pub(super) new: usize,
    /// How many of the lines that are down were known to be down, and have turned out to be worse.
    pub(super) worse: usize,
    /// How many of the lines that are down somebody has acknowledged.
    pub(super) taken: usize,
    /// How many lines are back whose outages the reader hears of only now.
    pub(super) missed: usize,
    /// How many lines were back, and are down again.
    pub(super) again: usize,
    /// How many lines come and go, of which it is not said one by one any more when they do.
    pub(super) flapping: usize,
    /// How many of these are not counted as down.
    pub(super) dropping: usize,
    /// How many lines are closed only because linedown does not watch them any more.
    pub(super) unwatched: usize,
    /// How many notifications the digest replaces.
    pub(super) messages: usize,
    /// How many of these say that another sink gave up a message.
    pub(super) undelivered: usize,
    /// These messages, as far as is known, in the same order.
    pub(super) losses: Vec<&'a Undelivered>,
}

/// One line of a digest.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) notification: i64,
    pub(super) kind: Kind,
    pub(super) incident: &'a Incident,
    pub(super) flapping: Option<&'a Flapping>,
    pub(super) undelivered: Option<&'a Undelivered>,
    /// Whether the digest says that this line comes and goes.
    flaps: bool,
}

impl<'a> Digest<'a> {
    /// Counts the lines of a digest; none for a notification of another kind.
    pub(super) fn of(notification: &'a Notification) -> Option<Self> {
        if notification.kind != Kind::Digest {
            return None;
        }
        let mut all: Vec<Line<'a>> = notification.items.iter().map(Line::of).collect();
        if all.is_empty() {
            all.push(Line {
                notification: notification.id,
                kind: Kind::Down,
                incident: &notification.incident,
                flapping: None,
                undelivered: None,
                flaps: false,
            });
        }
        // The open ones first: for a line that went down twice, it matters that it is down now.
        let mut named = HashSet::with_capacity(all.len());
        let (open, closed): (Vec<Line<'a>>, Vec<Line<'a>>) = marked(&all).into_iter().partition(Line::is_down);
        let mut told = HashSet::with_capacity(all.len());
        // News before reminders: the end of the list may be cut.
        let (reminders, new): (Vec<Line<'a>>, Vec<Line<'a>>) = open.into_iter().partition(Line::is_reminder);
        let outages =
            new.into_iter().chain(reminders).chain(closed).filter(|line| told.insert((line.name(), line.incident.id)));
        let outages: Vec<Line<'a>> = outages.collect();
        let lines = outages.iter().copied().filter(|line| named.insert(line.name()));
        let lines: Vec<Line<'a>> = lines.collect();
        let count = |wanted: fn(&&Line<'a>) -> bool| lines.iter().filter(wanted).count();
        Some(Self {
            down: count(|line| line.is_down()),
            new: count(|line| line.is_down() && !line.is_reminder()),
            worse: count(|line| line.is_down() && line.news() == Kind::Worse),
            taken: count(|line| line.incident.closed_at.is_none() && line.incident.acknowledged.is_some()),
            unwatched: count(|line| line.incident.unwatched),
            messages: all.len(),
            undelivered: all.iter().filter(|line| line.kind == Kind::Undelivered).count(),
            losses: all.iter().filter_map(|line| line.undelivered).collect(),
            missed: count(|line| line.is_missed()),
            again: count(|line| line.is_down_again() && !line.flaps),
            flapping: count(|line| line.flaps),
            dropping: count(|line| line.flaps && !line.is_down()),
            lines,
            outages,
        })
    }

    /// What a digest of one line tells first, as that line's own message: that it comes and goes, that it is down, or the
    /// latest of its outages. Of several lines: the first in the list.
    pub(super) fn lead(&self) -> Option<&Line<'a>> {
        let first = self.outages.first()?;
        if self.lines.len() > 1 || first.is_down() && !first.flaps {
            return Some(first);
        }
        let latest = |line: &&Line<'a>| (line.news() == Kind::Flapping, line.incident.opened_at, line.incident.id);
        self.outages.iter().max_by_key(latest)
    }

    /// The kind that all lines that are down have in common; none if they differ.
    pub(super) fn kind(&self) -> Option<Kind> {
        let mut kinds = self.lines.iter().filter(|line| line.is_down()).map(Line::news);
        let first = kinds.next()?;
        kinds.all(|kind| kind == first).then_some(first)
    }

    /// How many lines are down for this reason.
    pub(super) fn count(&self, reason: Reason) -> usize {
        self.lines.iter().filter(|line| line.is_down() && line.reason() == reason).count()
    }

    /// The worst reason for which a line is down.
    pub(super) fn worst(&self) -> Option<Reason> {
        self.lines.iter().filter(|line| line.is_down()).map(Line::reason).max()
    }

    /// The sink that gave up everything that was lost; none if there are several, or nothing was lost.
    pub(super) fn lost_sink(&self) -> Option<&'a str> {
        let first = self.losses.first()?;
        self.losses.iter().all(|loss| loss.sink == first.sink).then_some(&first.sink)
    }

    /// How many recipients were not told because of that; a sink that is its own address has none.
    pub(super) fn lost_recipients(&self) -> usize {
        let named = self.losses.iter().filter(|loss| !loss.recipient.is_empty());
        named.map(|loss| (&loss.sink, &loss.recipient)).collect::<HashSet<_>>().len()
    }

    /// Whether everything that was lost was given up for the same reason: an answer may name its recipient, or the one at
    /// whom the sink failed for all, and not each message was given up after the same time.
    pub(super) fn lost_alike(&self) -> bool {
        let failures = self.losses.iter().map(|loss| {
            let failure = loss.why.rsplit_once(GIVEN_UP).map_or(&*loss.why, |(failure, _)| failure);
            (failure, loss.recipient.as_str())
        });
        let unnamed = failures.clone().map(|(failure, recipient)| match recipient {
            "" => failure.to_owned(),
            recipient => failure.replace(recipient, ""),
        });
        failures.map(|(failure, _)| failure).collect::<HashSet<_>>().len() <= 1
            || unnamed.collect::<HashSet<_>>().len() <= 1
    }

    /// The least number of others who were told of one of the outages of which messages were lost.
    pub(super) fn others_told(&self) -> u32 {
        self.losses.iter().map(|loss| loss.others_told).min().unwrap_or_default()
    }

    /// The least number of others who are being told of one of these outages now, or were told of it.
    pub(super) fn others_being_told(&self) -> u32 {
        self.losses.iter().map(|loss| loss.others_told + loss.others_being_told).min().unwrap_or_default()
    }
}

/// The same lines, marked if the digest says of them that they come and go. If it says that beside something else about
/// the same outage, that is what counts.
fn marked<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let flapping = lines.iter().filter(|line| line.news() == Kind::Flapping);
    let flapping: HashMap<_, Line<'a>> = flapping.map(|line| (line.name(), *line)).collect();
    let mark = |line: &Line<'a>| match flapping.get(&line.name()) {
        Some(news) if news.incident.id == line.incident.id => Line { flaps: true, ..*news },
        news => Line { flaps: news.is_some(), ..*line },
    };
    lines.iter().map(mark).collect()
}

impl<'a> Line<'a> {
    fn of(item: &'a Item) -> Self {
        Self {
            notification: item.notification,
            kind: item.kind,
            incident: &item.incident,
            flapping: item.flapping.as_ref(),
            undelivered: item.undelivered.as_ref(),
            flaps: false,
        }
    }

    fn is_down(&self) -> bool {
        self.incident.closed_at.is_none() || self.incident.first_news().is_some()
    }

    fn is_down_again(&self) -> bool {
        !self.is_down() && self.incident.again.is_some()
    }

    /// What it tells: of a lost message, what that was to tell.
    fn news(&self) -> Kind {
        self.undelivered.map_or(self.kind, |lost| lost.kind)
    }

    fn is_reminder(&self) -> bool {
        self.news() == Kind::Reminder
    }

    /// Whether the reader is told of an outage only now that it is over.
    fn is_missed(&self) -> bool {
        let says_so = !matches!(self.news(), Kind::Resolved | Kind::Steady) && !self.flaps;
        says_so && !self.is_down() && !self.is_down_again() && self.incident.reason.is_outage()
    }

    /// Why the line is down now.
    fn reason(&self) -> Reason {
        self.incident.first_news().map_or(self.incident.reason, |again| again.reason)
    }

    fn name(&self) -> (&'a str, &'a str) {
        (&self.incident.source, &self.incident.instance.id)
    }
}
