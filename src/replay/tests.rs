//! A week of a line that keeps dropping and coming back, under several rules.

use std::time::Duration;

use linedown_sinks::{Acknowledged, Reason};

use super::*;
use crate::clock::from_millis;
use crate::rule::Rule;
use crate::rule::tests::{routing, rule};
use crate::source::{Event, EventKind};

const HOUR: i64 = 3600;

fn event(line: &str, kind: EventKind, second: i64) -> Past {
    let at = from_millis(second * 1000);
    let event = Event {
        source: "z-api".into(),
        instance: line.into(),
        kind,
        reason: Reason::Other,
        phone: None,
        error: None,
        at,
        gateway_at: Some(at),
        stamp: Some(second * 1000),
        received_at: at,
        asked_at: None,
    };
    Past { id: second, event, incident: None, acknowledged: None }
}

/// Every hour a line is down for 30 seconds; at the end another one goes down and stays so.
fn flickers(times: i64) -> History {
    let mut events = Vec::new();
    for hour in 1..=times {
        events.push(event("A", EventKind::Disconnected, hour * HOUR));
        events.push(event("A", EventKind::Connected, hour * HOUR + 30));
    }
    events.push(event("B", EventKind::Disconnected, times * HOUR + 60));
    History { events, silences: Vec::new() }
}

fn all() -> Rule {
    rule("all", "{}", &["slack"], false)
}

async fn by(rule: Rule, history: &History, until: i64) -> Lived {
    live(history, Arc::new(routing(vec![rule])), from_millis(until * 1000)).await.unwrap()
}

fn kinds(lived: &Lived) -> Vec<(i64, Kind)> {
    lived.sent.iter().map(|sent| (sent.at.as_second(), sent.kind)).collect()
}

#[tokio::test]
async fn a_hold_would_have_kept_the_flickers_quiet() {
    let history = flickers(168);
    let before = by(all(), &history, 200 * HOUR).await;
    assert_eq!((before.sent.len(), before.told().len()), (2 * 168 + 1, 169));
    let held = Rule { hold: Some(Duration::from_mins(1)), ..all() };
    let after = by(held, &history, 200 * HOUR).await;
    assert_eq!(kinds(&after), [(168 * HOUR + 120, Kind::Down)]);
    assert_eq!(before.outages, after.outages);
    let unheard: Vec<&str> =
        before.told().difference(&after.told()).map(|id| before.outages[id].instance.as_str()).collect();
    assert_eq!(unheard, ["A"; 168]);
}

#[tokio::test]
async fn time_passes_between_webhooks_and_to_the_end() {
    let history = History { events: vec![event("A", EventKind::Disconnected, 0)], silences: Vec::new() };
    let reminding = Rule { remind: vec![Duration::from_hours(1)], ..all() };
    let lived = by(reminding, &history, 3 * HOUR + 1).await;
    let expected = [(0, Kind::Down), (HOUR, Kind::Reminder), (2 * HOUR, Kind::Reminder), (3 * HOUR, Kind::Reminder)];
    assert_eq!(kinds(&lived), expected);
}

#[tokio::test]
async fn who_took_it_then_takes_it_again() {
    let mut down = event("A", EventKind::Disconnected, 0);
    down.acknowledged = Some(Acknowledged { by: "ana".into(), at: from_millis(90 * 60_000) });
    let history = History { events: vec![down], silences: Vec::new() };
    let reminding = Rule { remind: vec![Duration::from_hours(1)], ..all() };
    let lived = by(reminding, &history, 10 * HOUR).await;
    assert_eq!(kinds(&lived), [(0, Kind::Down), (HOUR, Kind::Reminder), (90 * 60, Kind::Acknowledged)]);
}

#[tokio::test]
async fn a_silence_that_was_made_is_kept() {
    let at = |second: i64| from_millis(second * 1000);
    let silence = SilenceRow {
        id: 0,
        matcher: serde_json::json!({}),
        starts_at: at(0),
        ends_at: at(2 * HOUR),
        comment: String::new(),
        made_by: "ana".into(),
        made_at: at(0),
    };
    let history = History { events: vec![event("A", EventKind::Disconnected, HOUR)], silences: vec![silence] };
    assert_eq!(kinds(&by(all(), &history, 10 * HOUR).await), [(2 * HOUR, Kind::Down)]);
}

#[tokio::test]
async fn a_storm_is_counted_by_messages_and_by_outages() {
    let storm = (0..1000).map(|line| event(&format!("line {line}"), EventKind::Disconnected, 10 + line / 100));
    let history = History { events: storm.collect(), silences: Vec::new() };
    let gathering = Rule { group_interval: Duration::from_mins(1), ..all() };
    let lived = by(gathering, &history, HOUR).await;
    assert_eq!(kinds(&lived), [(10, Kind::Down), (70, Kind::Digest)]);
    assert_eq!(lived.told().len(), 1000);
}

#[tokio::test]
async fn what_is_still_held_back_is_not_unheard() {
    let history = History { events: vec![event("A", EventKind::Disconnected, HOUR)], silences: Vec::new() };
    let held = Rule { hold: Some(Duration::from_mins(10)), ..all() };
    let lived = by(held.clone(), &history, HOUR + 599).await;
    assert_eq!((lived.sent.len(), lived.waiting), (0, [1].into()));
    let lived = by(held, &history, HOUR + 600).await;
    assert_eq!((lived.sent.len(), lived.waiting), (1, [].into()));
    let other = rule("other", r#"{"instance":"B"}"#, &["slack"], false);
    assert_eq!(by(other, &history, 2 * HOUR).await.waiting, [].into());
}
