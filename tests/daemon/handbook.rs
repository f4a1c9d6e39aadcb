//! What the handbook tells people to do with the store does what it says.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::daemon::{Daemon, SECRET, kinds};
use crate::payload::{Payload, down, up};
use crate::sections::{CONSOLE, tell};

fn handbook() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/handbook.md")).expect("it is there")
}

#[test]
fn the_statements_that_remove_a_line_leave_nothing_of_it_and_all_of_the_others() {
    let lines = "[instances.A]\nname = \"Loja Sumida\"\nlabels = { owner = \"gone@acme.example\" }\n";
    let mut daemon = Daemon::start(&format!("{lines}{CONSOLE}{}", tell(&["console"])));
    let phone = "5511888887777";
    let bodies: [(Payload, &str); 6] = [(down, "B"), (up, "B"), (down, "B"), (down, "A"), (up, "A"), (down, "A")];
    for (number, (body, line)) in bodies.into_iter().enumerate() {
        let mut body = body(line);
        if body["instanceId"] == "A" {
            body["phone"] = json!(phone);
        }
        daemon.accept(&body);
        daemon.wait_for_deliveries("delivered", number + 1);
    }
    let left = daemon.rows(&["incidents", "--line", "B"]);
    daemon.kill();
    daemon.configure(&format!("{CONSOLE}{}", tell(&["console"])));
    for trace in [phone, "Loja Sumida", "gone@acme.example"] {
        assert!(daemon.stores(trace), "{trace}");
    }

    let handbook = handbook();
    let block = handbook.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the statements");
    assert_eq!(block.matches("INSTANCE").count(), 1, "{block}");
    let store = Connection::open(daemon.path("linedown.db")).expect("the store can be opened");
    store.execute_batch(&block.replace("INSTANCE", "A")).expect("they can be run");
    drop(store);
    for trace in [phone, "Loja Sumida", "gone@acme.example"] {
        assert!(!daemon.stores(trace), "{trace}");
    }

    daemon.launch();
    assert_eq!(daemon.rows(&["incidents"]), left);
    assert_eq!(daemon.rows(&["deliveries"]).len(), 3);
    daemon.accept(&down("A"));
    daemon.accept(&up("B"));
    assert_eq!(kinds(&daemon.wait_for_told(8)[6..]), ["down", "resolved"], "both go on");
}

/// Its store is a copy from before the line recovered.
#[test]
fn an_outage_that_only_a_restored_store_takes_for_open_is_ended_by_hand() {
    let mut daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    let (store, copy) = (daemon.path("linedown.db"), daemon.path("copy.db"));
    let live = Connection::open(&store).expect("the store can be opened");
    live.execute("VACUUM INTO ?", [&copy]).expect("a copy can be made");
    drop(live);
    daemon.accept(&up("A"));
    daemon.wait_for_told(2);
    daemon.kill();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{store}{end}"));
    }
    fs::rename(&copy, &store).expect("it can be put in place");
    daemon.launch();
    daemon.accept(&down("A"));
    let open = |daemon: &Daemon| -> Vec<Value> { daemon.rows(&["incidents", "--open"]) };
    assert_eq!(open(&daemon)[0]["id"], 1, "to the store, that is still the first one");

    let handbook = handbook();
    let body = handbook.split("-d '{\"type\":\"ConnectedCallback\"").nth(1).and_then(|rest| rest.split('\'').next());
    let body = format!("{{\"type\":\"ConnectedCallback\"{}", body.expect("the command"));
    let path = format!("/hooks/z-api/{SECRET}/A");
    let posted = crate::http::request("POST", &path, &[crate::daemon::JSON], body.as_bytes());
    assert_eq!(daemon.send(&posted).status, 200);
    assert!(open(&daemon).is_empty());
    daemon.accept(&down("A"));
    let told = daemon.wait_for_told(4);
    assert_eq!(kinds(&told), ["down", "resolved", "resolved", "down"], "{told:?}");
}
