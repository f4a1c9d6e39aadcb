//! What the config says of the lines, stored compactly: there may be a hundred thousand of them.

use std::collections::BTreeMap;

use crate::packed::Packed;

/// The lines that have a name or labels, by identifier.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// For each line its identifier, name and source, and the keys and values of its labels; ordered by identifier.
    lines: Packed,
    /// For each line, whether its gateway can be asked about it.
    asked: Vec<bool>,
}

/// What the inventory says of one line.
pub struct Entry<'i> {
    /// The line's identifier.
    pub id: &'i str,
    /// Its name, for people.
    pub name: Option<&'i str>,
    /// The source it belongs to; `None` if it may be of any.
    pub source: Option<&'i str>,
    /// Whether its gateway can be asked about it.
    pub is_asked: bool,
    inventory: &'i Inventory,
    number: usize,
}

impl Inventory {
    /// Adds a line, of one source or of any. Lines must be added in the order of their identifiers. An empty name means
    /// none.
    pub fn push(&mut self, id: &str, name: Option<&str>, source: Option<&str>, labels: &BTreeMap<String, String>) {
        debug_assert!(self.asked.is_empty() || self.lines.first(self.asked.len() - 1) < id, "{id} is out of order");
        let labels = labels.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        self.lines.push([id, name.unwrap_or_default(), source.unwrap_or_default()].into_iter().chain(labels));
        self.asked.push(false);
    }

    /// Notes that a line's gateway can be asked about it.
    pub fn ask(&mut self, id: &str) {
        if let Some(number) = self.number(id) {
            self.asked[number] = true;
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// What is known of a source's line.
    pub fn get(&self, source: &str, id: &str) -> Option<Entry<'_>> {
        self.number(id).map(|number| self.entry(number)).filter(|entry| entry.source.is_none_or(|of| of == source))
    }

    /// Whether it has a source's line.
    pub fn contains(&self, source: &str, id: &str) -> bool {
        self.get(source, id).is_some()
    }

    /// All lines, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).map(|number| self.entry(number))
    }

    fn entry(&self, number: usize) -> Entry<'_> {
        let mut texts = self.lines.get(number);
        let id = texts.next().unwrap_or_default();
        let mut text = || texts.next().filter(|text| !text.is_empty());
        let (name, source) = (text(), text());
        Entry { id, name, source, is_asked: self.asked[number], inventory: self, number }
    }

    fn number(&self, id: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.lines.first(middle).cmp(id) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

impl<'i> Entry<'i> {
    /// Its labels, for rules and templates.
    pub fn labels(&self) -> impl Iterator<Item = (&'i str, &'i str)> + use<'i> {
        let mut texts = self.inventory.lines.get(self.number).skip(3);
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_found_with_what_is_known_of_it() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut inventory = Inventory::default();
        inventory.push("A", Some("Loja"), None, &labels(&[("city", ""), ("tier", "gold")]));
        inventory.push("AB", None, Some("z2"), &labels(&[]));
        inventory.push("a", Some(""), Some("z2"), &labels(&[("tier", "silver")]));
        inventory.ask("AB");
        inventory.ask("of no line");
        let known = |id: &str| {
            let entry = inventory.get("z2", id)?;
            assert_eq!(entry.id, id);
            Some((entry.name, entry.is_asked, entry.labels().collect::<Vec<_>>()))
        };
        assert_eq!(known("A"), Some((Some("Loja"), false, vec![("city", ""), ("tier", "gold")])));
        assert_eq!(known("AB"), Some((None, true, vec![])));
        assert_eq!(known("a"), Some((None, false, vec![("tier", "silver")])));
        assert!([known(""), known("AA"), known("B"), known("b")].iter().all(Option::is_none));
        assert_eq!(
            ["A", "AB", "a"].map(|id| inventory.contains("z-api", id)),
            [true, false, false],
            "those of another"
        );
        assert_eq!(inventory.iter().map(|entry| entry.id).collect::<Vec<_>>(), ["A", "AB", "a"]);
        assert!(inventory.len() == 3 && !inventory.is_empty());
    }
}
