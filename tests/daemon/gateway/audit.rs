//! The daemon's own audit, on its schedule.

use serde_json::{Value, json};

use super::{PARTNER_TOKEN, Place, ours, place, sections, token, wait_for_questions};
use crate::daemon::{Daemon, SECRET};
use crate::payload::{down, up};
use crate::sections::{CONSOLE, tell};

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
    // Without an audit, linedown cannot tell when this is right again, so it closes the incident.
    daemon.configure(&sections(&gateway, &["A", "B"], "audit = { on = false }\n"));
    daemon.reload();
    assert_eq!(daemon.wait_for_told(6)[5]["reason"], "expiring");
}

#[test]
fn a_payment_that_runs_out_is_found_by_its_date_in_either_unit_and_by_the_gateways_word() {
    let ids = ["A", "B", "C", "D"];
    let Place { gateway, mut daemon } = place(&ids);
    for id in ids {
        gateway.change(id, |instance| {
            instance.disconnected_url = json!(ours(id));
            instance.connected_url = json!(ours(id));
        });
    }
    gateway.change("A", |instance| instance.due = json!(1_700_000_000));
    gateway.change("B", |instance| instance.due = json!(1_700_000_000_000_u64));
    gateway.change("C", |instance| instance.payment = json!("OVERDUE"));
    let said = [
        ("A", "paid until 2023-11-14 22:13 UTC, which has passed"),
        ("B", "paid until 2023-11-14 22:13 UTC, which has passed"),
        ("C", "payment problem: the gateway says \"OVERDUE\""),
    ];
    let ended = daemon.command(&["z-api", "audit"]);
    for (id, words) in said {
        let named = |line: &str| line.contains(&format!("Loja {id}")) && line.contains(words);
        assert!(ended.out.lines().any(named), "{id}: {words}: {}", ended.out);
    }
    assert!(ended.code == Some(1) && ended.out.contains("4 asked, 3 wrong"), "{ended:?}");

    daemon.configure(&sections(&gateway, &ids, "audit = { every = \"1s\" }\n"));
    daemon.launch();
    let mut told = daemon.wait_for_told(3);
    told.sort_by_key(|told| told["instance"].to_string());
    for ((id, words), told) in said.iter().zip(&told) {
        assert_eq!((&told["instance"], &told["reason"]), (&json!(id), &json!("expiring")));
        assert!(told["text"].as_str().is_some_and(|text| text.contains(words)), "{told}");
    }
}

/// A partner's gateway with that many instances besides `A`, the only one in the inventory.
fn of_a_partner(others: usize) -> Place {
    let Place { gateway, mut daemon } = place(&["A"]);
    let gateway = gateway.with_partner_token(PARTNER_TOKEN);
    gateway.change("A", |instance| {
        instance.disconnected_url = json!(ours("A"));
        instance.connected_url = json!(ours("A"));
    });
    for number in 0..others {
        gateway.add(&format!("new-{number:03}"), &token("new"));
    }
    daemon.configure(&sections(&gateway, &["A"], &partner()));
    daemon.launch();
    Place { gateway, daemon }
}

fn partner() -> String {
    format!("partner_token = \"{PARTNER_TOKEN}\"\naudit = {{ every = \"1s\" }}\n")
}

#[test]
fn a_partner_is_told_of_each_instance_that_the_inventory_lacks() {
    let Place { gateway, daemon } = of_a_partner(1);
    let told = daemon.wait_for_told(1);
    assert_eq!((&told[0]["instance"], &told[0]["reason"]), (&json!("new-000"), &json!("not-in-inventory")));
    let words = "not in the inventory, and its webhooks do not arrive here, \"Loja\" at the gateway";
    assert!(told[0]["text"].as_str().is_some_and(|text| text.contains(words)), "{}", told[0]);
    gateway.add("later", &token("later"));
    assert_eq!(daemon.wait_for_told(2)[1]["instance"], "later", "also of what comes later");
    wait_for_questions(&gateway, "A", 2);
    assert_eq!(daemon.told().len(), 2, "each is told once");

    let without = "[instances.new-000]\nname = \"Loja Nova\"\n";
    daemon.configure(&(sections(&gateway, &["A"], &partner()) + without));
    daemon.reload();
    let told = daemon.wait_for_told(3);
    assert_eq!((&told[2]["instance"], &told[2]["kind"]), (&json!("new-000"), &json!("resolved")));
    daemon.configure(&sections(&gateway, &["A"], "audit = { every = \"1s\" }\n"));
    daemon.reload();
    assert_eq!(daemon.wait_for_told(4)[3]["instance"], "later", "who cannot list the fleet any more ends it");
}

#[test]
fn a_fleet_of_which_the_inventory_lacks_much_is_one_piece_of_news() {
    let Place { gateway, daemon } = of_a_partner(250);
    let told = daemon.wait_for_told(1);
    assert_eq!((&told[0]["instance"], &told[0]["reason"]), (&json!("127.0.0.1"), &json!("not-in-inventory")));
    let words = "250 instances, such as new-000, new-001, new-002, new-003, new-004";
    assert!(told[0]["text"].as_str().is_some_and(|text| text.contains(words)), "{}", told[0]);
    wait_for_questions(&gateway, "A", 2);
    assert_eq!(daemon.rows(&["incidents"]).len(), 1);
}

/// Reported troubles of a source are closed when the source leaves the config, by `leave`.
fn told_when_a_source_leaves(leave: impl Fn(&mut Daemon)) {
    let Place { gateway, mut daemon } = place(&["A"]);
    gateway.change("A", |instance| instance.due = json!(1_700_000_000));
    let other = format!("[sources.other]\ntype = \"z-api\"\nsecret = \"{SECRET}\"");
    let with_other = sections(&gateway, &["A"], "audit = { every = \"1s\" }\n").replace("[sources.z-api]", &other);
    daemon.configure(&with_other.replace("[instances.A]", "[instances.A]\nsource = \"other\""));
    daemon.launch();
    let reasons = |told: &[Value]| {
        let mut reasons: Vec<String> = told.iter().map(|told| told["reason"].to_string()).collect();
        reasons.sort_unstable();
        reasons
    };
    assert_eq!(reasons(&daemon.wait_for_told(2)), ["\"expiring\"", "\"webhook-drift\""]);
    daemon.configure(&format!("{CONSOLE}{}", tell(&["console"])));
    leave(&mut daemon);
    let told = daemon.wait_for_told(4);
    assert_eq!(reasons(&told[2..]), ["\"expiring\"", "\"webhook-drift\""]);
    assert!(told[2..].iter().all(|told| told["kind"] == "resolved"), "{told:?}");
    assert_eq!(daemon.rows(&["incidents", "--open"]).len(), 0);
}

#[test]
fn what_was_told_of_a_source_that_left_is_over() {
    told_when_a_source_leaves(|daemon| daemon.reload());
}

#[test]
fn what_was_told_of_a_source_that_left_while_no_daemon_ran_is_over() {
    told_when_a_source_leaves(|daemon| {
        daemon.term();
        assert_eq!(daemon.ended().code(), Some(0));
        daemon.launch();
    });
}

#[test]
fn what_was_told_of_an_instance_that_left_the_inventory_is_over() {
    let Place { gateway, mut daemon } = place(&["A", "B"]);
    for id in ["A", "B"] {
        gateway.change(id, |instance| instance.connected_url = json!(ours(id)));
    }
    let audited = |ids: &[&str]| sections(&gateway, ids, "audit = { every = \"1s\" }\n");
    daemon.configure(&audited(&["A", "B"]));
    daemon.launch();
    daemon.wait_for_told(2);
    daemon.configure(&audited(&["B"]));
    daemon.reload();
    let told = daemon.wait_for_told(3);
    assert_eq!((&told[2]["instance"], &told[2]["kind"]), (&json!("A"), &json!("resolved")));
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.configure(&audited(&[]));
    daemon.launch();
    assert_eq!(daemon.wait_for_told(4)[3]["instance"], "B", "also while no daemon ran");
}
