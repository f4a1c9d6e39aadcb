//! Values by their places in a section.

use serde_json::Value;

use super::path::{Key, Path};

/// The place at which serde met a mistake.
pub(super) fn steps(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment;
    Path(
        path.iter()
            .filter_map(|segment| match segment {
                Segment::Seq { index } => Some(Key::Index(*index)),
                Segment::Map { key } => Some(Key::Name(key.clone())),
                Segment::Enum { variant } => Some(Key::Name(variant.clone())),
                Segment::Unknown => None,
            })
            .collect(),
    )
}

/// The value at a place, if there is one.
pub(super) fn find<'v>(value: &'v mut Value, keys: &[Key]) -> Option<&'v mut Value> {
    keys.iter().try_fold(value, |value, key| match key {
        Key::Name(name) => value.get_mut(name),
        Key::Index(index) => value.get_mut(index),
    })
}

/// Removes a value from its table and tells whether there was one. For an element of a list, removes the whole list,
/// since the places of the other elements would move.
pub(super) fn take_out(value: &mut Value, keys: &[Key]) -> bool {
    match keys {
        [] => false,
        [parents @ .., Key::Index(_)] => take_out(value, parents),
        [parents @ .., Key::Name(name)] => {
            let table = find(value, parents).and_then(Value::as_object_mut);
            table.is_some_and(|table| table.remove(name).is_some()) || take_out(value, parents)
        }
    }
}
