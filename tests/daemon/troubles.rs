//! linedown's own troubles, which it reports through its own sinks.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use linedown_standins::{Certificates, Scripted, Slack, Smtp};
use serde_json::{Value, json};

use crate::daemon::{Daemon, eventually};
use crate::payload::down;
use crate::sections::{CONSOLE, QUICK, email, slack, tell};
use crate::tls;

/// Troubles are reported after one second.
const SOON: &str = "[troubles]\nsink_failing_after = \"1s\"\nstore_not_writing_after = \"1s\"\n";

/// A Slack that fails until it is told to behave.
fn failing(status: u16, body: &str) -> Slack {
    let chat = Slack::new().without_rate_limit();
    (0..1_000_000).for_each(|_| chat.script(Scripted::answer(status, body)));
    chat
}

/// The messages about linedown's own troubles: reason, instance and kind of each.
fn troubles(told: &[Value]) -> Vec<(&str, &str, &str)> {
    let own = told.iter().filter(|line| line["source"] == "linedown");
    own.filter_map(|line| Some((line["reason"].as_str()?, line["instance"].as_str()?, line["kind"].as_str()?)))
        .collect()
}

#[test]
fn a_sink_that_fails_is_told_by_another_one_once_and_so_is_its_recovery() {
    let (chat, relay) = (failing(500, "server_error"), Smtp::new());
    let sinks = format!("{}{QUICK}fallback = \"ops\"\n{}", slack("chat", &chat), email("ops", &relay));
    let daemon = Daemon::start(&format!("{SOON}{sinks}{}", tell(&["chat"])));
    daemon.accept(&down("A"));
    let mail = &relay.wait_for(1)[0];
    let (subject, text) = (mail.header("Subject").expect("a subject"), mail.text().expect("a text"));
    assert!(subject.contains("linedown's sink chat: its messages do not arrive"), "{subject}");
    assert!(text.contains("busy: ") && text.contains("linedown send-test chat"), "{text}");
    assert!(text.contains("; 1 message waits"), "{text}");
    // The sink still fails, and is not reported again.
    let tries = || daemon.rows(&["deliveries", "--sink", "chat"])[0]["tries"].as_u64();
    let before = tries();
    eventually("ten more tries", || (tries() >= before.map(|tries| tries + 10)).then_some(()));
    let open = daemon.rows(&["incidents", "--open"]);
    assert!(open.iter().any(|row| row["reason"] == "sink-failing" && row["instance"] == "chat"), "{open:?}");

    chat.behave();
    let mails = relay.wait_for(2);
    assert!(mails[1].header("Subject").expect("a subject").contains("linedown's sink chat works again"));
    assert_eq!((relay.received().len(), daemon.rows(&["incidents"]).len()), (2, 2));
    let taken = chat.posts().into_iter().filter(|post| post.status == Some(200));
    let taken: Vec<String> = taken.map(|post| post.body["text"].to_string()).collect();
    assert!(taken.len() == 1 && taken[0].contains("A is down"), "{taken:?}");
}

#[test]
fn a_sink_that_does_not_know_us_any_more_is_told_of_until_it_takes_a_message() {
    let chat = failing(404, "no_service");
    let sinks = format!("{}fallback = \"console\"\n{CONSOLE}", slack("chat", &chat));
    let server = "[server]\npublic_url = \"https://alerts.example.com\"\n";
    let daemon = Daemon::start(&format!("{server}{SOON}{sinks}{}", tell(&["chat"])));
    daemon.accept(&down("A"));
    let told = daemon.wait_for_told(2);
    assert_eq!(told[0]["kind"], "undelivered");
    assert_eq!(troubles(&told), [("sink-failing", "chat", "down")]);
    assert!(told[1]["error"].as_str().is_some_and(|error| error.contains("no_service")), "{told:?}");
    let link = told[1]["acknowledge_url"].as_str().and_then(|link| link.strip_prefix("https://alerts.example.com"));
    let page = daemon.get(link.expect("the message has a link"));
    assert!(page.body.contains("This is about linedown's sink chat, incident "), "{page:?}");
    chat.behave();
    assert_eq!(daemon.command(&["retry", "--dead"]).code, Some(0));
    assert_eq!(troubles(&daemon.wait_for_told(3))[1], ("sink-failing", "chat", "resolved"));
}

/// Everything that was due is given up, so nothing but a person's test can find out that it is mended.
#[test]
fn a_sink_that_nothing_is_due_for_works_again_once_a_test_arrives() {
    let chat = failing(500, "server_error");
    let retry = "retry = { first = \"50ms\", max = \"200ms\", give_up_after = \"1500ms\" }\n";
    let sinks = format!("{}{retry}fallback = \"console\"\n{CONSOLE}", slack("chat", &chat));
    let daemon = Daemon::start(&format!("{SOON}{sinks}{}", tell(&["chat"])));
    daemon.accept(&down("A"));
    let told = daemon.wait_for_told(2);
    assert_eq!(troubles(&told), [("sink-failing", "chat", "down")]);
    assert!(daemon.rows(&["deliveries", "--sink", "chat", "--state", "pending"]).is_empty(), "nothing is due");
    chat.behave();
    assert_eq!(daemon.command(&["send-test", "chat"]).code, Some(0));
    assert_eq!(troubles(&daemon.wait_for_told(3))[1], ("sink-failing", "chat", "resolved"));
    daemon.wait_for_log("the sink is back");
}

#[test]
fn sinks_that_fail_together_are_each_told_of_once_by_one_that_works() {
    let (first, second) = (failing(500, ""), failing(503, ""));
    let sinks = [
        slack("a", &first),
        format!("{QUICK}fallback = \"b\"\n"),
        slack("b", &second),
        format!("{QUICK}fallback = \"a\"\n{CONSOLE}"),
    ];
    let daemon = Daemon::start(&format!("{SOON}{}{}", sinks.concat(), tell(&["a", "b"])));
    daemon.accept(&down("A"));
    let told = daemon.wait_for_told(2);
    let begun = BTreeSet::from([("sink-failing", "a", "down"), ("sink-failing", "b", "down")]);
    assert_eq!(troubles(&told).into_iter().collect::<BTreeSet<_>>(), begun);
    first.behave();
    second.behave();
    let told = daemon.wait_for_told(4);
    let over = BTreeSet::from([("sink-failing", "a", "resolved"), ("sink-failing", "b", "resolved")]);
    assert_eq!(troubles(&told)[2..].iter().copied().collect::<BTreeSet<_>>(), over);
    eventually("nothing to be owed", || daemon.rows(&["deliveries", "--state", "pending"]).is_empty().then_some(()));
    // Each sink, once it was back, was told of the line and of the other sink's trouble. The first to be back may also
    // have been told that the other is back.
    for chat in [&first, &second] {
        let taken = chat.posts().into_iter().filter(|post| post.status == Some(200)).count();
        assert!((2..=3).contains(&taken), "{:?}", chat.posts());
    }
    assert_eq!((daemon.told().len(), daemon.rows(&["incidents"]).len()), (4, 3));
}

/// A certificate that is valid for that many days from today.
fn good_for(days: i64) -> Certificates {
    #[expect(clippy::disallowed_methods, reason = "a certificate is made by somebody else's clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
    let end = i64::try_from(now).expect("it is before the end of time") + days * 24 * 60 * 60;
    let end = Timestamp::from_second(end).expect("a time").to_zoned(TimeZone::UTC).date();
    let part = |part: i8| u8::try_from(part).expect("from 1");
    Certificates::until(i32::from(end.year()), part(end.month()), part(end.day()))
}

#[test]
fn a_certificate_that_expires_is_told_of_until_it_is_renewed() {
    let (old, new) = (good_for(8), good_for(60));
    let sections = |certificates| format!("{SOON}{}", tls::sections(certificates));
    let daemon = Daemon::start(&sections(&old));
    let told = daemon.wait_for_told(1);
    assert_eq!(troubles(&told), [("certificate-expiring", "webhooks", "down")]);
    let text = told[0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("it is valid until") && text.contains("systemctl reload linedown"), "{text}");
    daemon.configure(&sections(&new));
    daemon.reload();
    let told = daemon.wait_for_told(2);
    assert_eq!(troubles(&told)[1], ("certificate-expiring", "webhooks", "resolved"));
    assert_eq!(daemon.rows(&["incidents"]).len(), 1);
}

#[test]
fn a_disk_that_is_nearly_full_is_told_of_once_through_restarts_and_reloads() {
    let rest = format!("{CONSOLE}{}", tell(&["console"]));
    let full = format!("{SOON}disk_free_below = \"100%\"\n{rest}");
    let mut daemon = Daemon::start(&full);
    let told = daemon.wait_for_told(1);
    assert_eq!(troubles(&told), [("disk-nearly-full", "store", "down")]);
    assert!(told[0]["error"].as_str().is_some_and(|error| error.ends_with(" GB are free")), "{told:?}");
    let story = daemon.command(&["incident", "1"]).out;
    assert!(story.contains("disk-nearly-full from") && story.contains("and not over yet"), "{story}");
    assert!(!story.contains("webhook") && !story.contains("asking"), "{story}");
    assert_eq!(daemon.json(&["replay"])["webhooks"], 0, "what is linedown's own is none of a gateway's");
    daemon.term();
    assert_eq!(daemon.ended().code(), Some(0));
    daemon.launch();
    daemon.configure(&format!("{full}[sinks.more]\ntype = \"stdout\"\n"));
    daemon.reload();
    let incidents = daemon.rows(&["incidents"]);
    assert!(incidents.len() == 1 && incidents[0]["closed_at"].is_null(), "{incidents:?}");
    daemon.configure(&format!("[troubles]\non = false\n{rest}"));
    daemon.reload();
    let told = daemon.wait_for_told(2);
    assert_eq!(troubles(&told)[1], ("disk-nearly-full", "store", "resolved"));
    assert_eq!(told[1]["unwatched"], true, "it is as full as before");
    assert!(told[1]["title"].as_str().is_some_and(|title| title.ends_with("is no longer watched")), "{told:?}");
    assert!(daemon.command(&["incident", "1"]).out.contains("and is no longer watched"));
    assert_eq!((told.len(), daemon.rows(&["incidents"]).len()), (2, 1));
}

#[test]
fn a_store_that_cannot_write_is_told_of_from_memory_and_so_is_its_end() {
    let (chat, relay) = (failing(500, "server_error"), Smtp::new());
    let sinks = format!("{}{}{CONSOLE}", slack("chat", &chat), email("ops", &relay));
    let mut daemon = Daemon::prepare(&format!("{SOON}{sinks}{}", tell(&["chat", "ops", "console"])));
    daemon.launch();
    daemon.largest_file(Some(0));
    let told = daemon.wait_for_told(1);
    assert_eq!(troubles(&told), [("store-not-writing", "store", "down")]);
    assert_eq!((&told[0]["notification"], &told[0]["incident"]), (&json!(-3), &json!(0)), "no numbers of the store's");
    let first = &relay.wait_for(1)[0];
    assert!(first.text().expect("a text").contains("This message itself is not in the store, so no command lists it."));
    chat.wait_for(1);

    daemon.largest_file(None);
    daemon.wait_for_log("a trouble of linedown's own is over");
    chat.behave();
    let told = daemon.wait_for_told(2);
    assert_eq!(troubles(&told)[1], ("store-not-writing", "store", "resolved"));
    let mails = relay.wait_for(2);
    let subject = mails[1].header("Subject").expect("a subject");
    assert!(subject.contains("linedown's store works again"), "{subject}");
    assert_ne!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert_eq!(mails[0].header("References"), mails[1].header("References"), "one thread");
    let taken = || chat.posts().into_iter().filter(|post| post.status == Some(200)).collect::<Vec<_>>();
    let posts = eventually("a post", || Some(taken()).filter(|posts| !posts.is_empty()));
    assert!(posts[0].body["text"].to_string().contains("works again"), "who missed it hears both: {posts:?}");
    assert_eq!((daemon.told().len(), relay.received().len(), posts.len()), (2, 2, 1));
    assert!(daemon.rows(&["incidents"]).is_empty() && daemon.rows(&["deliveries"]).is_empty());
    daemon.accept(&down("A"));
    assert_eq!(daemon.wait_for_told(3)[2]["instance"], "A");
}

/// Either its schema, which that of a new store can take the place of, or all of it.
#[test]
fn a_store_that_was_damaged_is_told_of_until_the_old_one_is_removed() {
    for (from, words, lines_down) in [(100, "no row is lost; ", 1), (0, "every row is lost; ", 0)] {
        let mut daemon = Daemon::start(&format!("{SOON}{CONSOLE}{}", tell(&["console"])));
        daemon.accept(&down("A"));
        daemon.wait_for_told(1);
        daemon.term();
        assert_eq!(daemon.ended().code(), Some(0));
        let store = OpenOptions::new().write(true).open(daemon.path("linedown.db")).expect("it is there");
        store.write_all_at(&[0x5a; 4096][from..], from as u64).expect("it can be written");
        daemon.launch();
        let told = daemon.wait_for_told(2);
        let aside = daemon.logged("the store was damaged")[0]["aside"].as_str().expect("a path").to_owned();
        let name = aside.rsplit('/').next().expect("a name");
        assert_eq!(troubles(&told), [("store-damaged", name, "down")]);
        let error = told[1]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with(words) && error.contains(name), "{error}");
        assert!(told[1]["text"].as_str().is_some_and(|text| text.contains("dmesg")), "{told:?}");
        assert_eq!(daemon.metric("linedown_incidents_open{reason=\"store-damaged\"}"), Some(1));
        let open = daemon.rows(&["incidents", "--open"]);
        assert_eq!(open.iter().filter(|row| row["reason"] != "store-damaged").count(), lines_down, "{open:?}");

        daemon.term();
        assert_eq!(daemon.ended().code(), Some(0));
        daemon.launch();
        daemon.accept(&down("B"));
        assert_eq!(troubles(&daemon.wait_for_told(3)).len(), 1, "it is told once");
        fs::remove_file(&aside).expect("it can be removed");
        assert_eq!(troubles(&daemon.wait_for_told(4))[1], ("store-damaged", name, "resolved"));
    }
}
