//! What a relay answers, and what that means for the notification.

use linedown_sinks::FailureKind::{Busy, Deferred, Refused, Unauthorised, Unreachable};
use linedown_standins::{Certificates, Command, Does, Encryption, Smtp};

use super::*;

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

/// In a text that the relay wraps, a line may begin with a number that looks like the code of a yes.
#[tokio::test]
async fn a_no_stays_a_no_however_its_text_is_wrapped() {
    for smtp in [Smtp::new(), Smtp::step_by_step()] {
        let sink = plain(&smtp);
        for (reply, kind, words) in [
            (
                "550-5.7.1 message refused: the quota of this sender is\r\n250 messages a day\r\n550 5.7.1 see x.example",
                Refused,
                "550 5.7.1 message refused: the quota of this sender is 250 messages a day see x.example",
            ),
            (
                "450-4.7.1 later: of your\r\n550 messages\r\n250 are left\r\n450 4.7.1 so wait",
                Deferred,
                "450 4.7.1 later: of your 550 messages 250 are left so wait",
            ),
            // A yes that is taken back.
            ("250-2.0.0 ok\r\n550 no", Refused, "550 2.0.0 ok no"),
        ] {
            smtp.plan(Command::Dot, Does::Reply(reply), 1);
            let failure = sink.deliver(&to("ana@example.com")).await.unwrap_err();
            assert_failure(&failure, kind, "hunter2canary");
            assert!(failure.message.ends_with(&format!(": {words}")), "{failure}");
            let receipt = sink.deliver(&to("ana@example.com")).await;
            receipt.unwrap_or_else(|failure| panic!("after {reply}: {failure}"));
        }
        // Each answer was read to its end.
        assert!(smtp.wait_for(3).iter().all(|each| each.connection == 1));
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
