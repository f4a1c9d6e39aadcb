//! How a person sends notifications again.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::timing::to_slack;
use super::*;
use crate::rule::Rule;
use crate::store::{Refused, given_up};

impl Life {
    /// Lines 1 to 5 go down and are told in one message, which is in hand at second 61; its first notification is 2.
    async fn a_digest_in_hand() -> (Self, Due) {
        let life = Self::by(Rule { group_interval: Duration::from_mins(1), ..to_slack() });
        life.storm(0..1, EventKind::Disconnected, 1).await;
        assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
        life.storm(1..6, EventKind::Disconnected, 5).await;
        let due = life.lease("slack", 61).await.remove(0);
        assert_eq!((due.notification.id, due.covers.len()), (2, 5));
        (life, due)
    }

    pub(super) async fn retried(&self, which: Which, second: i64) -> Retried {
        self.retried_in(Pauses::new(), which, second).await
    }

    async fn retried_in(&self, pauses: Pauses, which: Which, second: i64) -> Retried {
        self.store.retry(which, from_millis(second * 1000), Arc::clone(&self.routing), pauses).await.unwrap()
    }

    pub(super) async fn retry(&self, which: Which, second: i64) -> Vec<i64> {
        self.retried(which, second).await.notifications.into_iter().collect()
    }

    /// Why the notification of this number is not sent again.
    pub(super) async fn refused(&self, id: i64, second: i64) -> Option<Refused> {
        let mut retried = self.retried(Which::These(vec![id]), second).await;
        assert_eq!(retried.notifications.is_empty(), retried.refused.contains_key(&id), "{retried:?}");
        retried.refused.remove(&id)
    }
}

#[tokio::test]
async fn who_sends_all_again_hears_of_what_is_dead_still_because_its_message_is_in_flight() {
    let (life, first) = Life::a_digest_in_hand().await;
    let lost = Settlement { notifications: vec![first.covers[0]], at: from_millis(62_000), outcome: dead() };
    life.store.settle(lost, Arc::clone(&life.routing)).await.unwrap();
    let refused = BTreeMap::from([(first.covers[0], Refused::InFlight)]);
    assert_eq!(life.retried(Which::Dead { sink: None }, 63).await, Retried { refused, ..Retried::default() });
}

#[tokio::test]
async fn whichever_of_a_digest_is_sent_again_it_is_the_same_message_again() {
    for one in [2, 4] {
        let (life, first) = Life::a_digest_in_hand().await;
        let these = || Which::These(vec![one]);
        assert_eq!(life.retry(these(), 62).await, [0; 0], "it is on its way");
        let again = Outcome::Again { kind: FailureKind::Unreachable, why: "gone".into(), due_at: from_millis(100_000) };
        life.settle(&first, 63, again).await;
        assert_eq!(life.retry(these(), 64).await, [2, 3, 4, 5, 6]);
        let second = life.lease("slack", 64).await;
        assert_eq!(second.len(), 1);
        assert_eq!((second[0].notification.key(), &second[0].covers), (first.notification.key(), &first.covers));
        life.settle(&second[0], 65, Outcome::Delivered("ok".into())).await;
        assert_eq!(life.deliver_all("slack", 200).await, [], "nothing of it is left");
    }
}

#[tokio::test]
async fn tries_are_counted_anew_from_when_it_is_sent_again() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let tried = async |second: i64| {
        let due = life.lease("slack", second).await.remove(0);
        let due_at = from_millis((second + 1) * 1000);
        life.settle(&due, second, Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at }).await;
        (due.notification.attempt, due.tries)
    };
    assert_eq!([tried(1).await, tried(2).await, tried(3).await], [(1, 1), (2, 2), (3, 3)]);
    life.retry(Which::These(vec![1]), 50).await;
    assert_eq!([tried(50).await, tried(51).await], [(4, 1), (5, 2)]);
}

#[tokio::test]
async fn a_dead_digest_that_is_sent_again_is_one_message() {
    let (life, first) = Life::a_digest_in_hand().await;
    life.settle(&first, 62, dead()).await;
    assert_eq!(life.retry(Which::Dead { sink: Some("slack".into()) }, 70).await, [2, 3, 4, 5, 6]);
    let second = life.lease("slack", 70).await;
    assert_eq!(second.len(), 1);
    let notification = &second[0].notification;
    assert_eq!((notification.key(), notification.items.len()), (first.notification.key(), 5));
}

#[tokio::test]
async fn who_waits_for_what_need_not_be_said_any_more_hears_at_once_what_has_changed() {
    let life = Life::with(&["mail"]);
    life.down(1).await;
    let [of_ana, of_bia] = life.two_notices().await;
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(100_000) };
    life.settle(&of_bia, 63, Outcome::Delivered("ok".into())).await;
    assert_eq!(life.retry(Which::Dead { sink: None }, 64).await.len(), 2);
    life.settle(&of_ana, 64, again).await;
    assert_eq!(life.deliver_all("mail", 65).await, [Kind::Down; 2]);
    life.up(66).await;
    assert_eq!(life.deliver_all("slack", 67).await, [Kind::Resolved]);
    assert_eq!(life.deliver_all("slack", 100).await, []);
}

#[tokio::test]
async fn the_end_is_told_once_also_by_what_is_sent_again() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    life.store.acknowledge(1, "ana", "a test", from_millis(2000)).await.unwrap();
    let taken = life.lease("slack", 3).await.remove(0);
    life.settle(&taken, 3, dead()).await;
    life.up(4).await;
    assert_eq!(life.retry(Which::Dead { sink: Some("slack".into()) }, 5).await.len(), 1);
    assert_eq!(life.deliver_all("slack", 5).await, [Kind::Resolved]);
}

#[tokio::test]
async fn what_of_a_digest_has_arrived_is_not_sent_again_with_the_rest() {
    let (life, first) = Life::a_digest_in_hand().await;
    let (arrived, lost) = first.covers.split_at(2);
    for (notifications, outcome) in [(arrived, Outcome::Delivered("ok".into())), (lost, dead())] {
        let settlement = Settlement { notifications: notifications.to_vec(), at: from_millis(62_000), outcome };
        life.store.settle(settlement, Arc::clone(&life.routing)).await.unwrap();
    }
    assert_eq!(life.refused(2, 70).await, Some(Refused::Delivered));
    assert_eq!(life.retry(Which::These(vec![6]), 70).await, [4, 5, 6]);
    assert_eq!(life.lease("slack", 70).await[0].covers, [4, 5, 6]);
}

/// It would be held back again at once.
#[tokio::test]
async fn what_is_held_back_is_not_said_to_be_sent_again() {
    let silenced = Life::with(&["slack"]);
    silenced.silence("{}", 0, 1000).await;
    let quiet = Life::with(&["slack"]).at_night();
    for (life, by) in [(silenced, "silence 1"), (quiet, "quiet hours \"night\"")] {
        life.down(1).await;
        assert_eq!(life.deliver_all("slack", 2).await, []);
        assert_eq!(life.refused(1, 3).await, Some(Refused::HeldBack(by.to_owned())));
    }
    let on_hold = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() });
    on_hold.down(1).await;
    assert_eq!(on_hold.retry(Which::These(vec![1]), 3).await, [1]);
    assert_eq!(on_hold.deliver_all("slack", 3).await, [Kind::Down], "a person does not wait for that");
}

#[tokio::test]
async fn nobody_is_asked_for_again_who_takes_what_somebody_has_taken() {
    let life = Life::by(Rule { remind: vec![Duration::from_secs(10)], ..to_slack() });
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
    let reminder = life.lease("slack", 11).await.remove(0);
    life.settle(&reminder, 11, dead()).await;
    life.store.acknowledge(1, "ana", "a test", from_millis(12_000)).await.unwrap();
    assert_eq!(life.refused(reminder.covers[0], 13).await, Some(Refused::Taken("ana".to_owned())));
    let all = life.retried(Which::Dead { sink: None }, 13).await.refused;
    assert_eq!(all.len(), 1, "who asks for all hears of what is dead still");
}

#[tokio::test]
async fn what_has_left_the_config_or_need_not_be_sent_is_refused_by_name() {
    let mut life = Life::by(Rule { hold: Some(Duration::from_mins(1)), ..to_slack() });
    life.down(1).await;
    life.up(2).await;
    let why = "the line was back within the hold of 1m".to_owned();
    assert_eq!(life.refused(1, 3).await, Some(Refused::Withdrawn(why)));
    life.down(10).await;
    let due = life.lease("slack", 70).await.remove(0);
    life.settle(&due, 70, dead()).await;
    let mut routing = (*life.routing).clone();
    routing.sinks.remove("slack");
    life.routing = Arc::new(routing);
    assert_eq!(life.refused(due.notification.id, 71).await, Some(Refused::Gone("slack".to_owned())));
}

#[tokio::test]
async fn a_dead_letter_can_be_sent_again() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await;
    life.settle(&due[0], 3, dead()).await;
    let id = due[0].notification.id;
    let retried = life.retried(Which::Dead { sink: Some("slack".into()) }, 50).await;
    assert_eq!(retried.notifications, BTreeSet::from([id]));
    let due = life.lease("slack", 50).await;
    assert_eq!((due[0].notification.id, due[0].owed_at), (id, from_millis(50_000)));
    let refused = BTreeMap::from([(id, Refused::InFlight), (999, Refused::Unknown)]);
    assert_eq!(life.retried(Which::These(vec![id, 999]), 51).await, Retried { refused, ..Retried::default() });
}

/// One long write, for which everything else would wait, is split into several.
#[tokio::test]
async fn what_a_person_sets_free_is_set_free_in_steps() {
    const MANY: usize = 2500;
    let folder = tempfile::tempdir().unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    let counted = move |_| _ = counted.fetch_add(1, Ordering::SeqCst);
    let store = Sqlite::observed(&folder.path().join("x.db"), counted).unwrap();
    let life = Life { folder, store, routing: Arc::new(routing(vec![rule("all", "{}", &["slack"], false)])) };
    life.down(1).await;
    for (sink, copies) in [("slack", MANY - 1), ("log", 1)] {
        let copy = format!(
            "INSERT INTO notification (incident, rule, sink, recipient, kind, wants_resolved, state, created_at, owed_at, due_at, grouping, class) \
             SELECT incident, rule, '{sink}', value, kind, wants_resolved, 'pending', created_at, owed_at, due_at, grouping, class \
             FROM notification, generate_series LIMIT {copies}"
        );
        let series =
            "WITH RECURSIVE generate_series (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM generate_series) ";
        life.store.writer.write(move |connection| connection.execute_batch(&format!("{series}{copy}"))).await.unwrap();
    }
    let set_all = async |set: &'static str| {
        let set = format!("UPDATE notification SET {set}");
        life.store.writer.write(move |connection| connection.execute(&set, [])).await.unwrap()
    };
    let in_steps = |before: usize| (3..=4).contains(&(commits.load(Ordering::SeqCst) - before));

    assert_eq!(set_all("state = 'dead'").await, MANY + 1);
    let before = commits.load(Ordering::SeqCst);
    let all = Which::Dead { sink: None };
    let retried = life.retried(all, 50).await;
    assert_eq!((retried.notifications.len(), retried.sinks.len()), (MANY + 1, 2));
    assert!(in_steps(before), "{}", commits.load(Ordering::SeqCst) - before);

    let silence = life.silence("{}", 0, 1000).await;
    assert_eq!((silence, set_all("held_by = 'silence 1', due_at = 1000000").await), (1, MANY + 1));
    let before = commits.load(Ordering::SeqCst);
    assert_eq!(life.store.end_silence(silence, from_millis(60_000)).await.unwrap().unwrap().len(), 2);
    assert!(in_steps(before), "{}", commits.load(Ordering::SeqCst) - before);
    let held = life.store.deliveries(DeliveryQuery { limit: Some(10_000), ..DeliveryQuery::default() }).await.unwrap();
    assert!(held.iter().all(|delivery| delivery.due_at == Some(from_millis(60_000))));
}

impl Life {
    /// A line is down, and two reminders of that are dead. Returns their numbers.
    async fn two_dead_reminders() -> (Self, [i64; 2]) {
        let life = Self::by(Rule { remind: vec![Duration::from_secs(10)], ..to_slack() });
        life.down(1).await;
        assert_eq!(life.deliver_all("slack", 1).await, [Kind::Down]);
        let mut dead_ones = [0; 2];
        for (number, id) in (1..).zip(&mut dead_ones) {
            let second = 1 + 10 * number;
            let reminder = life.lease("slack", second).await.remove(0);
            assert_eq!(reminder.notification.kind, Kind::Reminder);
            life.settle(&reminder, second, dead()).await;
            *id = reminder.notification.id;
        }
        (life, dead_ones)
    }

    /// The state and the detail of a notification.
    pub(super) async fn end_of(&self, id: i64) -> (String, Option<String>) {
        let rows = self.store.deliveries(DeliveryQuery::default()).await.unwrap();
        let row = rows.into_iter().find(|row| row.id == id).unwrap();
        (row.state, row.detail)
    }
}

#[tokio::test]
async fn of_dead_reminders_only_the_latest_is_sent_again() {
    let (life, [first, latest]) = Life::two_dead_reminders().await;
    let retried = life.retried(Which::Dead { sink: None }, 25).await;
    assert_eq!(retried.notifications, BTreeSet::from([latest]));
    let why = "another notification that is sent again tells the same recipient the same";
    assert_eq!(retried.refused, BTreeMap::from([(first, Refused::Moot(why))]));
    assert_eq!(life.end_of(first).await, ("withdrawn".to_owned(), Some(why.to_owned())));
    assert_eq!(life.deliver_all("slack", 25).await, [Kind::Reminder]);

    let (life, [first, latest]) = Life::two_dead_reminders().await;
    assert_eq!(life.retry(Which::These(vec![first]), 25).await, [first], "nobody asked for the other");
    assert_eq!(life.end_of(latest).await.0, "dead");
}

#[tokio::test]
async fn nothing_is_withdrawn_for_what_is_not_sent() {
    let (life, dead_ones) = Life::two_dead_reminders().await;
    life.store.acknowledge(1, "ana", "a test", from_millis(24_000)).await.unwrap();
    let taken = dead_ones.map(|id| (id, Refused::Taken("ana".to_owned())));
    assert_eq!(life.retried(Which::Dead { sink: None }, 25).await.refused, BTreeMap::from(taken));
    assert_eq!(life.end_of(dead_ones[0]).await.0, "dead");
}

#[tokio::test]
async fn of_an_outage_that_is_over_as_many_are_sent_again_as_is_said() {
    let (life, [first, latest]) = Life::two_dead_reminders().await;
    life.up(24).await;
    let end = life.lease("slack", 24).await.remove(0);
    life.settle(&end, 24, dead()).await;
    let retried = life.retried(Which::Dead { sink: None }, 25).await;
    assert_eq!(retried.notifications, BTreeSet::from([end.notification.id]));
    assert_eq!(retried.refused.keys().copied().collect::<Vec<_>>(), [first, latest]);
    assert_eq!(life.deliver_all("slack", 25).await, [Kind::Resolved]);

    let (life, [first, latest]) = Life::two_dead_reminders().await;
    life.up(24).await;
    assert_eq!(life.deliver_all("slack", 24).await, [Kind::Resolved]);
    let known = Refused::Moot("they know already that it is over");
    let refused = BTreeMap::from([(first, known.clone()), (latest, known)]);
    assert_eq!(life.retried(Which::Dead { sink: None }, 25).await, Retried { refused, ..Retried::default() });
}

#[tokio::test]
async fn what_is_sent_again_in_a_pause_is_due_when_that_ends_and_not_given_up_before() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 2).await.remove(0);
    let why = given_up::with("no such user", given_up::TOO_LONG);
    life.settle(&due, 3, Outcome::Dead { kind: FailureKind::Refused, why }).await;
    let pauses = Pauses::from([("slack".to_owned(), from_millis(100_000)), ("mail".to_owned(), from_millis(900_000))]);
    let retried = life.retried_in(pauses, Which::These(vec![1]), 50).await;
    assert_eq!(retried.through, BTreeSet::from(["slack".to_owned()]));
    assert_eq!(life.end_of(1).await, ("pending".to_owned(), Some("refused: no such user".to_owned())));
    let settled =
        life.store.give_up("slack", from_millis(99_000), "busy", from_millis(99_000), Arc::clone(&life.routing));
    assert_eq!((settled.await.unwrap(), life.lease("slack", 99).await.len()), (Settled::default(), 0));
    let due = life.lease("slack", 100).await.remove(0);
    assert_eq!((due.owed_at, due.tries), (from_millis(100_000), 1));
}

/// Of several to one recipient about one outage, only one would be sent again.
#[tokio::test]
async fn what_was_only_withdrawn_before_the_store_failed_is_reported_as_well() {
    let life = Life::with(&["slack"]);
    life.down(1).await;
    let due = life.lease("slack", 1).await.remove(0);
    life.settle(&due, 2, dead()).await;
    let columns = "incident, rule, sink, recipient, kind, wants_resolved, state, created_at, owed_at, due_at, grouping, \
                   class, attempts, detail, settled_at";
    let copies = format!(
        "WITH RECURSIVE copy (number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM copy WHERE number < 1200) \
         INSERT INTO notification ({columns}) SELECT {columns} FROM notification, copy; \
         CREATE TRIGGER break_off BEFORE UPDATE ON notification WHEN new.id > 1100 \
         BEGIN SELECT raise(ABORT, 'no more'); END"
    );
    Connection::open(life.folder.path().join("x.db")).and_then(|store| store.execute_batch(&copies)).unwrap();
    let retried = life.retried(Which::Dead { sink: None }, 3).await;
    assert_eq!((retried.notifications.len(), retried.left), (0, 200), "{retried:?}");
}
