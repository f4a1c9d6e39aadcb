//! Watching: outages that no webhook reported, and a gateway that does not answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use linedown_standins::{Instance as Line, Odd};
use serde_json::json;

use super::{Place, place, sections, token, wait_for_questions};
use crate::daemon::eventually;
use crate::payload::down;

/// A running daemon that asks about each instance every second, with a rule that tells at once.
fn watched(instances: &[&str]) -> Place {
    let Place { gateway, mut daemon } = place(instances);
    daemon.configure(&sections(&gateway, instances, WATCH));
    daemon.launch();
    Place { gateway, daemon }
}

const WATCH: &str = "watch = { every = \"1s\" }\n";

#[test]
fn an_outage_of_which_no_webhook_came_is_found_and_so_is_its_end() {
    let Place { gateway, daemon } = watched(&["A", "B"]);
    wait_for_questions(&gateway, "A", 3);
    assert_eq!(daemon.rows(&["incidents"]).len(), 0);
    gateway.change("A", Line::drop_session);
    let told = daemon.wait_for_told(1);
    assert_eq!((&told[0]["instance"], &told[0]["reason"]), (&json!("A"), &json!("session-expired")));
    assert!(
        told[0]["text"].as_str().is_some_and(|text| text.contains("Found by checking; no webhook came.")),
        "{told:?}"
    );
    let story = daemon.command(&["incident", "1"]).out;
    assert!(story.contains("found by asking"), "{story}");

    // The webhook comes late; linedown still asks.
    daemon.accept(&down("A"));
    wait_for_questions(&gateway, "A", 3);
    assert_eq!(daemon.rows(&["incidents"]).len(), 1);
    assert_eq!(daemon.json(&["incident", "1"])["events"].as_array().map(Vec::len), Some(2), "no more than these");
    gateway.change("A", Line::log_in);
    assert_eq!(daemon.wait_for_told(2)[1]["kind"], "resolved");
    wait_for_questions(&gateway, "A", 2);
    assert_eq!((daemon.rows(&["incidents"]).len(), daemon.told().len()), (1, 2));
    assert!(daemon.metric("linedown_checks_total{source=\"z-api\",result=\"down\"}").is_some_and(|count| count >= 2));
}

#[test]
fn what_was_known_before_a_restart_is_known_after_it() {
    let Place { gateway, mut daemon } = watched(&["A", "B"]);
    gateway.change("A", Line::drop_session);
    daemon.wait_for_told(1);
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    gateway.change("A", Line::log_in);
    gateway.change("B", Line::drop_session);
    daemon.launch();
    let told = daemon.wait_for_told(3);
    let mut kinds: Vec<_> = told[1..].iter().map(|told| (told["instance"].as_str(), told["kind"].as_str())).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [(Some("A"), Some("resolved")), (Some("B"), Some("down"))]);
}

#[test]
fn a_gateway_that_does_not_answer_is_no_outage_of_any_line() {
    let Place { gateway, daemon } = watched(&["A", "B"]);
    for odd in [Odd::answer(500, ""), Odd::answer(200, "<html>"), Odd::answer(403, "{}"), Odd::Cut] {
        gateway.always(Some(odd));
        wait_for_questions(&gateway, "A", 3);
    }
    assert_eq!(daemon.rows(&["incidents"]).len(), 0);
    gateway.always(None);
    gateway.change("A", Line::drop_session);
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "A");
}

#[test]
fn a_reload_changes_who_is_watched() {
    let Place { gateway, daemon } = watched(&["A"]);
    gateway.add("B", &token("B"));
    gateway.change("B", Line::drop_session);
    daemon.configure(&sections(&gateway, &["A", "B"], WATCH));
    daemon.reload();
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "B");
    daemon.configure(&sections(&gateway, &["A", "B"], ""));
    daemon.reload();
    gateway.change("A", Line::drop_session);
    daemon.accept(&down("C"));
    assert_eq!(daemon.wait_for_told(2)[1]["instance"], "C", "nobody is asked any more");
}

#[test]
fn each_line_is_asked_about_in_its_turn_however_often_the_config_is_reloaded() {
    let names: Vec<String> = (0..20).map(|number| format!("L{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Place { gateway, mut daemon } = place(&names);
    daemon.configure(&sections(&gateway, &names, "watch = { every = \"4s\" }\n"));
    daemon.launch();
    eventually("a question about the last line", || {
        daemon.reload();
        gateway.calls().iter().any(|call| call.instance.as_deref() == Some("L19")).then_some(())
    });
    let asked: BTreeSet<_> = gateway.calls().into_iter().filter_map(|call| call.instance).collect();
    assert!(asked.iter().eq(&names), "none is left out: {asked:?}");
    assert!(gateway.calls().len() < 2 * names.len(), "and none is asked about more often for it");
}

#[test]
fn a_missed_webhook_is_found_within_two_intervals() {
    let Place { gateway, mut daemon } = place(&["A"]);
    daemon.configure(&sections(&gateway, &["A"], "watch = { every = \"4s\" }\n"));
    daemon.launch();
    wait_for_questions(&gateway, "A", 1);
    gateway.change("A", Line::drop_session);
    let before = gateway.calls().len();
    let told = daemon.wait_for_told(1);
    let asked = gateway.calls().len() - before;
    assert_eq!(told[0]["kind"], "down");
    // One question per interval; the third may come before the message is seen.
    assert!(asked <= 3, "it was asked {asked} times until it was told");
}

#[test]
fn a_line_that_is_not_answered_for_is_told_as_such_and_as_no_outage() {
    let Place { gateway, mut daemon } = place(&["A", "B", "C"]);
    let watch = "watch = { every = \"1s\", unknown_after = \"3s\" }\n";
    daemon.configure(&sections(&gateway, &["A", "B", "C"], watch));
    daemon.launch();
    let renew = |id: &str, token: &str| {
        let token = token.to_owned();
        gateway.change(id, |instance| instance.token = token);
    };
    renew("C", "0canary-renewed");
    let told = daemon.wait_for_told(1);
    assert_eq!((&told[0]["instance"], &told[0]["reason"]), (&json!("C"), &json!("gateway-unreachable")));
    let text = told[0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("does not accept the instance's token") && !text.contains("is down"), "{text}");
    renew("C", &token("C"));
    assert_eq!(daemon.wait_for_told(2)[1]["kind"], "resolved");

    renew("B", "0canary-renewed");
    daemon.wait_for_told(3);
    daemon.configure(&sections(&gateway, &["A", "C"], watch));
    daemon.reload();
    let told = daemon.wait_for_told(4);
    assert_eq!((&told[3]["instance"], &told[3]["kind"]), (&json!("B"), &json!("resolved")), "nobody asks about it");

    gateway.always(Some(Odd::Cut));
    let told = daemon.wait_for_told(5);
    assert_eq!((&told[4]["instance"], &told[4]["kind"]), (&json!("127.0.0.1"), &json!("down")), "one for all");
    gateway.always(None);
    assert_eq!(daemon.wait_for_told(6)[5]["kind"], "resolved");
    let reasons: Vec<_> = daemon.rows(&["incidents"]).iter().map(|row| row["reason"].clone()).collect();
    assert_eq!(reasons, ["gateway-unreachable"; 3]);
}

#[test]
fn questions_are_spread_over_the_interval() {
    let names: Vec<String> = (0..10).map(|number| format!("L{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Place { gateway, mut daemon } = place(&names);
    daemon.configure(&sections(&gateway, &names, "watch = { every = \"4s\" }\n"));
    daemon.launch();
    let mut at: Vec<Instant> = gateway.wait_for(20).iter().map(|call| call.at).take(20).collect();
    at.sort_unstable();
    // 400 ms apart. A machine that stalls asks the missed questions together, but those are not most of them.
    let mut gaps: Vec<Duration> = at.windows(2).map(|two| two[1] - two[0]).collect();
    gaps.sort_unstable();
    assert!(gaps[gaps.len() / 2] > Duration::from_millis(100), "{gaps:?}");
    assert!(at[19] - at[0] > Duration::from_secs(4), "two rounds take more than one interval: {gaps:?}");
}
