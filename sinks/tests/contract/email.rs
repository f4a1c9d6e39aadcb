//! `email` against a real SMTP server.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use linedown_sinks::FailureKind::{Busy, Deferred, Refused, TimedOut, Unauthorised, Unreachable};
use linedown_sinks::Kind;
use linedown_standins::{Certificates, Command, DEADLINE, Does, Encryption, Received, Smtp};

use super::*;

pub(super) const ENTRY: Entry = Entry {
    documented: r#"
        server = "smtps://relay.example.com:465"
        username = "linedown"
        password = { credential = "smtp-password" }
        from = "linedown <alerts@example.com>"
        to = ["ops@example.com", "{{ instance.labels.owner }}"]
    "#,
    misspelt: ("sever = \"x\"", "server"),
};

/// Every stage of a conversation.
const EVERYWHERE: [Command; 7] =
    [Command::Connect, Command::Ehlo, Command::Mail, Command::Rcpt, Command::Data, Command::Content, Command::Dot];

/// The recipients of three messages in a row.
const RECIPIENTS: [&str; 3] = ["first@example.com", "second@example.com", "third@example.com"];

fn section(server: &str, more: &str) -> String {
    format!("server = \"{server}\"\nfrom = \"linedown <alerts@example.com>\"\nto = \"ops@example.com\"\n{more}")
}

fn plain(smtp: &Smtp) -> Arc<dyn Sink> {
    sink("email", &section(&smtp.url(), "tls = \"none\""))
}

fn trusting(smtp: &Smtp, certificates: &Certificates, more: &str) -> Arc<dyn Sink> {
    sink("email", &section(&smtp.url(), &format!("ca = '{}'\n{more}", certificates.ca().display())))
}

#[tokio::test]
async fn a_message_arrives_with_its_headers_and_both_bodies() {
    let smtp = Smtp::new();
    let receipt = plain(&smtp).deliver(&to("Ana <ana@example.com>")).await.unwrap();
    assert_eq!(receipt.0, "2.0.0 Ok: queued as STANDIN1");
    let received = smtp.wait_for(1).remove(0);
    assert_eq!(
        (received.from.as_str(), received.to.as_slice()),
        ("alerts@example.com", &["ana@example.com".to_owned()][..])
    );
    for (name, value) in [
        ("Message-ID", "42.q1w2e3@example.com"),
        ("In-Reply-To", "incident.7.q1w2e3@example.com"),
        ("References", "incident.7.q1w2e3@example.com"),
        ("Date", "Mon, 23 Nov 2026 08:00:00 +0000"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Linedown-Incident", "7"),
        ("X-Linedown-Kind", "down"),
    ] {
        let found = received.header(name).unwrap_or_default();
        assert_eq!(found.trim_matches(['<', '>']), value, "{name}");
    }
    assert!(received.header("Subject").unwrap().contains("Loja Centro"));
    assert_eq!(received.content_types(), ["multipart/alternative", "text/plain", "text/html"]);
    assert!(received.text().unwrap().contains("Loja Centro") && received.html().unwrap().contains("Loja Centro"));
}

#[tokio::test]
async fn a_name_is_shown_as_it_is_written() {
    let smtp = Smtp::new();
    let mut notification = to("ana@example.com");
    for name in ["=?utf-8?q?Faturas?= =?utf-8?b?UGl4?=", "São =?iso-8859-1?q?=46atura?="] {
        notification.incident.instance.name = Some(name.to_owned());
        plain(&smtp).deliver(&notification).await.unwrap();
    }
    for received in smtp.wait_for(2) {
        let subject = received.header("Subject").unwrap();
        assert!(subject.contains("= ?") && !subject.contains("Pix") && !subject.contains("Fatura "), "{subject}");
    }
}

#[tokio::test]
async fn attempts_share_a_message_id_and_incidents_a_thread() {
    let smtp = Smtp::new();
    let sink = plain(&smtp);
    let first = to("ana@example.com");
    sink.deliver(&first).await.unwrap();
    sink.deliver(&Notification { attempt: 2, last_failure: Some("busy".into()), ..first.clone() }).await.unwrap();
    sink.deliver(&Notification { id: 43, kind: Kind::Resolved, ..first }).await.unwrap();
    let received = smtp.wait_for(3);
    let headers = |name: &str| received.iter().map(|each| each.header(name).unwrap()).collect::<Vec<_>>();
    let identifiers = headers("Message-ID");
    assert!(identifiers[0] == identifiers[1] && identifiers[1] != identifiers[2], "{identifiers:?}");
    assert!(headers("References").windows(2).all(|pair| pair[0] == pair[1]));
    assert!(received.iter().all(|each| each.connection == 1), "one connection for all");
}

#[tokio::test]
async fn a_digest_is_of_no_incidents_thread() {
    let smtp = Smtp::new();
    plain(&smtp).deliver(&digest("Loja Centro", 3)).await.unwrap();
    let received = smtp.wait_for(1).remove(0);
    for name in ["In-Reply-To", "References", "X-Linedown-Incident"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(received.header("X-Linedown-Kind").unwrap(), "digest");
    assert!(received.header("Subject").unwrap().contains("3 lines are down"));
    assert!(received.text().unwrap().contains("3 Loja Centro") && received.html().unwrap().contains("3 Loja Centro"));
}

#[tokio::test]
async fn answers_about_a_recipient_mean_what_they_say() {
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        let sink = plain(&smtp);
        for (recipient, kind) in [
            ("550-ana", Refused),
            ("552-5.2.2-ana", Refused),
            ("554-5.7.1-ana", Refused),
            ("530-5.7.0-ana", Unauthorised),
            ("535-5.7.8-ana", Unauthorised),
            // The recipient's organisation takes nothing from outside.
            ("550-5.7.12-ana", Refused),
            ("550-5.7.13-ana", Refused),
            ("421-4.3.2-ana", Busy),
            ("451-4.3.0-ana", Busy),
            ("454-4.7.0-ana", Busy),
            ("450-4.2.0-ana", Deferred),
            ("451-4.7.1-ana", Deferred),
            ("452-4.2.2-ana", Deferred),
            // Codes that are in no list: the class decides.
            ("471-ana", Deferred),
            ("499-ana", Deferred),
            ("569-5.1.1-ana", Refused),
            ("571-ana", Refused),
            ("591-ana", Refused),
            ("599-ana", Refused),
        ] {
            let failure = sink.deliver(&to(&format!("{recipient}@example.com"))).await.unwrap_err();
            assert_failure(&failure, kind, "hunter2canary");
            assert!(failure.message.contains(&recipient[..3]), "{failure}");
        }
    }
}

#[tokio::test]
async fn one_bad_recipient_fails_alone() {
    let smtp = Smtp::step_by_step();
    let sink = plain(&smtp);
    sink.deliver(&to("good@example.com")).await.unwrap();
    assert_eq!(sink.deliver(&to("550-bad@example.com")).await.unwrap_err().kind, Refused);
    assert_eq!(sink.deliver(&to("450-full@example.com")).await.unwrap_err().kind, Deferred);
    sink.deliver(&to("also-good@example.com")).await.unwrap();
    let received = smtp.wait_for(2);
    assert!(received.iter().all(|each| each.connection == 1), "the connection survives a refusal");
}

#[tokio::test]
async fn answers_at_other_stages() {
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        for (command, reply, kind) in [
            (Command::Connect, "421 4.3.2 too many connections", Busy),
            (Command::Connect, "554 5.7.1 you are listed", Unauthorised),
            (Command::Ehlo, "421 4.3.2 closing", Busy),
            (Command::Mail, "451 4.7.1 slow down", Busy),
            (Command::Mail, "553 5.7.1 not your address", Unauthorised),
            (Command::Data, "451 4.3.0 no queue file", Busy),
            (Command::Dot, "554-5.7.1 looks like\r\n554 5.7.1 spam", Refused),
            (Command::Dot, "452 4.3.1 disk full", Busy),
        ] {
            let sink = plain(&smtp);
            smtp.plan(command, Does::Reply(reply), 1);
            let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
            assert_failure(&failure, kind, "hunter2canary");
            sink.deliver(&to("ana@example.com")).await.unwrap_or_else(|failure| panic!("after {reply}: {failure}"));
        }
    }
}

/// The first digit says yes or no, whatever follows it.
#[tokio::test]
async fn codes_that_no_list_has_mean_what_their_class_says() {
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        let sink = plain(&smtp);
        for (round, reply, receipt) in
            [(1, "299 fine", "fine"), (2, "260", "260"), (3, "271-2.0.0 a\r\n271 2.0.0 b", "2.0.0 a 2.0.0 b")]
        {
            smtp.plan(Command::Dot, Does::Reply(reply), 1);
            assert_eq!(sink.deliver(&to("ana@example.com")).await.unwrap().0, receipt);
            assert_eq!(smtp.wait_for(round).len(), round, "it is sent once");
        }
        for (reply, kind, words) in [
            ("591 never", Refused, "591 never"),
            ("571-5.7.1 looks like\r\n571 5.7.1 spam", Refused, "571 5.7.1 looks like 5.7.1 spam"),
            ("461 later", Deferred, "461 later"),
            ("550", Refused, "550"),
        ] {
            smtp.plan(Command::Dot, Does::Reply(reply), 1);
            let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
            assert_failure(&failure, kind, "hunter2canary");
            assert!(failure.message.ends_with(&format!(": {words}")), "{failure}");
        }
    }
}

/// Whatever words a relay says yes in: the message is sent once.
#[tokio::test]
async fn a_yes_is_a_yes_in_any_words() {
    let long = format!("250 {}\r\n", "x".repeat(3000));
    let yeses = ["250 caf\u{e9} ok\r\n", &long, "250ok\r\n", "250\tok\r\n", "250 ok\n", "250-\u{e9}\n251 ok\n"];
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        let sink = plain(&smtp);
        for (round, yes) in yeses.iter().enumerate() {
            smtp.plan(Command::Dot, Does::Says(yes), 1);
            let receipt = sink.deliver(&to("ana@example.com")).await.unwrap_or_else(|no| panic!("{yes}: {no}"));
            assert!(receipt.0.ends_with("ok") || receipt.0.starts_with("xxx"), "{receipt:?}");
            let received = smtp.wait_for(round + 1);
            assert_eq!((received.len(), received[round].connection), (round + 1, 1), "{yes}: sent once");
        }
    }
}

#[tokio::test]
async fn a_relay_may_speak_its_own_language() {
    let smtp = Smtp::new();
    for (command, words) in [
        (Command::Connect, "220 Servidor de S\u{e3}o Paulo\r\n"),
        (Command::Ehlo, "250-Ol\u{e1}\r\n"),
        (Command::Mail, "250 j\u{e1}\n"),
        (Command::Rcpt, "250-\u{e9}\r\n250 ele\r\n"),
        (Command::Data, "354\u{a0}\r\n"),
    ] {
        smtp.plan(command, Does::Says(words), 1);
        plain(&smtp).deliver(&to("ana@example.com")).await.unwrap_or_else(|no| panic!("{words}: {no}"));
    }
    assert_eq!(smtp.wait_for(5).len(), 5);
}

/// Waits until the relay leaves a command unanswered.
async fn hangs(smtp: &Smtp) {
    let deadline = Instant::now() + DEADLINE;
    while smtp.hanging() == 0 {
        assert!(Instant::now() < deadline, "nothing hangs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for the message to an address, past any others.
fn received_by(smtp: &Smtp, address: &str) -> Received {
    let mut count = 1;
    loop {
        let received = smtp.wait_for(count);
        count = received.len() + 1;
        if let Some(found) = received.into_iter().find(|each| each.to == [address]) {
            return found;
        }
    }
}

#[tokio::test]
async fn a_hang_anywhere_leaves_nothing_broken() {
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        let (sink, mut number) = (plain(&smtp), 0);
        for command in EVERYWHERE {
            let fresh = plain(&smtp);
            for sink in [&sink, &fresh] {
                smtp.plan(command, Does::Hang, 1);
                let hung = to("hung@example.com");
                tokio::select! {
                    // On a kept connection there is no `Connect`; then nothing hangs, which is fine as well.
                    taken = sink.deliver(&hung) => assert!(taken.is_ok(), "{command:?}: {taken:?}"),
                    () = hangs(&smtp) => {}
                }
                smtp.behave();
                let address = format!("next-{number}@example.com");
                number += 1;
                let receipt = sink.deliver(&to(&address)).await.unwrap_or_else(|f| panic!("{command:?}: {f}"));
                let next = received_by(&smtp, &address);
                assert_eq!(receipt.0, format!("2.0.0 Ok: queued as STANDIN{}", next.connection), "{command:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_answer_times_out_on_its_own() {
    let smtp = Smtp::new();
    let sink = plain(&smtp);
    smtp.plan(Command::Connect, Does::Hang, 1);
    let trying = tokio::spawn(async move { sink.deliver(&to("ana@example.com")).await });
    hangs(&smtp).await;
    tokio::time::pause();
    let failure = trying.await.unwrap().unwrap_err();
    assert_failure(&failure, TimedOut, "hunter2canary");
    assert!(failure.advice.is_some_and(|advice| advice.contains("smtps://")), "{failure}");
}

#[tokio::test]
async fn a_cut_connection_is_unreachable() {
    let smtp = Smtp::new();
    for command in EVERYWHERE {
        let sink = plain(&smtp);
        smtp.plan(command, Does::Close, 1);
        assert_failure(&sink.deliver(&to("ana@example.com")).await.unwrap_err(), Unreachable, "hunter2canary");
        sink.deliver(&to("ana@example.com")).await.unwrap_or_else(|failure| panic!("after {command:?}: {failure}"));
    }
}

#[tokio::test]
async fn a_relay_that_went_away_is_found_again() {
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        let sink = plain(&smtp);
        sink.deliver(&to("ana@example.com")).await.unwrap();
        smtp.go_away();
        let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
        assert_failure(&failure, Unreachable, "hunter2canary");
        assert!(failure.message.contains("127.0.0.1"), "{failure}");
        smtp.come_back();
        sink.deliver(&to("ana@example.com")).await.unwrap();
        smtp.wait_for(2);
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_relay_has_left_costs_no_message() {
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        let sink = plain(&smtp);
        sink.deliver(&to("ana@example.com")).await.unwrap();
        for (does, connection) in [
            (Does::Close, 2),
            (Does::Reply("421 4.4.2 you were idle for too long"), 3),
            (Does::Reply("451 4.4.2 timeout waiting for data from client"), 4),
            (Does::Reply("452 too many messages sent"), 5),
        ] {
            smtp.plan(Command::Mail, does, 1);
            sink.deliver(&to("ana@example.com")).await.unwrap();
            let received = smtp.wait_for(usize::try_from(connection).unwrap());
            assert_eq!(received.last().unwrap().connection, connection, "{does:?}");
        }
        // An answer that is about linedown comes on a new connection as well.
        smtp.plan(Command::Mail, Does::Reply("451 4.7.1 slow down"), 2);
        assert_failure(&sink.deliver(&to("ana@example.com")).await.unwrap_err(), Busy, "hunter2canary");
    }
}

#[tokio::test]
async fn on_a_kept_connection_the_envelope_goes_out_in_one_piece_if_that_is_offered() {
    for (smtp, offered) in [(Smtp::new(), true), (Smtp::step_by_step(), false)] {
        let sink = plain(&smtp);
        for _ in 0..3 {
            sink.deliver(&to("ana@example.com")).await.unwrap();
        }
        let received = smtp.wait_for(3);
        assert_eq!(received.iter().map(|each| each.in_one_piece).collect::<Vec<_>>(), [false, offered, offered]);
        assert!(received.iter().all(|each| each.connection == 1), "one connection for all");
    }
}

#[tokio::test]
async fn a_relay_that_will_not_be_greeted_twice_is_told_step_by_step() {
    let smtp = Smtp::new();
    let sink = plain(&smtp);
    sink.deliver(&to("ana@example.com")).await.unwrap();
    smtp.plan(Command::Ehlo, Does::Reply("503 5.5.1 polite people say hello first, and once"), 1);
    sink.deliver(&to("ana@example.com")).await.unwrap();
    sink.deliver(&to("ana@example.com")).await.unwrap();
    assert!(smtp.wait_for(3).iter().all(|each| each.connection == 1 && !each.in_one_piece));
}

/// Whatever a relay, or something between, does with a second EHLO or with several commands at once.
#[tokio::test]
async fn an_envelope_in_one_piece_that_fails_has_not_happened() {
    let smtp = Smtp::new();
    let mut taken = 0;
    for (command, does) in [
        (Command::Ehlo, Does::Close),
        (Command::Mail, Does::Reply("530 5.7.0 Authentication required")),
        (Command::Mail, Does::Reply("354 out of turn")),
        (Command::Rcpt, Does::Reply("550 5.7.1 relaying denied")),
        (Command::Rcpt, Does::Reply("354 out of turn")),
        (Command::Rcpt, Does::Reply("what?")),
        (Command::Rcpt, Does::Reply("451 4.7.1 come back in a minute")),
        (Command::Data, Does::Reply("451 4.3.0 not just now")),
        (Command::Rcpt, Does::Close),
        (Command::Data, Does::Reply("250 2.0.0 out of turn")),
        (Command::Data, Does::Reply("503 5.5.1 pipelining is not for you")),
        (Command::Data, Does::Close),
    ] {
        let sink = plain(&smtp);
        sink.deliver(&to("first@example.com")).await.unwrap();
        smtp.plan(command, does, 1);
        for recipient in ["second@example.com", "third@example.com"] {
            sink.deliver(&to(recipient)).await.unwrap_or_else(|failure| panic!("{command:?}, {does:?}: {failure}"));
        }
        taken += 3;
        let received = smtp.wait_for(taken);
        let [first, second, third] = &received[taken - 3..] else { panic!("three messages") };
        assert_eq!([&first.to, &second.to, &third.to].map(|to| to[0].as_str()), RECIPIENTS, "{command:?}, {does:?}");
        assert!(second.connection != first.connection && !second.in_one_piece, "{command:?}, {does:?}");
        // If only step by step got through, the sink stays with that. An answer of 4xx does not count against
        // PIPELINING.
        let stays = matches!(does, Does::Reply(reply) if reply.starts_with('4'));
        assert_eq!(third.in_one_piece, stays, "{command:?}, {does:?}");
    }
}

/// Takes the five seconds of real time that a kept connection is given: the relay answers in real time, so no clock is
/// paused.
#[tokio::test]
async fn who_falls_silent_at_an_envelope_in_one_piece_is_told_step_by_step_from_then_on() {
    let smtp = Smtp::new();
    let sink = plain(&smtp);
    sink.deliver(&to("first@example.com")).await.unwrap();
    smtp.plan(Command::Rcpt, Does::Hang, 1);
    sink.deliver(&to("second@example.com")).await.unwrap();
    sink.deliver(&to("third@example.com")).await.unwrap();
    let received = smtp.wait_for(3);
    assert_eq!(received.iter().map(|each| each.to[0].as_str()).collect::<Vec<_>>(), RECIPIENTS);
    assert!(received.iter().all(|each| !each.in_one_piece) && received[1].connection == 2, "{received:?}");
}

#[tokio::test]
async fn a_refused_recipient_stands_in_nobodys_way() {
    let smtp = Smtp::new();
    let sink = plain(&smtp);
    sink.deliver(&to("good@example.com")).await.unwrap();
    for (recipient, kind) in [("550-bad@example.com", Refused), ("450-full@example.com", Deferred)] {
        assert_eq!(sink.deliver(&to(recipient)).await.unwrap_err().kind, kind);
        sink.deliver(&to("good@example.com")).await.unwrap();
    }
    // A relay that refuses the only recipient but waits for the content gets none.
    smtp.plan(Command::Rcpt, Does::Reply("550 5.1.1 nobody"), 2);
    smtp.plan(Command::Data, Does::Reply("354 go on"), 1);
    assert_eq!(sink.deliver(&to("bad@example.com")).await.unwrap_err().kind, Refused);
    sink.deliver(&to("good@example.com")).await.unwrap();
    let received = smtp.wait_for(4);
    assert!(received.iter().all(|each| each.to == ["good@example.com"]), "{received:?}");
    assert!(received[3].in_one_piece, "refusals say nothing against sending in one piece");
}

#[tokio::test]
async fn an_answer_out_of_turn_is_no_receipt() {
    for (command, reply) in [
        (Command::Mail, "354 3.0.0 out of turn"),
        (Command::Rcpt, "354 3.0.0 out of turn"),
        (Command::Data, "250 2.0.0 out of turn"),
        (Command::Dot, "354 3.0.0 out of turn"),
    ] {
        let smtp = Smtp::new();
        let sink = plain(&smtp);
        smtp.plan(command, Does::Reply(reply), 1);
        let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
        assert_failure(&failure, Unreachable, "hunter2canary");
        assert!(failure.message.contains("unexpectedly answered"), "{failure}");
        sink.deliver(&to("ana@example.com")).await.unwrap();
        let received = smtp.wait_for(1 + usize::from(command == Command::Dot));
        assert_eq!(received.last().unwrap().connection, 2, "{command:?}");
    }
}

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
async fn an_answer_without_an_end_is_not_waited_for() {
    let certificates = Certificates::new();
    for encryption in [Encryption::None, Encryption::StartTls(&certificates), Encryption::Implicit(&certificates)] {
        let (smtp, more) = match encryption {
            Encryption::None => (Smtp::new(), "tls = \"none\""),
            encryption => (Smtp::with(encryption), ""),
        };
        for command in [Command::Connect, Command::Ehlo, Command::Mail, Command::Rcpt, Command::Data, Command::Dot] {
            let sink = trusting(&smtp, &certificates, more);
            smtp.plan(command, Does::Babble, 1);
            let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
            assert_failure(&failure, Unreachable, "hunter2canary");
            assert!(failure.message.contains("64 KiB"), "{command:?}: {failure}");
            smtp.behave();
            sink.deliver(&to("ana@example.com")).await.unwrap_or_else(|failure| panic!("after {command:?}: {failure}"));
        }
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

/// An answer that is not SMTP may contain words that would look like a failure of TLS, or a secret: none is repeated.
#[tokio::test]
async fn what_is_not_smtp_explains_nothing_and_is_not_repeated() {
    let certificates = Certificates::new();
    let smtp = Smtp::with_login(Encryption::StartTls(&certificates), "linedown", "hunter2canary");
    let sink = trusting(&smtp, &certificates, "username = \"linedown\"\npassword = \"hunter2canary\"");
    for command in [Command::Auth, Command::Mail, Command::Dot] {
        smtp.plan(command, Does::Reply("certificate of AUTH PLAIN AGxpbmVkb3duAGh1bnRlcjJjYW5hcnk=, eof"), 1);
        let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
        assert_failure(&failure, Unreachable, "AGxpbmVk");
        assert!(failure.message.ends_with("something that is not SMTP"), "{command:?}: {failure}");
    }
}

#[tokio::test]
async fn nothing_from_a_payload_becomes_a_header() {
    let smtp = Smtp::new();
    let mut notification = to("ana@example.com");
    notification.incident.instance.name = Some("Loja\r\nBcc: eve@evil.example\r\n\r\nbody".into());
    plain(&smtp).deliver(&notification).await.unwrap();
    let received = smtp.wait_for(1).remove(0);
    assert_eq!(received.header("Bcc"), None);
    assert_eq!(received.to, ["ana@example.com"]);
    assert!(received.header("Subject").unwrap().contains("Loja"));
}

#[tokio::test]
async fn who_cannot_be_written_to_is_named() {
    let smtp = Smtp::new();
    let sink = plain(&smtp);
    for (recipient, words) in [("", "no recipient"), ("ask Ana", "ask Ana"), ("a@b\r\nRCPT TO:<eve@x>", "not an email")]
    {
        let failure = sink.deliver(&to(recipient)).await.unwrap_err();
        assert_failure(&failure, Refused, "hunter2canary");
        assert!(failure.in_full().contains(words), "{failure}");
    }
    assert!(smtp.received().is_empty());
}

#[tokio::test]
async fn an_attempt_that_still_writes_spoils_no_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink("email", &section(&format!("file:{}", folder.path().display()), ""));
    let unfinished = [".7.q1w2e3.eml.unfinished", ".7.q1w2e3.eml.0123456789abcdef.unfinished"];
    let mut writing = unfinished.map(|name| std::fs::File::create(folder.path().join(name)).unwrap());
    std::fs::write(folder.path().join(".77.q1w2e3.eml.0123456789abcdef.unfinished"), "of another").unwrap();
    sink.deliver(&Notification { id: 7, attempt: 2, ..to("ana@example.com") }).await.unwrap();
    let whole = std::fs::read_to_string(folder.path().join("7.q1w2e3.eml")).unwrap();
    for writing in &mut writing {
        writing.write_all(b"spoilt").unwrap();
    }
    assert!(whole.contains("To: ana@example.com"));
    assert_eq!(std::fs::read_to_string(folder.path().join("7.q1w2e3.eml")).unwrap(), whole);
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".77.q1w2e3.eml.0123456789abcdef.unfinished", "7.q1w2e3.eml"], "nothing is left of them");
}

#[tokio::test]
async fn a_folder_gets_one_file_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = folder.path().join("mail/new");
    let sink = sink("email", &section(&format!("file:{}", mailbox.display()), ""));
    for id in [1, 2, 2] {
        sink.deliver(&Notification { id, ..to("ana@example.com") }).await.unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(&mailbox).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["1.q1w2e3.eml", "2.q1w2e3.eml"]);
    assert!(std::fs::read_to_string(mailbox.join("1.q1w2e3.eml")).unwrap().contains("To: ana@example.com"));
    std::fs::remove_dir_all(&mailbox).unwrap();
    std::fs::write(&mailbox, "in the way").unwrap();
    assert_failure(&sink.deliver(&to("ana@example.com")).await.unwrap_err(), Unreachable, "hunter2canary");
}

/// Anybody who can read a message can use its links. docs/service.md describes the group that picks files up.
#[tokio::test]
async fn a_file_of_a_folder_is_for_its_owner_and_group() {
    let folder = tempfile::tempdir().unwrap();
    sink("email", &section(&format!("file:{}", folder.path().display()), ""))
        .deliver(&to("ana@example.com"))
        .await
        .unwrap();
    let file = std::fs::metadata(folder.path().join("42.q1w2e3.eml")).unwrap();
    assert_eq!(file.permissions().mode() & 0o7777, 0o640);
}

#[test]
fn no_umask_changes_that() {
    for umask in ["0077", "0022", "0000"] {
        let test = "email::a_file_of_a_folder_is_for_its_owner_and_group";
        let run = Process::new("sh")
            .args(["-c", "umask $1 && exec \"$0\" --exact $2"])
            .arg(std::env::current_exe().unwrap())
            .args([umask, test])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "umask {umask}: {said}");
    }
}

#[test]
fn mistakes_in_the_section_are_found() {
    let none = String::new();
    for (section, at, words) in [
        (none, "sinks.test", "`server` is missing"),
        (section("smtp://ana:hunter2canary@relay.example.com", ""), "sinks.test.server", "do not belong"),
        (section("imap://relay.example.com", ""), "sinks.test.server", "not the address"),
        (section("relay.example.com:587", ""), "sinks.test.server", "not the address"),
        (section("smtp://relay.example.com/path", ""), "sinks.test.server", "more than a host and a port"),
        (section("file:", ""), "sinks.test.server", "folder"),
        (section("file://mails", ""), "sinks.test.server", "a folder has none"),
        (section("smtps://relay.example.com", "tls = \"none\""), "sinks.test.tls", "TLS"),
        (section("smtp://relay.example.com", "tls = \"nnone\""), "sinks.test.tls", "unknown variant"),
        (section("smtp://relay.example.com", "ca = \"/nowhere.pem\""), "sinks.test.ca", "cannot read"),
        (section("smtp://relay.example.com", "ca = \"Cargo.toml\""), "sinks.test.ca", "no certificate"),
        (section("smtp://relay.example.com", "ca = \"/dev/zero\""), "sinks.test.ca", "larger than 1 MiB"),
        (section("smtp://relay.example.com", "username = \"x\""), "sinks.test", "`password` is missing"),
        (section("smtp://relay.example.com", "reply_to = \"x\""), "sinks.test.reply_to", "not an email"),
        (
            section("smtp://relay.example.com", "").replace("\"ops@example.com\"", "[\"a@b.example\", \"b\"]"),
            "sinks.test.to[1]",
            "not an email",
        ),
        (
            section("smtp://relay.example.com", "").replace("\"ops@example.com\"", "[]"),
            "sinks.test.to",
            "an empty list",
        ),
        (
            section("smtp://relay.example.com", "").replace("\"ops@example.com\"", "\"{{ instance.lables.x }}\""),
            "sinks.test.to",
            "there is no `instance.lables`",
        ),
    ] {
        let (settings, problems) = check("email", &section);
        let found = problems.iter().any(|problem| problem.path.to_string() == at && problem.what.contains(words));
        assert!(found, "{section}\n{problems:#?}");
        assert!(!format!("{problems:?}").contains("hunter2canary"), "{problems:#?}");
        assert!(settings.is_none() || words == "unknown variant", "{section}");
    }
}

#[test]
fn a_password_in_the_clear_is_warned_about() {
    let login = "tls = \"none\"\nusername = \"x\"\npassword = \"y\"";
    assert_eq!(check("email", &section("smtp://relay.example.com", login)).1.len(), 1);
    assert_eq!(check("email", &section("smtp://127.0.0.1:25", login)).1.len(), 0);
}

#[test]
fn a_port_on_which_tls_comes_at_another_time_is_warned_about() {
    for (server, hint) in [
        ("smtp://relay.example.com:465", Some("write smtps://")),
        ("smtps://relay.example.com:587", Some("write smtp://, which uses STARTTLS")),
        ("smtps://relay.example.com:25", Some("write smtp://, which uses STARTTLS")),
        ("smtp://relay.example.com", None),
        ("smtps://relay.example.com", None),
        ("smtps://relay.example.com:2465", None),
    ] {
        let (settings, problems) = check("email", &section(server, ""));
        let found: Vec<_> = problems.iter().map(|found| (found.path.to_string(), found.hint.as_deref())).collect();
        let expected: Vec<_> = hint.map(|hint| ("sinks.test.server".to_owned(), Some(hint))).into_iter().collect();
        assert_eq!(found, expected, "{server}");
        assert!(settings.is_some(), "{server}");
    }
}

#[test]
fn what_may_stand_for_tls_is_said() {
    let (_, problems) = check("email", &section("smtp://relay.example.com", "tls = true"));
    let found: Vec<_> = problems.iter().map(|found| (found.what.as_str(), found.expected.as_deref())).collect();
    assert_eq!(found, [("wrong type: boolean", Some("`required` or `none`"))]);
}

#[test]
fn keys_that_do_nothing_with_a_folder_are_warned_about() {
    let keys = "tls = \"none\"\nusername = \"x\"\npassword = \"y\"";
    let (settings, problems) = check("email", &section("file:///mails", keys));
    let found: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
    assert_eq!(found, ["sinks.test.tls", "sinks.test.username", "sinks.test.password"]);
    assert!(settings.is_some() && problems.iter().all(|problem| problem.severity == Severity::Warning));
    assert!(check("email", &section("file:/mails", "")).1.is_empty());
}

#[test]
fn a_folder_that_depends_on_where_linedown_starts_is_warned_about() {
    let (settings, problems) = check("email", &section("file:mails", ""));
    let found: Vec<_> = problems.iter().map(|found| (found.path.to_string(), found.what.as_str())).collect();
    let what = "where this is depends on the folder that linedown is started in";
    assert_eq!(found, [("sinks.test.server".to_owned(), what)]);
    assert!(settings.is_some() && problems[0].severity == Severity::Warning);
}

#[test]
fn recipients_come_from_labels_too() {
    let to = "to = [\"ops@example.com\", \"{{ instance.labels.owner }}\", \"{{ instance.labels.nobody }}\"]";
    let settings = settings("email", &section("smtp://r.example", "").replace("to = \"ops@example.com\"", to));
    assert_eq!(settings.recipients(&sample::notification().incident), ["ops@example.com", "dono@acme.example"]);
}
