//! The matchers of a silence, as they are typed.

use std::collections::BTreeMap;

use linedown_sinks::{Path, Problem};
use serde_json::{Map, Value};

use super::super::{Code, CommandError};
use crate::rule::matcher::Matcher;

/// Reads the matchers as a rule's `match` table. A field that is given several times may have any of the values; an
/// exclusion is refused then, because nearly every line passes one or the other. Also returns a warning if they match
/// more than it may seem.
pub(super) fn read(pairs: &[String]) -> Result<(Value, Option<Problem>), CommandError> {
    let matcher = table_of(pairs)?;
    let read = Matcher::whole(&matcher).map_err(|problem| {
        let error = wrong(format!("{}: {}", problem.path, problem.what));
        match problem.hint.or(problem.expected) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    if read.wants_nothing() {
        let what = "this silences every line that lacks what it names";
        return Err(wrong(what.to_owned()).hint(
            "name something that the lines have: instance=39EC*, say; or instance=* beside it if you mean them all",
        ));
    }
    let breadth = breadth(&read);
    Ok((matcher, breadth))
}

fn breadth(matcher: &Matcher) -> Option<Problem> {
    let (what, hint) = if matcher.takes_everything() {
        ("this silences every line, and linedown's own troubles", "`linedown silence expire` with its number ends it")
    } else if matcher.only_excludes() {
        let hint =
            "name what it is about, too: source=z-api beside it, say, if linedown's own troubles are still to be told";
        ("this silences everything but what it names", hint)
    } else {
        return None;
    };
    Some(Problem::warning(Path::default(), what).hint(hint))
}

fn wrong(what: String) -> CommandError {
    CommandError::new(Code::Usage, what)
}

fn table_of(pairs: &[String]) -> Result<Value, CommandError> {
    let (mut fields, mut labels) = (BTreeMap::<&str, Vec<Value>>::new(), BTreeMap::<&str, Vec<Value>>::new());
    for pair in pairs {
        if let Some(right) = translated(pair) {
            return Err(wrong(format!("{pair:?} is not how linedown spells this")).hint(format!("write '{right}'")));
        }
        let example = "as in a rule: `labels.customer=acme`, `instance=39EC*`, `reason=other`";
        let Some((field, value)) = pair.split_once('=').filter(|(field, _)| !["labels", "labels."].contains(field))
        else {
            return Err(wrong(format!("{pair:?} is not of the form FIELD=VALUE")).hint(example));
        };
        let field = field.trim();
        if value.trim().is_empty() {
            let hint = format!("is a variable of the shell empty? Lines without it are '{field}=\"\"'");
            return Err(wrong(format!("{pair:?} has no value")).hint(hint));
        }
        match field.strip_prefix("labels.") {
            Some(key) => labels.entry(key).or_default().push(test(value)),
            None => fields.entry(field).or_default().push(test(value)),
        }
    }
    let (of_lines, of_labels) = (fields.iter().map(|one| ("", one)), labels.iter().map(|one| ("labels.", one)));
    for (prefix, (field, values)) in of_lines.chain(of_labels) {
        if values.len() > 1 && values.iter().any(|value| value.get("not").is_some()) {
            let what = format!(
                "`{prefix}{field}` is given several times: any of the values is enough, so `not` excludes nothing"
            );
            return Err(wrong(what).hint("name what it is about by another field, or make a silence for each value"));
        }
    }
    let table = |values: BTreeMap<&str, Vec<Value>>| -> Map<String, Value> {
        let one_or_any = |mut values: Vec<Value>| match (values.pop(), values.len()) {
            (Some(only), 0) => only,
            (last, _) => values.into_iter().chain(last).collect(),
        };
        values.into_iter().map(|(key, values)| (key.to_owned(), one_or_any(values))).collect()
    };
    let mut matcher = table(fields);
    if !labels.is_empty() {
        matcher.insert("labels".to_owned(), table(labels).into());
    }
    Ok(Value::Object(matcher))
}

/// The right spelling of a matcher that is spelt as for Alertmanager's `amtool`.
fn translated(pair: &str) -> Option<String> {
    let (field, rest) = pair.split_at(pair.find(['=', '!'])?);
    let value = |operator| {
        let value = rest.strip_prefix(operator)?.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        Some(Value::from(bare.unwrap_or(value)))
    };
    let test = if let Some(regex) = value("=~") {
        format!("{{ regex = {regex} }}")
    } else if let Some(regex) = value("!~") {
        format!("{{ not = {{ regex = {regex} }} }}")
    } else if let Some(text) = value("!=") {
        format!("{{ not = {text} }}")
    } else {
        value("==")?.to_string()
    };
    Some(format!("{}={test}", field.trim()))
}

/// Parses a value as TOML if it looks like a quoted text, a list or a table; otherwise takes it as it is. (Globs such
/// as `{A,B}` and `[AB]*` are not valid TOML.)
fn test(value: &str) -> Value {
    let value = value.trim();
    let written = Some(value).filter(|value| value.starts_with(['"', '\'', '[', '{']));
    let read = written.and_then(|value| toml::from_str::<BTreeMap<String, Value>>(&format!("test = {value}")).ok());
    let only = read.filter(|read| read.len() == 1).and_then(|mut read| read.remove("test"));
    only.unwrap_or_else(|| value.into())
}

/// A matcher as it is typed, except that lists and tables are in JSON: `labels.tier=["gold","silver"]`.
pub(super) fn shown(matcher: &Value) -> String {
    let pairs = |table: &Value, prefix: &str| {
        let pairs = table.as_object().into_iter().flatten();
        let pairs = pairs.filter(|(key, _)| !prefix.is_empty() || *key != "labels");
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        pairs.map(|(key, value)| format!("{prefix}{key}={}", text(value))).collect::<Vec<_>>()
    };
    [pairs(matcher, ""), pairs(&matcher["labels"], "labels.")].concat().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_what_it_would_be_in_a_rule_or_else_a_text() {
        for (pair, matcher) in [
            ("name=Loja Centro", json!({ "name": "Loja Centro" })),
            ("name=\"Loja = Centro\"", json!({ "name": "Loja = Centro" })),
            ("instance='39EC*'", json!({ "instance": "39EC*" })),
            ("instance=[AB]*", json!({ "instance": "[AB]*" })),
            ("instance={A,B}", json!({ "instance": "{A,B}" })),
            ("instance=39", json!({ "instance": "39" })),
            ("labels.tier=[\"gold\", 'silver']", json!({ "labels": { "tier": ["gold", "silver"] } })),
            (" labels.tier = { not = [\"gold\"] } ", json!({ "labels": { "tier": { "not": ["gold"] } } })),
            ("name=\"a\"\nreason = \"other\"", json!({ "name": "\"a\"\nreason = \"other\"" })),
        ] {
            assert_eq!(read(&[pair.to_owned()]).unwrap().0, matcher, "{pair}");
        }
    }

    #[test]
    fn a_matcher_is_listed_as_it_is_typed() {
        let matcher = json!({ "name": "Loja Centro", "labels": { "tier": ["gold", "silver"], "vip": "yes" } });
        assert_eq!(shown(&matcher), "name=Loja Centro, labels.tier=[\"gold\",\"silver\"], labels.vip=yes");
    }

    #[test]
    fn what_no_rule_takes_is_refused() {
        for pair in ["instance=[1, 2]", "instance=[]", "instance={ regx = \"A\" }", "instance=[A", "labels.=x", "name"]
        {
            assert!(read(&[pair.to_owned()]).is_err(), "{pair}");
        }
    }

    #[test]
    fn an_exclusion_beside_another_value_is_refused_because_it_would_exclude_nothing() {
        for field in ["instance", "labels.shop"] {
            let pairs = [format!("{field}=39EC*"), format!("{field}={{ not = \"39ECB\" }}")];
            assert!(read(&pairs).is_err(), "{pairs:?}");
            assert!(read(&[pairs[1].clone(), "name=Loja*".to_owned()]).is_ok(), "{pairs:?}");
        }
    }

    #[test]
    fn what_lines_match_only_for_lack_of_a_value_is_refused() {
        for (pairs, is_read) in [
            (&["labels.customer="][..], false),
            (&["labels.customer=", "reason=other"], false),
            (&["labels.customer=\"\""], false),
            (&["labels.customer={,a}"], false),
            (&["labels.customer={ regex = \"(acme)?\" }", "name=\"\""], false),
            (&["labels.customer=[\"\", \"acme\"]"], false),
            (&["labels.customer=\"\"", "reason=other"], true),
            (&["labels.customer=\"\"", "instance=*"], true),
            (&["labels.customer={ not = \"acme\" }"], true),
        ] {
            let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
            assert_eq!(read(&pairs).is_ok(), is_read, "{pairs:?}");
        }
    }

    #[test]
    fn what_matches_more_than_it_names_is_said_to() {
        let every = Some("this silences every line, and linedown's own troubles");
        let all_but = Some("this silences everything but what it names");
        for (pairs, expected) in [
            (&["instance=*"][..], every),
            (&["name={ regex = \".*\" }"], every),
            (&["instance=A*"], None),
            (&["labels.customer={ not = \"acme\" }"], all_but),
            (&["labels.customer={ not = \"acme\" }", "reason={ not = \"other\" }"], all_but),
            (&["instance=[\"A\", { not = \"B*\" }]"], all_but),
            (&["labels.customer={ not = \"acme\" }", "source=z-api"], None),
            (&["labels.customer={ not = \"acme\" }", "instance=*"], None),
        ] {
            let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
            assert_eq!(read(&pairs).unwrap().1.as_ref().map(|problem| problem.what.as_str()), expected, "{pairs:?}");
        }
    }

    #[test]
    fn amtools_spelling_is_translated() {
        for (pair, right) in [
            ("instance=~I.*", Some("instance={ regex = \"I.*\" }")),
            ("name =~ \"Loja \\d\"", Some("name={ regex = \"Loja \\\\d\" }")),
            ("instance!~I.*", Some("instance={ not = { regex = \"I.*\" } }")),
            ("labels.tier!=gold", Some("labels.tier={ not = \"gold\" }")),
            ("instance==I", Some("instance=\"I\"")),
            ("name=a!=b", None),
            ("name=\"~a\"", None),
            ("name", None),
        ] {
            assert_eq!(translated(pair).as_deref(), right, "{pair}");
            let Some(right) = right else { continue };
            assert!(read(&[pair.to_owned()]).is_err() && read(&[right.to_owned()]).is_ok(), "{pair}");
        }
    }
}
