//! Values from environment variables: always text, even where the config wants a number, a boolean, a list or a table.

use std::collections::BTreeSet;

use serde_json::Value;

use super::path::{Key, Path};
use super::place::find;

/// The values of one section that came from environment variables, by their keys below it.
pub(super) struct Textual<'e> {
    places: Vec<&'e [Key]>,
    /// The original texts of values that were read as lists or tables.
    taken: Vec<(&'e [Key], String)>,
}

impl<'e> Textual<'e> {
    /// Replaces each text that is written as a list or a table, in JSON or TOML, with that list or table. Where a key
    /// takes both text and a table, such text means the table.
    pub(super) fn take(places: &'e BTreeSet<Path>, section: &Path, value: &mut Value) -> Self {
        let below = places.range(section..).map_while(|path| path.0.strip_prefix(&*section.0));
        let mut textual = Self { places: below.collect(), taken: Vec::new() };
        for place in &textual.places {
            let Some(found) = find(value, place) else { continue };
            let read = found.as_str().and_then(written).filter(|read| read.is_array() || read.is_object());
            if let Some(read) = read
                && let Value::String(text) = std::mem::replace(found, read)
            {
                textual.taken.push((place, text));
            }
        }
        textual
    }

    /// Mends a value whose type is wrong only because variables are text: reads it as a number or a boolean, or puts
    /// back a text that was read as a list or a table. Returns whether it mended something; `what` is serde's message.
    pub(super) fn mend(&mut self, value: &mut Value, place: &Path, what: &str) -> bool {
        let place = place.0.as_slice();
        let mended = if what.starts_with("invalid type: string") && self.places.contains(&place) {
            find(value, place)
                .and_then(|found| written(found.as_str()?))
                .filter(|read| read.is_number() || read.is_boolean())
        } else if what.starts_with("invalid type: sequence") || what.starts_with("invalid type: map") {
            let taken = self.taken.iter().position(|(taken, _)| *taken == place);
            taken.map(|index| Value::String(self.taken.swap_remove(index).1))
        } else {
            None
        };
        match (mended, find(value, place)) {
            (Some(mended), Some(found)) => {
                *found = mended;
                true
            }
            _ => false,
        }
    }
}

/// The value of a variable's text that is written in JSON, or as a list or a table in TOML.
pub fn written(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim()).ok().or_else(|| of_toml(text.trim()))
}

/// A list or an inline table as it is written after a key in TOML.
fn of_toml(text: &str) -> Option<Value> {
    if !text.starts_with(['[', '{']) {
        return None;
    }
    let mut table: toml::Table = format!("value = {text}").parse().ok()?;
    let value = table.remove("value").filter(|_| table.is_empty())?;
    serde_json::to_value(value).ok()
}
