//! The log in journald's native form: records with fields to filter by, a priority, and an id for each important
//! message.
//!
//! `MESSAGE=` is the record as people read it. Every field is also stored by itself, in capitals (`SINK=`,
//! `INSTANCE=`); the store's numbers become `INCIDENT_ID=`, `NOTIFICATION_ID=` and `EVENT_ID=`. A record with a `name`
//! also has that name's `MESSAGE_ID=`, which `packaging/linedown.catalog` explains (systemd.journal-fields(7),
//! `journalctl -x`).

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};

/// Names of records and their message ids. They must never change: people filter by them.
const MESSAGES: [(&str, &str); 25] = [
    ("started", "88baa46360c64a4b8d8ba94e82e34250"),
    ("stopped", "6fd8973c815a457ebc0782444e3ad9a9"),
    ("reloaded", "346642febcc347f8a56380d6face6576"),
    ("not-reloaded", "a29a4d5ad8454f9b9b31e84d53936743"),
    ("not-ready", "5dc9e974d3ff4dbda56c95b45a7a6dd1"),
    ("ready-again", "270c9878f4364939b81a3a73e56e74e5"),
    ("certificate-issued", "89f74888403a41b7a263eae1d9c46e89"),
    ("certificate-not-issued", "adc9af8e87d542748870c90fd5ffe508"),
    ("certificate-renewed", "688e60cfe4a742b2aac25eff99f27a14"),
    ("certificate-not-renewed", "e56007f07f534a1293d5366b6a4035b8"),
    ("webhook-accepted", "59f5e5dbcef1413882bf007912115638"),
    ("found", "6e1f3c5a4b7d4e0f9a2c8d5b1e6f7a30"),
    ("own-trouble", "3c0e8cd0944b48be9a737382eaca3c97"),
    ("own-trouble-over", "69a21883858941678be1a53c36b00496"),
    ("webhook-refused", "ae2ec13d799e46c3b5ae576105fd2f63"),
    ("wrong-address", "22bcf5ee68344a18aebf2d0804dde6ff"),
    ("no-proxy-header", "f6f8025fe3944aa6a695dad0f9378ef2"),
    ("unrouted", "99b923d5fb6c4da48f1d578e00927a03"),
    ("delivered", "e238d1becfb84faab56ee6008fac76c8"),
    ("put-off", "3bc59c3e49794f0491386919ebb4407c"),
    ("given-up", "8ce2668893114a56a16929330c6d1d48"),
    ("sink-failing", "a9147961c44c469c81f240081a969df8"),
    ("sink-back", "4df1ca2e4e604e4f9a7536b6be1e8d55"),
    ("acknowledged", "8cad54b8d8904ed5860bb3c910dbbdd6"),
    ("log-dropped", "d0b7f5a94c0e4f6d8a3b1c2e5f607182"),
];

/// A layer that writes every record as one entry, in the form that [`Entries`] takes.
pub(crate) struct Journal<W>(pub(crate) W);

/// A writer that sends entries to journald. Each `write` is one entry.
pub(crate) struct Entries;

/// Separates the fields of an entry within one write.
const END: char = '\0';

/// Whether standard error is connected to journald: systemd names its device and inode in `JOURNAL_STREAM`
/// (systemd.exec(5)).
pub(crate) fn has_stderr() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(file) = rustix::fs::fstat(rustix::stdio::stderr()) else { return false };
    stream == format!("{}:{}", file.st_dev, file.st_ino)
}

impl<S, W> Layer<S> for Journal<W>
where
    S: Subscriber,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // A log that cannot be written has nowhere to report that.
        let _ = self.0.make_writer().write_all(joined(&entry(event)).as_bytes());
    }
}

fn joined(entry: &[String]) -> String {
    let fields: Vec<String> = entry.iter().map(|field| field.replace(END, "\u{fffd}")).collect();
    fields.join(&END.to_string())
}

impl io::Write for Entries {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        systemd::journal::send(&text.split(END).collect::<Vec<_>>())?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A record as journald's `FIELD=value` pairs.
fn entry(event: &Event<'_>) -> Vec<String> {
    let mut record = Record::default();
    event.record(&mut record);
    let metadata = event.metadata();
    let mut entry = record.fields;
    entry.push(format!("PRIORITY={}", priority(*metadata.level())));
    entry.push(format!("MESSAGE={}{}", record.message, record.rest));
    entry.push(format!("CODE_MODULE={}", metadata.target()));
    let id = MESSAGES.iter().find(|(name, _)| *name == metadata.name());
    entry.extend(id.map(|(_, id)| format!("MESSAGE_ID={id}")));
    entry
}

/// The priority by syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// A record's message and fields, as its visitor collects them.
#[derive(Default)]
struct Record {
    message: String,
    /// All fields, as they follow the message.
    rest: String,
    fields: Vec<String>,
}

impl Record {
    fn field(&mut self, field: &Field, value: &str, shown: fmt::Arguments<'_>) {
        let _ = write!(self.rest, " {}={shown}", field.name());
        self.fields.push(format!("{}={value}", name(field.name())));
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.field(field, value, format_args!("{value:?}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.message = value;
        } else {
            self.field(field, &value, format_args!("{value}"));
        }
    }
}

/// A field's name by journald's rules: capitals, digits and underscores. The store's numbers end in `_ID`.
fn name(field: &str) -> String {
    match field {
        "incident" | "notification" | "event" => format!("{}_ID", field.to_ascii_uppercase()),
        _ => field.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::prelude::*;

    use super::*;

    /// Keeps entries in memory instead of sending them.
    struct Kept(Arc<Mutex<Vec<Vec<String>>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(entry(event));
        }
    }

    fn entries(log: impl FnOnce()) -> Vec<Vec<String>> {
        let kept = Arc::new(Mutex::default());
        let subscriber = tracing_subscriber::registry().with(Kept(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, log);
        std::mem::take(&mut *kept.lock().unwrap())
    }

    #[test]
    fn a_record_can_be_found_by_its_fields() {
        let entries = entries(|| {
            tracing::warn!(name: "put-off", sink = "ops", incident = 7, due_at = %"then", why = "no\nanswer", "not delivered");
        });
        let expected = [
            "SINK=ops",
            "INCIDENT_ID=7",
            "DUE_AT=then",
            "WHY=no\nanswer",
            "PRIORITY=4",
            "MESSAGE=not delivered sink=\"ops\" incident=7 due_at=then why=\"no\\nanswer\"",
            "CODE_MODULE=linedown::journal::tests",
            "MESSAGE_ID=3bc59c3e49794f0491386919ebb4407c",
        ];
        assert_eq!(entries, [expected.map(str::to_owned)]);
    }

    #[test]
    fn information_is_information() {
        let entries = entries(|| {
            tracing::error!("a");
            tracing::info!("b");
            tracing::debug!("c");
        });
        let priorities = entries.iter().flatten().filter(|field| field.starts_with("PRIORITY="));
        assert_eq!(priorities.collect::<Vec<_>>(), ["PRIORITY=3", "PRIORITY=6", "PRIORITY=7"]);
    }
}
