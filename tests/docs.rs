//! The documentation is true: linedown accepts its configs, its code compiles, its links lead somewhere, every promise
//! names tests that exist, and it lists every metric.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use linedown::gateway::Standing;
use linedown::metrics::Metrics;
use linedown::store::{Figures, Outcome, Overdue};
use linedown_sinks::Kind;
use tempfile::TempDir;

const DOCUMENTS: [&str; 7] = [
    "README.md",
    "RELIABILITY.md",
    "docs/handbook.md",
    "docs/performance.md",
    "docs/service.md",
    "docs/writing-a-sink.md",
    "docs/z-api.md",
];

/// A config for the parts of a config that documents show.
const SOURCE: &str = r#"
    [sources.z-api]
    type = "z-api"
    secret = "0123456789abcdef0123456789abcdef"
"#;
const AROUND: &str = r#"
    [instances.a]
    labels = { tier = "gold", owner = "a@example.com" }
    [sinks.console]
    type = "stdout"
    [sinks.email]
    type = "email"
    server = "file:/mailbox"
    from = "a@example.com"
    to = "b@example.com"
    fallback = "console"
    [sinks.slack]
    type = "slack"
    webhook_url = "https://hooks.slack.com/services/x"
    fallback = "console"
"#;
const RULE: &str = "\n[[rules]]\nnotify = [\"console\", \"email\", \"slack\"]\n";

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// The code blocks of a language in a document.
fn blocks(name: &str, language: &str) -> Vec<String> {
    let (text, fence) = (document(name), format!("```{language}\n"));
    let fences = text.split(fence.as_str()).skip(1);
    fences.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A folder with the files that documents name under /etc/linedown.
fn machine() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    for part in ["tls", "conf.d"] {
        fs::create_dir(folder.path().join(part)).expect("a folder can be made");
    }
    for (file, text) in [
        ("tls/fullchain.pem", certificate.pem()),
        ("tls/privkey.pem", key.serialize_pem()),
        ("relay-ca.pem", certificate.pem()),
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
    let rule = if block.contains("[[rules]]") { "" } else { RULE };
    match (block.contains("[sources.z-api]\n"), block.contains("[[rules]]")) {
        (true, true) => fs::write(&main, &block).expect("a file can be written"),
        (true, false) => fs::write(&main, format!("{block}{AROUND}{RULE}")).expect("a file can be written"),
        // A subtable of a source must be in the same file, after the source.
        (false, _) if block.contains("[sources.") => {
            fs::write(&main, format!("{SOURCE}{AROUND}{RULE}{block}")).expect("a file can be written");
        }
        (false, _) => {
            fs::write(&main, format!("{SOURCE}{AROUND}")).expect("a file can be written");
            fs::write(&part, format!("{block}{rule}")).expect("a file can be written");
        }
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
        // Only systemd provides credentials, and a part does not use everything of the config around it.
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
            assert!(!block.contains("/etc/linedown/credentials"), "only root can read what is there: {block}");
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

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

/// Each metric's name with its labels, as the daemon shows them when there is one of everything.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = Metrics::default();
    let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    let sinks = BTreeSet::from(["email".to_owned()]);
    let overdue = Overdue { sink: "email".to_owned(), kind: Kind::Down, count: 1, since: now };
    metrics.webhook("z-api", "accepted");
    metrics.checked("z-api", &Ok(Standing::Up));
    metrics.heartbeat("taken");
    metrics.attempt("email", &Outcome::Delivered(String::new()));
    metrics.outcome("email", [Kind::Down], &Outcome::Delivered(String::new()), Duration::ZERO);
    metrics.counted(&Figures { overdue: vec![overdue], ..Figures::default() }, &sinks, now);
    metrics.failing(&sinks, &sinks);
    metrics.certificate(Some(now));
    let text = metrics.open_metrics();
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let mut shown = BTreeMap::<String, BTreeSet<String>>::new();
    for sample in samples {
        let (name, rest) = sample.split_at(sample.find(['{', ' ']).expect("a value"));
        let parts = ["_bucket", "_sum", "_count"].into_iter().filter_map(|end| name.strip_suffix(end));
        let name = parts.into_iter().find(|name| kinds.get(name) == Some(&"histogram")).unwrap_or(name);
        let labels = rest.split('}').next().unwrap_or_default().trim_start_matches('{').split(',');
        let labels = labels.filter_map(|label| label.split_once('=')).map(|(label, _)| label.to_owned());
        shown.entry(name.to_owned()).or_default().extend(labels.filter(|label| label != "le"));
    }
    shown
}

#[test]
fn the_handbook_has_every_metric_with_its_labels_and_no_other() {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let handbook = document("docs/handbook.md");
    let rows = handbook.lines().filter(|line| line.starts_with("| `linedown_"));
    let mut documented = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').collect();
        let labels: BTreeSet<_> = quoted(cells[2]).into_iter().collect();
        documented.extend(quoted(cells[1]).into_iter().map(|name| (name, labels.clone())));
    }
    assert_eq!(documented, metrics());
}

#[test]
fn every_metric_of_the_code_is_shown_when_there_is_one_of_everything() {
    let source = document("src/metrics.rs");
    let ways = ["registry.register(", ": added(", ": added_in(", ": in_unit("];
    let registered: usize = ways.into_iter().map(|way| source.matches(way).count()).sum();
    assert_eq!(registered, metrics().len());
}
