//! `linedown z-api`: what is registered at the gateway, and how each line stands by its word.

use linedown_standins::{Call, Certificates, Instance, Odd, ZApi};
use serde_json::{Value, json};

use crate::daemon::{CANARY, Daemon, SECRET, eventually};
use crate::payload::{down, up};
use crate::sections::{CONSOLE, tell};

/// The account's security token.
const CLIENT_TOKEN: &str = "0canary-account";
/// A partner's.
const PARTNER_TOKEN: &str = "0canary-partner";
/// What webhooks of an instance are to be registered as.
fn ours(instance: &str) -> String {
    format!("https://alerts.example.com/hooks/z-api/{SECRET}/{instance}")
}

/// A gateway over HTTPS with some instances, and a folder with a config that knows them; nothing runs.
struct Place {
    gateway: ZApi,
    daemon: Daemon,
}

fn token(instance: &str) -> String {
    format!("0canary-token-{instance}")
}

fn place(instances: &[&str]) -> Place {
    let certificates = Certificates::new();
    let gateway = ZApi::over_tls(&certificates).with_client_token(CLIENT_TOKEN);
    for id in instances {
        gateway.add(id, &token(id));
    }
    let mut daemon = Daemon::prepare(&sections(&gateway, instances, ""));
    daemon.trust(certificates);
    Place { gateway, daemon }
}

fn sections(gateway: &ZApi, instances: &[&str], more: &str) -> String {
    let lines = instances.iter().fold(String::new(), |lines, id| {
        lines + &format!("[instances.{id}]\nname = \"Loja {id}\"\ntoken = \"{}\"\n", token(id))
    });
    format!(
        "[server]\npublic_url = \"https://alerts.example.com\"\n[sources.z-api]\napi = \"{}\"\nclient_token = \"{CLIENT_TOKEN}\"\n{more}{lines}{CONSOLE}{}",
        gateway.url(),
        tell(&["console"])
    )
}

fn changes(calls: &[Call]) -> Vec<(&str, &str)> {
    let changes = calls.iter().filter(|call| call.method != "GET");
    changes.map(|call| (call.instance.as_deref().unwrap_or_default(), call.name.as_str())).collect()
}

/// What a command prints as JSON, and its exit code.
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
    for words in ["Loja A", "would be registered", "registered elsewhere: https://crm.example.com/…", "2 changed"] {
        assert!(dry.out.contains(words), "{words}: {}", dry.out);
    }

    let ended = daemon.command(&["z-api", "register", "--all"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
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
        (&["z-api", "register", "--instance", "X"], 64, "no token of the instance \"X\""),
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
    for words in ["disconnected webhook not registered", "fixed", "which is over", "3 asked, 4 amiss, 1 fixed", "hint:"]
    {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    daemon.configure(&sections(&gateway, &["A", "B"], ""));
    let ended = daemon.command(&["z-api", "audit"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "2 asked, nothing amiss\n"));
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
fn a_fleet_is_asked_a_few_at_once_and_not_for_ever_in_vain() {
    let names: Vec<String> = (0..60).map(|number| format!("L{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Place { gateway, daemon } = place(&names);
    let (code, rows) = json_of(&daemon, &["z-api", "status"]);
    assert_eq!((code, rows.len(), gateway.count()), (Some(0), 60, 60));
    assert!(gateway.most_at_once() <= 16, "{}", gateway.most_at_once());
    gateway.always(Some(Odd::answer(403, r#"{"error":"[IP] not allowed"}"#)));
    let ended = daemon.command(&["z-api", "status"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("60 unknown") && ended.out.matches("hint:").count() == 1, "{}", ended.out);
    assert!(gateway.count() < 60 + 40, "{} calls", gateway.count());
}

#[test]
fn what_is_amiss_is_told_beside_an_outage_until_it_is_right_again() {
    let Place { gateway, mut daemon } = place(&["A", "B"]);
    for id in ["A", "B"] {
        gateway.change(id, |instance| {
            instance.disconnected_url = json!(ours(id));
            instance.connected_url = json!(format!("https://alerts.example.com/hooks/z-api/{SECRET}"));
        });
    }
    gateway.change("A", |instance| instance.disconnected_url = json!("https://crm.example.com/x"));
    gateway.change("B", |instance| instance.due = json!(1_700_000_000));
    daemon.configure(&sections(&gateway, &["A", "B"], "audit = { every = \"1s\" }\n"));
    daemon.launch();
    let mut told = daemon.wait_for_told(2);
    told.sort_by_key(|told| told["instance"].to_string());
    let reasons: Vec<&Value> = told.iter().map(|told| &told["reason"]).collect();
    assert_eq!(reasons, ["webhook-drift", "expiring"]);
    let text = told[0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("registered elsewhere: https://crm.example.com/…") && !text.contains("is down"), "{text}");

    daemon.accept(&down("A"));
    assert_eq!(daemon.wait_for_told(3)[2]["reason"], "device-disconnected", "an outage is not swallowed");
    daemon.accept(&up("A"));
    assert_eq!(daemon.wait_for_told(4)[3]["kind"], "resolved");
    let open = daemon.rows(&["incidents", "--open"]);
    assert_eq!(open.len(), 2, "a connect does not mend what is registered: {open:?}");

    assert_eq!(daemon.command(&["z-api", "audit", "--fix"]).code, Some(1), "nobody has paid yet");
    let told = daemon.wait_for_told(5);
    assert_eq!((&told[4]["kind"], &told[4]["reason"]), (&json!("resolved"), &json!("webhook-drift")));
    wait_for_questions(&gateway, "B", 3);
    assert_eq!((daemon.told().len(), daemon.rows(&["incidents"]).len()), (5, 3), "each is told once");
    // Who does not audit any more cannot say that it is right again.
    daemon.configure(&sections(&gateway, &["A", "B"], "audit = { on = false }\n"));
    daemon.reload();
    assert_eq!(daemon.wait_for_told(6)[5]["reason"], "expiring");
}

/// Watched every second, with a rule that tells at once.
fn watched(instances: &[&str]) -> Place {
    let Place { gateway, mut daemon } = place(instances);
    daemon.configure(&sections(&gateway, instances, WATCH));
    daemon.launch();
    Place { gateway, daemon }
}

const WATCH: &str = "watch = { every = \"1s\" }\n";

/// So many more questions about an instance.
fn wait_for_questions(gateway: &ZApi, id: &str, more: usize) {
    let asked = || gateway.calls().iter().filter(|call| call.instance.as_deref() == Some(id)).count();
    let before = asked();
    eventually("the next questions", || (asked() >= before + more).then_some(()));
}

#[test]
fn an_outage_of_which_no_webhook_came_is_found_and_so_is_its_end() {
    let Place { gateway, daemon } = watched(&["A", "B"]);
    wait_for_questions(&gateway, "A", 3);
    assert_eq!(daemon.rows(&["incidents"]).len(), 0);
    gateway.change("A", Instance::drop_session);
    let told = daemon.wait_for_told(1);
    assert_eq!((&told[0]["instance"], &told[0]["reason"]), (&json!("A"), &json!("session-expired")));
    assert!(told[0]["text"].as_str().is_some_and(|text| text.contains("No webhook came")), "{told:?}");
    let story = daemon.command(&["incident", "1"]).out;
    assert!(story.contains("found by asking"), "{story}");

    // The webhook comes late; asking goes on.
    daemon.accept(&down("A"));
    wait_for_questions(&gateway, "A", 3);
    assert_eq!(daemon.rows(&["incidents"]).len(), 1);
    assert_eq!(daemon.json(&["incident", "1"])["events"].as_array().map(Vec::len), Some(2), "no more than these");
    gateway.change("A", Instance::log_in);
    assert_eq!(daemon.wait_for_told(2)[1]["kind"], "resolved");
    wait_for_questions(&gateway, "A", 2);
    assert_eq!((daemon.rows(&["incidents"]).len(), daemon.told().len()), (1, 2));
    assert!(daemon.metric("linedown_checks_total{source=\"z-api\",result=\"down\"}").is_some_and(|count| count >= 2));
}

#[test]
fn what_was_known_before_a_restart_is_known_after_it() {
    let Place { gateway, mut daemon } = watched(&["A", "B"]);
    gateway.change("A", Instance::drop_session);
    daemon.wait_for_told(1);
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    gateway.change("A", Instance::log_in);
    gateway.change("B", Instance::drop_session);
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
    gateway.change("A", Instance::drop_session);
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "A");
}

#[test]
fn a_reload_changes_who_is_watched() {
    let Place { gateway, daemon } = watched(&["A"]);
    gateway.add("B", &token("B"));
    gateway.change("B", Instance::drop_session);
    daemon.configure(&sections(&gateway, &["A", "B"], WATCH));
    daemon.reload();
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "B");
    daemon.configure(&sections(&gateway, &["A", "B"], ""));
    daemon.reload();
    gateway.change("A", Instance::drop_session);
    daemon.accept(&down("C"));
    assert_eq!(daemon.wait_for_told(2)[1]["instance"], "C", "nobody is asked any more");
}
