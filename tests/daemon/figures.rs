//! The metrics for Prometheus.

use std::io::Write as _;
use std::process::{Command, Stdio};

use linedown_standins::{Certificates, Does, Smtp};

use crate::daemon::{Daemon, eventually};
use crate::http::request;
use crate::payload::{blocked, down};
use crate::sections::{CONSOLE, QUICK, email, tell};

/// A value from `/metrics` that may have a fraction.
fn figure(daemon: &Daemon, name: &str) -> Option<f64> {
    let text = daemon.get("/metrics").body;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn wait_for(daemon: &Daemon, name: &str, good: impl Fn(f64) -> bool) {
    eventually(&format!("the figure {name}"), || figure(daemon, name).filter(|value| good(*value)));
}

#[test]
fn prometheus_own_tool_reads_the_figures() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    let plain = daemon.get("/metrics");
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: packaging/setup tests");
    promtool.stdin.take().expect("the input is piped").write_all(plain.body.as_bytes()).expect("it reads");
    let checked = promtool.wait_with_output().expect("it ends");
    assert!(checked.status.success(), "{}\n{}", String::from_utf8_lossy(&checked.stderr), plain.body);
    let accept = ("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    let open = daemon.send(&request("GET", "/metrics", &[accept], b""));
    assert!(open.header("content-type").is_some_and(|sort| sort.starts_with("application/openmetrics-text")));
    assert!(open.body.ends_with("# EOF\n") && !plain.body.contains("# EOF"));
}

#[test]
fn what_is_open_and_what_waits_is_told_until_it_is_done() {
    let relay = Smtp::new();
    relay.go_away();
    let daemon = Daemon::start(&format!("{}{QUICK}{CONSOLE}{}", email("ops", &relay), tell(&["ops", "console"])));
    daemon.accept(&down("A"));
    daemon.accept(&blocked("B"));
    wait_for(&daemon, "linedown_notifications_pending{sink=\"ops\",kind=\"down\"}", |count| (count - 2.0).abs() < 0.5);
    wait_for(&daemon, "linedown_oldest_pending_age_seconds{sink=\"ops\"}", |age| age > 0.0);
    wait_for(&daemon, "linedown_sink_failing{sink=\"ops\"}", |fails| fails > 0.5);
    for (name, value) in [
        ("linedown_incidents_open{reason=\"number-blocked\"}", 1.0),
        ("linedown_incidents_open{reason=\"device-disconnected\"}", 1.0),
        ("linedown_incidents_open{reason=\"session-expired\"}", 0.0),
        ("linedown_sink_failing{sink=\"console\"}", 0.0),
    ] {
        assert_eq!(figure(&daemon, name), Some(value), "{name}");
    }
    // The console may have had something in flight when the store was looked at.
    wait_for(&daemon, "linedown_oldest_pending_age_seconds{sink=\"console\"}", |age| age < 0.001);
    relay.come_back();
    wait_for(&daemon, "linedown_sink_failing{sink=\"ops\"}", |fails| fails < 0.5);
    wait_for(&daemon, "linedown_oldest_pending_age_seconds{sink=\"ops\"}", |age| age < 0.001);
    assert_eq!(figure(&daemon, "linedown_notifications_pending{sink=\"ops\",kind=\"down\"}"), None);
}

#[test]
fn what_goes_out_in_one_message_is_counted_by_its_parts() {
    let relay = Smtp::new();
    let rule = tell(&["ops"]).replace("\"0s\"", "\"10s\"");
    let daemon = Daemon::start(&format!("{}{rule}", email("ops", &relay)));
    // The first one goes out alone, the others together.
    daemon.accept(&down("A"));
    daemon.wait_for_deliveries("delivered", 1);
    relay.plan(linedown_standins::Command::Dot, Does::Reply("554 5.7.1 it looks like spam"), 1);
    for line in ["B", "C", "D", "E"] {
        daemon.accept(&down(line));
    }
    daemon.wait_for_deliveries("dead", 4);
    wait_for(&daemon, "linedown_notifications_untold_total", |count| count > 3.5);
    for (name, value) in [
        ("linedown_notifications_total{sink=\"ops\",kind=\"down\",state=\"dead\"}", Some(4.0)),
        ("linedown_notifications_total{sink=\"ops\",kind=\"digest\",state=\"dead\"}", None),
        ("linedown_attempts_total{sink=\"ops\",outcome=\"refused\"}", Some(1.0)),
    ] {
        assert_eq!(figure(&daemon, name), value, "{name}");
    }
}

#[test]
fn the_store_and_the_config_are_told_of() {
    let daemon = Daemon::start(&format!("{CONSOLE}{}", tell(&["console"])));
    daemon.accept(&down("A"));
    wait_for(&daemon, "linedown_ready", |ready| ready > 0.5);
    wait_for(&daemon, "linedown_store_commit_seconds_count", |count| count >= 1.0);
    let size = figure(&daemon, "linedown_store_size_bytes").expect("a size");
    let free = figure(&daemon, "linedown_store_free_bytes").expect("room");
    let capacity = figure(&daemon, "linedown_store_capacity_bytes").expect("room");
    assert!(size > 4096.0 && free > 0.0 && free < capacity, "{size} {free} {capacity}");
    assert!(figure(&daemon, "linedown_config_reload_timestamp_seconds").expect("a time") > 1.7e9);
    assert!(!daemon.get("/metrics").body.contains("linedown_certificate_expiry"), "there is no certificate");
}

#[test]
fn the_end_of_the_certificate_is_told() {
    let certificates = Certificates::new();
    let (certificate, key) = (certificates.certificate(), certificates.key());
    let tls =
        format!("[server]\ntls = {{ certificate = \"{}\", key = \"{}\" }}\n", certificate.display(), key.display());
    let daemon = Daemon::start(&format!("{tls}{CONSOLE}{}", tell(&["console"])));
    let metrics = crate::tls::get(&daemon, &certificates, "/metrics").expect("an answer").body;
    let end = metrics.lines().find_map(|line| line.strip_prefix("linedown_certificate_expiry_timestamp_seconds"));
    let end: f64 = end.expect("the figure").trim_start_matches("{}").trim().parse().expect("a number");
    assert!(end > 1.7e9, "{end}");
}
