//! Envelopes that go out in one piece on a kept connection (RFC 2920).

use linedown_sinks::FailureKind::{Deferred, Refused};
use linedown_standins::{Command, Does, Smtp};

use super::*;

/// The recipients of three messages in a row.
const RECIPIENTS: [&str; 3] = ["first@example.com", "second@example.com", "third@example.com"];

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
