//! `email` against a real SMTP server.

mod answers;
mod connection;
mod folder;
mod keys;
mod pipelining;
mod security;

use linedown_sinks::FailureKind::Refused;
use linedown_sinks::Kind;
use linedown_standins::{Certificates, Smtp};

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
