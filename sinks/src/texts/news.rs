//! What a message tells, decided once: its sentences are in the file of its sort.

use super::digest::Digest;
use crate::{Incident, Kind, Notification, Undelivered};

/// A sort of message. The sentences of each are in a file of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// A line is down.
    Down,
    /// An outage is over, also if the line has gone down again since.
    Back,
    /// A line comes and goes, or has stopped doing so.
    Flapping,
    /// A trouble that is no outage, or its end.
    Trouble,
    /// Several lines at once.
    Digest,
    /// Only a test.
    Test,
}

impl Sort {
    /// The file with its sentences.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Down => "built-in/down.txt",
            Self::Back => "built-in/back.txt",
            Self::Flapping => "built-in/flapping.txt",
            Self::Trouble => "built-in/trouble.txt",
            Self::Digest => "built-in/digest.txt",
            Self::Test => "built-in/test.txt",
        }
    }

    fn of(kind: Kind, about: &Incident) -> Self {
        match kind {
            Kind::Digest => Self::Digest,
            Kind::Test => Self::Test,
            // While it comes and goes, that it is down again is part of the news.
            Kind::Flapping => Self::Flapping,
            Kind::Steady if about.again.is_none() => Self::Flapping,
            _ if !about.reason.is_outage() => Self::Trouble,
            _ if kind == Kind::Resolved || about.closed_at.is_some() => Self::Back,
            _ => Self::Down,
        }
    }
}

/// What a message tells.
pub(super) struct News {
    pub(super) sort: Sort,
    /// The notification's kind, but of a lost message the kind of that, and of a digest of one line the line's.
    pub(super) kind: Kind,
    /// Whether it is about nothing but messages that another sink gave up.
    pub(super) lost: bool,
    /// Whether it says why the line is down, or was.
    pub(super) is_explained: bool,
}

impl News {
    /// What `notification` tells. It is `about` an incident, and a message about it is `lost`: in a digest, those of
    /// the first line.
    pub(super) fn of(
        notification: &Notification,
        digest: Option<&Digest<'_>>,
        about: &Incident,
        lost: Option<&Undelivered>,
    ) -> Self {
        let kind = match digest {
            // It says what that line's own message would say.
            Some(digest) if digest.lines.len() == 1 => digest.lead().map_or(notification.kind, |line| line.kind),
            _ => notification.kind,
        };
        let is_lost = digest.map_or(kind == Kind::Undelivered, |digest| digest.undelivered == digest.messages);
        let kind = match (kind, lost.map(|lost| lost.kind)) {
            (Kind::Undelivered, Some(Kind::Digest | Kind::Undelivered) | None) => Kind::Down,
            (Kind::Undelivered, Some(kind)) | (kind, _) => kind,
        };
        let is_explained = match kind {
            Kind::Resolved | Kind::Steady | Kind::Acknowledged if about.first_news().is_some() => true,
            Kind::Down | Kind::Worse | Kind::Reminder | Kind::Escalation | Kind::Flapping => true,
            Kind::Steady => about.closed_at.is_none(),
            Kind::Resolved | Kind::Acknowledged | Kind::Digest | Kind::Undelivered | Kind::Test => false,
        };
        Self { sort: Sort::of(kind, about), kind, lost: is_lost, is_explained }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, sample};
    use super::*;
    use crate::Reason::{self, Expiring, Other};

    fn news(notification: &Notification) -> (Sort, Kind, bool, bool) {
        let digest = Digest::of(notification);
        let first = digest.as_ref().and_then(Digest::lead);
        let about = first.map_or(&notification.incident, |line| line.incident);
        let lost = first.map_or(notification.undelivered.as_ref(), |line| line.undelivered);
        let news = News::of(notification, digest.as_ref(), about, lost);
        (news.sort, news.kind, news.lost, news.is_explained)
    }

    #[test]
    fn the_kind_the_reason_and_whether_it_is_over_decide_the_sort() {
        for (kind, reason, closed, sort, explained) in [
            (Kind::Down, Other, false, Sort::Down, true),
            (Kind::Worse, Other, false, Sort::Down, true),
            (Kind::Reminder, Other, false, Sort::Down, true),
            (Kind::Escalation, Other, false, Sort::Down, true),
            (Kind::Acknowledged, Other, false, Sort::Down, false),
            (Kind::Down, Other, true, Sort::Back, true),
            (Kind::Resolved, Other, true, Sort::Back, false),
            (Kind::Resolved, Other, false, Sort::Back, false),
            (Kind::Flapping, Other, true, Sort::Flapping, true),
            (Kind::Steady, Other, true, Sort::Flapping, false),
            (Kind::Steady, Other, false, Sort::Flapping, true),
            (Kind::Down, Expiring, false, Sort::Trouble, true),
            (Kind::Resolved, Expiring, true, Sort::Trouble, false),
            (Kind::Acknowledged, Expiring, false, Sort::Trouble, false),
            (Kind::Test, Expiring, false, Sort::Test, false),
        ] {
            assert_eq!(
                news(&sample(kind, reason, true, closed)),
                (sort, kind, false, explained),
                "{kind:?} {reason:?}"
            );
        }
    }

    #[test]
    fn a_line_that_is_down_again_may_still_come_and_go_and_is_not_steady() {
        for (kind, sort) in [(Kind::Flapping, Sort::Flapping), (Kind::Steady, Sort::Back)] {
            let told = samples::again(sample(kind, Other, true, true), crate::Besides::Told);
            assert_eq!(news(&told).0, sort);
        }
    }

    /// If what was to tell the reader of the present outage was given up, they are told why the line is down now.
    #[test]
    fn who_was_not_told_of_the_next_outage_is_told_why() {
        for (besides, explained) in
            [(crate::Besides::Told, false), (crate::Besides::Nothing, false), (crate::Besides::GivenUp, true)]
        {
            let told = samples::again(sample(Kind::Resolved, Other, true, true), besides);
            assert_eq!(news(&told), (Sort::Back, Kind::Resolved, false, explained));
            assert_eq!(told.asks_to_act(), explained);
        }
    }

    #[test]
    fn a_notice_of_a_loss_tells_what_was_lost() {
        let mut lost = sample(Kind::Undelivered, Other, true, false);
        for (kind, told) in [
            (Some(Kind::Reminder), Kind::Reminder),
            (Some(Kind::Test), Kind::Test),
            // A loss of which the details are gone is as bad as it can be.
            (Some(Kind::Digest), Kind::Down),
            (Some(Kind::Undelivered), Kind::Down),
            (None, Kind::Down),
        ] {
            match kind {
                Some(kind) => lost.undelivered.iter_mut().for_each(|undelivered| undelivered.kind = kind),
                None => lost.undelivered = None,
            }
            let (_, kind, is_lost, _) = news(&lost);
            assert_eq!((kind, is_lost), (told, true));
        }
    }

    #[test]
    fn a_digest_of_one_line_tells_what_that_lines_message_would_tell() {
        assert_eq!(news(&samples::digest(3)), (Sort::Digest, Kind::Digest, false, false));
        let mut one = samples::digest(1);
        for (kind, reason, sort) in
            [(Kind::Reminder, Reason::NumberBlocked, Sort::Down), (Kind::Down, Expiring, Sort::Trouble)]
        {
            (one.items[0].kind, one.items[0].incident.reason) = (kind, reason);
            assert_eq!(news(&one), (sort, kind, false, true));
        }
        assert_eq!(news(&samples::digest_lost(1)), (Sort::Down, Kind::Down, true, true));
        let (sort, kind, lost, _) = news(&samples::digest_lost(3));
        assert_eq!((sort, kind, lost), (Sort::Digest, Kind::Digest, true));
    }
}
