//! `slack` against a stand-in that enforces Slack's rules.

use std::time::{Duration, Instant};

use linedown_sinks::FailureKind::{Busy, RateLimited, Refused, TimedOut, Unauthorised, Unreachable};
use linedown_standins::{DEADLINE, Scripted, Slack};

use super::*;

pub(super) const ENTRY: Entry = Entry {
    documented: "webhook_url = { credential = \"slack-url\" }\nfallback = \"ops-email\"",
    misspelt: ("webhok_url = \"x\"", "webhook_url"),
};

fn posting_to(slack: &Slack) -> Arc<dyn Sink> {
    sink("slack", &format!("webhook_url = {:?}", slack.url()))
}

#[tokio::test]
async fn a_message_is_taken() {
    let slack = Slack::new();
    let receipt = posting_to(&slack).deliver(&sample::notification()).await.unwrap();
    assert_eq!(receipt.0, "ok");
    let post = slack.wait_for(1).remove(0);
    assert!(post.body["text"].as_str().unwrap().contains("Loja Centro"));
    assert_eq!(post.body["blocks"][0]["type"], "header");
    assert!(post.body["blocks"].to_string().contains("#7"));
}

/// A connection returns to the pool a moment after its answer, so now and then a further one is made.
#[tokio::test]
async fn connections_that_were_in_use_together_are_kept() {
    let slack = Slack::new().without_rate_limit();
    let sink = posting_to(&slack);
    let message = sample::notification();
    for _ in 0..20 {
        let (first, second, third) =
            tokio::join!(sink.deliver(&message), sink.deliver(&message), sink.deliver(&message));
        first.and(second).and(third).unwrap();
    }
    assert!((3..20).contains(&slack.connections()), "{} connections for 60 messages", slack.connections());
}

#[tokio::test]
async fn answers_mean_what_slack_says_they_mean() {
    let slack = Slack::new().without_rate_limit();
    let sink = posting_to(&slack);
    for (status, body, kind) in [
        (200, "not ok", Unauthorised),
        (302, "", Unauthorised),
        (400, "invalid_payload", Refused),
        (400, "invalid_blocks", Refused),
        (400, "no_text", Refused),
        (403, "action_prohibited", Unauthorised),
        (403, "invalid_token", Unauthorised),
        (404, "channel_not_found", Unauthorised),
        (404, "no_service", Unauthorised),
        (405, "", Unauthorised),
        (407, "<h1>Cache Access Denied</h1>", Unreachable),
        (408, "", TimedOut),
        (410, "channel_is_archived", Unauthorised),
        (413, "", Refused),
        (429, "rate_limited", RateLimited),
        (500, "rollup_error", Busy),
        (400, "rollup_error", Busy),
        (500, "", Busy),
        (502, "<html>bad gateway</html>", Busy),
        (503, "", Busy),
        (504, "", Busy),
    ] {
        slack.script(Scripted::answer(status, body));
        let failure = sink.deliver(&sample::notification()).await.unwrap_err();
        assert_failure(&failure, kind, slack.canary());
        assert!(failure.message.contains(&status.to_string()), "{failure}");
    }
    sink.deliver(&sample::notification()).await.unwrap();
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (slack, elsewhere) = (Slack::new(), Slack::new());
    let location = ("Location".to_owned(), elsewhere.url());
    slack.script(Scripted::Answer(308, vec![location], String::new()));
    let failure = posting_to(&slack).deliver(&sample::notification()).await.unwrap_err();
    assert_failure(&failure, Unauthorised, slack.canary());
    assert!(elsewhere.posts().is_empty());
}

#[tokio::test]
async fn retry_after_is_told_if_it_is_one() {
    let slack = Slack::new();
    let sink = posting_to(&slack);
    for (hint, pause) in [
        ("30", Some(Duration::from_secs(30))),
        ("Mon, 23 Nov 2026 08:02:00 GMT", Some(Duration::from_mins(2))),
        ("Mon, 23 Nov 2020 08:02:00 GMT", Some(Duration::ZERO)),
        ("soon", None),
        ("-1", None),
        ("99999999999999999999999999", Some(Duration::MAX)),
    ] {
        slack.script(Scripted::rate_limited(hint));
        let failure = sink.deliver(&sample::notification()).await.unwrap_err();
        assert_eq!((failure.kind, failure.retry_after), (RateLimited, pause), "{hint}");
    }
}

/// Waits until something was posted.
async fn is_asked(slack: &Slack) {
    let deadline = Instant::now() + DEADLINE;
    while slack.posts().is_empty() {
        assert!(Instant::now() < deadline, "nothing is posted");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_hang_leaves_nothing_broken() {
    let slack = Slack::new();
    let sink = posting_to(&slack);
    slack.script(Scripted::Hang);
    let sent = sample::notification();
    tokio::select! {
        taken = sink.deliver(&sent) => panic!("it does not hang: {taken:?}"),
        () = is_asked(&slack) => {}
    }
    sink.deliver(&sample::notification()).await.unwrap();
}

#[tokio::test]
async fn no_answer_times_out_on_its_own() {
    let slack = Slack::new();
    let sink = posting_to(&slack);
    slack.script(Scripted::Hang);
    let trying = tokio::spawn(async move { sink.deliver(&sample::notification()).await });
    is_asked(&slack).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_failure(&trying.await.unwrap().unwrap_err(), TimedOut, slack.canary());
}

#[tokio::test]
async fn a_cut_connection_is_unreachable() {
    let slack = Slack::new();
    let sink = posting_to(&slack);
    for cut in [Scripted::Cut, Scripted::CutWithin] {
        slack.script(cut);
        assert_failure(&sink.deliver(&sample::notification()).await.unwrap_err(), Unreachable, slack.canary());
    }
    sink.deliver(&sample::notification()).await.unwrap();
}

#[tokio::test]
async fn nobody_there_and_no_tls_there_are_unreachable() {
    let slack = Slack::new();
    let tls = sink("slack", &format!("webhook_url = {:?}", slack.url().replace("http:", "https:")));
    assert_failure(&tls.deliver(&sample::notification()).await.unwrap_err(), Unreachable, slack.canary());
    let unknown = sink("slack", "webhook_url = \"https://no-such-host.invalid/services/T0canary\"");
    assert_failure(&unknown.deliver(&sample::notification()).await.unwrap_err(), Unreachable, "0canary");
    let sink = posting_to(&slack);
    let canary = slack.canary();
    drop(slack);
    let failures = [sink.deliver(&sample::notification()).await, sink.deliver(&sample::notification()).await];
    assert_failure(failures[1].as_ref().unwrap_err(), Unreachable, canary);
}

#[tokio::test]
async fn an_answer_that_repeats_the_address_is_not_repeated() {
    let slack = Slack::new();
    let url = format!("{}?token=q0canary%2Bq0canary&as=ops", slack.url());
    let sink = sink("slack", &format!("webhook_url = {url:?}"));
    let path = "/services/T0CANARY/B0CANARY/x0canaryx0canaryx0canary";
    for said in [
        url.as_str(),
        path,
        &format!("{path}?token=q0canary%2Bq0canary&as=ops"),
        &format!("{path}?as=ops&amp;token=q0canary%2Bq0canary"),
        "{\"token\":\"q0canary+q0canary\"}",
        &path.replace('/', "\\/"),
        "no hook x0canaryx0canaryx0canary",
    ] {
        slack.script(Scripted::answer(404, &format!("cannot POST {said} as ops")));
        let failure = sink.deliver(&sample::notification()).await.unwrap_err();
        assert_failure(&failure, Unauthorised, slack.canary());
        assert!(failure.message.contains("cannot POST") && failure.message.contains("as ops"), "{failure}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let slack = Slack::new();
    slack.script(Scripted::answer(500, &"x".repeat(10_000_000)));
    let failure = posting_to(&slack).deliver(&sample::notification()).await.unwrap_err();
    assert_failure(&failure, Busy, slack.canary());
    assert!(failure.message.chars().count() <= linedown_sinks::EXCERPT);
}

#[tokio::test]
async fn whatever_a_payload_holds_slack_takes_it() {
    let slack = Slack::new().without_rate_limit();
    let sink = posting_to(&slack);
    for text in [
        "<!channel> <http://evil.example|click> & co".to_owned(),
        "&".repeat(20_000),
        "<".repeat(20_000),
        "ação\n".repeat(5_000),
        "x".repeat(50_000),
        "\n\n\n".to_owned(),
        String::new(),
    ] {
        let mut notification = sample::notification();
        notification.incident.instance.name = Some(text.clone());
        notification.incident.instance.id = text.clone();
        notification.incident.error = Some(text.clone());
        if let Err(failure) = sink.deliver(&notification).await {
            panic!("{failure}: {text:.40}: {:#}", slack.posts().last().unwrap().body);
        }
    }
}

/// <https://docs.slack.dev/reference/block-kit/composition-objects/text-object>: only `verbatim` leaves plain text alone.
#[tokio::test]
async fn what_looks_like_an_address_or_a_name_is_not_made_a_link() {
    let slack = Slack::new();
    let mut notification = sample::notification();
    let text = "https://evil.example/login @channel #general".to_owned();
    notification.incident.instance.name = Some(text.clone());
    notification.incident.instance.id = text.clone();
    notification.incident.error = Some(text);
    posting_to(&slack).deliver(&notification).await.unwrap();
    let blocks = slack.wait_for(1).remove(0).body["blocks"].take();
    let texts = blocks.as_array().unwrap().iter().flat_map(|block| match &block["elements"] {
        serde_json::Value::Array(elements) => elements.clone(),
        _ => vec![block["text"].clone()],
    });
    let texts: Vec<_> = texts.filter(|text| text["text"].as_str().unwrap().contains("evil.example")).collect();
    assert!(texts.len() >= 3, "a header, a section and the context: {texts:#?}");
    for text in texts {
        assert!(text["type"] == "plain_text" || text["verbatim"] == true, "{text}");
    }
}

#[tokio::test]
async fn a_digest_of_any_size_is_taken_and_hides_nothing() {
    let slack = Slack::new().without_rate_limit();
    let sink = posting_to(&slack);
    sink.deliver(&digest("Loja Centro", 3)).await.unwrap();
    for name in ["Confecções São João do Sertão Ltda", &"<&>".repeat(1000)] {
        sink.deliver(&digest(name, 10_000)).await.unwrap();
        let body = slack.posts().last().unwrap().body.to_string();
        assert!(body.contains("and 9970 more: linedown incidents") && !body.contains("[…]"), "{body}");
    }
}

#[tokio::test]
async fn the_link_to_acknowledge_is_a_link() {
    let slack = Slack::new();
    let url = Some("https://linedown.example/ack/7?a=1&b=|<!channel>".into());
    posting_to(&slack).deliver(&Notification { acknowledge_url: url, ..sample::notification() }).await.unwrap();
    let body = slack.wait_for(1).remove(0).body.to_string();
    assert!(body.contains("<https://linedown.example/ack/7?a=1&amp;b=%7C%3C!channel%3E|I am on it>"), "{body}");
}

#[tokio::test]
async fn the_standin_notices_who_is_too_fast() {
    let slack = Slack::new();
    let sink = posting_to(&slack);
    sink.deliver(&sample::notification()).await.unwrap();
    let failure = sink.deliver(&sample::notification()).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry_after), (RateLimited, Some(Duration::from_secs(1))));
    assert_eq!(slack.too_fast(), 1);
    let limits = settings("slack", &format!("webhook_url = {:?}", slack.url())).limits();
    assert!(limits.in_flight == 1 && limits.interval > Duration::from_secs(1));
}

#[test]
fn addresses_that_give_themselves_away_are_refused() {
    for (section, words) in [
        ("", "`webhook_url` is missing"),
        ("webhook_url = \"http://hooks.example.com/0canary\"", "http://"),
        ("webhook_url = \"ftp://hooks.example.com/0canary\"", "not the address"),
        ("webhook_url = \"hooks.example.com/0canary\"", "not the address"),
        ("webhook_url = \"https://hooks.example.com/0 0canary\"", "a blank"),
        ("webhook_url = \"https://hooks.example.com/0\\n0canary\"", "a blank"),
        ("webhook_url = \"https://0canary.example.com\"", "ends with the host"),
        ("webhook_url = \"https://0canary.example.com/\"", "ends with the host"),
        ("webhook_url = [\"https://hooks.example.com/0canary\"]", "wrong type"),
    ] {
        let (settings, problems) = check("slack", section);
        assert!(settings.is_none(), "{section}");
        assert!(problems.iter().any(|problem| problem.what.contains(words)), "{section}: {problems:#?}");
        assert!(!format!("{problems:?}").contains("0canary"), "{problems:#?}");
    }
    settings("slack", "webhook_url = \"http://hooks.example.com/x\"\ninsecure = true");
    settings("slack", "webhook_url = \"http://[::1]:8065/hooks/x\"");
    settings("slack", "webhook_url = \" https://hooks.example.com/?token=x\\n\"");
}
