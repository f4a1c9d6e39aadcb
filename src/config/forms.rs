//! Values that can be written in one of several forms: a secret, and `tls`. If a later layer uses another form, it
//! replaces the whole value; merging the two would give a value in two forms at once.

use std::collections::BTreeMap;

use config::{Map, Value as Merged, ValueKind};
use linedown_sinks::Key;

use super::pieces::INVENTORY;

/// For each sort of such values, the keys of each form.
const FORMS: [&[&[&str]]; 2] = [&[&["file"], &["env"], &["credential"]], &[&["certificate", "key"], &["acme"]]];

/// The keys that stronger layers have overruled, by table. Layers are visited from the strongest to the weakest.
#[derive(Default)]
pub(super) struct Forms(BTreeMap<Vec<Key>, Vec<&'static str>>);

impl Forms {
    /// Removes from a layer what stronger layers have in another form, and remembers the forms that this layer uses.
    pub(super) fn give_way(&mut self, layer: &mut Map<String, Merged>) {
        self.walk(layer, &mut Vec::new());
    }

    fn walk(&mut self, table: &mut Map<String, Merged>, path: &mut Vec<Key>) {
        if may_have_forms(path) {
            let weaker = self.0.entry(path.clone()).or_default();
            // Computed before the removal: what is overruled here still overrules the layers below.
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

/// Whether the value at a path may have several forms. In other tables users choose the keys: a sink or a label may be
/// called `file`.
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

/// The keys of the other forms, given which keys a value has.
pub(super) fn others(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let is_named = |form: &&&[&str]| form.iter().any(|key| has(key));
    let named = FORMS.into_iter().filter(|forms| forms.iter().any(|form| is_named(&form)));
    named.flat_map(|forms| forms.iter().filter(|form| !is_named(form))).flat_map(|form| form.iter().copied()).collect()
}
