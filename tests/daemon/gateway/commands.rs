//! `linedown z-api`: the commands.

use std::time::{Duration, Instant};

use linedown_standins::{Call, Certificates, Instance, Odd};
use serde_json::{Value, json};

use super::{PARTNER_TOKEN, Place, ours, place, sections, token};
use crate::daemon::{CANARY, Daemon};

fn changes(calls: &[Call]) -> Vec<(&str, &str)> {
    let changes = calls.iter().filter(|call| call.method != "GET");
    changes.map(|call| (call.instance.as_deref().unwrap_or_default(), call.name.as_str())).collect()
}

/// Returns a command's exit code, and the JSON that it prints.
fn json_of(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let ended = daemon.command(&[arguments, &["--json"]].concat());
    let rows = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended.code, rows)
}

#[test]
fn register_sets_both_webhooks_and_may_be_repeated() {
    let Place { gateway, daemon } = place(&["A", "B"]);
    gateway.change("B", |instance| instance.disconnected_url = json!(ours("B")));
    gateway.change("B", |instance| instance.connected_url = json!(format!("https://crm.example.com/{CANARY}")));

    let dry = daemon.command(&["z-api", "register", "--all", "--dry-run"]);
    assert_eq!((dry.code, changes(&gateway.calls()).len()), (Some(0), 0), "{dry:?}");
    for words in ["Loja A", "would be registered", "registered elsewhere: https://crm.example.com/…"] {
        assert!(dry.out.contains(words), "{words}: {}", dry.out);
    }
    assert!(dry.out.starts_with("2 would be changed, 0 as they should be, 0 failed\n\n"), "{dry:?}");

    let ended = daemon.command(&["z-api", "register", "--all"]);
    assert!(ended.code == Some(0) && ended.out.starts_with("2 changed, 0 as they should be, 0 failed\n"), "{ended:?}");
    for id in ["A", "B"] {
        let Instance { disconnected_url, connected_url, received_url, .. } = gateway.instance(id);
        assert_eq!((disconnected_url, connected_url), (json!(ours(id)), json!(ours(id))));
        assert_eq!(received_url, "https://crm.example.com/messages", "people's messages are left alone");
    }
    let mut changed = gateway.calls();
    changed.retain(|call| call.method == "PUT");
    assert_eq!(changed.len(), 3, "what was right is left alone: {changed:?}");

    let again = daemon.command(&["z-api", "register", "--all"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), "0 changed, 2 as they should be, 0 failed\n"));
    assert_eq!(changes(&gateway.calls()).len(), 3);
    let (code, rows) = json_of(&daemon, &["z-api", "register", "--instance", "A"]);
    assert_eq!((code, rows.len(), &rows[0]["webhooks"][0]["outcome"]), (Some(0), 1, &json!("unchanged")), "{rows:?}");
}

#[test]
fn one_instance_that_fails_keeps_no_other_from_being_registered() {
    let Place { gateway, daemon } = place(&["A", "B", "C"]);
    gateway.change("B", |instance| instance.token = "0canary-renewed".to_owned());
    gateway.plan("C", Odd::answer(503, ""));
    let (code, rows) = json_of(&daemon, &["z-api", "register", "--all"]);
    assert_eq!(code, Some(1), "{rows:?}");
    assert_eq!(rows[1]["failure"]["kind"], "unauthorised", "{rows:?}");
    assert!(rows[1]["failure"]["hint"].as_str().is_some_and(|hint| hint.contains("token")), "{rows:?}");
    for id in ["A", "C"] {
        assert_eq!(gateway.instance(id).connected_url, json!(ours(id)), "trouble that passes is outlived");
    }
    let ended = daemon.command(&["z-api", "register", "--all"]);
    assert!(ended.code == Some(1) && ended.out.contains("Loja B") && ended.out.contains("hint: copy"), "{ended:?}");
}

#[test]
fn what_cannot_be_registered_is_said_before_anything_is_asked() {
    let Place { gateway, daemon } = place(&["A"]);
    for (arguments, code, words) in [
        (&["z-api", "register"][..], 64, "required"),
        (&["z-api", "register", "--instance", "X"], 64, "the config has no token for the instance \"X\""),
        (&["z-api", "register", "--all", "--source", "z-apo"], 64, "did you mean z-api?"),
    ] {
        let ended = daemon.command(arguments);
        assert!(ended.code == Some(code) && ended.err.contains(words), "{ended:?}");
    }
    let inside = sections(&gateway, &["A"], "").replace("https://alerts.example.com", "http://localhost:8080");
    daemon.configure(&inside);
    let ended = daemon.command(&["z-api", "register", "--all"]);
    assert!(ended.code == Some(78) && ended.err.contains("https:// addresses only"), "{ended:?}");
    assert_eq!(gateway.calls().len(), 0);
}

#[test]
fn audit_finds_what_is_amiss_and_fixes_what_it_can() {
    let Place { gateway, daemon } = place(&["A", "B", "C"]);
    let more = format!("partner_token = \"{PARTNER_TOKEN}\"\n");
    let without = "[instances.D]\nname = \"Loja D\"\n";
    daemon.configure(&(sections(&gateway, &["A", "B", "C"], &more) + without));
    let gateway = gateway.with_partner_token(PARTNER_TOKEN);
    gateway.add("E", &token("E"));
    for id in ["A", "B", "C"] {
        gateway.change(id, |instance| {
            instance.disconnected_url = json!(ours(id));
            instance.connected_url = json!(ours(id));
        });
    }
    gateway.change("B", |instance| instance.disconnected_url = Value::Null);
    gateway.change("C", |instance| instance.due = json!(1_700_000_000));
    let (code, rows) = json_of(&daemon, &["z-api", "audit"]);
    let found: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row["instance"].as_str().unwrap_or_default(), row["finding"].as_str().unwrap_or_default()))
        .collect();
    let expected = [("B", "webhook-drift"), ("C", "expiring"), ("D", "no-token"), ("E", "not-in-inventory")];
    assert_eq!((code, found.as_slice()), (Some(1), &expected[..]), "{rows:?}");
    assert_eq!(changes(&gateway.calls()), [], "an audit changes nothing");

    let ended = daemon.command(&["z-api", "audit", "--fix"]);
    assert_eq!((ended.code, gateway.instance("B").disconnected_url), (Some(1), json!(ours("B"))), "{ended:?}");
    for words in
        ["disconnected webhook not registered", "fixed", "which has passed", "3 asked, 4 wrong, 1 fixed", "hint:"]
    {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    daemon.configure(&sections(&gateway, &["A", "B"], ""));
    let ended = daemon.command(&["z-api", "audit"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "2 asked, nothing wrong\n"));
}

#[test]
fn status_lists_the_fleet_worst_first() {
    let Place { gateway, daemon } = place(&["A", "B", "C"]);
    gateway.change("C", Instance::drop_session);
    let (code, rows) = json_of(&daemon, &["z-api", "status"]);
    let states: Vec<(&Value, &Value)> = rows.iter().map(|row| (&row["instance"], &row["state"])).collect();
    let [up, down] = [json!("up"), json!("down")];
    assert_eq!(code, Some(0));
    assert_eq!(states, [(&json!("C"), &down), (&json!("A"), &up), (&json!("B"), &up)]);
    let asked = gateway.count();
    let (code, rows) = json_of(&daemon, &["z-api", "status", "B", "Loja C"]);
    let lines: Vec<&Value> = rows.iter().map(|row| &row["instance"]).collect();
    assert_eq!((code, lines, gateway.count() - asked), (Some(0), vec![&json!("C"), &json!("B")], 2));
    let unknown = daemon.command(&["z-api", "status", "B", "X"]);
    assert!(unknown.code == Some(64) && unknown.err.contains("the identifier or the name \"X\""), "{unknown:?}");
    gateway.change("A", |instance| instance.connected = json!("yes"));
    let ended = daemon.command(&["z-api", "status"]);
    assert_eq!(ended.code, Some(1), "what could not be asked is no success");
    for words in
        ["You need to restore the session.", "1 down, 1 unknown, 1 up", "`connected` is neither true nor false"]
    {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
}

#[test]
fn status_names_the_lines_that_nothing_can_be_asked_about() {
    let Place { gateway, daemon } = place(&["A"]);
    let second = format!(
        "[sources.second]\ntype = \"z-api\"\nsecret = \"0canary-second-1b2c3d\"\napi = \"{}\"\n",
        gateway.url()
    );
    let without = "[instances.D]\nname = \"Loja D\"\n[instances.E]\nsource = \"z-api\"\n";
    let lines = sections(&gateway, &["A"], "").replace("[instances.A]\n", "[instances.A]\nsource = \"z-api\"\n");
    daemon.configure(&format!("{lines}{second}{without}"));
    let (code, rows) = json_of(&daemon, &["z-api", "status"]);
    let states: Vec<(&Value, &Value)> = rows.iter().map(|row| (&row["instance"], &row["state"])).collect();
    let expected = ["D", "E", "A"].map(|id| (json!(id), json!(if id == "A" { "up" } else { "unknown" })));
    assert_eq!((code, states), (Some(1), expected.iter().map(|(id, state)| (id, state)).collect()));
    assert!(rows[0]["failure"]["what"].as_str().is_some_and(|what| what.starts_with("no token")), "{rows:?}");
    let (code, rows) = json_of(&daemon, &["z-api", "status", "Loja D"]);
    assert_eq!((code, rows.len(), &rows[0]["instance"]), (Some(1), 1, &json!("D")), "{rows:?}");
    let ended = daemon.command(&["z-api", "status"]);
    for words in ["Loja D", "0 down, 2 unknown, 1 up", "hint: add `token`"] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    for arguments in [&["z-api", "status", "--source", "second"][..], &["z-api", "audit", "--source", "second"]] {
        let (_, rows) = json_of(&daemon, arguments);
        let lines: Vec<&Value> = rows.iter().map(|row| &row["instance"]).collect();
        assert_eq!(lines, [&json!("D")], "A and E are another source's: {rows:?}");
    }
}

#[test]
fn a_fleet_is_asked_a_few_at_once_and_not_for_ever_in_vain() {
    let names: Vec<String> = (0..60).map(|number| format!("L{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Place { gateway, daemon } = place(&names);
    let begun = Instant::now();
    let (code, rows) = json_of(&daemon, &["z-api", "status"]);
    assert_eq!((code, rows.len(), gateway.count()), (Some(0), 60, 60));
    assert!(begun.elapsed() > Duration::from_secs(1), "50 a second at most");
    assert!(gateway.most_at_once() <= 16, "{}", gateway.most_at_once());
    gateway.always(Some(Odd::answer(403, r#"{"error":"[IP] not allowed"}"#)));
    let ended = daemon.command(&["z-api", "status"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("60 unknown") && ended.out.matches("hint:").count() == 1, "{}", ended.out);
    assert!(gateway.count() < 60 + 40, "{} calls", gateway.count());
}

#[test]
fn whatever_goes_wrong_at_the_gateway_is_explained() {
    let refused = |words: &str| Odd::answer(403, &json!({ "error": words }).to_string());
    let html = "<html>T0KEN</html>".to_owned();
    // A call whose failure may pass is tried three times.
    let odd = [
        ("cut", vec![Odd::Cut; 3], "the connection to the gateway's API broke"),
        ("drip", vec![Odd::Drip(Duration::from_millis(500)); 3], "did not answer in time"),
        ("hang", vec![Odd::Hang; 3], "did not answer in time"),
        ("html", vec![Odd::Typed(200, "text/html", html)], "is not JSON"),
        ("huge", vec![Odd::answer(200, &"x".repeat(2_000_000))], "is too large"),
        ("ip", vec![refused("[IP] not allowed")], "does not accept calls from this machine's address"),
        ("media", vec![Odd::answer(415, "")], "does not accept this type of content"),
        ("method", vec![Odd::answer(405, "")], "does not accept calls with this method"),
        ("null", vec![refused("null not allowed")], "requires the account's security token"),
        ("often", vec![Odd::answer(429, ""); 3], "was asked too often"),
        ("text", vec![Odd::Typed(200, "text/plain", r#"{"connected":true}"#.to_owned())], ""),
        ("trouble", vec![Odd::answer(502, ""); 3], "has a problem of its own"),
        ("yes", vec![Odd::answer(200, r#"{"connected":"true"}"#)], "is not one that its documentation describes"),
    ];
    let names: Vec<&str> = odd.iter().map(|(name, ..)| *name).collect();
    let Place { gateway, daemon } = place(&names);
    for (name, answers, _) in &odd {
        for answer in answers {
            gateway.plan(name, answer.clone());
        }
    }
    let (code, rows) = json_of(&daemon, &["z-api", "status"]);
    assert_eq!((code, rows.len()), (Some(1), odd.len()));
    for (name, _, words) in odd {
        let row = rows.iter().find(|row| row["instance"] == name).unwrap_or_else(|| panic!("no {name}"));
        let (state, what) = (&row["state"], row["failure"]["what"].as_str().unwrap_or_default());
        assert!(what.contains(words) && (*state == "up") == words.is_empty(), "{name}: {row}");
        assert_eq!(words.is_empty(), row["failure"]["hint"].is_null(), "{name}: {row}");
    }
}

#[test]
fn a_gateway_that_nobody_vouches_for_is_told_no_token() {
    let Place { gateway, mut daemon } = place(&["A"]);
    daemon.trust(Certificates::new());
    let ended = daemon.command(&["z-api", "register", "--all"]);
    assert_eq!((ended.code, gateway.count()), (Some(1), 0), "{ended:?}");
    assert!(ended.out.contains("is not trusted") && ended.out.contains("hint: is the clock right?"), "{ended:?}");
}

#[test]
fn on_a_terminal_a_long_list_says_how_far_it_is() {
    let names: Vec<String> = (0..30).map(|number| format!("L{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Place { gateway, daemon } = place(&names);
    for (arguments, shown) in [
        (&["z-api", "register", "--all"][..], "registering 30 of 30"),
        (&["z-api", "audit"], "asking about 30 of 30"),
        (&["z-api", "status"], "asking 30 of 30"),
    ] {
        let text = daemon.on_a_terminal(80, arguments);
        assert!(text.contains(shown), "{text}");
        assert!(!daemon.command(arguments).err.contains("of 30"), "not where nobody looks on");
    }
    assert_eq!(changes(&gateway.calls()).len(), 60);
}

#[test]
fn what_needs_no_address_of_ours_is_audited_without_one() {
    let Place { gateway, daemon } = place(&["A"]);
    gateway.change("A", |instance| instance.due = json!(1_700_000_000));
    let public_url = "public_url = \"https://alerts.example.com\"\n";
    daemon.configure(&sections(&gateway, &["A"], "").replace(public_url, ""));
    let ended = daemon.command(&["z-api", "audit"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("1 wrong") && ended.out.ends_with("set `public_url` in [server]\n"), "{}", ended.out);
    assert_eq!(json_of(&daemon, &["z-api", "audit"]).1.len(), 1);
    assert_eq!(daemon.command(&["z-api", "audit", "--fix"]).code, Some(78));
}
