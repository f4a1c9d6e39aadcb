//! What is written in one of several forms: a secret, and `tls`. A later layer that has it in another form replaces it
//! whole; merged, it would be in two forms at once.

use std::collections::BTreeMap;

use config::{Map, Value as Merged, ValueKind};
use linedown_sinks::Key;

use super::pieces::INVENTORY;

/// The keys of each form, by what has such forms.
const FORMS: [&[&[&str]]; 2] = [&[&["file"], &["env"], &["credential"]], &[&["certificate", "key"], &["acme"]]];

/// What gives way in weaker layers, while layers are looked at from strong to weak.
#[derive(Default)]
pub(super) struct Forms(BTreeMap<Vec<Key>, Vec<&'static str>>);

impl Forms {
    /// Takes out of a layer what stronger ones have in another form, and notes in which it has what.
    pub(super) fn give_way(&mut self, layer: &mut Map<String, Merged>) {
        self.walk(layer, &mut Vec::new());
    }

    fn walk(&mut self, table: &mut Map<String, Merged>, path: &mut Vec<Key>) {
        if may_have_forms(path) {
            let weaker = self.0.entry(path.clone()).or_default();
            // Also what gives way itself has replaced what is below it.
            let more = others(|key| table.contains_key(key));
            table.retain(|key, _| !weaker.contains(&key.as_str()));
            weaker.extend(more);
        }
        for (key, value) in table {
            if let ValueKind::Table(below) = &mut value.kind {
                path.push(key.as_str().into());
                self.walk(below, path);
                path.pop();
            }
        }
    }
}

/// Whether the value of a key may be in one of several forms. Elsewhere users choose the keys: a sink may be called
/// `file`, and so may a label.
pub(super) fn may_have_forms(path: &[Key]) -> bool {
    let name = |depth: usize| match path.get(depth) {
        Some(Key::Name(name)) => name.as_str(),
        _ => "",
    };
    match (name(0), path.len()) {
        (INVENTORY, 3) => name(2) != "labels",
        ("sinks" | "sources", 3..) | ("heartbeat", 2) => true,
        ("server", _) => name(1) == "tls",
        _ => false,
    }
}

/// The keys of the other forms than those in which something is.
pub(super) fn others(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let is_named = |form: &&&[&str]| form.iter().any(|key| has(key));
    let named = FORMS.into_iter().filter(|forms| forms.iter().any(|form| is_named(&form)));
    named.flat_map(|forms| forms.iter().filter(|form| !is_named(form))).flat_map(|form| form.iter().copied()).collect()
}
