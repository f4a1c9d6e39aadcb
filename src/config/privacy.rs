//! Warns where other users of the machine can read a secret.

use std::os::unix::fs::PermissionsExt;

use linedown_sinks::{Path, Problem};
use serde_json::Value;
use toml::de::DeTable;

use super::layers::Layers;

/// How the names of keys end that hold a secret, wherever a kind of sink or source has them.
const SECRET_KEYS: [&str; 5] = ["password", "secret", "token", "webhook_url", "key"];

/// Tables in which secrets stand.
const TABLES: [&str; 3] = ["sources", "sinks", "instances"];

/// A warning for each file that others can read and that holds a secret: the config's own and those it names.
pub(super) fn warnings(layers: &Layers) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in layers.files.iter().filter(|file| file.public) {
        problems.extend(file.pieces.iter().find_map(|piece| plain_secret(&piece.text(&file.text))).map(|path| {
            let what = format!("a secret stands here, and every user of this machine can read {}", file.name);
            let hint = format!("chmod o-r {}; or write `{{ credential = … }}` or `{{ file = … }}`", file.name);
            Problem::warning(path, what).hint(hint)
        }));
    }
    for table in TABLES {
        each_place(layers.tables.get(table), &mut Path(vec![table.into()]), &mut |path, kind, place| {
            if kind == "file" && is_public(place) {
                let what = format!("the secret in {place} can be read by every user of this machine");
                problems.push(Problem::warning(path.join("file"), what).hint(format!("chmod o-r {place}")));
            }
        });
    }
    problems
}

/// Whether some secret is a systemd credential.
pub(super) fn names_credentials(tables: &Value) -> bool {
    let mut found = false;
    each_place(Some(tables), &mut Path::default(), &mut |_, kind, _| found |= kind == "credential");
    found
}

pub(super) fn is_public(file: impl AsRef<std::path::Path>) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// The place of the first secret that is written out in a file.
fn plain_secret(text: &str) -> Option<Path> {
    let (root, _) = DeTable::parse_recoverable(text);
    TABLES.into_iter().find_map(|name| {
        root.get_ref().get(name)?.get_ref().as_table()?.iter().find_map(|(member, value)| {
            let secret = value.get_ref().as_table()?.iter().find(|(key, value)| {
                value.get_ref().is_str() && SECRET_KEYS.iter().any(|secret| key.get_ref().ends_with(secret))
            });
            secret.map(|(key, _)| {
                Path(vec![name.into(), member.get_ref().as_ref().into(), key.get_ref().as_ref().into()])
            })
        })
    })
}

/// Calls back for every table that says where a secret is: `{ file = … }`, `{ credential = … }`.
fn each_place(value: Option<&Value>, path: &mut Path, found: &mut impl FnMut(&Path, &str, &str)) {
    match value {
        Some(Value::Object(table)) => {
            if let (1, Some((kind, Value::String(place)))) = (table.len(), table.iter().next()) {
                found(path, kind, place);
            }
            for (key, value) in table {
                path.0.push(key.as_str().into());
                each_place(Some(value), path, found);
                path.0.pop();
            }
        }
        Some(Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                path.0.push(index.into());
                each_place(Some(value), path, found);
                path.0.pop();
            }
        }
        _ => {}
    }
}
