//! What the layers of the config say about each instance, before it is checked. It is kept as text: a tree of a hundred
//! thousand instances would take many times the memory.

use linedown_sinks::Path;
use serde_json::Value;

use super::forms::{may_have_forms, others};
use super::pieces::INVENTORY;
use crate::packed::Packed;

/// The content of `[instances]`.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// For each mention of an instance its identifier and its value, as JSON. An instance in several layers has
    /// several, the weakest layer's first.
    said: Packed,
    /// The value of `instances` if it is not a table.
    other: Option<Value>,
}

impl Instances {
    /// Adds a mention of an instance in the present layer.
    pub(super) fn push(&mut self, id: &str, value: &Value) {
        self.said.push([id, &value.to_string()]);
    }

    /// Sets the value of `instances` if it is not a table.
    pub(super) fn replace(&mut self, other: Value) {
        *self = Self { other: Some(other), ..Self::default() };
    }

    pub(super) fn other(&self) -> Option<&Value> {
        self.other.as_ref()
    }

    /// Adds a stronger layer, as the `config` crate does with tables.
    pub(super) fn lay_over(&mut self, above: Self) {
        if above.other.is_some() || self.other.is_some() || self.said.is_empty() {
            *self = above;
        } else {
            self.said.append(&above.said);
        }
    }

    /// The numbers of all mentions, sorted by identifier, those of one instance from the weakest layer to the
    /// strongest.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.said.len()).collect();
        order.sort_by_key(|number| self.said.first(*number));
        order
    }

    /// Whether an instance is mentioned twice.
    pub(super) fn has_duplicates(&self) -> bool {
        self.order().windows(2).any(|pair| self.id(pair[0]) == self.id(pair[1]))
    }

    /// The identifier of the instance in this mention.
    pub(super) fn id(&self, number: usize) -> &str {
        self.said.first(number)
    }

    /// Merges the mentions with these numbers.
    pub(super) fn value(&self, numbers: &[usize]) -> Value {
        let said = numbers.iter().filter_map(|number| self.said.get(*number).nth(1));
        said.filter_map(|text| serde_json::from_str(text).ok())
            .reduce(|below, above| lay_over(&Path(vec![INVENTORY.into(), "".into()]), below, above))
            .unwrap_or_default()
    }

    /// Merges all mentions of an instance.
    pub(super) fn get(&self, id: &str) -> Option<Value> {
        let numbers: Vec<usize> = (0..self.said.len()).filter(|number| self.id(*number) == id).collect();
        (!numbers.is_empty()).then(|| self.value(&numbers))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        (0..self.said.len()).map(|number| self.id(number))
    }
}

impl From<Value> for Instances {
    fn from(value: Value) -> Self {
        let mut instances = Self::default();
        match value {
            Value::Object(table) => table.iter().for_each(|(id, value)| instances.push(id, value)),
            other => instances.other = Some(other),
        }
        instances
    }
}

fn lay_over(path: &Path, below: Value, above: Value) -> Value {
    match (below, above) {
        (Value::Object(mut below), Value::Object(above)) => {
            if may_have_forms(&path.0) {
                for key in others(|key| above.contains_key(key)) {
                    below.remove(key);
                }
            }
            for (key, value) in above {
                let value = match below.get_mut(&key) {
                    Some(known) => lay_over(&path.join(key.as_str()), known.take(), value),
                    None => value,
                };
                below.insert(key, value);
            }
            below.into()
        }
        (_, above) => above,
    }
}
