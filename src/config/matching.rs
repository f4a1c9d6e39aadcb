//! Checks a `match`, in the config or on the command line, against the config: whether the things it mentions exist.

use linedown_sinks::{Environment, Instance, Path, Problem, Reason};
use serde_json::Value;

use super::Config;
use super::labels::Labels;
use super::reader::{Reader, some_of};
use crate::rule::inventory::Entry;
use crate::rule::matcher::{Field, Matcher, Subject};
use crate::trouble;

/// The hint for a matcher that no line passes.
const SHELL: &str = "check the spelling of names and labels, and quote the whole matcher for the shell: \
                     'labels.tier=[\"gold\", \"silver\"]'";

/// The names that rules may mention.
pub(super) struct Known<'c> {
    pub(super) sinks: Vec<&'c str>,
    pub(super) sources: Vec<&'c str>,
    pub(super) labels: Labels<'c>,
}

impl Known<'_> {
    /// The sources in the config, without linedown's own.
    pub(super) fn gateways(&self) -> Vec<&str> {
        self.sources.iter().copied().filter(|source| *source != trouble::SOURCE).collect()
    }
}

impl Config {
    /// Returns what is wrong with a matcher that a person wrote outside the config; the paths are relative to the
    /// matcher.
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
            let problem = Problem::warning(Path::default(), "no instance of the inventory matches this");
            problems.push(problem.hint(SHELL));
        }
        problems
    }

    /// Whether it can match an incident of some line: one of the inventory, or an unknown one, without name and labels.
    /// Only tests that depend on the inventory count.
    fn may_concern_some_line(&self, matcher: &Matcher) -> bool {
        let subject = Subject { source: "", instance: &nothing(), reason: Reason::Other, error: None };
        matcher.passes_in(&subject, |field| matches!(field, Field::Name | Field::Label(_)))
            || self.routing.inventory.iter().any(|entry| Listed::of(&entry).may_pass(matcher))
    }
}

/// What is settled about the incidents of a line because the inventory lists it.
pub(super) struct Listed<'i> {
    /// None if any source may report them.
    source: Option<&'i str>,
    instance: Instance,
}

impl<'i> Listed<'i> {
    pub(super) fn of(entry: &Entry<'i>) -> Self {
        let labels = entry.labels().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let instance = Instance { id: entry.id.to_owned(), name: entry.name.map(str::to_owned), phone: None, labels };
        Self { source: entry.source, instance }
    }

    /// Whether a field has the same value in all incidents of this line.
    pub(super) fn settles(&self, field: &Field) -> bool {
        match field {
            Field::Instance | Field::Name | Field::Label(_) => true,
            Field::Source => self.source.is_some(),
            Field::Phone | Field::Reason | Field::Error => false,
        }
    }

    /// Whether some incident of this line may match, judging by the fields that are settled.
    pub(super) fn may_pass(&self, matcher: &Matcher) -> bool {
        let source = self.source.unwrap_or_default();
        let subject = Subject { source, instance: &self.instance, reason: Reason::Other, error: None };
        matcher.passes_in(&subject, |field| self.settles(field))
    }
}

/// Reads and checks the `match` at `path`.
pub(super) fn read_matcher(value: &Value, path: &Path, known: &Known<'_>, reader: &mut Reader<'_>) -> Matcher {
    let errors = reader.errors();
    let (matcher, problems) = Matcher::read(value, path);
    for problem in problems {
        reader.note(problem);
    }
    check_source(value, path, known, reader);
    check_labels(value, &matcher, path, known, reader);
    // A matcher with a mistake may look narrower than it is meant.
    if reader.errors() == errors {
        warn_of_nothing(&matcher, path, known, reader);
    }
    matcher
}

fn check_source(value: &Value, path: &Path, known: &Known<'_>, reader: &mut Reader<'_>) {
    let literal = |text: &&str| !text.contains(['*', '?', '[', '{']);
    if let Some(source) = value.get("source").and_then(Value::as_str).filter(literal)
        && !known.sources.contains(&source)
    {
        let problem = Problem::error(path.join("source"), format!("there is no source `{source}`"));
        let mut problem = problem.did_you_mean(source, known.sources.iter().copied());
        problem.expected = (!known.sources.is_empty()).then(|| some_of(&known.sources));
        reader.note(problem.unless(source));
    }
}

/// Warns of labels that no line has, and of values that no line has in a label or in another field.
fn check_labels(value: &Value, matcher: &Matcher, path: &Path, known: &Known<'_>, reader: &mut Reader<'_>) {
    let labels = path.join("labels");
    for key in value.get("labels").and_then(Value::as_object).into_iter().flat_map(|labels| labels.keys()) {
        known.labels.check(key, labels.join(key.as_str()), reader);
    }
    for (field, texts) in matcher.texts() {
        let place = match field {
            Field::Label(key) => labels.join(key.as_str()),
            other => path.join(other.to_string().as_str()),
        };
        known.labels.check_values(field, &texts, &place, reader);
    }
}

/// Warns if no incident can match, because each reason comes from certain sources only.
fn warn_of_nothing(matcher: &Matcher, path: &Path, known: &Known<'_>, reader: &mut Reader<'_>) {
    let gateways = known.gateways();
    if gateways.is_empty() || may_be_of(matcher, &gateways) || may_be_own(matcher) {
        return;
    }
    let key = if matcher.fields().any(|field| *field == Field::Reason) { Field::Reason } else { Field::Source };
    let own: Vec<&str> = Reason::ALL.into_iter().filter(|reason| reason.is_own()).map(Reason::as_str).collect();
    let what = "no incident can match all of this";
    let hint = format!(
        "the source `{}` has only the reasons {}, and no name, phone or labels; all other reasons come from gateways",
        trouble::SOURCE,
        own.join(", ")
    );
    reader.note(Problem::warning(path.join(key.to_string().as_str()), what).hint(hint).unless("sources"));
}

/// Whether some incident of a gateway may match, judging by its source and its reason.
pub(super) fn may_be_of(matcher: &Matcher, gateways: &[&str]) -> bool {
    let mut reasons = Reason::ALL.into_iter().filter(|reason| !reason.is_own());
    reasons.any(|reason| {
        let of = |source: &&str| {
            let subject = Subject { source, instance: &nothing(), reason, error: None };
            matcher.passes_in(&subject, |field| matches!(field, Field::Source | Field::Reason))
        };
        gateways.iter().any(of)
    })
}

/// Whether some trouble of linedown's own may match. The inventory says nothing about those.
fn may_be_own(matcher: &Matcher) -> bool {
    let mut reasons = Reason::ALL.into_iter().filter(|reason| reason.is_own());
    reasons.any(|reason| {
        let subject = Subject { source: trouble::SOURCE, instance: &nothing(), reason, error: None };
        matcher.passes_in(&subject, |field| !matches!(field, Field::Instance | Field::Error))
    })
}

/// An instance of which nothing is known.
pub(super) fn nothing() -> Instance {
    Instance::of("")
}
