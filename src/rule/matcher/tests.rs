use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn instance() -> Instance {
    Instance {
        id: "39ECB202".into(),
        name: Some("Loja São João/2".into()),
        phone: Some("5544999999999".into()),
        labels: BTreeMap::from([("tier".into(), "gold".into()), ("Path".into(), "a/b".into())]),
    }
}

fn subject(instance: &Instance) -> Subject<'_> {
    Subject { source: "z-api", instance, reason: Reason::NumberBlocked, error: Some("Possible Blocking [1]") }
}

fn read(value: &Value) -> (Matcher, Vec<Problem>) {
    Matcher::read(value, &Path(vec!["rules".into(), 0.into(), "match".into()]))
}

fn outcome(value: &Value) -> Result<(), Mismatch> {
    let (matcher, problems) = read(value);
    assert_eq!(problems, [], "{value}");
    matcher.matches(&subject(&instance()))
}

#[test]
fn what_matches() {
    for value in [
        json!({}),
        json!({ "source": "z-api" }),
        json!({ "instance": "39EC*" }),
        json!({ "instance": ["x", "39ECB202"] }),
        json!({ "name": "Loja S?o*" }),
        json!({ "name": "*João/[0-9]" }),
        json!({ "name": "Loja São João/{1,2}" }),
        json!({ "name": "Loja S[ãx]o *" }),
        json!({ "phone": "5544*" }),
        json!({ "reason": "number-blocked" }),
        json!({ "reason": "number-*" }),
        json!({ "reason": ["other", "number-blocked"] }),
        json!({ "reason": { "not": ["other", "device-disconnected"] } }),
        json!({ "error": "*blocking*" }),
        json!({ "error": r"possible blocking \[1]*" }),
        json!({ "error": { "regex": "possible BLOCK.*" } }),
        json!({ "error": [{ "not": { "regex": "POSSIBLE.*" } }, { "regex": "p.*[B]LOCKING.*" }] }),
        json!({ "name": { "not": { "regex": "loja.*" } } }),
        json!({ "labels": { "tier": "gold" } }),
        json!({ "labels": { "Path": "a*b", "tier": { "not": "silver" } } }),
        json!({ "labels": { "none": "" } }),
        json!({ "labels": { "none": { "not": "x" } } }),
        json!({ "labels": { "tier": { "regex": "g.ld|silver" } } }),
        json!({ "labels": { "tier": { "not": { "not": { "regex": "gold" } } } } }),
    ] {
        assert_eq!(outcome(&value), Ok(()), "{value}");
    }
}

#[test]
fn what_does_not_and_why() {
    for (value, why) in [
        (json!({ "labels": { "tier": "silver" } }), r#"labels.tier is "gold", wanted "silver""#),
        (json!({ "labels": { "none": "x" } }), r#"labels.none is "", wanted "x""#),
        (json!({ "instance": "39ecb202" }), r#"instance is "39ECB202", wanted "39ecb202""#),
        (json!({ "instance": "39ec*" }), r#"instance is "39ECB202", wanted something like "39ec*""#),
        (json!({ "phone": "5511" }), r#"phone is "5544*****9999", wanted "5511""#),
        (
            json!({ "reason": ["other", "session-*"] }),
            r#"reason is "number-blocked", wanted one of "other" or something like "session-*""#,
        ),
        (json!({ "source": { "not": "z-api" } }), r#"source is "z-api", wanted not "z-api""#),
        (
            json!({ "error": { "regex": "possible" } }),
            r#"error is "Possible Blocking [1]", wanted a match of /possible/"#,
        ),
        // Anchored: a part is not enough, nor one side of an alternative.
        (json!({ "source": { "regex": "z|x" } }), r#"source is "z-api", wanted a match of /z|x/"#),
    ] {
        assert_eq!(outcome(&value).unwrap_err().to_string(), why, "{value}");
    }
}

#[test]
fn mistakes_and_their_places() {
    for (value, place, what, hint) in [
        (json!({ "raeson": "other" }), "rules[0].match.raeson", "unknown key `raeson`", "did you mean `reason`?"),
        (
            json!({ "tier": "gold" }),
            "rules[0].match.tier",
            "unknown key `tier`",
            "a label of the inventory is `labels.tier`",
        ),
        (
            json!({ "reason": "number-blockd" }),
            "rules[0].match.reason",
            "unknown reason `number-blockd`",
            "did you mean `number-blocked`?",
        ),
        (
            json!({ "reason": ["other", "othr"] }),
            "rules[0].match.reason[1]",
            "unknown reason `othr`",
            "did you mean `other`?",
        ),
        (json!({ "phone": 55 }), "rules[0].match.phone", "wrong type: integer", "write it in quotes: \"55\""),
        (
            json!({ "phone": "+55" }),
            "rules[0].match.phone",
            "no phone number matches this: gateways send digits only",
            "write country code, area code and number without `+`, spaces and dashes",
        ),
        (
            json!({ "name": "[a" }),
            "rules[0].match.name",
            "this glob cannot be read: `[` without `]`",
            r"a backslash takes `*`, `?`, `[` and `{` literally: '\['",
        ),
        (
            json!({ "name": "{a" }),
            "rules[0].match.name",
            "this glob cannot be read: `{` without `}`",
            r"a backslash takes `*`, `?`, `[` and `{` literally: '\['",
        ),
        (
            json!({ "name": { "regex": "(" } }),
            "rules[0].match.name.regex",
            "this regex cannot be read: unclosed group",
            "",
        ),
        (
            json!({ "name": { "regex": "a)|(b" } }),
            "rules[0].match.name.regex",
            "this regex cannot be read: unopened group",
            "",
        ),
        (
            json!({ "name": { "regex": "\\w{1000}{1000}" } }),
            "rules[0].match.name.regex",
            "this regex cannot be read: it is too big when compiled",
            "",
        ),
        (
            json!({ "name": { "regexp": "x" } }),
            "rules[0].match.name.regexp",
            "unknown key `regexp`",
            "did you mean `regex`?",
        ),
        (
            json!({ "name": { "regex": "x", "not": "y" } }),
            "rules[0].match.name",
            "write either `regex` or `not` here",
            "`{ not = { regex = … } }` is both",
        ),
        (
            json!({ "name": {} }),
            "rules[0].match.name",
            "write either `regex` or `not` here",
            "`{ not = { regex = … } }` is both",
        ),
        (json!({ "name": [] }), "rules[0].match.name", "an empty list matches nothing", ""),
        (json!({ "labels": "gold" }), "rules[0].match.labels", "wrong type: string", ""),
        (json!("gold"), "rules[0].match", "wrong type: string", ""),
    ] {
        let (_, problems) = read(&value);
        assert_eq!(problems.len(), 1, "{value}: {problems:?}");
        let problem = &problems[0];
        let found = (problem.path.to_string(), problem.what.as_str(), problem.hint.as_deref().unwrap_or_default());
        assert_eq!((found.0.as_str(), found.1, found.2), (place, what, hint), "{value}");
    }
}

#[test]
fn what_takes_everything() {
    for (value, everything) in [
        (json!({}), true),
        (json!({ "name": "*" }), true),
        (json!({ "name": ["x", "*"] }), true),
        (json!({ "name": { "regex": ".*" } }), true),
        (json!({ "name": "*", "reason": "other" }), false),
        (json!({ "name": { "not": "x" } }), false),
    ] {
        assert_eq!(read(&value).0.takes_everything(), everything, "{value}");
    }
}

/// A test over a few letters, so that it matches now and then.
fn test() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[abã]{0,3}".prop_map(Value::from),
        "[abã*?]{1,4}".prop_map(Value::from),
        "[ab.*]{0,2}"
            .prop_filter("a regex", |regex| Regex::new(regex).is_ok())
            .prop_map(|regex| json!({ "regex": regex })),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from),
            inner.prop_map(|test| json!({ "not": test })),
        ]
    })
}

fn passes(test: &Value, label: &str) -> bool {
    let (matcher, problems) = read(&json!({ "labels": { "tier": test } }));
    assert_eq!(problems, [], "{test}");
    let instance = Instance { labels: BTreeMap::from([("tier".into(), label.into())]), ..instance() };
    matcher.matches(&subject(&instance)).is_ok()
}

proptest! {
    #[test]
    fn not_undoes_itself(test in test(), label in "[abã]{0,4}") {
        prop_assert_eq!(passes(&json!({ "not": { "not": test } }), &label), passes(&test, &label));
        prop_assert_ne!(passes(&json!({ "not": test }), &label), passes(&test, &label));
    }

    #[test]
    fn a_list_is_any_of(tests in prop::collection::vec(test(), 1..4), label in "[abã]{0,4}") {
        let any = tests.iter().any(|test| passes(test, &label));
        prop_assert_eq!(passes(&Value::from(tests), &label), any);
    }

    #[test]
    fn what_takes_everything_takes_everything(test in test(), label in ".*") {
        let (matcher, _) = read(&json!({ "labels": { "tier": test } }));
        prop_assert!(!matcher.takes_everything() || passes(&test, &label));
    }

    #[test]
    fn no_text_panics(pattern in ".*", text in ".*") {
        for value in [json!(pattern), json!({ "regex": pattern }), json!({ pattern: text })] {
            read(&json!({ "name": value, "error": value }));
        }
    }
}

#[test]
fn a_pattern_of_any_kind_has_a_longest_length() {
    for (length, is_good) in [(4096, true), (4097, false)] {
        let (text, glob) = ("x".repeat(length), "*".to_owned() + &"x".repeat(length - 1));
        for value in
            [json!({ "name": text }), json!({ "name": glob }), json!({ "error": [{ "not": { "regex": text } }] })]
        {
            let (_, problems) = read(&value);
            assert_eq!(problems.is_empty(), is_good, "{length}: {problems:?}");
            assert!(problems.iter().all(|problem| problem.what.ends_with("longer than 4096 bytes")), "{problems:?}");
        }
    }
}
