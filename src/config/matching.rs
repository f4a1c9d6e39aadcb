//! What to match that a person names elsewhere than in the config, held against it as a rule's `match` is.

use std::collections::BTreeMap;

use linedown_sinks::{Environment, Instance, Path, Problem, Reason};
use serde_json::Value;

use super::Config;
use super::labels::Labels;
use super::reader::Reader;
use super::rules::{Known, read_matcher};
use crate::rule::matcher::{Field, Matcher, Subject};
use crate::trouble;

/// What to do about a test that nothing passes.
const SHELL: &str = "is a name or label spelt otherwise there? and a shell takes quotes away, but for those in others: \
                     'labels.tier=[\"gold\", \"silver\"]'";

impl Config {
    /// What is amiss with a matcher, by its fields.
    pub fn amiss_with(&self, matcher: &Value) -> Vec<Problem> {
        let known = Known {
            sinks: Vec::new(),
            sources: self.sources.keys().map(String::as_str).chain([trouble::SOURCE]).collect(),
            labels: Labels::of(&self.routing.inventory),
        };
        let environment = Environment::default();
        let mut reader = Reader::new(&environment, &[]);
        let matcher = read_matcher(matcher, &Path::default(), &known, &mut reader);
        let mut problems = reader.finished().0;
        if problems.is_empty() && !self.may_concern_some_line(&matcher) {
            let problem = Problem::warning(Path::default(), "no instance of the inventory is like that");
            problems.push(problem.hint(SHELL));
        }
        problems
    }

    /// Whether it may take incidents of a line of the inventory, or of one that it has not, which has no name and no
    /// labels; as far as that hangs on the inventory.
    fn may_concern_some_line(&self, matcher: &Matcher) -> bool {
        let passes = |instance: &Instance, known: fn(&Field) -> bool| {
            matcher.passes_in(&Subject { source: "", instance, reason: Reason::Other, error: None }, known)
        };
        let stranger = Instance { id: String::new(), name: None, phone: None, labels: BTreeMap::new() };
        passes(&stranger, |field| matches!(field, Field::Name | Field::Label(_)))
            || self.routing.inventory.iter().any(|entry| {
                let line = self.routing.instance(entry.id, None);
                passes(&line, |field| matches!(field, Field::Instance | Field::Name | Field::Label(_)))
            })
    }
}
