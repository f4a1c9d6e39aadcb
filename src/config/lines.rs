//! Assigns tokens to sources: which lines each source's gateway can be asked about.

use std::collections::BTreeMap;

use linedown_sinks::{Path, Problem};

use super::gateway::KIND;
use super::inventory::Token;
use super::reader::Reader;
use super::sources::Source;
use crate::gateway::LineAccess;

/// Gives each source the lines that its gateway can be asked about: those whose instance has a token.
pub(super) fn give(
    sources: &mut BTreeMap<String, Source>,
    tokens: BTreeMap<String, Token>,
    path: &Path,
    reader: &mut Reader<'_>,
) {
    let askable = sources.iter().filter(|(_, source)| source.gateway.is_some());
    let names: Vec<String> = askable.map(|(name, _)| name.clone()).collect();
    let mut lines: BTreeMap<String, Vec<LineAccess>> = BTreeMap::new();
    for (instance, Token { source, value }) in tokens {
        if let Some(owner) = owner(source, &names, &path.join(instance.as_str()), reader) {
            // They come sorted by instance, so the list is, too.
            lines.entry(owner).or_default().push(LineAccess { instance: instance.into(), token: value });
        }
    }
    for (name, source) in sources {
        let Some(gateway) = &mut source.gateway else { continue };
        if let Some(lines) = lines.remove(name) {
            gateway.lines = lines.into();
        } else if gateway.watch.is_some() {
            let place = Path(vec!["sources".into(), name.as_str().into(), "watch".into()]);
            let problem = Problem::warning(place, "nothing is watched: no instance has a token");
            reader.note(problem.hint("add `token` to [instances.ID]").unless("token"));
        }
    }
}

/// The source that an instance's token is for.
fn owner(written: Option<String>, names: &[String], path: &Path, reader: &mut Reader<'_>) -> Option<String> {
    match (written, names) {
        (Some(source), names) if names.contains(&source) => Some(source),
        (Some(source), names) => {
            let what = format!("there is no source `{source}` of type `{KIND}`");
            let problem = Problem::error(path.join("source"), what);
            let problem = problem.hint(format!("name a source of type `{KIND}`: its gateway is asked"));
            reader.note(problem.did_you_mean(&source, names.iter().map(String::as_str)).unless(source));
            None
        }
        (None, [only]) => Some(only.clone()),
        // A mistake in the source was noted there.
        (None, []) => None,
        (None, [first, ..]) => {
            let problem = Problem::error(path.clone(), "it has a token, but it is not clear for which source");
            let problem = problem.hint(format!("write `source = {first:?}`, or another one of that type"));
            reader.note(problem.unless("source"));
            None
        }
    }
}
