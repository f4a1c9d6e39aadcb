//! The labels that the inventory's lines have, held against those that rules, quiet hours and sinks name.

use std::collections::BTreeSet;

use linedown_sinks::{Path, Problem};

use super::reader::{Reader, did_you_mean};
use crate::rule::inventory::Inventory;

const LABELS: &str = "labels stand in [instances.ID.labels]";

/// What labels there are.
pub(super) struct Labels<'c> {
    keys: BTreeSet<&'c str>,
}

impl<'c> Labels<'c> {
    pub(super) fn of(inventory: &'c Inventory) -> Self {
        Self { keys: inventory.iter().flat_map(|entry| entry.labels()).map(|(key, _)| key).collect() }
    }

    /// Warns of a label that no line has.
    pub(super) fn check(&self, key: &str, path: Path, reader: &mut Reader<'_>) {
        if !self.keys.contains(key) {
            let mut problem = Problem::warning(path, format!("no instance of the inventory has the label `{key}`"));
            let near = did_you_mean(key, self.keys.iter().copied());
            problem.hint = near.or_else(|| Some(LABELS.into()));
            reader.note(problem.unless(key));
        }
    }
}
