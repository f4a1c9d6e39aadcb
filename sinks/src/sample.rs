//! A notification for tests, both of this crate's inside and of its outside (`tests/contract`).

use std::collections::BTreeMap;

use super::{Incident, Instance, Kind, Notification, Reason};

/// The line of the shop in the centre lost its session two minutes ago.
pub(crate) fn notification() -> Notification {
    let at = |text: &str| text.parse().expect("a time");
    Notification {
        id: 42,
        store: "q1w2e3".into(),
        kind: Kind::Down,
        recipient: String::new(),
        rule: Some("gold customers".into()),
        attempt: 1,
        created_at: at("2026-11-23T07:58:00Z"),
        at: at("2026-11-23T08:00:00Z"),
        last_failure: None,
        incident: Incident {
            id: 7,
            source: "z-api".into(),
            instance: Instance {
                id: "39ECB202B157D11E37905AE607963117".into(),
                name: Some("Loja Centro".into()),
                phone: Some("5544999999999".into()),
                labels: BTreeMap::from([("owner".into(), "dono@acme.example".into())]),
            },
            reason: Reason::SessionExpired,
            error: Some("You are not connected.".into()),
            opened_at: at("2026-11-23T07:58:00Z"),
            closed_at: None,
            acknowledged: None,
            found: false,
        },
        undelivered: None,
        items: Vec::new(),
        flapping: None,
        acknowledge_url: None,
        reconnect_url: None,
        standing: None,
    }
}
