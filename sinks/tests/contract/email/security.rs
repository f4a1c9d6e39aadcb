//! Encryption, and logins.

use linedown_sinks::FailureKind::{Busy, Unauthorised, Unreachable};
use linedown_standins::{Certificates, Command, Does, Encryption, Smtp};

use super::*;

#[tokio::test]
async fn both_ways_of_encrypting_work_and_insist_on_trust() {
    let certificates = Certificates::new();
    for encryption in [Encryption::StartTls(&certificates), Encryption::Implicit(&certificates)] {
        let smtp = Smtp::with(encryption);
        trusting(&smtp, &certificates, "").deliver(&to("ana@example.com")).await.unwrap();
        assert!(smtp.wait_for(1)[0].encrypted);
        for stranger in [trusting(&smtp, &Certificates::new(), ""), sink("email", &section(&smtp.url(), ""))] {
            let failure = stranger.deliver(&to("ana@example.com")).await.unwrap_err();
            assert_failure(&failure, Unreachable, "hunter2canary");
            assert!(failure.in_full().contains("`ca`"), "{failure}");
        }
        assert_eq!(smtp.received().len(), 1);
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let smtp = Smtp::new();
    let sink = sink("email", &section(&smtp.url(), ""));
    let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
    assert_failure(&failure, Unreachable, "hunter2canary");
    assert!(failure.message.contains("STARTTLS") && smtp.received().is_empty(), "{failure}");
}

/// RFC 3207, 4.2, and CVE-2011-0411: somebody on the way adds answers of their own after the one to STARTTLS.
#[tokio::test]
async fn what_comes_in_the_clear_is_no_answer_within_tls() {
    let certificates = Certificates::new();
    for added in [
        // Answers to everything that linedown will say: EHLO, MAIL FROM, RCPT TO, DATA and the content.
        "250 8BITMIME\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go on\r\n250 2.0.0 Ok: queued as NOTHING\r\n",
        "250 8BITMIME\r\n",
        "250 8BITMIME\r\n250 2.1.0 O",
        "250 ",
        "2",
        "\r\n",
    ] {
        let smtp = Smtp::with(Encryption::StartTls(&certificates));
        smtp.plan(Command::StartTls, Does::Add(added), 1);
        let sink = trusting(&smtp, &certificates, "");
        let failure = match sink.deliver(&to("ana@example.com")).await {
            Ok(receipt) => panic!("{added:?}: {receipt:?}"),
            Err(failure) => failure,
        };
        assert_failure(&failure, Unreachable, "hunter2canary");
        assert!(
            failure.in_full().contains("in the relay's place") && smtp.received().is_empty(),
            "{added:?}: {failure}"
        );
        sink.deliver(&to("ana@example.com")).await.unwrap_or_else(|failure| panic!("after {added:?}: {failure}"));
    }
}

#[tokio::test]
async fn tls_where_there_is_none_is_explained() {
    let smtp = Smtp::new();
    let sink = sink("email", &section(&smtp.url().replace("smtp:", "smtps:"), ""));
    let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
    assert_failure(&failure, Unreachable, "hunter2canary");
    assert!(failure.in_full().contains("smtp:// for 587"), "{failure}");
}

#[tokio::test]
async fn logins() {
    let certificates = Certificates::new();
    let smtp = Smtp::with_login(Encryption::StartTls(&certificates), "linedown", "hunter2canary");
    let as_user = |user: &str, password: &str| {
        trusting(&smtp, &certificates, &format!("username = {user:?}\npassword = {password:?}"))
    };
    as_user("linedown", "hunter2canary").deliver(&to("ana@example.com")).await.unwrap();
    assert_eq!(smtp.wait_for(1)[0].account.as_deref(), Some("linedown"));

    let failure = as_user("linedown", "wrong-canary").deliver(&to("ana@example.com")).await.unwrap_err();
    assert_failure(&failure, Unauthorised, "canary");
    assert!(failure.in_full().contains("`password`"), "{failure}");
    let failure = trusting(&smtp, &certificates, "").deliver(&to("ana@example.com")).await.unwrap_err();
    assert_failure(&failure, Unauthorised, "canary");

    // A server that repeats the command that it refuses.
    for (repeated, leak) in [
        ("500 5.5.1 what is AUTH PLAIN AGxpbmVkb3duAGh1bnRlcjJjYW5hcnk=", "AGxpbmVk"),
        ("500 5.5.1 what is AUTH PLAIN AGxpbmVkb3duAGh1bnRl", "AGxpbmVk"),
        ("500 5.5.1 what is auth plain agxpbmvkb3duagh1bnrlcjjjyw5hcnk=", "agxpbmvk"),
    ] {
        smtp.plan(Command::Auth, Does::Reply(repeated), 1);
        let failure = as_user("linedown", "hunter2canary").deliver(&to("ana@example.com")).await.unwrap_err();
        assert_failure(&failure, Unauthorised, leak);
        assert!(failure.message.contains("500 5.5.1 what is"), "{failure}");
    }
    smtp.plan(Command::Auth, Does::Reply("454 4.7.0 temporary authentication failure"), 1);
    let failure = as_user("linedown", "hunter2canary").deliver(&to("ana@example.com")).await.unwrap_err();
    assert_failure(&failure, Busy, "hunter2canary");
}
