//! A notification for this crate's unit tests and its contract tests (`tests/contract`).

use std::collections::BTreeMap;

use super::{Incident, Instance, Kind, Notification, Reason};

/// The line `Loja Centro` lost its session two minutes ago.
pub(crate) fn notification() -> Notification {
    let at = |text: &str| text.parse().expect("a time");
    let opened_at = at("2026-11-23T07:58:00Z");
    let instance = Instance {
        id: "39ECB202B157D11E37905AE607963117".into(),
        name: Some("Loja Centro".into()),
        phone: Some("5544999999999".into()),
        labels: BTreeMap::from([("owner".into(), "dono@acme.example".into())]),
    };
    let incident = Incident {
        id: 7,
        error: Some("You are not connected.".into()),
        ..Incident::of("z-api", instance, Reason::SessionExpired, opened_at)
    };
    Notification {
        id: 42,
        store: "q1w2e3".into(),
        rule: Some("gold customers".into()),
        created_at: opened_at,
        ..Notification::about(incident, Kind::Down, at("2026-11-23T08:00:00Z"))
    }
}
