//! Secrets: never shown, and warned of where others can read them.

use super::*;

#[test]
fn secrets_are_not_shown() {
    let text = r#"
sinks.a = { type = "toy", pasword = "hunter2", password = ["hunter2"], port = "hunter2", url = { x = "hunter2" } }
sources.w = { type = "waha", secret = ["hunter2"] }
store.url = "postgres://me:hunter2@db"
server.public_url = "https://me:hunter2@a.example"
server.tls = { certificate = "-----BEGIN hunter2", key = "-----BEGIN hunter2" }
"#;
    let report = Folder::with(text).load().report;
    assert!(report.errors() >= 8, "{}", report.render(false));
    assert!(!report.render(false).contains("hunter2"), "{}", report.render(false));
    assert!(!serde_json::to_string(&report).unwrap().contains("hunter2"));
}

/// A hint repeats what is written only where it cannot be a secret.
#[test]
fn what_lacks_its_quotes_may_be_a_secret() {
    for (line, shown) in [
        ("password = hunter2", "password = \"…\""),
        ("password = { env = hunter2 }", "password = { env = \"…\" }"),
        ("url = https://hooks.example/hunter2", "url = \"…\""),
        ("to = https://hooks.example/hunter2", "to = \"…\""),
        ("retry = { first = 2s, password = hunter2 }", "retry = { first = \"…\", password = \"…\" }"),
        ("headers = { 'X-Login' = 'hunter2', Host = a }", "headers = { 'X-Login' = \"…\", Host = \"…\" }"),
        ("retry = { labels.x = 2s, password = hunter2 }", "retry = { labels.x = \"…\", password = \"…\" }"),
    ] {
        let found = Folder::with(&format!("[sinks.a]\ntype = 'toy'\n{line}")).problems();
        assert!(found.iter().any(|(_, hint)| *hint == format!("write `{shown}`")), "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }
    let found = Folder::with("; password = hunter2\n// hunter2\nx = 'y' // hunter2").problems();
    assert!(found.len() == 3 && !format!("{found:?}").contains("hunter2"), "{found:?}");
}

#[test]
fn whoever_can_read_a_secret() {
    let text =
        "sinks.a = { type = 'toy', password = 'x', fallback = 'console' }\n[[rules]]\ncontinue = true\nnotify = ['a']";
    assert_eq!(Folder::with(text).problems(), []);
    let open = Folder::with(text).mode("l.toml", 0o644);
    let hint = |file: &str| {
        format!("let only root and a group of the service's read it (docs/service.md, Secrets): chmod 640 {file}")
    };
    let what = "warning 1:38 there is a secret here, and every user of this machine can read l.toml";
    assert_eq!(open.problems(), [(what.to_owned(), format!("write `{{ credential = … }}`, or {}", hint("l.toml")))]);
    let open = Folder::with(text).mode("secret", 0o604).mode("conf.d/base.toml", 0o644);
    let what = "warning conf.d/base.toml:2:53 the secret in secret can be read by every user of this machine";
    assert_eq!(open.problems(), [(what.to_owned(), format!("make it a credential, or {}", hint("secret")))]);
    let closed = open.mode("", 0o700);
    assert_eq!(closed.problems(), [], "nobody else reaches it");
}

/// Whichever secret it is, and however it is written.
#[test]
fn every_secret_that_others_can_read_is_warned_of() {
    let what = |at: &str, file: &str| {
        format!("warning {at} there is a secret here, and every user of this machine can read {file}")
    };
    let found = |folder: &Folder| folder.problems().into_iter().map(|(what, _)| what).collect::<Vec<_>>();
    let url = "[heartbeat]\nurl = 'https://beats.example/x'";
    assert_eq!(found(&Folder::with(url).mode("l.toml", 0o644)), [what("2:7", "l.toml")]);
    let token = "[instances.B]\ntoken = 'F00D'\n[instances.A]\ntoken = 'F00D'";
    assert_eq!(found(&Folder::with(token).mode("l.toml", 0o644)), [what("2:9", "l.toml")]);
    assert_eq!(found(&Folder::with("[instances.B]\nname = 'token'").mode("l.toml", 0o644)), Vec::<String>::new());

    let folder = Folder::empty().write("beats", "https://beats.example/x").mode("beats", 0o644);
    let beats = folder.path("beats").display().to_string();
    let by_file = Folder::with(&format!("[heartbeat]\nurl = {{ file = '{beats}' }}"));
    let of_file = format!("warning 2:16 the secret in {beats} can be read by every user of this machine");
    assert_eq!(found(&by_file), [of_file]);
}

/// The warning points at where the secret can be read, not at the value that replaced it.
#[test]
fn a_secret_that_was_replaced_is_warned_of_where_it_stands() {
    let toy = |password: &str| format!("[sinks.a]\ntype = 'toy'\npassword = '{password}'\nfallback = 'console'\n");
    let rule = "[[rules]]\ncontinue = true\nnotify = ['a']";
    let folder = Folder::with(&(toy("old") + rule)).write("conf.d/10.toml", format!("\n{}", toy("new")));
    assert_eq!(folder.problems(), []);
    let (main, drop_in) = (folder.mode("l.toml", 0o644), "conf.d/10.toml");
    let what = "there is a secret here, and every user of this machine can read";
    let found = |folder: &Folder| folder.problems().into_iter().map(|(what, _)| what).collect::<Vec<_>>();
    assert_eq!(found(&main), [format!("warning 3:12 {what} l.toml")]);
    let both = main.mode(drop_in, 0o644);
    assert_eq!(
        found(&both),
        [format!("warning 3:12 {what} l.toml"), format!("warning {drop_in}:4:12 {what} {drop_in}")]
    );
    let other = both.mode("l.toml", 0o600).variable("LINEDOWN__SINKS__A__PASSWORD", "newest");
    assert_eq!(found(&other), [format!("warning {drop_in}:4:12 {what} {drop_in}")]);
}
