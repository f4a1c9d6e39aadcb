use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use linedown_sinks::{Incident, Limits, Reason};

use super::*;
use crate::clock;
use crate::rule::Retry;

/// The complete example of the contract with users.
pub(super) const EXAMPLE: &str = r#"
[server]
listen = "127.0.0.1:8080"                  # ignored when systemd hands over a socket
public_url = "https://alerts.example.com"  # what gateways and links in messages use
tls = { certificate = "/etc/linedown/tls/fullchain.pem", key = "/etc/linedown/tls/privkey.pem" }

[store]
url = "sqlite:///var/lib/linedown/linedown.db"   # default: linedown.db in $STATE_DIRECTORY
keep = "400d"

[sources.z-api]
type = "z-api"
secret = { credential = "z-api-secret" }   # a secret is { file = … }, { env = … }, { credential = … }, or a plain string

[instances.39ECB202B157D11E37905AE607963117]
name = "Loja Centro"
labels = { customer = "acme", tier = "gold", owner = "dono@acme.example" }

[sinks.ops-email]
type = "email"
server = "smtps://relay.example.com:465"   # smtp:// with STARTTLS required unless tls = "none" is written out; file:DIR writes .eml files
username = "linedown"
password = { credential = "smtp-password" }
from = "linedown <alerts@example.com>"
to = ["ops@example.com", "{{ instance.labels.owner }}"]

[sinks.ops-slack]
type = "slack"
webhook_url = { credential = "slack-url" }
fallback = "ops-email"                     # who hears when this sink gives up

[sinks.console]
type = "stdout"
format = "json"                            # or "text"

[sinks.ops-slack.retry]                    # any sink; these are the defaults
first = "2s"
max = "10m"
give_up_after = "24h"

[[rules]]
name = "banned numbers"
match = { reason = "number-blocked" }
notify = ["ops-slack", "ops-email"]
continue = true

[[rules]]
name = "gold customers"
match = { labels.tier = "gold", instance = "39EC*" }   # equality, globs, lists (any of), or { regex = "…" }, { not = … }
notify = ["ops-slack"]
hold = "60s"                               # only if still down after this long
remind = ["1h", "4h", "24h"]               # the last one repeats
escalate = [{ after = "15m", notify = ["ops-email"] }]
resolved = true

[[rules]]
name = "everything else"
notify = ["console"]
"#;

#[test]
fn the_example_of_the_contract_is_accepted() {
    let key = rcgen::generate_simple_self_signed(vec!["alerts.example.com".into()]).unwrap();
    let folder = Folder::empty()
        .write("tls/fullchain.pem", key.cert.pem())
        .write("tls/privkey.pem", key.signing_key.serialize_pem())
        .write("credentials/z-api-secret", "0123456789abcdef0123");
    let text = EXAMPLE.replace("/etc/linedown", &folder.root.path().display().to_string());
    let folder = folder.write("l.toml", text);
    let loaded = folder.load_as(&folder.path("l.toml"), Some(folder.path("credentials")));
    let warnings: Vec<&str> = loaded.report.rows().iter().map(|row| row.what.as_str()).collect();
    assert_eq!(warnings, [""; 0]);
    let config = loaded.config.unwrap();
    assert_eq!(config.server.public_url.as_deref(), Some("https://alerts.example.com"));
    assert_eq!(config.store.path, FilePath::new("/var/lib/linedown/linedown.db"));
    assert_eq!(config.routing.sinks["ops-slack"].retry, Retry::default());
    assert_eq!(config.routing.sinks["ops-slack"].fallback.as_deref(), Some("ops-email"));
    let entry = config.routing.inventory.get("z-api", "39ECB202B157D11E37905AE607963117").unwrap();
    assert!(entry.labels().any(|label| label == ("tier", "gold")));
    let rules: Vec<(&str, bool, usize)> =
        config.routing.rules.iter().map(|rule| (rule.name.as_str(), rule.goes_on, rule.sinks().count())).collect();
    assert_eq!(rules, [("banned numbers", true, 2), ("gold customers", false, 2), ("everything else", false, 1)]);
    assert!(!config.lacks_credentials);
}

#[test]
fn an_instance_with_a_source_is_known_to_that_source_alone() {
    let text = "[sources.z2]\ntype = 'z-api'\nsecret = '0123456789abcdef0123'\n[instances.M1]\nsource = 'z2'\ntoken = 'x'\n\
                name = 'Loja'\nlabels.tier = 'gold'\n[instances.M2]\nname = 'Filial'";
    let routing = Folder::with(text).load().config.unwrap().routing;
    for (source, instance, name, labels, is_asked) in [
        ("z2", "M1", Some("Loja"), 1, true),
        ("z-api", "M1", None, 0, false),
        ("z2", "M2", Some("Filial"), 0, false),
        ("z-api", "M2", Some("Filial"), 0, false),
    ] {
        let line = routing.instance(source, instance, None);
        assert_eq!((line.name.as_deref(), line.labels.len()), (name, labels), "{instance} by {source}");
        let incident = Incident::of(source, line, Reason::SessionExpired, clock::now());
        assert_eq!(routing.needs_login(&incident), is_asked, "{instance} by {source}");
    }
}

#[test]
fn without_systemd_the_example_is_accepted_but_not_served() {
    let text = EXAMPLE.lines().filter(|line| !line.starts_with("tls")).collect::<Vec<_>>().join("\n");
    let loaded = Folder::empty().write("l.toml", text).load();
    assert!(loaded.config.is_some_and(|config| config.lacks_credentials), "{}", loaded.report.render(false));
}

#[test]
fn defaults() {
    let folder = Folder::with("");
    let config = folder.config();
    assert_eq!(folder.problems(), []);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.server.max_connections, config.server.max_body), (1024, 65_536));
    assert!(config.server.tls.is_none() && config.server.public_url.is_none() && config.server.api.is_none());
    assert_eq!(config.store.path, FilePath::new("/var/lib/linedown/linedown.db"));
    assert_eq!(config.store.keep.as_secs(), 400 * 24 * 60 * 60);
    assert_eq!(config.troubles, Some(Troubles::default()));
    assert!(
        config.routing.rules[0].resolved
            && !config.routing.rules[0].goes_on
            && config.routing.rules[0].matcher.takes_everything()
    );
    let folder = folder.variable("STATE_DIRECTORY", "/x:/y");
    assert_eq!(folder.config().store.path, FilePath::new("/x/linedown.db"));
}

#[test]
fn its_own_troubles_are_told_by_other_bounds_or_not_at_all() {
    let troubles = |text: &str| Folder::with(&format!("[troubles]\n{text}")).config().troubles;
    let second = std::time::Duration::from_secs(1);
    let expected = Troubles {
        sink_failing_after: second,
        store_not_writing_after: second * 2,
        disk_free_below: trouble::Free::Bytes(500_000_000),
        certificate_expires_within: second * 24 * 3600,
    };
    let text = "sink_failing_after = '1s'\nstore_not_writing_after = '2s'\ndisk_free_below = 500_000_000\n\
                certificate_expires_within = '1d'";
    assert_eq!(troubles(text), Some(expected));
    assert_eq!(troubles("disk_free_below = '0%'").unwrap().disk_free_below, trouble::Free::Percent(0));
    assert_eq!(troubles("on = false"), None);
    let rule =
        "[[rules]]\ncontinue = true\nnotify = ['console']\nmatch = { source = 'linedown', reason = 'sink-failing' }";
    assert_eq!(Folder::with(rule).problems(), []);
}

#[test]
fn a_shorter_patience_needs_no_other_keys() {
    let config = Folder::with("[sinks.a]\ntype = 'toy'\nretry = { give_up_after = '1s' }").config();
    let second = std::time::Duration::from_secs(1);
    assert_eq!(config.routing.sinks["a"].retry, Retry { first: second, max: second, give_up_after: second });
}

#[test]
fn what_a_sink_bears_is_its_kinds_but_for_what_the_user_says() {
    let own = |keys: &str| {
        let config = Folder::with(&format!("[sinks.a]\ntype = 'toy'\n{keys}")).config();
        config.routing.sinks["a"].limits
    };
    let kinds = own("");
    assert_eq!(own("limits.in_flight = 64"), Limits { in_flight: 64, ..kinds });
    let interval = std::time::Duration::from_millis(250);
    assert_eq!(own("limits = { interval = '250ms' }"), Limits { interval, ..kinds });
}

/// The real kinds of sinks, or toys as long as there are none.
fn kinds() -> &'static [SinkKind] {
    if linedown_sinks::KINDS.is_empty() { TOYS } else { linedown_sinks::KINDS }
}

/// The shipped config, as it is or with all its examples: lines commented out without a space after the `#`.
fn shipped(with_examples: bool) -> String {
    let text = include_str!("../../../packaging/linedown.toml");
    let example = |line: &str| {
        line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#']) && !rest.is_empty()).map(str::to_owned)
    };
    let lines = text.lines().map(|line| example(line).filter(|_| with_examples).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_config_is_accepted_with_and_without_its_examples() {
    let key = rcgen::generate_simple_self_signed(vec!["alerts.example.com".into()]).unwrap();
    for with_examples in [false, true] {
        let folder = Folder::empty()
            .write("tls/fullchain.pem", key.cert.pem())
            .write("tls/privkey.pem", key.signing_key.serialize_pem())
            .write("relay-ca.pem", key.cert.pem())
            .write("credentials/z-api-secret", "0123456789abcdef0123")
            .write("credentials/z-api-client-token", "F00D")
            .write("credentials/z-api-partner-token", "F00D")
            .write("credentials/z-api-token-39ECB202B157D11E37905AE607963117", "F00D")
            .write("credentials/smtp-password", "hunter2")
            .write("credentials/heartbeat-url", "https://hc.example.com/ping/x")
            .write("credentials/slack-url", "https://hooks.slack.com/services/T0/B0/x")
            .write("credentials/webhook-url", "https://example.com/hooks/x")
            .write("credentials/webhook-secret", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")
            .write("credentials/webhook-login", "Bearer F00D")
            .write("credentials/pager-token", "F00D");
        let here = folder.root.path().display().to_string();
        std::fs::create_dir(folder.path("templates")).unwrap();
        let folder = folder.write("page-me", "#!/bin/sh\n");
        std::fs::set_permissions(folder.path("page-me"), Permissions::from_mode(0o755)).unwrap();
        let text = shipped(with_examples).replace("/etc/linedown", &here).replace("/usr/local/bin", &here);
        let folder = folder.write("l.toml", text);
        let secrets = Secrets { credentials: Some(folder.path("credentials")) };
        let process = Process { variables: Vec::new(), secrets, now: "2026-06-01T00:00:00Z".parse().unwrap() };
        let loaded = load(&folder.path("l.toml"), kinds(), SOURCES, &process);
        assert_eq!(loaded.report.errors(), 0, "{}", loaded.report.render(false));
        let unexpected: Vec<_> = loaded.report.rows().iter().collect();
        assert_eq!(unexpected, Vec::<&Row>::new());
        assert_eq!(loaded.config.unwrap().routing.sinks.len() > 1, with_examples);
    }
}

/// Every section, with a key that does not exist.
const SECTIONS: &str = "
    server.x = 1\nserver.tls.x = 1\nstore.x = 1\nmessages.x = 1\nheartbeat.x = 1\ntroubles.x = 1
    [sources.a]\ntype = 'z-api'\nsecret = '0123456789abcdef'\nx = 1\nwatch.x = 1\naudit.x = 1
    [instances.a]\nx = 1
    [sinks.a]\ntype = 'stdout'\nx = 1\nretry.x = 1\nlimits.x = 1
    [sinks.b]\ntype = 'email'\nx = 1
    [sinks.c]\ntype = 'slack'\nx = 1
    [[rules]]\nnotify = ['a']\nx = 1\nescalate = [{ x = 1 }]\nflapping = { x = 1 }
    [[quiet]]\nx = 1";

#[test]
fn the_shipped_config_has_every_key() {
    let loaded = Folder::with(SECTIONS).load();
    let text = shipped(true);
    let mut seen = 0;
    for row in loaded.report.rows().iter().filter(|row| row.what.contains("`x`")) {
        let expected = row.expected.as_deref().unwrap_or_else(|| panic!("{}: {}", row.path, row.what));
        for key in expected.split('`').skip(1).step_by(2) {
            let as_a_key = ["\n", "{ ", ", ", "."].map(|before| format!("{before}{key} = "));
            let as_a_table = [format!(".{key}]"), format!("[{key}]"), format!(" {key}.")];
            let stands = as_a_key.iter().chain(&as_a_table).any(|written| text.contains(written));
            assert!(stands, "{}: {key}", row.path);
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

/// A retry key that is not written follows those that are.
#[test]
fn what_is_not_written_of_a_retry_follows() {
    for (written, first, max, give_up_after) in [
        ("first = '20m'", 1_200, 1_200, 86_400),
        ("first = '2d'", 172_800, 172_800, 172_800),
        ("max = '1s'", 1, 1, 86_400),
        ("max = '2d'", 2, 172_800, 172_800),
        ("give_up_after = '1s'", 1, 1, 1),
        ("give_up_after = '5m'", 2, 300, 300),
        ("first = '1s', give_up_after = '1m'", 1, 60, 60),
    ] {
        let text = format!("sinks.a = {{ type = 'toy', fallback = 'console', retry = {{ {written} }} }}");
        let retry = Folder::with(&text).config().routing.sinks["a"].retry;
        let seconds = [retry.first, retry.max, retry.give_up_after].map(|period| period.as_secs());
        assert_eq!(seconds, [first, max, give_up_after], "{written}");
    }
}
