//! Many short lists of texts in one block of memory. A hundred thousand separate lists would take several times as much
//! memory, and the gaps that they leave when dropped are not returned to the system.

use std::fmt::Write;

/// From this size in bytes on, glibc always maps an allocation by itself, whatever was freed before
/// (`DEFAULT_MMAP_THRESHOLD_MAX`, mallopt(3)). Such a mapping is returned to the system when it is dropped, and the
/// part that is never written takes no memory.
const MAPPED: usize = 32 * 1024 * 1024;

/// From this size in bytes on, an allocation is rounded up to get a mapping of its own.
const LARGE: usize = 64 * 1024;

/// How many bytes to reserve for this many, so that a large allocation is returned to the system when it is dropped.
pub(crate) fn room(bytes: usize) -> usize {
    if bytes < LARGE { bytes } else { bytes.max(MAPPED) }
}

/// Lists of texts, in the order they were pushed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    /// All texts, one after the other, each preceded by its length in bytes and a colon.
    text: String,
    /// Where each list ends in `text`.
    ends: Vec<usize>,
}

impl Packed {
    /// Adds a list.
    pub(crate) fn push<'t>(&mut self, list: impl IntoIterator<Item = &'t str>) {
        for text in list {
            self.make_room(text.len() + 32);
            let _infallible = write!(self.text, "{}:{text}", text.len());
        }
        self.ends.push(self.text.len());
    }

    fn make_room(&mut self, bytes: usize) {
        if self.text.capacity() - self.text.len() < bytes {
            self.text.reserve(room(self.text.len() + bytes));
        }
    }

    /// Appends all lists of `other`.
    pub(crate) fn append(&mut self, other: &Self) {
        (0..other.len()).for_each(|number| self.push(other.get(number)));
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The texts of the list with this number, counted from 0; none if there is no such list.
    pub(crate) fn get(&self, number: usize) -> impl Iterator<Item = &str> {
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let mut rest = self.ends.get(number).map_or("", |end| &self.text[start..*end]);
        std::iter::from_fn(move || {
            let (length, texts) = rest.split_once(':')?;
            let (text, more) = texts.split_at_checked(length.parse().ok()?)?;
            rest = more;
            Some(text)
        })
    }

    /// The first text of the list with this number; empty if there is none.
    pub(crate) fn first(&self, number: usize) -> &str {
        self.get(number).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_as_they_were_pushed() {
        let mut packed = Packed::default();
        assert!(packed.is_empty());
        packed.push(["A", "", "São Paulo", "1:2"]);
        packed.push([]);
        packed.push(["B"]);
        let mut twice = packed.clone();
        twice.append(&packed);
        let lists: Vec<Vec<&str>> = (0..7).map(|number| twice.get(number).collect()).collect();
        let (a, b) = (vec!["A", "", "São Paulo", "1:2"], vec!["B"]);
        assert_eq!(lists, [a.clone(), vec![], b.clone(), a, vec![], b, vec![]]);
        assert_eq!((twice.len(), twice.first(0), twice.first(1)), (6, "A", ""));
    }

    #[test]
    fn only_much_gets_a_mapping() {
        let mut packed = Packed::default();
        packed.push(["x"; 10]);
        assert!(packed.text.capacity() < LARGE);
        for _ in 0..LARGE {
            packed.push(["x"]);
        }
        let reserved = packed.text.capacity();
        assert!(reserved >= MAPPED);
        packed.push([&*"x".repeat(2 * MAPPED)]);
        assert!(packed.text.capacity() > reserved && packed.first(LARGE + 1).len() == 2 * MAPPED);
    }
}
