//! The line that a message is about.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::texts::is_visible;

/// One line at a source, with what the inventory says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// The gateway's identifier.
    pub id: String,
    /// The inventory's name for it.
    pub name: Option<String>,
    /// The phone number: digits, as the gateway sent them. Show it only through [`Instance::masked_phone`].
    #[serde(skip)]
    pub phone: Option<String>,
    /// The inventory's labels.
    pub labels: BTreeMap<String, String>,
}

impl Instance {
    /// A line of which nothing but its identifier is known.
    pub fn of(id: impl Into<String>) -> Self {
        Self { id: id.into(), name: None, phone: None, labels: BTreeMap::new() }
    }

    /// What to call the line: its name if it has something visible, otherwise its identifier.
    pub fn title(&self) -> &str {
        self.name.as_deref().filter(|name| is_visible(name)).unwrap_or(&self.id)
    }

    /// The phone number with all but its first four and last four digits hidden: `5544*****9999`. A number of fewer
    /// than ten digits shows at most its last two.
    pub fn masked_phone(&self) -> Option<String> {
        self.phone.as_deref().map(mask)
    }
}

/// Hides the middle of a phone number.
fn mask(phone: &str) -> String {
    let digits = phone.chars().count();
    let (head, tail) = if digits >= 10 { (4, 4) } else { (0, 2.min(digits / 2)) };
    let shown = |index: usize| index < head || index >= digits - tail;
    phone.chars().enumerate().map(|(index, digit)| if shown(index) { digit } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_masked() {
        assert_eq!(mask("5544999999999"), "5544*****9999");
        assert_eq!(mask("12345"), "***45");
        assert_eq!(mask("1"), "*");
        assert_eq!(mask(""), "");
    }
}
