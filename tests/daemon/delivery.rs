//! From an accepted webhook to somebody who is told, whatever the far sides do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use linedown_standins::{Certificates, Command, Does, Encryption, Scripted, Slack, Smtp};

use crate::daemon::{Daemon, PASSWORD, eventually};
use crate::payload::down;
use crate::sections::{CONSOLE, QUICK, email, slack, tell};

#[test]
fn a_webhook_reaches_email_and_slack() {
    let certificates = Certificates::new();
    let relay = Smtp::with_login(Encryption::StartTls(&certificates), "linedown", PASSWORD);
    let chat = Slack::new();
    let login = format!("ca = {:?}\nusername = \"linedown\"\npassword = \"{PASSWORD}\"\n", certificates.ca());
    let ops = email("ops", &relay).replace("tls = \"none\"\n", &login);
    let line = "[instances.A]\nname = \"Loja Centro\"\n";
    let daemon = Daemon::start(&format!("{line}{ops}{}{}", slack("chat", &chat), tell(&["ops", "chat"])));
    daemon.accept(&down("A"));
    let mail = &relay.wait_for(1)[0];
    assert!(mail.encrypted && mail.account.as_deref() == Some("linedown") && mail.to == ["ops@example.com"]);
    assert!(mail.header("Subject").expect("a subject").contains("Loja Centro is down"), "{mail:?}");
    let post = &chat.wait_for(1)[0];
    assert!(post.status == Some(200) && post.body["text"].to_string().contains("Loja Centro is down"), "{post:?}");
    let delivered = daemon.wait_for_deliveries("delivered", 2);
    assert!(delivered.iter().any(|row| row["detail"].to_string().contains("queued as STANDIN")), "{delivered:?}");
}

#[test]
fn slack_is_told_over_https_and_only_if_it_is_trusted() {
    let (trusted, stranger) = (Certificates::new(), Certificates::new());
    let (chat, impostor) = (Slack::over_tls(&trusted), Slack::over_tls(&stranger));
    let sinks = format!("{}{}", slack("chat", &chat), slack("impostor", &impostor));
    let mut daemon = Daemon::prepare(&format!("{sinks}{}", tell(&["chat", "impostor"])));
    daemon.launch_trusting(&trusted);
    daemon.accept(&down("A"));
    assert_eq!(chat.wait_for(1)[0].status, Some(200));
    let why = eventually("a failure", || {
        let pending = daemon.rows(&["deliveries", "--state", "pending"]);
        pending.iter().map(|row| row["detail"].to_string()).find(|detail| detail.contains("certificate"))
    });
    assert!(impostor.posts().is_empty(), "nothing is sent to a stranger: {why}");
}

#[test]
fn how_many_are_under_way_at_once_and_how_far_apart_is_the_users_to_say() {
    let (relay, chat) = (Smtp::new(), Slack::new().without_rate_limit());
    relay.plan(Command::Dot, Does::Hang, 7);
    let sinks =
        format!("{}limits.in_flight = 6\n{}limits.interval = \"0s\"\n", email("ops", &relay), slack("chat", &chat));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["ops", "chat"])));
    (0..7).for_each(|line| daemon.accept(&down(&format!("line {line}"))));
    let posts = chat.wait_for(7);
    let apart = posts[6].at - posts[0].at;
    assert!(apart < Duration::from_secs(6), "seven in {apart:?}, where Slack would be given one every 1.1 s");
    let under_way = relay.wait_for(6).iter().map(|mail| mail.connection).collect::<BTreeSet<_>>();
    assert_eq!(under_way.len(), 6, "each on a connection of its own: {under_way:?}");
    // Slack took all seven, so these are settled.
    daemon.wait_for_deliveries("delivered", 7);
    let pending = daemon.rows(&["deliveries", "--state", "pending"]);
    let in_flight = pending.iter().filter(|row| row["in_flight"] == true).count();
    assert_eq!((pending.len(), in_flight), (7, 6), "the seventh waits: {pending:?}");
}

#[test]
fn what_failed_for_now_is_tried_again_as_the_same_message() {
    let (relay, chat) = (Smtp::new(), Slack::new().without_rate_limit());
    relay.plan(Command::Dot, Does::Reply("451 4.3.0 later"), 2);
    chat.script(Scripted::answer(500, "server_error"));
    chat.script(Scripted::Cut);
    let sinks = format!("{}{QUICK}{}{QUICK}", email("ops", &relay), slack("chat", &chat));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["ops", "chat"])));
    daemon.accept(&down("A"));
    let mails = relay.wait_for(3);
    let names: BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID").expect("a name")).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let posts = chat.wait_for(3);
    assert_eq!(posts.iter().map(|post| post.status).collect::<Vec<_>>(), [Some(500), None, Some(200)]);
    for row in daemon.wait_for_deliveries("delivered", 2) {
        assert_eq!(row["tries"], 3, "{row}");
    }
}

#[test]
fn what_is_refused_for_good_is_dead_and_somebody_else_is_told() {
    let (relay, chat) = (Smtp::new(), Slack::new());
    chat.script(Scripted::answer(404, "no_service"));
    let sinks = format!("{}fallback = \"ops\"\n{}", slack("chat", &chat), email("ops", &relay));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["chat"])));
    daemon.accept(&down("A"));
    let mail = &relay.wait_for(1)[0];
    let dead = &daemon.rows(&["deliveries", "--state", "dead"])[0];
    let (subject, text) = (mail.header("Subject").expect("a subject"), mail.text().expect("a text"));
    assert!(subject.contains("chat was not told: A is down"), "{subject}");
    assert!(text.contains("no_service") && text.contains(&format!("linedown retry {}", dead["id"])), "{text}");
    assert!(dead["sink"] == "chat" && dead["detail"].to_string().contains("no_service"), "{dead}");
    assert_eq!(chat.posts().len(), 1);
}

/// The machine sleeps for longer than anything may wait. Meanwhile the sink works again.
#[test]
fn after_a_sleep_nothing_is_given_up_before_the_sink_was_tried() {
    let chat = Slack::new().without_rate_limit();
    chat.script(Scripted::answer(500, "server_error"));
    let retry = "retry = { first = \"2s\", max = \"2s\", give_up_after = \"3s\" }\n";
    let daemon = Daemon::start(&format!("{}{retry}{}", slack("chat", &chat), tell(&["chat"])));
    daemon.accept(&down("A"));
    daemon.accept(&down("B"));
    daemon.wait_for_log("the sink is failing");
    daemon.asleep(Duration::from_secs(3), || assert_eq!(chat.posts().len(), 1));
    daemon.wait_for_deliveries("delivered", 2);
}

#[test]
fn a_sink_that_hangs_delays_no_other() {
    let (relay, chat) = (Smtp::new(), Slack::new());
    chat.script(Scripted::Hang);
    let sinks = format!("{}{}", email("ops", &relay), slack("chat", &chat));
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["chat", "ops"])));
    daemon.accept(&down("A"));
    chat.wait_for(1);
    daemon.accept(&down("B"));
    relay.wait_for(2);
    let pending = daemon.wait_for_deliveries("pending", 2);
    assert!(pending.iter().all(|row| row["sink"] == "chat"), "{pending:?}");
    assert_eq!(pending.iter().filter(|row| row["in_flight"] == true).count(), 1, "{pending:?}");
}

#[test]
fn slack_is_left_alone_as_long_as_it_asks_whatever_a_person_does() {
    for status in [429, 503] {
        let chat = Slack::new();
        let wait = ("Retry-After".to_owned(), "2".to_owned());
        chat.script(Scripted::Answer(status, vec![wait], "later".to_owned()));
        let daemon = Daemon::start(&format!("{}{QUICK}{}", slack("chat", &chat), tell(&["chat"])));
        daemon.accept(&down("A"));
        daemon.wait_for_log("the sink is failing");
        daemon.reload();
        assert_eq!(daemon.command(&["retry", "1"]).code, Some(0));
        daemon.accept(&down("B"));
        let posts = chat.wait_for(3);
        assert!(posts[1].at - posts[0].at >= Duration::from_secs(2), "{posts:?}");
        assert_eq!(chat.too_fast(), 0);
    }
}

#[test]
fn slack_gets_at_most_one_message_a_second() {
    let chat = Slack::new();
    let daemon = Daemon::start(&format!("{}{QUICK}{}", slack("chat", &chat), tell(&["chat"])));
    for line in 0..5 {
        daemon.accept(&down(&format!("line-{line}")));
    }
    let posts = chat.wait_for(5);
    assert!(posts.iter().all(|post| post.status == Some(200)) && chat.too_fast() == 0, "{posts:?}");
}

#[test]
fn a_sink_that_is_down_is_probed_and_gets_everything_when_it_is_back() {
    let relay = Smtp::new();
    relay.plan(Command::Connect, Does::Reply("421 4.3.2 down for maintenance"), 1_000_000);
    let daemon = Daemon::start(&format!("{}{QUICK}{}", email("ops", &relay), tell(&["ops"])));
    let since = Instant::now();
    for line in 0..100 {
        daemon.accept(&down(&format!("line-{line}")));
    }
    // The first four attempts are made at once; then one at a time, after pauses that begin at 50 ms and may be a fifth
    // shorter.
    let most = || 4 + u64::try_from(since.elapsed().as_millis() / 40).expect("it is soon");
    let tries = || daemon.rows(&["deliveries"]).iter().filter_map(|row| row["tries"].as_u64()).sum::<u64>();
    let probes = eventually("some probes", || Some(tries()).filter(|tries| *tries >= 8));
    assert!(probes <= most(), "{probes} in {:?}", since.elapsed());
    relay.behave();
    let most = most();
    let mails = relay.wait_for(100);
    let before = mails.iter().map(|mail| mail.connection).min().expect("a hundred mails") - 1;
    assert!(before <= most, "{before} connections while it was down, at most {most} are well");
    let told: BTreeSet<_> = mails.iter().filter_map(|mail| mail.header("Subject")).collect();
    assert_eq!(told.len(), 100);
    daemon.wait_for_log("the sink is back");
}

#[test]
fn patience_with_a_sink_that_is_down_ends_with_somebody_else_told() {
    let relay = Smtp::new();
    relay.go_away();
    let patience = "retry = { first = \"50ms\", max = \"100ms\", give_up_after = \"500ms\" }\nfallback = \"console\"\n";
    let daemon = Daemon::start(&format!("{}{patience}{CONSOLE}{}", email("ops", &relay), tell(&["ops"])));
    for line in ["A", "B", "C"] {
        daemon.accept(&down(line));
    }
    assert_eq!(daemon.wait_for_deliveries("dead", 3).len(), 3);
    let told = daemon.wait_for_told(1).remove(0);
    // Those that are given up at once are told in one message; the others follow in another, a minute later.
    let first = told["items"].as_array().map_or(&told, |items| &items[0]);
    let lost = &first["undelivered"];
    assert_eq!((&first["kind"], &lost["sink"]), (&"undelivered".into(), &"ops".into()), "{told}");
    assert!(lost["why"].to_string().contains("unreachable") && lost["others_told"] == 0, "{told}");
    let rows = daemon.rows(&["deliveries", "--sink", "console"]);
    assert!(rows.iter().all(|row| row["kind"] == "undelivered"), "{rows:?}");
    assert_eq!(rows.iter().map(|row| row["instance"].to_string()).collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn sinks_that_are_each_others_fallback_do_not_tell_each_other_for_ever() {
    let (first, second) = (Slack::new().without_rate_limit(), Slack::new().without_rate_limit());
    for chat in [&first, &second] {
        (0..10).for_each(|_| chat.script(Scripted::answer(404, "no_service")));
    }
    let sinks = [slack("a", &first), "fallback = \"b\"\n".into(), slack("b", &second), "fallback = \"a\"\n".into()];
    let daemon = Daemon::start(&format!("{}{}", sinks.concat(), tell(&["a"])));
    daemon.accept(&down("A"));
    let dead = daemon.wait_for_deliveries("dead", 2);
    let untold = eventually("the figure", || daemon.metric("linedown_notifications_untold_total").filter(|n| *n > 0));
    assert_eq!((dead.len(), untold, first.posts().len(), second.posts().len()), (2, 1, 1, 1));
}

#[test]
fn retrying_by_hand_does_not_wait_for_the_next_probe() {
    let relay = Smtp::new();
    relay.go_away();
    let patient = "retry = { first = \"10m\", max = \"10m\", give_up_after = \"1h\" }\n";
    let daemon = Daemon::start(&format!("{}{patient}{}", email("ops", &relay), tell(&["ops"])));
    daemon.accept(&down("A"));
    eventually("a failure", || {
        let row = daemon.rows(&["deliveries"]).remove(0);
        (row["in_flight"] == false && row["tries"] == 1).then_some(())
    });
    relay.come_back();
    assert_eq!(daemon.command(&["retry", "1"]).code, Some(0));
    relay.wait_for(1);
}

#[test]
fn pauses_begin_anew_with_what_is_sent_again_by_hand() {
    let chat = Slack::new().without_rate_limit();
    (0..20).for_each(|_| chat.script(Scripted::answer(503, "unavailable")));
    let patient = "limits.interval = \"0s\"\nretry = { first = \"50ms\", max = \"10m\", give_up_after = \"1h\" }\n";
    let daemon = Daemon::start(&format!("{}{patient}{}", slack("chat", &chat), tell(&["chat"])));
    daemon.accept(&down("A"));
    eventually("the seventh failure", || {
        let row = daemon.rows(&["deliveries"]).remove(0);
        (row["in_flight"] == false && row["tries"].as_u64() >= Some(7)).then_some(())
    });
    let before = chat.posts().len();
    assert_eq!(daemon.command(&["retry", "1"]).code, Some(0));
    let posts = chat.wait_for(before + 2);
    let pause = posts[before + 1].at - posts[before].at;
    assert!(pause < Duration::from_secs(5), "{pause:?} between the two, as after eight failures");
}
