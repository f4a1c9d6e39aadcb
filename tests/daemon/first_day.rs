//! The first day with linedown: usage that says what is missing, secrets that only systemd has, a secret that is replaced, and
//! a silence for tonight.

use serde_json::json;

use crate::daemon::{Daemon, JSON, SECRET};
use crate::http::request;
use crate::payload::down;
use crate::sections::{CONSOLE, tell};

fn console() -> String {
    format!("{CONSOLE}{}", tell(&["console"]))
}

#[test]
fn usage_says_what_is_missing() {
    let daemon = Daemon::prepare(&console());
    let ended = daemon.command(&["explain"]);
    assert!(ended.code == Some(64) && ended.err.contains("\n\nUsage: linedown explain <FILE>\n"), "{ended:?}");
    let nowhere = daemon.path("nowhere.toml");
    let ended = daemon.command(&["replay", "--with", &nowhere]);
    let words = format!("error: there is no file {nowhere}\n  hint: name the config to compare with: --with FILE\n");
    assert_eq!((ended.code, ended.err), (Some(78), words));
}

#[test]
fn serve_names_each_secret_that_only_systemd_has() {
    let chat = "[sinks.chat]\ntype = \"slack\"\nwebhook_url = { credential = \"chat-url\" }\nfallback = \"console\"\n";
    let daemon = Daemon::prepare(&format!("{chat}{CONSOLE}{}", tell(&["console", "chat"])));
    let ended = daemon.command(&["serve"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let place = "warning: credential chat-url is available only when systemd starts linedown\n";
    assert!(ended.err.contains("test.toml:3:15: ") && ended.err.contains(place), "{ended:?}");
    assert!(ended.err.contains("error: a secret is a systemd credential"), "{ended:?}");
}

#[test]
fn a_webhook_may_come_with_the_new_secret_or_the_old_one() {
    let (old, new) = (SECRET, "0canary-webhook-the-newer");
    let daemon = Daemon::start(&console());
    let post = |secret: &str, line: &str| {
        let body = down(line).to_string();
        daemon.send(&request("POST", &format!("/hooks/z-api/{secret}/{line}"), &[JSON], body.as_bytes())).status
    };
    assert_eq!([post(old, "A"), post(new, "B")], [200, 404]);
    daemon.configure(&format!("[sources.z-api]\nsecret = [\"{new}\", \"{old}\"]\n{}", console()));
    daemon.reload();
    assert_eq!([post(old, "C"), post(new, "D")], [200, 200]);
}

#[test]
fn a_silence_may_begin_later() {
    let daemon = Daemon::start(&console());
    let made = daemon.command(&["silence", "add", "instance=A", "--from", "2099-12-24T18:00:00Z", "--for", "2h"]);
    assert!(made.code == Some(0) && made.out.starts_with("silence 1 from 2099-12-24 "), "{made:?}");
    let listed = daemon.rows(&["silence", "list"]);
    assert_eq!(
        (&listed[0]["starts_at"], &listed[0]["ends_at"]),
        (&json!("2099-12-24T18:00:00Z"), &json!("2099-12-24T20:00:00Z"))
    );
    assert!(daemon.command(&["silence", "list"]).out.contains("to come"));
    daemon.accept(&down("A"));
    assert_eq!(daemon.wait_for_told(1)[0]["instance"], "A", "it is not silenced yet");
    assert_eq!(daemon.command(&["silence", "expire", "1"]).code, Some(0));
    let past = daemon.command(&["silence", "add", "instance=A", "--from", "2020-12-24 18:00", "--for", "2h"]);
    let words = "error: a silence cannot begin in the past\n  hint: leave out --from to begin now\n";
    assert_eq!((past.code, &*past.err), (Some(64), words));
    let wrong = daemon.command(&["silence", "add", "instance=A", "--from", "tonight", "--for", "2h"]);
    assert!(wrong.code == Some(64) && wrong.err.contains("not a time\n  expected: a time such as 22:00"), "{wrong:?}");
}
