//! Fuzzing of the user's templates.

use std::path::Path;

use jiff::tz::TimeZone;

use super::check::{Own, describe, unknown_names};
use super::reader::{Language, Reader};
use super::samples::{everything, incident, sample};
use super::templates::{Form, LARGEST, Templates, files};
use super::{Inline, variables};
use crate::{Kind, Reason};

/// Compiles and renders a template: the number of its file (the first byte), and its text. What it renders is bounded,
/// and so are error messages.
pub(crate) fn template(data: &[u8]) {
    let Some((file, source)) = data.split_first() else { return };
    let Ok(source) = std::str::from_utf8(source) else { return };
    if source.len() > LARGEST {
        return;
    }
    let file = files()[usize::from(*file) % files().len()];
    let own = Own::from([(file, source.to_owned())]);
    let reader = Reader { language: Language::English, zone: TimeZone::UTC };
    let told = |error: &minijinja::Error| {
        let told = describe(error, &own, Path::new("templates"));
        assert!(!told.contains(char::is_control) && told.chars().count() < 1_000, "{told:?}");
    };
    let templates = match Templates::compile(&reader, &own) {
        Ok(templates) => templates,
        Err(error) => return told(&error),
    };
    let known = variables::of_notification(&everything(), 1);
    unknown_names(templates.environment(Form::Title), file, &known);
    for notification in
        [sample(Kind::Down, Reason::Other, true, false), sample(Kind::Resolved, Reason::Other, false, true)]
    {
        let mut rendering = templates.of(&notification);
        for form in Form::ALL {
            match rendering.render(form) {
                Ok(text) => assert!(!text.is_empty() && text.len() <= LARGEST),
                Err(error) => told(&error),
            }
        }
    }
}

/// Compiles and renders a short template of the config, such as a recipient.
pub(crate) fn inline(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    match Inline::compile(source) {
        Ok(inline) => {
            let text = inline.render(&incident(Reason::Other, true, None));
            assert!(text.chars().count() <= variables::ADDRESS && !text.contains(char::is_control), "{text:?}");
        }
        Err(why) => assert!(!why.contains(char::is_control) && why.chars().count() < 1_000, "{why:?}"),
    }
}
