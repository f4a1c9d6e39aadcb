//! The gateway's webhooks, as it documents them.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// A line lost its connection just now.
pub(crate) fn down(instance: &str) -> Value {
    disconnected(instance, "Device has been disconnected", 0)
}

/// Makes a payload about a line, as of now.
pub(crate) type Payload = fn(&str) -> Value;

/// A line was probably blocked just now.
pub(crate) fn blocked(instance: &str) -> Value {
    disconnected(instance, "The number was disconnected by a possible whatsapp number blocking", 0)
}

/// A line lost its connection some seconds ago.
pub(crate) fn down_since(instance: &str, seconds: i64) -> Value {
    disconnected(instance, "Device has been disconnected", seconds)
}

/// A line reconnected just now.
pub(crate) fn up(instance: &str) -> Value {
    up_since(instance, 0)
}

/// A line reconnected some seconds ago.
pub(crate) fn up_since(instance: &str, seconds: i64) -> Value {
    json!({ "type": "ConnectedCallback", "connected": true, "instanceId": instance, "phone": "5544999999999",
            "momment": milliseconds_ago(seconds), "isBusiness": false })
}

fn disconnected(instance: &str, error: &str, seconds: i64) -> Value {
    json!({ "type": "DisconnectedCallback", "disconnected": true, "instanceId": instance, "phone": "5544999999999",
            "momment": milliseconds_ago(seconds), "error": error })
}

fn milliseconds_ago(seconds: i64) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a gateway has a clock of its own")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(now.as_millis()).expect("it is earlier than the year 292278994") - seconds * 1000
}

/// A body as a client that compresses sends it.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}
