//! What to match that a person names elsewhere than in the config, held against it as a rule's `match` is.

use linedown_sinks::{Environment, Path, Problem};
use serde_json::Value;

use super::Config;
use super::labels::Labels;
use super::reader::Reader;
use super::rules::{Known, read_matcher};
use crate::trouble;

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
        read_matcher(matcher, &Path::default(), &known, &mut reader);
        reader.finished().0
    }
}
