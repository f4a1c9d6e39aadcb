//! The sink `webhook`, from the gateway's post to the receiver's.

use std::collections::BTreeSet;

use linedown_standins::{Scripted, Slack};

use crate::daemon::{CANARY, Daemon};
use crate::payload::down;
use crate::sections::{QUICK, tell};

#[test]
fn a_receiver_that_is_busy_gets_the_same_notification_again() {
    let receiver = Slack::new().without_rules();
    receiver.script(Scripted::answer(503, "starting"));
    let keys = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let login = format!("headers = {{ Authorization = \"Bearer {CANARY}-login\" }}\n");
    let url = receiver.url();
    let daemon = Daemon::start(&format!(
        "[sinks.desk]\ntype = \"webhook\"\nurl = \"{url}\"\n{keys}{login}{QUICK}{}",
        tell(&["desk"])
    ));
    daemon.accept(&down("A"));
    let posts = receiver.wait_for(2);
    assert_eq!(posts.iter().map(|post| post.status).collect::<Vec<_>>(), [Some(503), Some(202)]);
    let ids: BTreeSet<_> = posts.iter().map(|post| post.header("webhook-id").expect("an id")).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(posts.iter().all(|post| post.header("webhook-signature").is_some_and(|signed| signed.starts_with("v1,"))));
    assert_eq!(posts[1].body["last_failure"], "busy: the receiver answered 503 starting");
    let row = daemon.wait_for_deliveries("delivered", 1).remove(0);
    assert!(row["tries"] == 2 && row["detail"] == "202 queued as 0815", "{row}");
    let test = daemon.command(&["send-test", "desk"]);
    assert_eq!((test.code, test.out.as_str()), (Some(0), "desk: delivered: 202 queued as 0815\n"), "{test:?}");
}

/// Answers that never come to their point are given up, and delay nobody else.
#[test]
fn an_answer_without_an_end_is_a_failure_of_its_sink_alone() {
    const LINES: usize = 8;
    let (receiver, other) = (Slack::new().without_rules(), Slack::new().without_rules());
    (0..LINES).for_each(|_| receiver.script(Scripted::interim()));
    let sink = |name: &str, to: &Slack| {
        let url = to.url();
        format!("[sinks.{name}]\ntype = \"webhook\"\nurl = \"{url}\"\nlimits.in_flight = {LINES}\n{QUICK}")
    };
    let sinks = sink("desk", &receiver) + &sink("other", &other);
    let daemon = Daemon::start(&format!("{sinks}{}", tell(&["desk", "other"])));
    (0..LINES).for_each(|line| daemon.accept(&down(&format!("line-{line}"))));
    other.wait_for(LINES);
    daemon.wait_for_deliveries("delivered", 2 * LINES);
    let posts = receiver.posts();
    let again = posts.iter().filter_map(|post| post.body["last_failure"].as_str()).collect::<Vec<_>>();
    let why = "unreachable: the receiver sent more than 64 KiB in one answer";
    assert!(again.len() >= LINES && again.iter().all(|said| said.starts_with(why)), "{again:?}");
    assert_eq!(other.posts().len(), LINES);
}
