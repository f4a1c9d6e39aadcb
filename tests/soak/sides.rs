//! The far sides: relays and Slacks, each behind a network that can fail, and a console; and the messages that they
//! got.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use linedown_standins::{Certificates, DEADLINE, Encryption, Slack, Smtp};
use regex::Regex;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::{Value, json};

use crate::service::Service;
use crate::wire::Wire;

/// One message about one line, as it reached a far side.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) sink: &'static str,
    pub(crate) instance: String,
    /// The key of the message; for a line in a digest, that of the digest. Messages to Slack show none.
    pub(crate) key: Option<String>,
    /// The kind of the message. Messages to Slack show none.
    pub(crate) kind: Option<String>,
    /// Everything that the message says.
    pub(crate) text: String,
    /// Whether the far side took it.
    pub(crate) taken: bool,
}

/// The far sides, by the names of their sinks.
pub(crate) struct Sides {
    certificates: Certificates,
    pub(crate) first: Smtp,
    pub(crate) second: Smtp,
    pub(crate) slack: Slack,
    pub(crate) safe: Slack,
    /// The networks before these four, in this order.
    pub(crate) wires: [Wire; 4],
}

/// The sinks with a network in between.
pub(crate) const WIRED: [&str; 4] = ["first", "second", "slack", "safe"];

/// With this, the list of a mail about many lines ends that does not name all of them.
const MORE: &str = " more: linedown incidents";

static INSTANCE: LazyLock<Regex> = LazyLock::new(|| Regex::new("soak-[a-z]-[0-9]+").expect("it is one"));

impl Sides {
    /// Two relays and two Slacks, one of each with TLS, each behind a network that works.
    pub(crate) fn new() -> Self {
        let certificates = Certificates::new();
        let first = Smtp::new();
        let second = Smtp::with(Encryption::StartTls(&certificates));
        let slack = Slack::new().without_rate_limit();
        let safe = Slack::over_tls(&certificates).without_rate_limit();
        let wires = [first.port(), second.port(), slack.port(), safe.port()].map(Wire::to);
        Self { certificates, first, second, slack, safe, wires }
    }

    /// The variable that makes the daemon trust them.
    pub(crate) fn environment(&self) -> (&'static str, PathBuf) {
        ("SSL_CERT_FILE", self.certificates.ca())
    }

    /// The sinks and their fallbacks; each chain ends at the console.
    pub(crate) fn config(&self, patience: &str) -> String {
        let retry = format!("retry = {{ first = \"50ms\", max = \"500ms\", give_up_after = \"{patience}\" }}");
        let [first, second, slack, safe] = &self.wires;
        let email = "type = \"email\"\nfrom = \"linedown@example.com\"\nto = \"ops@example.com\"";
        let path = |slack: &Slack| slack.url().splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        let ca = self.certificates.ca().display().to_string();
        format!(
            "[sinks.first]\n{email}\nserver = \"smtp://localhost:{}\"\ntls = \"none\"\nfallback = \"second\"\n{retry}\n\
             [sinks.second]\n{email}\nserver = \"smtp://localhost:{}\"\nca = \"{ca}\"\nfallback = \"console\"\n{retry}\n\
             [sinks.slack]\ntype = \"slack\"\nwebhook_url = \"http://localhost:{}/{}\"\nfallback = \"first\"\n{retry}\n\
             [sinks.safe]\ntype = \"slack\"\nwebhook_url = \"https://localhost:{}/{}\"\nfallback = \"second\"\n{retry}\n\
             [sinks.console]\ntype = \"stdout\"\nformat = \"json\"\n{retry}\n",
            first.port(),
            second.port(),
            slack.port(),
            path(&self.slack),
            safe.port(),
            path(&self.safe),
        )
    }

    /// Makes all far sides and their networks work again.
    pub(crate) fn behave(&self) {
        self.wires.iter().for_each(|wire| wire.set(crate::wire::Does::Pass));
        (0..WIRED.len()).for_each(|side| self.behave_one(side));
    }

    /// Makes one of [`WIRED`] work again; leaves its network as it is.
    pub(crate) fn behave_one(&self, side: usize) {
        match side {
            0 => self.first.behave(),
            1 => self.second.behave(),
            2 => self.slack.behave(),
            _ => self.safe.behave(),
        }
    }

    /// All messages at all far sides.
    pub(crate) fn told(&self, service: &Service) -> Vec<Told> {
        let mut told = Vec::new();
        for (sink, side) in [("first", &self.first), ("second", &self.second)] {
            for mail in side.received() {
                let (key, kind) = (mail.header("Message-ID"), mail.header("X-Linedown-Kind"));
                let text = mail.text().unwrap_or_default();
                spread(&mut told, sink, key.as_deref(), kind.as_deref(), &text, mail.taken);
                if text.contains(MORE) {
                    let named = lines(&text);
                    let parts = parts(service, number(key.as_deref()));
                    for part in parts.iter().filter(|part| !named.contains(about(part).1)) {
                        spread(&mut told, sink, key.as_deref(), part["kind"].as_str(), &part.to_string(), mail.taken);
                    }
                }
            }
        }
        for (sink, side) in [("slack", &self.slack), ("safe", &self.safe)] {
            for post in side.posts() {
                spread(&mut told, sink, None, None, &post.body.to_string(), post.status == Some(200));
            }
        }
        for line in service.told() {
            let text = |key: &str| line[key].as_str().map(str::to_owned);
            let (key, kind) = (text("key"), text("kind"));
            match line["items"].as_array() {
                None => spread(&mut told, "console", key.as_deref(), kind.as_deref(), &line.to_string(), true),
                Some(items) => {
                    // The line had no room for the others.
                    let others = if line["more"] == 0 { Vec::new() } else { others(service, &line, items) };
                    for item in items.iter().chain(&others) {
                        let kind = item["kind"].as_str();
                        spread(&mut told, "console", key.as_deref(), kind, &item.to_string(), true);
                    }
                }
            }
        }
        told
    }
}

/// What went out in a message besides these items, by the store.
fn others(service: &Service, message: &Value, items: &[Value]) -> Vec<Value> {
    let is_shown = |part: &Value| items.iter().any(|item| item["notification"] == part["notification"]);
    let mut others = parts(service, message["notification"].as_i64());
    others.retain(|part| !is_shown(part));
    assert_eq!(message["more"], others.len(), "the store knows what the line had no room for");
    others
}

/// The parts of the message whose first notification has this number, by the store.
fn parts(service: &Service, message: Option<i64>) -> Vec<Value> {
    let store = Connection::open_with_flags(service.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it opens");
    store.busy_timeout(DEADLINE).expect("it can wait");
    let parts = "SELECT notification.id, kind, instance, told_closed FROM notification \
                 JOIN incident ON incident.id = incident WHERE batch = ?";
    let mut parts = store.prepare(parts).expect("the tables are known");
    let part = |row: &Row<'_>| {
        let (id, kind, instance): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let mut item = json!({ "notification": id, "kind": kind, "instance": instance });
        if row.get::<_, Option<bool>>(3)? == Some(true) {
            item["closed_at"] = "by then".into();
        }
        Ok(item)
    };
    let parts = parts.query_map([message], part).expect("it reads");
    parts.collect::<Result<_, _>>().expect("it reads")
}

/// The number with which a Message-ID begins.
fn number(key: Option<&str>) -> Option<i64> {
    key?.trim_start_matches('<').split('.').next()?.parse().ok()
}

/// The lines that a text names.
pub(crate) fn lines(text: &str) -> BTreeSet<&str> {
    INSTANCE.find_iter(text).map(|found| found.as_str()).collect()
}

/// Adds a message once for each line that it names.
fn spread(told: &mut Vec<Told>, sink: &'static str, key: Option<&str>, kind: Option<&str>, text: &str, taken: bool) {
    let instances = lines(text);
    assert!(!instances.is_empty(), "{sink} was told of no line: {text}");
    for instance in instances {
        let [key, kind] = [key, kind].map(|text| text.map(str::to_owned));
        told.push(Told { sink, instance: instance.to_owned(), key, kind, text: text.to_owned(), taken });
    }
}

/// The sink and the line of a row that a command lists.
pub(crate) fn about(row: &Value) -> (&str, &str) {
    (row["sink"].as_str().unwrap_or_default(), row["instance"].as_str().unwrap_or_default())
}
