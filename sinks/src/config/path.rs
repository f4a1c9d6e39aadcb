//! The place of a value in the config.

use std::fmt;

/// The place of a value in the config, shown as `sinks.ops-email.to[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Key>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A key of a table.
    Name(String),
    /// An element of an array, from 0.
    Index(usize),
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<usize> for Key {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl Path {
    /// The place of a key or an element directly below this one.
    #[must_use]
    pub fn join(&self, key: impl Into<Key>) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.into());
        Self(keys)
    }

    /// The place `rest` below this one.
    #[must_use]
    pub fn extend(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, key) in self.0.iter().enumerate() {
            match key {
                Key::Index(index) => write!(f, "[{index}]")?,
                Key::Name(name) => {
                    let dot = if position == 0 { "" } else { "." };
                    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
                    if bare && !name.is_empty() { write!(f, "{dot}{name}")? } else { write!(f, "{dot}{name:?}")? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_they_are_written() {
        let path = Path(vec!["instances".into(), "a.b".into(), "to".into(), 1.into()]);
        assert_eq!(path.to_string(), r#"instances."a.b".to[1]"#);
    }
}
