//! Connections that hang, break or are kept.

use std::time::{Duration, Instant};

use linedown_sinks::FailureKind::{Busy, TimedOut, Unreachable};
use linedown_standins::{Command, DEADLINE, Does, Received, Smtp};

use super::*;

/// Every stage of a conversation.
const EVERYWHERE: [Command; 7] =
    [Command::Connect, Command::Ehlo, Command::Mail, Command::Rcpt, Command::Data, Command::Content, Command::Dot];

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

/// It may have accepted the message already, so whoever gives up sooner sends it again (RFC 5321, 4.5.3.2.6).
#[tokio::test]
async fn a_relay_has_ten_minutes_to_scan_a_message() {
    let smtp = Smtp::new();
    let settings = settings("email", &section(&smtp.url(), "tls = \"none\""));
    let sink = settings.build().unwrap();
    smtp.plan(Command::Dot, Does::Hang, 1);
    let trying = tokio::spawn(async move { sink.deliver(&to("ana@example.com")).await });
    hangs(&smtp).await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    assert_failure(&trying.await.unwrap().unwrap_err(), TimedOut, "hunter2canary");
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(590), "{waited:?}");
    assert!(settings.limits().timeout > waited + Duration::from_mins(2), "nobody else ends it sooner");
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
