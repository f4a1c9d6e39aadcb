//! The messages as people read them.

mod again;
mod digest_news;
mod digests;
mod hostile;
mod in_full;
mod inline;
mod lost;
mod notices;
mod own;
mod shown;
mod timing;

use jiff::tz::TimeZone;
use serde_json::json;

use super::reader::{Language, Reader};
use super::{TextKeys, Texts};
use crate::{Environment, Path, Problem, Section};

/// The built-in texts.
fn texts(language: Language, zone: &str) -> Texts {
    Texts::built_in(&Reader { language, zone: TimeZone::get(zone).unwrap() })
}

/// Checks the keys as `linedown check` does.
fn check(keys: &TextKeys) -> (Option<Texts>, Vec<Problem>) {
    let (value, environment) = (json!({}), Environment::default());
    let mut section = Section::new(&value, Path(vec!["messages".into()]), &[], &environment);
    let texts = Texts::check(keys, &mut section);
    (texts, section.problems)
}

#[test]
fn unknown_languages_and_time_zones_are_refused_together() {
    let keys = TextKeys {
        language: Some("pt-PT".to_owned()),
        time_zone: Some("America/Sao_Paolo".to_owned()),
        templates: None,
    };
    let (texts, problems) = check(&keys);
    assert!(texts.is_none());
    let told: Vec<_> = problems.iter().map(|p| (p.path.to_string(), p.what.as_str(), p.hint.as_deref())).collect();
    assert_eq!(
        told,
        [
            (
                "messages.language".to_owned(),
                "there are no texts in the language `pt-PT`",
                Some("did you mean `pt-BR`?")
            ),
            (
                "messages.time_zone".to_owned(),
                "there is no time zone `America/Sao_Paolo`",
                Some("did you mean `America/Sao_Paulo`?")
            ),
        ]
    );
    assert_eq!(problems[0].expected.as_deref(), Some("one of `en`, `pt-BR`"));
}

#[test]
fn no_keys_are_no_problem() {
    let (texts, problems) = check(&TextKeys::default());
    assert!(texts.is_some());
    assert_eq!(problems, []);
}
