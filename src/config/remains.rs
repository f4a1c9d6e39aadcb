//! What remains of a file with mistakes in its syntax: the file without the expressions that have them. An expression
//! is a table's header or a key with its value. Without its header, the keys of a table would count as those of the
//! table before it, so they are lost with it.

use std::borrow::Cow;
use std::ops::Range;

use super::file::APPENDED;
use super::pieces::{Expression, expressions};

/// The expressions of a file, and which of them are lost.
pub(super) struct Remains<'t> {
    text: &'t str,
    parts: Vec<Part>,
}

/// An expression, up to the beginning of the next.
struct Part {
    start: usize,
    sort: Sort,
    /// The appended list that it is about.
    list: Option<&'static str>,
    is_lost: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Comments before the first expression.
    Nothing,
    Key,
    Header,
    /// The header of a table in an element of an appended list, such as `[rules.match]`.
    Below,
}

impl Part {
    fn of(expression: &Expression<'_>, text: &str) -> Self {
        let Expression { at, brackets, keys: [first, second] } = *expression;
        let list = APPENDED.into_iter().find(|list| first == Some(*list));
        // A header may have lost its first bracket.
        let line = text[at..].lines().next().unwrap_or_default();
        let line = line.split('#').next().unwrap_or_default();
        let sort = match brackets {
            0 if line.trim_end().ends_with(']') && !line.contains('=') => Sort::Header,
            0 => Sort::Key,
            1 if list.is_some() && second.is_some() => Sort::Below,
            _ => Sort::Header,
        };
        Self { start: at, sort, list, is_lost: false }
    }
}

impl<'t> Remains<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let nothing = Part { start: 0, sort: Sort::Nothing, list: None, is_lost: false };
        let parts = std::iter::once(nothing).chain(expressions(text).map(|expression| Part::of(&expression, text)));
        Self { text, parts: parts.collect() }
    }

    /// Takes out the expression at an offset, and what belongs to it. Returns its range, or none if it was lost
    /// before.
    pub(super) fn take_out(&mut self, at: usize) -> Option<Range<usize>> {
        let number = self.number(at);
        if self.parts[number].is_lost {
            return None;
        }
        let end = self.end(number);
        for part in &mut self.parts[number..end] {
            part.is_lost = true;
        }
        Some(self.range(number))
    }

    /// Takes out an appended list altogether: if it is there in two forms, neither is right.
    pub(super) fn take_out_list(&mut self, list: &str) {
        let mut is_at_the_top = true;
        for number in 0..self.parts.len() {
            let Part { sort, list: about, .. } = self.parts[number];
            is_at_the_top &= matches!(sort, Sort::Nothing | Sort::Key);
            if about == Some(list) && (sort != Sort::Key || is_at_the_top) {
                let end = self.end(number);
                self.parts[number..end].iter_mut().for_each(|part| part.is_lost = true);
            }
        }
    }

    /// The text in which everything that is lost is blank, so that the rest keeps its place.
    pub(super) fn text(&self) -> String {
        let blank = |text: &str| text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect::<String>();
        let ranges = (0..self.parts.len()).map(|number| (self.parts[number].is_lost, &self.text[self.range(number)]));
        ranges.map(|(is_lost, text)| if is_lost { Cow::from(blank(text)) } else { Cow::from(text) }).collect()
    }

    /// The lost expressions and those at these offsets, each with the header that it is below.
    pub(super) fn lost(&self, more: &[usize]) -> String {
        let mut told: Vec<bool> = self.parts.iter().map(|part| part.is_lost).collect();
        for at in more {
            told[self.number(*at)] = true;
        }
        let mut header = None;
        let mut lost = String::new();
        for (number, part) in self.parts.iter().enumerate() {
            if matches!(part.sort, Sort::Header | Sort::Below) {
                header = Some(number);
            }
            if told[number] {
                let above = header.take_if(|header| *header < number).map(|header| self.range(header));
                lost.extend(above.map(|range| &self.text[range]));
                lost.push_str(&self.text[self.range(number)]);
            }
        }
        lost
    }

    fn number(&self, at: usize) -> usize {
        self.parts.partition_point(|part| part.start <= at).saturating_sub(1)
    }

    fn range(&self, number: usize) -> Range<usize> {
        self.parts[number].start..self.parts.get(number + 1).map_or(self.text.len(), |next| next.start)
    }

    /// The end of what is lost with an expression: a header's keys, and the tables in an element of an appended list.
    fn end(&self, number: usize) -> usize {
        let Part { sort, list, .. } = self.parts[number];
        let belongs = |part: &Part| part.sort == Sort::Key || (part.sort == Sort::Below && part.list == list);
        let after = &self.parts[number + 1..];
        match sort {
            Sort::Nothing | Sort::Key => number + 1,
            Sort::Below => number + 1 + after.iter().take_while(|part| part.sort == Sort::Key).count(),
            Sort::Header => number + 1 + after.iter().take_while(|part| belongs(part)).count(),
        }
    }
}
