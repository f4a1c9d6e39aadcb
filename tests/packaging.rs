//! The files shipped beside the binary: units, message catalog, manual pages and alert rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// The units as they are installed, but with a program that exists on this machine.
fn units() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for name in ["linedown.service", "linedown.socket"] {
        let text = file(&format!("packaging/{name}")).replace("/usr/local/bin/linedown", "/usr/bin/env");
        fs::write(folder.path().join(name), text).expect("a file can be written");
    }
    folder
}

fn analyze(arguments: &[&str]) -> Output {
    let units = units();
    let units = ["linedown.service", "linedown.socket"].map(|name| units.path().join(name));
    let mut command = Command::new("systemd-analyze");
    let of = if arguments[0] == "verify" { &units[..] } else { &units[..1] };
    command.args(arguments).args(of).env("SYSTEMD_COLORS", "0").env("SYSTEMD_PAGER", "");
    command.output().expect("systemd-analyze is there: packaging/setup tests")
}

#[test]
fn the_unit_is_exposed_no_more_than_a_network_daemon_must_be() {
    // In tenths: 11 is a score of 1.1.
    let output = analyze(&["security", "--offline=true", "--threshold=11"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn systemd_has_nothing_to_say_about_the_units() {
    let output = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let of_ours: Vec<_> = said.lines().filter(|line| line.contains("linedown")).collect();
    assert!(output.status.success() && of_ours.is_empty(), "{said}");
}

#[test]
fn every_message_of_the_journal_is_explained() {
    let source = file("src/journal.rs");
    let table = source.split("const MESSAGES").nth(1).and_then(|rest| rest.split("];").next()).expect("the table");
    let in_table: BTreeSet<_> = table.split('"').filter(|text| text.len() == 32).map(str::to_owned).collect();
    let catalog = file("packaging/linedown.catalog");
    let in_catalog: BTreeSet<_> =
        catalog.lines().filter_map(|line| line.strip_prefix("-- ")).map(str::to_owned).collect();
    assert_eq!(in_table, in_catalog);
    assert!(in_table.len() >= 10);
}

#[test]
fn every_message_of_the_journal_is_logged_somewhere() {
    let source = file("src/journal.rs");
    let names = source.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next());
    let logged = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut count = 0;
    for name in names {
        assert!(logged.contains(&format!("name: \"{name}\"")), "{name}");
        count += 1;
    }
    assert!(count >= 10, "{count} names found");
}

fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let text = |path: std::path::PathBuf| match path.is_dir() {
        true => sources(&path),
        false if path.ends_with("journal.rs") => String::new(),
        false => fs::read_to_string(path).unwrap_or_default(),
    };
    entries.map(text).collect()
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let folder = TempDir::new().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_linedown"));
    let ended = command.args(["man", "--folder"]).arg(folder.path()).status().expect("it runs");
    assert!(ended.success());
    for page in
        ["linedown.1", "linedown-serve.1", "linedown-check.1", "linedown-silence-add.1", "linedown-z-api-audit.1"]
    {
        assert!(folder.path().join(page).exists(), "{page}");
    }
}

#[test]
fn the_alert_rules_are_about_metrics_that_there_are_and_fire_when_they_should() {
    let rules = file("packaging/prometheus/linedown.rules.yml");
    let handbook = file("docs/handbook.md");
    let names = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in names.filter(|name| name.starts_with("linedown_")) {
        assert!(handbook.contains(&format!("`{name}`")), "there is no metric {name}");
    }
    for arguments in [["check", "rules", "linedown.rules.yml"], ["test", "rules", "linedown.rules.test.yml"]] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus");
        let output = Command::new("promtool").args(arguments).current_dir(folder).output();
        let output = output.expect("promtool is there: packaging/setup tests");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn links_of_the_installed_pages_lead_to_what_is_installed() {
    let folder = TempDir::new().expect("a temporary folder");
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/pages");
    assert!(Command::new(pages).arg(folder.path()).status().expect("it runs").success());
    let elsewhere = ["/etc/linedown/linedown.toml", "/usr/lib/systemd/catalog/linedown.catalog"];
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let text = fs::read_to_string(&entry).unwrap_or_default();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://") && !elsewhere.contains(link)) {
            assert!(folder.path().join(link).exists(), "{link} in {}", entry.display());
            count += 1;
        }
    }
    assert!(count >= 20, "{count} links found");
}
