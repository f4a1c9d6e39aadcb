//! Pure: what a notification that is due waits for at its sink.

use jiff::Timestamp;
use linedown_sinks::Kind;

use super::breaker::Health;
use crate::backoff::LONGEST_HINT;
use crate::clock::{from_millis, later};
use crate::store::view::{Delivery, Later, WaitReason, WaitsFor};

/// Until when a sink asked for a pause, if that is later than now, as [`forgive`](super::breaker::Breaker::forgive) keeps
/// to it.
pub(super) fn pause(health: &Health, now: Timestamp) -> Option<Timestamp> {
    let Health::Failing { asked_until, .. } = health else { return None };
    asked_until.filter(|until| *until > now).map(|until| whole(until.min(later(now, LONGEST_HINT))))
}

/// Whether it is a step of an escalation that is still to be sent and was not tried yet.
pub(super) fn is_untried_step(delivery: &Delivery) -> bool {
    delivery.kind == Kind::Escalation.as_str() && delivery.due_at.is_some() && delivery.tries == 0
}

/// Shows that it is sent later than it is due, unless it is due even later.
pub(super) fn put_off(delivery: &mut Delivery, Later { until, by }: &Later) {
    if delivery.due_at.is_some_and(|due_at| due_at < *until) {
        (delivery.due_at, delivery.owed_at) = (Some(*until), *until);
        delivery.held_by.clone_from(by);
    }
}

/// What a notification waits for at its sink, if it is in nobody's hands and is due: now, by the time that the sink is
/// tried next, or again after a try; or that its recipient works again.
pub(super) fn waits_for(delivery: &Delivery, health: &Health, now: Timestamp) -> Option<WaitsFor> {
    let due_at = delivery.due_at.filter(|_| !delivery.in_flight)?;
    let is_due = due_at <= now;
    match health {
        Health::Failing { since, why, resume_at: Some(resume_at), .. }
            if is_due || (delivery.held_by.is_none() && (delivery.tries > 0 || due_at <= *resume_at)) =>
        {
            let until = whole(*resume_at).max(due_at);
            let paused = pause(health, now).is_some_and(|pause| until <= pause);
            let reason = if paused { WaitReason::Paused } else { WaitReason::Failing };
            let (since, until) = (Some(whole(*since)), Some(until));
            Some(WaitsFor { reason, since, why: Some(why.clone()), until })
        }
        _ if is_due => Some(WaitsFor { reason: WaitReason::Turn, since: None, why: None, until: None }),
        _ => why_recipient_fails(delivery).map(|why| WaitsFor {
            reason: WaitReason::Recipient,
            since: None,
            why: Some(why.to_owned()),
            until: None,
        }),
    }
}

/// Why its recipient fails, if it is put off because of that: only then is there a failure before its first try. (Until
/// when is not known: others may come first.)
fn why_recipient_fails(delivery: &Delivery) -> Option<&str> {
    delivery.detail.as_deref().filter(|_| delivery.tries == 0 && delivery.held_by.is_none())
}

/// What a notification that a person sends again waits for: the pause that its sink asked for, or that the sink, which is
/// down and is tried at once, works again.
pub(super) fn after_a_retry(health: &Health, now: Timestamp) -> Option<WaitsFor> {
    let Health::Failing { since, why, resume_at: Some(_), .. } = health else { return None };
    let until = pause(health, now);
    let reason = if until.is_some() { WaitReason::Paused } else { WaitReason::Failing };
    Some(WaitsFor { reason, since: Some(whole(*since)), why: Some(why.clone()), until })
}

/// In milliseconds, as the store keeps times.
fn whole(at: Timestamp) -> Timestamp {
    from_millis(at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        from_millis(second * 1000)
    }

    fn due(second: i64, held_by: Option<&str>) -> Delivery {
        let time = at(0);
        serde_json::from_value(serde_json::json!({
            "id": 1, "incident": 1, "instance": "A", "rule": "all", "sink": "chat", "recipient": "", "kind": "down",
            "state": "pending", "in_flight": false, "created_at": time, "owed_at": time, "due_at": at(second),
            "held_by": held_by, "tries": 0,
        }))
        .unwrap()
    }

    fn failing(resume_at: Option<i64>, asked_until: Option<i64>) -> Health {
        let why = "busy: 503".to_owned();
        let [resume_at, asked_until] = [resume_at, asked_until].map(|second| second.map(at));
        Health::Failing { since: at(1), failed_at: at(1), why, resume_at, asked_until }
    }

    #[test]
    fn what_is_due_waits_for_its_sink_or_its_turn() {
        let reason =
            |delivery: &Delivery, health: &Health| waits_for(delivery, health, at(10)).map(|waits| waits.reason);
        let (down, paused) = (failing(Some(20), Some(5)), failing(Some(20), Some(20)));
        for (second, held_by, health, expected) in [
            (10, None, &down, Some(WaitReason::Failing)),
            (20, None, &down, Some(WaitReason::Failing)),
            (21, None, &down, None),
            (10, Some("reminder"), &paused, Some(WaitReason::Paused)),
            (11, Some("reminder"), &paused, None),
            (10, None, &Health::Well, Some(WaitReason::Turn)),
            (10, None, &Health::Unknown, Some(WaitReason::Turn)),
            (10, None, &failing(None, None), Some(WaitReason::Turn)),
            (11, None, &Health::Well, None),
        ] {
            assert_eq!(reason(&due(second, held_by), health), expected, "{second} {held_by:?} {health:?}");
        }
        let again = Delivery { tries: 1, ..due(30, None) };
        let until = waits_for(&again, &paused, at(10)).map(|waits| (waits.reason, waits.until));
        assert_eq!(until, Some((WaitReason::Failing, Some(at(30)))), "it is tried later than the sink");
        assert_eq!(reason(&Delivery { in_flight: true, ..due(10, None) }, &down), None);
        assert_eq!(reason(&Delivery { due_at: None, ..due(10, None) }, &down), None, "it is settled");
        let waits = waits_for(&due(10, None), &down, at(10)).unwrap();
        assert_eq!((waits.since, waits.why.as_deref(), waits.until), (Some(at(1)), Some("busy: 503"), Some(at(20))));
    }

    #[test]
    fn what_is_put_off_before_its_first_try_waits_for_its_recipient() {
        let put_off = |second| Delivery { detail: Some("busy: 451".to_owned()), ..due(second, None) };
        let expected =
            WaitsFor { reason: WaitReason::Recipient, since: None, why: Some("busy: 451".into()), until: None };
        assert_eq!(waits_for(&put_off(30), &Health::Well, at(10)), Some(expected));
        for (delivery, health, expected) in [
            (put_off(10), Health::Well, Some(WaitReason::Turn)),
            (put_off(30), failing(Some(40), None), Some(WaitReason::Failing)),
            (Delivery { tries: 1, ..put_off(30) }, Health::Well, None),
            (Delivery { detail: None, ..put_off(30) }, Health::Well, None),
            (Delivery { held_by: Some("silence 1".into()), ..put_off(30) }, Health::Well, None),
        ] {
            assert_eq!(waits_for(&delivery, &health, at(10)).map(|waits| waits.reason), expected, "{delivery:?}");
        }
    }

    #[test]
    fn a_pause_lasts_no_longer_than_it_is_kept_to() {
        assert_eq!(pause(&failing(Some(20), Some(20)), at(10)), Some(at(20)));
        assert_eq!(pause(&failing(Some(20), Some(20)), at(20)), None);
        assert_eq!(pause(&failing(Some(20), None), at(10)), None);
        assert_eq!(pause(&failing(Some(9000), Some(9000)), at(0)), Some(at(3600)));
        assert_eq!(pause(&Health::Well, at(10)), None);
    }

    #[test]
    fn a_sink_that_is_down_is_tried_at_once_unless_it_asked_for_a_pause() {
        let waits = |health: &Health| after_a_retry(health, at(10)).map(|waits| (waits.reason, waits.until));
        assert_eq!(waits(&failing(Some(90), None)), Some((WaitReason::Failing, None)));
        assert_eq!(waits(&failing(Some(90), Some(20))), Some((WaitReason::Paused, Some(at(20)))));
        assert_eq!(waits(&failing(None, None)), None, "every message is tried");
        assert_eq!(waits(&Health::Well), None);
    }
}
