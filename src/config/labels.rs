//! Checks that the names and labels which rules, quiet hours and sinks mention exist in the inventory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use linedown_sinks::{Path, Problem};

use super::reader::Reader;
use crate::rule::inventory::Inventory;
use crate::rule::matcher::Field;

/// The hint for an unknown label.
const LABELS: &str = "labels are set in [instances.ID.labels]";
/// The hint for an unknown name.
const NAMES: &str = "names are set in [instances.ID]";

/// Most values searched for the one that was probably meant.
const MOST_VALUES: usize = 1_000;

/// The labels of the inventory.
pub(super) struct Labels<'c> {
    inventory: &'c Inventory,
    keys: BTreeSet<&'c str>,
    /// The values of fields, computed when first needed: there may be a hundred thousand lines and a thousand rules.
    values: RefCell<BTreeMap<String, BTreeSet<&'c str>>>,
}

impl<'c> Labels<'c> {
    pub(super) fn of(inventory: &'c Inventory) -> Self {
        let keys = inventory.iter().flat_map(|entry| entry.labels()).map(|(key, _)| key).collect();
        Self { inventory, keys, values: RefCell::default() }
    }

    /// Warns of a label that no line has.
    pub(super) fn check(&self, key: &str, path: Path, reader: &mut Reader<'_>) {
        if !self.keys.contains(key) {
            let problem = Problem::warning(path, format!("no instance of the inventory has the label `{key}`"));
            let problem = problem.hint(LABELS).did_you_mean(key, self.keys.iter().copied());
            reader.note(problem.unless(key).unless("labels"));
        }
    }

    /// Warns of names and label values that no line has. A label that no line has is left to [`Self::check`]. The empty
    /// value stands for lines without the label.
    pub(super) fn check_values(&self, field: &Field, wanted: &BTreeSet<&str>, path: &Path, reader: &mut Reader<'_>) {
        let (which, standing, unless) = match field {
            Field::Name => ("the name".to_owned(), NAMES, "name"),
            Field::Label(key) if self.keys.contains(key.as_str()) => {
                (format!("the label `{key}` with the value"), LABELS, "labels")
            }
            _ => return,
        };
        let mut values = self.values.borrow_mut();
        let values = values.entry(field.to_string()).or_insert_with(|| self.values_of(field));
        for value in wanted.iter().filter(|value| !value.is_empty() && !values.contains(*value)) {
            let what = format!("no instance of the inventory has {which} `{value}`");
            let problem = Problem::warning(path.clone(), what).hint(standing);
            let problem = problem.did_you_mean(value, values.iter().copied().take(MOST_VALUES));
            reader.note(problem.unless(*value).unless(unless));
        }
    }

    fn values_of(&self, field: &Field) -> BTreeSet<&'c str> {
        match field {
            Field::Name => self.inventory.iter().filter_map(|entry| entry.name).collect(),
            Field::Label(key) => {
                let labels = self.inventory.iter().flat_map(|entry| entry.labels());
                labels.filter(|(known, _)| known == key).map(|(_, value)| value).collect()
            }
            _ => BTreeSet::new(),
        }
    }
}
