//! Steps of escalations count from the first message that could be sent, and nobody gets two messages at once.

use std::time::Duration;

use super::timing::to_slack;
use super::*;
use crate::rule::{Rule, Step};
use crate::store::RecipientPauses;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

fn escalating(steps: &[(u64, &str)]) -> Rule {
    let step = |(after, sink): &(u64, &str)| Step { after: Duration::from_secs(*after), notify: vec![(*sink).into()] };
    Rule { escalate: steps.iter().map(step).collect(), ..to_slack() }
}

impl Life {
    /// Delivers what is due and returns when something is due next, so that nothing is taken for being over.
    async fn told(&self, sink: &str, second: i64) -> (Vec<Kind>, Option<i64>) {
        let kinds = self.deliver_all(sink, second).await;
        let next = self
            .store
            .lease(sink, 10, RecipientPauses::new(), from_millis(second * 1000), Arc::clone(&self.routing))
            .await
            .unwrap()
            .next;
        (kinds, next.map(jiff::Timestamp::as_second))
    }

    async fn why_withdrawn(&self, incident: i64) -> Vec<(String, String)> {
        let story = self.store.incident(incident).await.unwrap().unwrap();
        let withdrawn = story.deliveries.into_iter().filter(|delivery| delivery.state == "withdrawn");
        withdrawn.map(|delivery| (delivery.kind, delivery.detail.unwrap_or_default())).collect()
    }
}

/// The same person is in `notify` and `escalate`, another one only in `escalate`.
#[tokio::test]
async fn a_step_counts_from_the_end_of_the_silence_that_held_the_first_message_back() {
    for ended_at in [None, Some(20 * MINUTE)] {
        let life = Life::by(escalating(&[(15 * 60, "slack"), (15 * 60, "log")]));
        let silence = life.silence("{}", 0, HOUR).await;
        life.down(1).await;
        assert_eq!(life.told("slack", 2).await, (vec![], Some(901)));
        assert_eq!(life.deliver_all("slack", 16 * MINUTE).await, []);
        assert_eq!(life.deliver_all("log", 16 * MINUTE).await, []);
        if let Some(second) = ended_at {
            life.store.end_silence(silence, from_millis(second * 1000)).await.unwrap();
        }
        let free = ended_at.unwrap_or(HOUR);
        let step = free + 15 * MINUTE;
        assert_eq!(life.told("log", free).await, (vec![], Some(step)));
        assert_eq!(life.told("slack", free).await, (vec![Kind::Down], Some(step)));
        let life = life.reopened();
        assert_eq!(life.told("log", step).await, (vec![Kind::Escalation], None));
        assert_eq!(life.told("slack", step).await, (vec![Kind::Escalation], None));
    }
}

/// Who looks at it sees the same time before and after it becomes due, and before and after the silence ends.
#[tokio::test]
async fn the_time_of_a_step_is_known_as_soon_as_the_first_message_is_held_back() {
    let life = Life::by(escalating(&[(15 * 60, "log")]));
    life.silence("{}", 0, HOUR).await;
    life.down(1).await;
    let shown = async |second: i64| {
        let steps = vec![(2, "log".to_owned())];
        let late = life.store.late_steps(steps, from_millis(second * 1000), Arc::clone(&life.routing)).await.unwrap();
        let row = life.store.deliveries(DeliveryQuery::default()).await.unwrap().remove(0);
        assert_eq!(row.kind, "escalation");
        late.get(&2).map_or(row.due_at.unwrap(), |later| later.until).as_second()
    };
    assert_eq!(shown(1).await, 1 + 15 * MINUTE);
    assert_eq!(life.deliver_all("slack", 2).await, []);
    for second in [2, 15 * MINUTE, 16 * MINUTE, HOUR - 1] {
        assert_eq!(life.deliver_all("log", second).await, []);
        assert_eq!(shown(second).await, HOUR + 15 * MINUTE, "at {second}");
    }
    assert_eq!(life.deliver_all("slack", HOUR).await, [Kind::Down]);
    assert_eq!(life.deliver_all("log", HOUR).await, []);
    assert_eq!(shown(HOUR).await, HOUR + 15 * MINUTE);
}

#[tokio::test]
async fn a_step_that_counts_from_a_late_message_need_not_be_sent_if_the_line_is_back_by_then() {
    let life = Life::by(escalating(&[(15 * 60, "log")]));
    life.silence("{}", 0, HOUR).await;
    life.down(1).await;
    assert_eq!(life.deliver_all("slack", 2).await, []);
    assert_eq!(life.deliver_all("log", 16 * MINUTE).await, []);
    assert_eq!(life.deliver_all("slack", HOUR).await, [Kind::Down]);
    assert_eq!(life.deliver_all("log", HOUR).await, []);
    life.up(HOUR + MINUTE).await;
    assert_eq!(life.told("log", 2 * HOUR).await, (vec![], None));
    let why = "the line was back before the escalation of 15m was due";
    assert_eq!(life.why_withdrawn(1).await, [("escalation".to_owned(), why.to_owned())]);
}

#[tokio::test]
async fn a_step_counts_from_the_end_of_quiet_hours_whether_they_end_or_are_taken_out_of_the_config() {
    for reloaded_at in [None, Some(2 * HOUR)] {
        let life = Life::by(escalating(&[(15 * 60, "log")])).at_night();
        life.down(HOUR).await;
        assert_eq!(life.deliver_all("slack", HOUR).await, []);
        assert_eq!(life.deliver_all("log", HOUR + 15 * MINUTE).await, []);
        let life = match reloaded_at {
            Some(second) => life.without_quiet_hours(second).await,
            None => life,
        };
        let free = reloaded_at.unwrap_or(7 * HOUR);
        assert_eq!(life.deliver_all("log", free).await, []);
        assert_eq!(life.deliver_all("slack", free).await, [Kind::Down]);
        assert_eq!(life.told("log", free).await, (vec![], Some(free + 15 * MINUTE)));
        assert_eq!(life.deliver_all("log", free + 15 * MINUTE).await, [Kind::Escalation]);
    }
}

/// `after` counts from the beginning of the outage, as without a silence: so it is five minutes after the message.
#[tokio::test]
async fn a_hold_is_part_of_the_time_that_a_step_counts() {
    let life = Life::by(Rule { hold: Some(Duration::from_mins(10)), ..escalating(&[(15 * 60, "log")]) });
    life.silence("{}", 0, HOUR).await;
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 10 * MINUTE).await, []);
    assert_eq!(life.deliver_all("log", 15 * MINUTE).await, []);
    assert_eq!(life.deliver_all("slack", HOUR).await, [Kind::Down]);
    assert_eq!(life.told("log", HOUR).await, (vec![], Some(HOUR + 5 * MINUTE)));
}

#[tokio::test]
async fn a_step_counts_from_when_a_gathered_message_is_sent() {
    let life = Life::by(Rule { group_interval: Duration::from_mins(1), ..escalating(&[(10, "log")]) });
    life.webhook_of("B", EventKind::Disconnected, Reason::Other, 0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.store.acknowledge(1, "ana", "a test", from_millis(1000)).await.unwrap();
    assert_eq!(life.deliver_all("slack", 1).await, [Kind::Acknowledged]);
    life.down(5).await;
    assert_eq!(life.told("log", 15).await, (vec![], Some(70)));
    assert_eq!(life.deliver_all("slack", 60).await, [Kind::Down]);
    assert_eq!(life.deliver_all("log", 70).await, [Kind::Escalation]);
}

#[tokio::test]
async fn a_step_of_an_outage_that_is_heard_of_late_counts_from_then() {
    let life = Life::by(escalating(&[(60, "log"), (60, "slack")]));
    let late =
        Event { received_at: from_millis(100_000), ..Life::event("A", EventKind::Disconnected, Reason::Other, 0) };
    life.store.accept(late, "{}".into(), Arc::clone(&life.routing)).await.unwrap();
    assert_eq!(life.told("log", 100).await, (vec![], Some(160)));
    assert_eq!(life.told("slack", 101).await, (vec![Kind::Down], Some(161)));
    assert_eq!(life.deliver_all("log", 160).await, [Kind::Escalation]);
}

/// The sink of the first message fails, so nobody was told in time: the step tells somebody.
#[tokio::test]
async fn a_step_does_not_wait_for_a_sink_that_fails() {
    let life = Life::by(escalating(&[(60, "log")]));
    life.down(0).await;
    let due = life.lease("slack", 1).await.remove(0);
    let again = Outcome::Again { kind: FailureKind::Busy, why: "503".into(), due_at: from_millis(600_000) };
    life.settle(&due, 1, again).await;
    assert_eq!(life.deliver_all("log", 60).await, [Kind::Escalation]);
}

#[tokio::test]
async fn of_two_steps_that_become_due_at_once_somebody_gets_one() {
    let life = Life::by(escalating(&[(15 * 60, "log"), (30 * 60, "log")]));
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.silence("{}", 1, HOUR).await;
    for second in [15 * MINUTE, 30 * MINUTE] {
        assert_eq!(life.deliver_all("log", second).await, []);
    }
    let now = || from_millis(HOUR * 1000);
    let one = life
        .store
        .lease("log", 1, RecipientPauses::new(), now(), Arc::clone(&life.routing))
        .await
        .unwrap()
        .due
        .remove(0);
    assert_eq!(one.notification.kind, Kind::Escalation);
    assert_eq!(life.deliver_all("log", HOUR + 1).await, [], "nor a second later, if the sink takes one at a time");
    let why = "another message at the same time tells them of it";
    assert_eq!(life.why_withdrawn(1).await, [("escalation".to_owned(), why.to_owned())]);
}

#[tokio::test]
async fn who_hears_that_it_is_worse_gets_no_step_and_no_reminder_at_the_same_time() {
    let rule = Rule { remind: vec![Duration::from_mins(1)], ..escalating(&[(60, "slack")]) };
    let life = Life::by(rule);
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    life.webhook(EventKind::Disconnected, Reason::NumberBlocked, 60).await;
    assert_eq!(life.told("slack", 60).await, (vec![Kind::Worse], Some(120)));
    assert_eq!(life.deliver_all("slack", 120).await, [Kind::Reminder]);
}

/// The earlier step was tried when the later one became due, and given up: nobody was told by it.
#[tokio::test]
async fn a_step_that_was_given_up_stands_for_no_other() {
    let life = Life::by(escalating(&[(60, "log"), (90, "log")]));
    life.down(0).await;
    assert_eq!(life.deliver_all("slack", 0).await, [Kind::Down]);
    let now = from_millis(90_000);
    let due =
        life.store.lease("log", 1, RecipientPauses::new(), now, Arc::clone(&life.routing)).await.unwrap().due.remove(0);
    life.settle(&due, 91, lost()).await;
    assert_eq!(life.deliver_all("log", 92).await, [Kind::Escalation]);
}

/// They would hear that nobody has taken what they know nothing of.
#[tokio::test]
async fn a_step_to_somebody_whose_own_first_message_fails_comes_after_that() {
    let life = Life::by(escalating(&[(15 * 60, "slack"), (15 * 60, "log")]));
    life.down(0).await;
    assert_eq!(life.fails("slack", 0, 20 * MINUTE).await, 1);
    assert_eq!(life.deliver_all("log", 15 * MINUTE).await, [Kind::Escalation]);
    assert_eq!(life.told("slack", 15 * MINUTE).await, (vec![], Some(20 * MINUTE)));
    assert_eq!(life.told("slack", 20 * MINUTE).await, (vec![Kind::Down], Some(35 * MINUTE)));
    assert_eq!(life.told("slack", 35 * MINUTE).await, (vec![Kind::Escalation], None));
}
