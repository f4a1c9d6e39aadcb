//! The keys of the section, and mistakes in them.

use super::*;

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
        assert_mistake("email", &section, at, words);
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
