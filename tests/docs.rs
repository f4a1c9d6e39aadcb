//! What the documentation says is true: its configs are accepted, its code compiles, and its links lead somewhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const DOCUMENTS: [&str; 6] =
    ["README.md", "RELIABILITY.md", "docs/handbook.md", "docs/service.md", "docs/writing-a-sink.md", "docs/z-api.md"];

/// What stands around a part of a config that a document shows.
const AROUND: &str = r#"
    [sources.z-api]
    type = "z-api"
    secret = "0123456789abcdef0123456789abcdef"
    [instances.a]
    labels = { tier = "gold", owner = "a@example.com" }
    [sinks.console]
    type = "stdout"
    [sinks.email]
    type = "email"
    server = "file:mailbox"
    from = "a@example.com"
    to = "b@example.com"
    fallback = "console"
    [sinks.slack]
    type = "slack"
    webhook_url = "https://hooks.slack.com/services/x"
    fallback = "email"
"#;
const RULE: &str = "\n[[rules]]\nnotify = [\"console\", \"email\", \"slack\"]\n";

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// The blocks of a language in a document.
fn blocks(name: &str, language: &str) -> Vec<String> {
    let (text, fence) = (document(name), format!("```{language}\n"));
    let fences = text.split(fence.as_str()).skip(1);
    fences.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A machine with the files that documents name under /etc/linedown.
fn machine() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    for part in ["tls", "credentials", "conf.d"] {
        fs::create_dir(folder.path().join(part)).expect("a folder can be made");
    }
    for (file, text) in [
        ("tls/fullchain.pem", certificate.pem()),
        ("tls/privkey.pem", key.serialize_pem()),
        ("relay-ca.pem", certificate.pem()),
        ("credentials/smtp-password", "secret".to_owned()),
        ("credentials/slack-url", "https://hooks.slack.com/services/x".to_owned()),
    ] {
        let path = folder.path().join(file);
        fs::write(&path, text).expect("a file can be written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    }
    folder
}

fn assert_accepted(name: &str, block: &str) {
    let machine = machine();
    let here = machine.path().to_str().expect("UTF-8");
    let block = block.replace("/etc/linedown", here);
    let (main, part) = (machine.path().join("linedown.toml"), machine.path().join("conf.d/part.toml"));
    if block.contains("[sources.") {
        fs::write(&main, &block).expect("a file can be written");
    } else {
        fs::write(&main, AROUND).expect("a file can be written");
        let rule = if block.contains("[[rules]]") { "" } else { RULE };
        fs::write(&part, format!("{block}{rule}")).expect("a file can be written");
    }
    for file in [&main, &part].into_iter().filter(|file| file.exists()) {
        fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_linedown"));
    let output = command.arg("check").arg("--config").arg(&main).arg("--json").output().expect("it runs");
    let report = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{name}:\n{block}\n{report}");
    let problems: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let told = |problem: &&serde_json::Value| {
        let what = problem["what"].as_str().unwrap_or_default();
        // Only systemd has credentials; and a part does not use all that stands around it.
        !what.contains("credential")
            && !what.contains("nothing is watched")
            && !what.contains("is ever sent to")
            && !what.contains("has the label")
    };
    let told: Vec<_> = problems.as_array().expect("a list").iter().filter(told).collect();
    assert!(told.is_empty(), "{name}:\n{block}\n{told:#?}");
}

#[test]
fn documented_configs_are_accepted() {
    let mut count = 0;
    for name in DOCUMENTS {
        for block in blocks(name, "toml") {
            assert_accepted(name, &block);
            count += 1;
        }
    }
    assert!(count >= 4, "{count} configs found");
}

#[test]
fn the_documented_sink_is_the_example_that_is_compiled() {
    assert_eq!(blocks("docs/writing-a-sink.md", "rust"), [document("examples/own_sink.rs")]);
}

#[test]
fn links_lead_somewhere() {
    for name in DOCUMENTS {
        let text = document(name);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { text.clone() } else { fs::read_to_string(folder.join(file)).expect(link) };
            let there = anchor.is_empty() || target.lines().any(|line| line.starts_with('#') && slug(line) == anchor);
            assert!(there, "{name}: {link}");
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let text = document("RELIABILITY.md");
    let table = text.split("## ").next().unwrap_or_default();
    let promises: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && !line.contains("| shown by")).collect();
    for promise in &promises {
        let tests: Vec<(&str, &str)> =
            promise.split("[`").skip(1).filter_map(|link| link.split(')').next()?.split_once("`](")).collect();
        assert!(!tests.is_empty(), "no test: {promise}");
        for (test, file) in tests {
            assert!(document(file).contains(&format!("fn {test}(")), "{file} has no {test}");
        }
    }
    assert!(promises.len() > 15, "{} promises found", promises.len());
}

/// A heading as an anchor.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

#[test]
fn every_metric_is_in_the_handbook() {
    let (handbook, source) = (document("docs/handbook.md"), document("src/metrics.rs"));
    let names = source.split("registry.register").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let mut count = 0;
    for name in names {
        assert!(handbook.contains(&format!("`linedown_{name}")), "{name}");
        count += 1;
    }
    assert!(count >= 7, "{count} metrics found");
}
