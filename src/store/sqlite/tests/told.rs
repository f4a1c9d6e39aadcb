//! What is told to whom, when messages are lost or come late: by the words that people read.

use std::time::Duration;

use linedown_sinks::{Notification, Texts};

use super::*;
use crate::rule::flapping::Flapping;
use crate::rule::{Rule, Target};

pub(super) const HOUR: i64 = 3600;

pub(super) fn title(due: &Due) -> String {
    Texts::default().title(&due.notification)
}

pub(super) fn to_mail() -> Rule {
    rule("all", "{}", &["mail"], false)
}

pub(super) fn to_slack() -> Rule {
    rule("all", "{}", &["slack"], false)
}

impl Life {
    pub(super) async fn only(&self, sink: &str, second: i64) -> Due {
        let [due] = self.lease(sink, second).await.try_into().unwrap();
        due
    }

    /// Delivers what is due, and returns how many notifications are in each message.
    pub(super) async fn parts_of(&self, sink: &str, second: i64) -> Vec<usize> {
        let due = self.lease(sink, second).await;
        for due in &due {
            self.settle(due, second, Outcome::Delivered("ok".into())).await;
        }
        due.iter().map(|due| due.covers.len()).collect()
    }

    /// What the tries of a notification of the first incident say.
    pub(super) async fn told_by(&self, id: i64) -> Vec<String> {
        let story = self.store.incident(1).await.unwrap().unwrap();
        let row = story.deliveries.into_iter().find(|row| row.id == id).unwrap();
        row.attempts.unwrap().into_iter().map(|attempt| attempt.detail.unwrap_or_default()).collect()
    }

    pub(super) async fn give(&self, sink: &str, second: i64, outcome: &Outcome) -> usize {
        let due = self.lease(sink, second).await;
        for due in &due {
            self.settle(due, second, outcome.clone()).await;
        }
        due.len()
    }
}

/// The first is told alone, the others are gathered: when the sink works again, they are back.
#[tokio::test]
async fn who_hears_of_outages_when_they_are_over_is_told_that_there_were_some() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
    for (number, line) in ["A", "B", "C", "D"].into_iter().enumerate() {
        life.webhook_of(line, EventKind::Disconnected, Reason::Other, i64::try_from(number).unwrap()).await;
        assert_eq!(life.deliver_all("slack", 0).await.len(), usize::from(number == 0));
    }
    for line in ["B", "C", "D"] {
        life.webhook_of(line, EventKind::Connected, Reason::Other, 30).await;
    }
    let told = life.only("slack", 63).await;
    assert_eq!(title(&told), "🟠 3 lines were down and are back");
    let text = Texts::default().text(&told.notification);
    assert!(text.contains("\n3 lines were disconnected from WhatsApp and are connected again.\n"), "{text}");
}

/// A reminder does not say that something was reported which was not; it says why the reader hears only now.
#[tokio::test]
async fn who_was_never_told_is_not_reminded_but_told() {
    for acknowledged in [false, true] {
        let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
        life.down(0).await;
        assert_eq!(life.give("slack", 1, &lost()).await, 1);
        if acknowledged {
            life.store.acknowledge(1, "ana", "a test", from_millis(2000)).await.unwrap();
            assert_eq!(life.lease("slack", HOUR).await.len(), 0);
            continue;
        }
        let first = life.only("slack", HOUR).await;
        let Notification { kind, created_at, last_failure, .. } = &first.notification;
        assert_eq!((*kind, *created_at, last_failure.as_deref()), (Kind::Down, from_millis(0), Some("busy: 503")));
        let text = Texts::default().text(&first.notification);
        assert!(!text.contains("reminder") && text.contains("This message is late: "), "{text}");
        life.settle(&first, HOUR, Outcome::Delivered("ok".into())).await;
        assert_eq!(life.told_by(first.covers[0]).await, ["ok; sent as down"]);
        assert_eq!(life.deliver_all("slack", 2 * HOUR).await, [Kind::Reminder]);
        life.up(3 * HOUR).await;
        assert_eq!(life.deliver_all("slack", 3 * HOUR).await, [Kind::Resolved]);
    }
}

/// It would be refused each time, and the stand-in would hear of the same each time. A sink that is its own address
/// goes on: perhaps somebody mends it.
#[tokio::test]
async fn an_address_that_is_refused_is_not_reminded() {
    let reminding = |rule: Rule| Rule { remind: vec![Duration::from_hours(1)], ..rule };
    for (rule, sink, outcome, reminders) in [
        (to_mail(), "mail", dead(), 0),
        (to_mail(), "mail", lost(), 2),
        (to_slack(), "slack", dead(), 1),
        (to_slack(), "slack", lost(), 1),
    ] {
        let life = Life::by(reminding(rule));
        life.down(0).await;
        life.give(sink, 1, &outcome).await;
        assert_eq!(life.lease(sink, HOUR).await.len(), reminders, "{sink} {outcome:?}");
    }
}

/// Who was told of the outage, and then could not be reminded, is no other.
#[tokio::test]
async fn who_could_not_be_reminded_is_not_counted_among_the_others() {
    let life = Life::by(Rule { remind: vec![Duration::from_mins(1)], ..rule("all", "{}", &["mail"], false) });
    life.down(0).await;
    for due in life.lease("mail", 1).await {
        life.settle(&due, 1, Outcome::Delivered("ok".into())).await;
    }
    life.settle(&life.lease("mail", 61).await.remove(0), 61, dead()).await;
    let notice = life.only("slack", 62).await.notification;
    assert_eq!(notice.undelivered.map(|lost| (lost.kind, lost.others_told)), Some((Kind::Reminder, 1)));
}

/// What only goes to our own output is not counted, and neither is the reader.
#[tokio::test]
async fn a_notice_of_a_loss_knows_how_many_others_were_told() {
    let mut life = Life::by(rule("all", "{}", &["mail", "log", "slack"], false));
    let others = async |life: &Life, second: i64| {
        let notice = life.lease("slack", second).await.pop().unwrap().notification;
        notice.undelivered.map(|lost| (lost.others_told, lost.others_being_told)).unwrap()
    };
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down], "the reader of the notices");
    let [ana, bia] = life.lease("mail", 1).await.try_into().unwrap();
    life.settle(&bia, 1, dead()).await;
    assert_eq!(others(&life, 2).await, (0, 1), "ana is being told");
    life.settle(&ana, 3, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.deliver_all("log", 3).await, [Kind::Down]);

    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 100).await;
    assert_eq!(life.deliver_all("slack", 100).await, [Kind::Down]);
    assert_eq!(life.deliver_all("log", 100).await, [Kind::Down]);
    let [ana, bia] = life.lease("mail", 101).await.try_into().unwrap();
    life.settle(&ana, 101, Outcome::Delivered("ok".into())).await;
    life.settle(&bia, 101, dead()).await;
    let mut routing = (*life.routing).clone();
    let log = routing.sinks.remove("log").unwrap();
    let stdout = Target { kind: "stdout", ..log.clone() };
    for (target, told) in [(log, 2), (stdout, 1)] {
        routing.sinks.insert("log".to_owned(), target);
        life.routing = Arc::new(routing.clone());
        let notice = life.only("slack", 101).await;
        assert_eq!(notice.notification.undelivered.as_ref().unwrap().others_told, told);
        let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(101_000) };
        life.settle(&notice, 101, again).await;
    }
    // Who knows only how it was before has not been told how it is.
    life.webhook_of("B", EventKind::Disconnected, Reason::NumberBlocked, 102).await;
    let [notice, worse] = life.lease("slack", 103).await.try_into().unwrap();
    assert_eq!((notice.notification.undelivered.unwrap().others_told, worse.notification.kind), (0, Kind::Worse));
}

/// Whoever stands in must learn what the others were to learn.
#[tokio::test]
async fn a_notice_of_a_loss_says_what_was_lost() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    let told = async |second: i64| {
        assert_eq!(life.give("slack", second, &lost()).await, 1);
        let mut notices = life.lease("mail", second).await;
        notices.retain(|due| due.notification.kind == Kind::Undelivered);
        assert_eq!(notices.len(), 2);
        for notice in &notices {
            life.settle(notice, second, Outcome::Delivered("ok".into())).await;
        }
        title(&notices[0])
    };
    assert_eq!(told(HOUR).await, "⚠ slack was not reminded: A is still down after 1 h");
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, HOUR + 100).await;
    assert_eq!(told(HOUR + 100).await, "⚠ slack was not told: A is now probably blocked");
}

#[tokio::test]
async fn a_notice_that_the_tally_of_a_line_was_lost_has_the_tally() {
    let flapping = Flapping { count: 2, within: Duration::from_mins(10) };
    let life = Life::by(Rule { flapping: Some(flapping), ..to_slack() });
    for round in 0..3 {
        life.down(round * 20).await;
        life.deliver_all("slack", round * 20).await;
        if round < 2 {
            life.up(round * 20 + 10).await;
            life.deliver_all("slack", round * 20 + 10).await;
        }
    }
    life.up(50).await;
    assert_eq!(life.give("slack", 650, &lost()).await, 1, "the tally");
    let notice = life.lease("mail", 650).await.remove(0);
    assert_eq!(title(&notice), "⚠ slack was not told: A is steady again after 3 outages");
    assert_eq!(notice.notification.flapping.map(|flapping| flapping.outages), Some(3));
}

/// Whoever hears instead that a line flaps hears the rest of it, too.
#[tokio::test]
async fn who_stands_in_for_somebody_who_was_not_told_that_a_line_flaps_hears_the_tally_and_no_single_end() {
    let flapping = Flapping { count: 2, within: Duration::from_mins(10) };
    let life = Life::by(Rule { flapping: Some(flapping), ..to_slack() });
    for (second, kind) in [(0, Kind::Down), (20, Kind::Down)] {
        life.down(second).await;
        assert_eq!(life.deliver_all("slack", second).await, [kind]);
        life.up(second + 10).await;
        assert_eq!(life.deliver_all("slack", second + 10).await, [Kind::Resolved]);
    }
    life.down(40).await;
    assert_eq!(life.give("slack", 40, &lost()).await, 1, "that it flaps");
    assert_eq!(life.deliver_all("mail", 40).await, [Kind::Undelivered; 2]);
    life.up(50).await;
    assert_eq!(life.deliver_all("mail", 50).await, [], "the tally tells of it");
    life.down(60).await;
    assert_eq!(life.deliver_all("mail", 659).await, []);
    assert_eq!(life.deliver_all("mail", 660).await, [Kind::Steady; 2]);
    life.up(700).await;
    assert_eq!(life.deliver_all("mail", 700).await, [Kind::Resolved; 2]);
}

/// The clock was set back after they were told that the line is down.
#[tokio::test]
async fn that_a_line_is_down_does_not_stand_for_its_end_whatever_the_clock_said() {
    let life = Life::by(to_slack());
    life.down(20).await;
    assert_eq!(life.deliver_all("slack", 100).await, [Kind::Down]);
    life.up(50).await;
    assert_eq!(life.give("slack", 50, &lost()).await, 1, "that it is back");
    assert_eq!(life.deliver_all("mail", 50).await, [Kind::Undelivered; 2]);
}

/// The line has gone on meanwhile.
#[tokio::test]
async fn the_tally_that_a_late_notice_promises_is_about_the_present_outage() {
    let flapping = Flapping { count: 2, within: Duration::from_mins(10) };
    let life = Life::by(Rule { flapping: Some(flapping), ..to_slack() });
    for (second, kind) in [(0, Kind::Down), (20, Kind::Down)] {
        life.down(second).await;
        assert_eq!(life.deliver_all("slack", second).await, [kind]);
        life.up(second + 10).await;
        assert_eq!(life.deliver_all("slack", second + 10).await, [Kind::Resolved]);
    }
    life.down(40).await;
    let that_it_flaps = life.lease("slack", 40).await.remove(0);
    life.up(50).await;
    life.down(60).await;
    life.settle(&that_it_flaps, 61, lost()).await;
    assert_eq!(life.deliver_all("mail", 61).await, [Kind::Undelivered; 2]);
    life.up(70).await;
    life.down(80).await;
    assert_eq!(life.deliver_all("mail", 679).await, []);
    let tallies = life.lease("mail", 680).await;
    assert_eq!(tallies.iter().map(title).collect::<Vec<_>>(), ["🔴 A stays down after 5 outages: reason unknown"; 2]);
}

/// The message that was lost would not have reminded them.
#[tokio::test]
async fn a_late_first_alert_that_is_lost_is_not_called_a_reminder() {
    let life = Life::by(Rule { remind: vec![Duration::from_hours(1)], ..to_slack() });
    life.down(0).await;
    assert_eq!(life.give("slack", 1, &lost()).await, 1);
    assert_eq!(life.deliver_all("mail", 1).await, [Kind::Undelivered; 2]);
    assert_eq!(life.give("slack", HOUR, &lost()).await, 1);
    let notices = life.lease("mail", HOUR).await;
    assert_eq!((notices.len(), title(&notices[0]).as_str()), (2, "⚠ slack was not told: A is down"));
}
