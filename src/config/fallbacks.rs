//! Warns of fallbacks whose recipients come from labels. A fallback is told why another sink fails and what to do about it,
//! which is not for somebody else's customers.

use std::collections::{BTreeMap, BTreeSet};

use linedown_sinks::{Path, Problem};

use super::reader::Reader;
use crate::rule::Target;

pub(super) fn check(sinks: &BTreeMap<String, Target>, reader: &mut Reader<'_>) {
    for (name, sink) in sinks {
        let Some((fallback, target)) = sink.fallback.as_ref().and_then(|fallback| sinks.get_key_value(fallback)) else {
            continue;
        };
        let labels: BTreeSet<String> = target.settings.labels().into_iter().map(|(_, key)| key).collect();
        let Some(label) = labels.first() else { continue };
        let path = Path(vec!["sinks".into(), name.as_str().into(), "fallback".into()]);
        let what = format!("`{fallback}` also sends to the label `{label}`: they would be told of {name}'s failures");
        let hint = "name a sink with fixed recipients only, such as a second one of type `email` for operators";
        reader.note(Problem::warning(path, what).hint(hint));
    }
}
