//! `webhook` against a stand-in that records what is posted, and that misbehaves when it is told to.

use std::process::Command;
use std::time::Duration;

use linedown_sinks::EXCERPT;
use linedown_sinks::FailureKind::{Busy, RateLimited, Refused, TimedOut, Unauthorised, Unreachable};
use linedown_standins::{Certificates, Post, Scripted, Slack, Smtp};

use super::*;

pub(super) const ENTRY: Entry = Entry {
    documented: "url = { credential = \"webhook-url\" }\nsecret = { credential = \"webhook-secret\" }\n\
                 headers = { Authorization = \"Bearer 0canary\" }\ninsecure = false",
    misspelt: ("secrt = \"x\"", "secret"),
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The bytes of [`SECRET`], for openssl.
const KEY: &str = "hexkey:31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0";

fn posting_to(receiver: &Slack, keys: &str) -> Arc<dyn Sink> {
    sink("webhook", &format!("url = {:?}\n{keys}", receiver.url()))
}

/// What openssl says the signature is.
fn signed(post: &Post) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let content = folder.path().join("content");
    let header = |name| post.header(name).expect("a header of Standard Webhooks");
    let head = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
    std::fs::write(&content, [head.as_bytes(), &post.raw].concat()).expect("a file can be written");
    let script = format!("openssl dgst -sha256 -mac HMAC -macopt {KEY} -binary \"$0\" | openssl base64");
    let output = Command::new("sh").args(["-c", &script]).arg(&content).output().expect("openssl runs");
    format!("v1,{}", String::from_utf8_lossy(&output.stdout).trim())
}

#[tokio::test]
async fn a_notification_is_posted_and_signed_and_every_attempt_has_its_id() {
    let receiver = Slack::new().without_rules();
    let keys = format!("secret = {SECRET:?}\nheaders = {{ Authorization = \"Bearer 0canary-login\" }}");
    let sink = posting_to(&receiver, &keys);
    let first = sample::notification();
    assert_eq!(sink.deliver(&first).await.unwrap().0, "202 queued as 0815");
    let at = "2026-11-23T08:00:30Z".parse().unwrap();
    sink.deliver(&Notification { attempt: 2, at, ..first.clone() }).await.unwrap();
    let posts = receiver.wait_for(2);
    for (post, (attempt, at)) in posts.iter().zip([(1, "1795420800"), (2, "1795420830")]) {
        assert_eq!(post.header("webhook-id"), Some("42.q1w2e3"));
        assert_eq!(post.header("webhook-timestamp"), Some(at));
        assert_eq!(post.header("webhook-signature"), Some(signed(post).as_str()));
        assert_eq!(post.header("content-type"), Some("application/json"));
        assert_eq!(post.header("authorization"), Some("Bearer 0canary-login"));
        let told = (&post.body["key"], &post.body["attempt"], &post.body["name"], &post.body["phone"]);
        assert_eq!(told, (&"42.q1w2e3".into(), &attempt.into(), &"Loja Centro".into(), &"5544*****9999".into()));
    }
    let written = settings("stdout", "format = \"json\"").preview(&first);
    assert_eq!(posts[0].raw, written.as_bytes(), "the object is that of the stdout sink");
}

#[tokio::test]
async fn without_a_secret_it_is_unsigned_and_with_two_it_is_signed_twice() {
    let receiver = Slack::new().without_rules();
    posting_to(&receiver, "").deliver(&sample::notification()).await.unwrap();
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let both = posting_to(&receiver, &format!("secret = [{other:?}, {SECRET:?}]"));
    both.deliver(&sample::notification()).await.unwrap();
    let posts = receiver.wait_for(2);
    assert_eq!(posts[0].header("webhook-signature"), None);
    let signatures: Vec<_> = posts[1].header("webhook-signature").unwrap().split(' ').collect();
    assert!(signatures.len() == 2 && signatures[1] == signed(&posts[1]), "{signatures:?}");
}

#[tokio::test]
async fn answers_mean_what_the_specification_says() {
    let receiver = Slack::new().without_rules();
    let sink = posting_to(&receiver, "");
    for (status, kind) in [
        (302, Unauthorised),
        (400, Refused),
        (401, Unauthorised),
        (403, Unauthorised),
        (404, Unauthorised),
        (407, Unreachable),
        (408, TimedOut),
        (410, Unauthorised),
        (413, Refused),
        (422, Refused),
        (425, Busy),
        (429, RateLimited),
        (500, Busy),
        (503, Busy),
    ] {
        receiver.script(Scripted::Answer(status, vec![("Retry-After".into(), "30".into())], "no".into()));
        let failure = sink.deliver(&sample::notification()).await.unwrap_err();
        assert_failure(&failure, kind, receiver.canary());
        assert!(failure.message.ends_with(&format!("the receiver answered {status} no")), "{failure}");
        assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
    }
    for (status, body, receipt) in [(200, "", "200"), (204, "", "204"), (299, "\n a \n b", "299 a")] {
        receiver.script(Scripted::answer(status, body));
        assert_eq!(sink.deliver(&sample::notification()).await.unwrap().0, receipt);
    }
    receiver.script(Scripted::answer(200, &"x".repeat(10_000_000)));
    assert!(sink.deliver(&sample::notification()).await.unwrap().0.chars().count() <= EXCERPT);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (receiver, elsewhere) = (Slack::new(), Slack::new());
    receiver.script(Scripted::Answer(307, vec![("Location".to_owned(), elsewhere.url())], String::new()));
    let failure = posting_to(&receiver, "").deliver(&sample::notification()).await.unwrap_err();
    assert_failure(&failure, Unauthorised, receiver.canary());
    assert!(elsewhere.posts().is_empty());
}

#[tokio::test]
async fn a_connection_that_breaks_after_a_yes_repeats_nothing() {
    let receiver = Slack::new().without_rules();
    let sink = posting_to(&receiver, "");
    receiver.script(Scripted::CutWithin);
    assert_eq!(sink.deliver(&sample::notification()).await.unwrap().0, "200");
    receiver.script(Scripted::Cut);
    assert_failure(&sink.deliver(&sample::notification()).await.unwrap_err(), Unreachable, receiver.canary());
}

#[tokio::test]
async fn an_answer_without_an_end_ends_the_attempt() {
    let receiver = Slack::new().without_rules();
    let sink = posting_to(&receiver, "");
    let (much, broken) = ("the receiver sent more than 64 KiB in one answer", "broke before the answer was complete");
    let chunked = "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1;";
    for (first, then, words) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n", much),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n", much),
        ("", "\r\n", much),
        ("HTTP/1.1 200 OK\r\nX: ", "a", much),
        ("HTTP/1.1 200 OK\r\n", "X: a\r\n", broken),
        (chunked, "a", broken),
    ] {
        receiver.script(Scripted::Endless(first, then));
        let failure = sink.deliver(&sample::notification()).await.unwrap_err();
        assert_failure(&failure, Unreachable, receiver.canary());
        assert!(failure.message.contains(words), "{first}{then}: {failure}");
    }
    assert_eq!(sink.deliver(&sample::notification()).await.unwrap().0, "202 queued as 0815");
}

#[tokio::test]
async fn no_answer_times_out_on_its_own() {
    let receiver = Slack::new();
    let sink = posting_to(&receiver, "");
    receiver.script(Scripted::Hang);
    let trying = tokio::spawn(async move { sink.deliver(&sample::notification()).await });
    while receiver.posts().is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_failure(&trying.await.unwrap().unwrap_err(), TimedOut, receiver.canary());
}

#[tokio::test]
async fn an_answer_that_repeats_secrets_is_not_repeated() {
    let receiver = Slack::new();
    let sink = posting_to(&receiver, "headers = { Authorization = \"Bearer 0canary-login\" }");
    let url = receiver.url();
    for said in [url.as_str(), "authorization: Bearer 0canary-login", "0canary-login"] {
        for status in [200, 401] {
            receiver.script(Scripted::answer(status, &format!("got {said} as ops")));
            match sink.deliver(&sample::notification()).await {
                Ok(receipt) => assert!(!receipt.0.contains("0canary") && receipt.0.contains("as ops"), "{receipt:?}"),
                Err(failure) => assert_failure(&failure, Unauthorised, "0canary"),
            }
        }
    }
}

#[tokio::test]
async fn the_login_in_the_address_is_not_repeated_in_any_form() {
    let receiver = Slack::new().without_rules();
    let url = receiver.url().replace("://", "://ops:0canary%40home@");
    let sink = sink("webhook", &format!("url = {url:?}"));
    sink.deliver(&sample::notification()).await.unwrap();
    let login = receiver.wait_for(1)[0].header("authorization").unwrap().to_owned();
    assert_eq!(login, "Basic b3BzOjBjYW5hcnlAaG9tZQ==");
    for said in ["0canary%40home", "0canary@home", "ops:0canary@home", &login, "b3BzOjBjYW5hcnlAaG9tZQ"] {
        receiver.script(Scripted::answer(401, &format!("who is {said}?")));
        let failure = sink.deliver(&sample::notification()).await.unwrap_err();
        assert_failure(&failure, Unauthorised, "0canary");
        assert!(!failure.message.contains("b3Bz") && failure.message.contains("who is "), "{said}: {failure}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_explained() {
    for (receiver, words, advice) in [
        (Slack::over_tls(&Certificates::new()), "is not trusted", "update-ca-certificates"),
        (Slack::over_tls(&Certificates::of_an_authority()), "certificate of an authority", "server certificate"),
    ] {
        let failure = posting_to(&receiver, "").deliver(&sample::notification()).await.unwrap_err();
        assert_failure(&failure, Unreachable, receiver.canary());
        assert!(failure.message.starts_with("the receiver ") && failure.message.contains(words), "{failure}");
        assert!(failure.advice.is_some_and(|said| said.contains(advice)), "{failure:?}");
    }
    // One who speaks first, and something else.
    let relay = Smtp::new();
    let url = format!("https://127.0.0.1:{}/0canary", relay.port());
    let failure = sink("webhook", &format!("url = {url:?}")).deliver(&sample::notification()).await.unwrap_err();
    assert_failure(&failure, Unreachable, "0canary");
    assert!(failure.message.starts_with("the receiver does not speak TLS"), "{failure}");
    assert!(failure.advice.is_some_and(|advice| advice.contains("port")), "{failure:?}");
}

#[test]
fn mistakes_are_found_with_their_place_and_not_repeated() {
    let url = "url = \"https://example.com/0canary\"\n";
    for (section, place, words) in [
        ("", "sinks.test", "`url` is missing"),
        ("url = \"http://example.com/0canary\"", "sinks.test.url", "http://"),
        ("url = \"example.com/0canary\"", "sinks.test.url", "not the address"),
        (&format!("{url}secret = \"0canary\""), "sinks.test.secret", "cannot sign"),
        (&format!("{url}secret = [{SECRET:?}, \"0canary\"]"), "sinks.test.secret[1]", "cannot sign"),
        (&format!("{url}secret = [{SECRET:?}, 7]"), "sinks.test.secret[1]", "wrong type"),
        (&format!("{url}secret = {:?}", [SECRET; 5]), "sinks.test.secret", "5 secrets"),
        (&format!("{url}secret = 7"), "sinks.test.secret", "wrong type"),
        (&format!("{url}headers = {{ \"A B\" = \"0canary\" }}"), "sinks.test.headers.\"A B\"", "the name of a header"),
        (&format!("{url}headers = {{ Webhook-Id = \"x\" }}"), "sinks.test.headers.Webhook-Id", "itself"),
        (&format!("{url}headers = {{ A = \"0canary\\n\" }}"), "sinks.test.headers.A", "the value of a header"),
        (&format!("{url}headers = {{ A = {{ env = \"NO_SUCH\" }} }}"), "sinks.test.headers.A", "not set"),
    ] {
        assert_mistake("webhook", section, place, words);
    }
    settings("webhook", "url = \"http://example.com/x\"\ninsecure = true");
    settings("webhook", "url = \"http://[::1]:8065/hooks/x\"\nsecret = []");
}
