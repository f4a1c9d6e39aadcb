//! All rules of a config, with an index of those that may match an incident: to ask each of a thousand would take
//! longer than everything else that routing does.
//!
//! A rule that requires a field to be one of some exact texts is listed under each of these texts. If it has several
//! such tests, it is listed under the one that the fewest other rules share. Rules that have none are always asked.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;

use super::Rule;
use super::matcher::{Field, Subject};

/// The rules in the order they are read.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    list: Vec<Rule>,
    /// The first rule of each name.
    by_name: HashMap<String, usize>,
    /// The rules that require a field to be one of some texts, by field and text.
    by_text: Vec<(Field, HashMap<String, Vec<usize>>)>,
    /// All other rules.
    others: Vec<usize>,
}

impl Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.list
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Self::from(rules.into_iter().collect::<Vec<_>>())
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(list: Vec<Rule>) -> Self {
        let mut wanting: HashMap<(&Field, &str), usize> = HashMap::new();
        for (field, texts) in list.iter().flat_map(|rule| rule.matcher.texts()) {
            for text in texts {
                *wanting.entry((field, text)).or_default() += 1;
            }
        }
        let shared = |(field, texts): &(&Field, BTreeSet<&str>)| {
            texts.iter().filter_map(|text| wanting.get(&(*field, *text))).max().copied()
        };
        let mut rules = Self::default();
        for (number, rule) in list.iter().enumerate() {
            rules.by_name.entry(rule.name.clone()).or_insert(number);
            match rule.matcher.texts().min_by_key(shared) {
                Some((field, texts)) => rules.index_under(field, texts, number),
                None => rules.others.push(number),
            }
        }
        Self { list, ..rules }
    }
}

impl Rules {
    fn index_under(&mut self, field: &Field, texts: BTreeSet<&str>, number: usize) {
        let place = self.by_text.iter().position(|(known, _)| known == field).unwrap_or_else(|| {
            self.by_text.push((field.clone(), HashMap::new()));
            self.by_text.len() - 1
        });
        for text in texts {
            self.by_text[place].1.entry(text.to_owned()).or_default().push(number);
        }
    }

    /// The rule of this name.
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.by_name.get(name).map(|number| &self.list[*number])
    }

    /// Returns the rules that match, in order, up to the one that ends the reading.
    pub fn matching(&self, subject: &Subject<'_>) -> Vec<&Rule> {
        let found = self.by_text.iter().filter_map(|(field, rules)| rules.get(field.of(subject)));
        let mut candidates: Vec<usize> = found.flatten().chain(&self.others).copied().collect();
        candidates.sort_unstable();
        let mut matching = Vec::new();
        let passing = candidates.into_iter().map(|number| &self.list[number]);
        for rule in passing.filter(|rule| rule.matcher.passes(subject)) {
            matching.push(rule);
            if !rule.goes_on {
                break;
            }
        }
        matching
    }
}

#[cfg(test)]
mod tests {
    use linedown_sinks::Reason;
    use proptest::prelude::*;

    use super::super::tests::{incident, rule};
    use super::*;

    /// A `match` of few fields and few texts, so that rules share them.
    fn matcher() -> impl Strategy<Value = String> {
        let field = prop::sample::select(vec!["instance", "source", "error"]);
        let wanted = prop::sample::select(vec![r#""a""#, r#""b""#, r#"["a","b","a"]"#, r#""a*""#, r#"{"not":"a"}"#]);
        prop::collection::btree_map(field, wanted, 0..3).prop_map(|tests| {
            let tests: Vec<String> = tests.into_iter().map(|(field, wanted)| format!("{field:?}:{wanted}")).collect();
            format!("{{{}}}", tests.join(","))
        })
    }

    proptest! {
        #[test]
        fn those_that_match_are_found_in_order_as_by_asking_each(
            written in prop::collection::vec((matcher(), any::<bool>()), 0..8),
            texts in prop::array::uniform3("[abAc]{0,2}"),
        ) {
            let rules: Vec<Rule> =
                written.iter().enumerate().map(|(n, (m, goes_on))| rule(&n.to_string(), m, &["s"], *goes_on)).collect();
            let mut about = incident(Reason::Other);
            [about.instance.id, about.source] = [texts[0].clone(), texts[1].clone()];
            about.error = Some(texts[2].clone());
            let subject = Subject::from(&about);
            let mut asked: Vec<&str> = Vec::new();
            for rule in &rules {
                if rule.matcher.matches(&subject).is_ok() {
                    asked.push(&rule.name);
                    if !rule.goes_on {
                        break;
                    }
                }
            }
            let rules = Rules::from(rules.clone());
            let found: Vec<&str> = rules.matching(&subject).into_iter().map(|rule| rule.name.as_str()).collect();
            prop_assert_eq!(found, asked);
        }
    }

    #[test]
    fn only_those_are_asked_that_want_what_an_incident_is() {
        let wants =
            |n: usize| rule(&format!("r{n}"), &format!(r#"{{"source":"z-api","instance":"line {n}"}}"#), &["s"], false);
        let rules = Rules::from((0..1_000).map(wants).collect::<Vec<_>>());
        assert!(rules.others.is_empty());
        let sizes: Vec<usize> = rules.by_text.iter().flat_map(|(_, rules)| rules.values().map(Vec::len)).collect();
        assert_eq!(sizes, vec![1; 1_000], "each stands under its line, not under the source that all share");
    }
}
