//! The contract that every sink keeps. A kind in the table without an entry here fails.

mod email;
mod exec;
#[path = "../../src/sample.rs"]
mod sample;
mod slack;
mod webhook;

use std::error::Error;
use std::sync::Arc;

use linedown_sinks::{
    Environment, Failure, FailureKind, Incident, Instance, Item, KINDS, Kind, Notification, Path, Problem, Reason,
    Secrets, Section, Settings, Severity, Sink, TextKeys, Texts,
};

/// What the contract's tests need to know about a kind.
struct Entry {
    /// Its section in the documented config.
    documented: &'static str,
    /// A line with a misspelt key, and the key that was meant.
    misspelt: (&'static str, &'static str),
}

fn entry(kind: &str) -> Entry {
    match kind {
        "stdout" => Entry { documented: "format = \"json\"", misspelt: ("fromat = \"json\"", "format") },
        "email" => email::ENTRY,
        "slack" => slack::ENTRY,
        "webhook" => webhook::ENTRY,
        "exec" => exec::ENTRY,
        kind => panic!("the sink `{kind}` has no entry in the contract"),
    }
}

/// Reads a section as the daemon does.
fn check(kind: &str, section: &str) -> (Option<Arc<dyn Settings>>, Vec<Problem>) {
    let value = serde_json::to_value(section.parse::<toml::Table>().expect("TOML")).expect("TOML as JSON");
    let credentials = tempfile::tempdir().expect("a temporary folder");
    for (name, secret) in [
        ("smtp-password", "hunter2canary"),
        ("slack-url", "https://hooks.slack.com/services/canary"),
        ("webhook-url", "https://helpdesk.example.com/hooks/canary"),
        ("webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("pager-token", "hunter2canary"),
    ] {
        std::fs::write(credentials.path().join(name), secret).expect("a file can be written");
    }
    let secrets = Secrets { credentials: Some(credentials.path().to_owned()) };
    let environment = Environment { secrets, ..Environment::default() };
    let others = ["type", "fallback", "retry", "language", "time_zone", "templates"];
    let mut section = Section::new(&value, Path(vec!["sinks".into(), "test".into()]), &others, &environment);
    let keys = TextKeys { time_zone: Some("UTC".into()), ..TextKeys::default() };
    let texts = Texts::check(&keys, &mut section).expect("the built-in texts are right");
    let kind = KINDS.iter().find(|each| each.name == kind).expect("a kind of the table");
    let settings = (kind.check)(&mut section, texts);
    for problem in &section.problems {
        assert!(problem.expected.is_some() || problem.hint.is_some(), "it leaves one alone: {problem:?}");
    }
    (settings, section.problems)
}

fn settings(kind: &str, section: &str) -> Arc<dyn Settings> {
    let (settings, problems) = check(kind, section);
    assert!(problems.iter().all(|problem| problem.severity == Severity::Warning), "{problems:#?}");
    settings.expect("no problem, so settings")
}

fn sink(kind: &str, section: &str) -> Arc<dyn Sink> {
    settings(kind, section).build().expect("a sink")
}

fn to(recipient: &str) -> Notification {
    Notification { recipient: recipient.into(), ..sample::notification() }
}

/// A digest of that many lines that are down, each with a name of its own.
fn digest(name: &str, lines: i64) -> Notification {
    let mut digest = Notification { kind: Kind::Digest, ..to("ana@example.com") };
    for number in 1..=lines {
        let mut incident = digest.incident.clone();
        incident.id = number;
        incident.instance.id = format!("i-{number}");
        incident.instance.name = Some(format!("{number} {name}"));
        digest.items.push(Item { notification: number, kind: Kind::Down, incident, flapping: None, undelivered: None });
    }
    digest
}

/// Asserts that a section has a mistake at this place, told in these words and without a secret. Only a value that serde
/// cannot read leaves settings, which lack it.
fn assert_mistake(kind: &str, section: &str, place: &str, words: &str) {
    let (settings, problems) = check(kind, section);
    let found = |problem: &Problem| problem.path.to_string() == place && problem.what.contains(words);
    assert!(problems.iter().any(found), "{section}: {problems:#?}");
    assert!(settings.is_none() || ["wrong type", "unknown variant"].contains(&words), "{section}");
    assert!(!format!("{problems:?}").contains("canary"), "{problems:#?}");
}

/// Everything that could be printed of a failure.
fn everything(failure: &Failure) -> String {
    let mut texts = format!("{failure} {failure:?} {}", failure.message);
    let mut cause = failure.source();
    while let Some(error) = cause {
        texts = format!("{texts} {error} {error:?}");
        cause = error.source();
    }
    texts
}

/// Asserts that the failure is of this kind, says something in one line, and contains no secret.
fn assert_failure(failure: &Failure, kind: FailureKind, secret: &str) {
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.message.len() > 10 && !failure.message.contains('\n'), "{failure}");
    assert!(!everything(failure).contains(secret), "{failure:?}");
}

#[test]
fn the_documented_section_has_no_problem() {
    for kind in KINDS {
        let (settings, problems) = check(kind.name, entry(kind.name).documented);
        assert!(settings.is_some() && problems.is_empty(), "{}: {problems:#?}", kind.name);
    }
}

#[test]
fn an_unknown_key_is_refused_with_a_hint() {
    for kind in KINDS {
        let Entry { documented, misspelt: (line, meant) } = entry(kind.name);
        let (_, problems) = check(kind.name, &format!("{documented}\n{line}"));
        let hint = Some(format!("did you mean `{meant}`?"));
        let found = problems.iter().any(|problem| problem.severity == Severity::Error && problem.hint == hint);
        assert!(found, "{}: {problems:#?}", kind.name);
    }
}

#[test]
fn limits_leave_room_and_have_an_end() {
    for kind in KINDS {
        let limits = settings(kind.name, entry(kind.name).documented).limits();
        assert!(limits.in_flight >= 1 && limits.timeout.as_secs() <= 900, "{}: {limits:?}", kind.name);
    }
}

#[test]
fn previews_say_what_it_is_about_and_hold_no_secret() {
    for kind in KINDS {
        let settings = settings(kind.name, entry(kind.name).documented);
        for each in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Test) {
            let preview = settings.preview(&Notification { kind: each, ..to("ops@example.com") });
            assert!(preview.contains("Loja Centro"), "{} {each:?}: {preview}", kind.name);
            assert!(!preview.contains("canary") && !preview.contains("5544999999999"), "{}: {preview}", kind.name);
        }
    }
}

/// Nobody listens at the documented addresses, so building opens no connection.
#[tokio::test]
async fn building_touches_no_network() {
    for kind in KINDS {
        assert!(settings(kind.name, entry(kind.name).documented).build().is_ok(), "{}", kind.name);
    }
}

#[tokio::test]
async fn stdout_takes_a_notification() {
    let receipt = sink("stdout", "format = \"text\"").deliver(&sample::notification()).await.unwrap();
    assert_eq!(receipt.0, "written to the standard output");
}
