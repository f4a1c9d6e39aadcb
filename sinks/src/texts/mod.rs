//! The words of a notification: templates in the reader's language and time zone.
//!
//! [`reader`] knows languages and time zones, [`variables`] what a template can name, [`news`] which sort of message it
//! is, [`templates`] how a template is run. The sentences themselves are in `en/` and `pt-BR/`, a file for each sort of
//! message; their layout is in `layout/`.

mod check;
mod clean;
mod digest;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod imports;
mod inline;
mod news;
mod reader;
mod samples;
mod templates;
mod variables;
mod wording;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use minijinja::AutoEscape;
use serde::Deserialize;

use self::check::Own;
use self::reader::Reader;
use self::templates::Templates;
use crate::{Incident, Notification, Section, closest, did_you_mean, one_of};

pub(crate) use self::clean::{identifier, is_visible, without_encoded_words};
pub use self::clean::{is_deceptive, one_line};
pub use self::inline::Inline;
pub use self::reader::Language;
pub use self::templates::Form;
pub(crate) use self::variables::title;

/// The keys about texts, the same for every sink and for the config's `[messages]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextKeys {
    /// `en` (the default) or `pt-BR`.
    pub language: Option<String>,
    /// The reader's IANA time zone; the machine's by default.
    pub time_zone: Option<String>,
    /// A folder with templates that replace built-in ones of the same file name.
    pub templates: Option<PathBuf>,
}

/// Compiled templates, which put notifications into words. Cheap to clone. The default is the built-in ones, in English
/// and UTC.
#[derive(Clone, Debug)]
pub struct Texts {
    language: Language,
    built_in: Arc<Templates>,
    /// The user's templates, completed by built-in ones. If one fails, the built-in one is used instead.
    own: Option<Arc<OwnTemplates>>,
}

#[derive(Debug)]
struct OwnTemplates {
    folder: PathBuf,
    sources: Own,
    compiled: Templates,
}

impl Default for Texts {
    fn default() -> Self {
        Self::built_in(&Reader { language: Language::default(), zone: TimeZone::UTC })
    }
}

impl Texts {
    /// Checks the keys, reads and compiles the templates, and tries each on every kind of notification. Notes problems
    /// in `section`, which has these keys; returns none if there is an error.
    pub fn check(keys: &TextKeys, section: &mut Section<'_>) -> Option<Self> {
        let language = language(keys.language.as_deref(), section);
        let zone = time_zone(keys.time_zone.as_deref(), section);
        // Check the templates even if the language or the time zone is wrong.
        let reader = Reader { language: language.unwrap_or_default(), zone: zone.clone().unwrap_or(TimeZone::UTC) };
        let mut texts = Self::built_in(&reader);
        if let Some(folder) = &keys.templates {
            let before = check::errors(section);
            let sources = check::read(folder, section);
            let compiled = check::compile(&sources, &reader, folder, section)?;
            if check::errors(section) > before {
                return None;
            }
            texts.own = Some(Arc::new(OwnTemplates { folder: folder.clone(), sources, compiled }));
        }
        (language.is_some() && zone.is_some()).then_some(texts)
    }

    /// The language of the texts.
    pub fn language(&self) -> Language {
        self.language
    }

    /// See [`Form::Title`].
    pub fn title(&self, notification: &Notification) -> String {
        let [title] = self.render(notification, [Form::Title]);
        title
    }

    /// See [`Form::Text`].
    pub fn text(&self, notification: &Notification) -> String {
        let [text] = self.render(notification, [Form::Text]);
        text
    }

    /// See [`Form::Html`].
    pub fn html(&self, notification: &Notification) -> String {
        let [html] = self.render(notification, [Form::Html]);
        html
    }

    /// See [`Form::Slack`].
    pub fn slack(&self, notification: &Notification) -> String {
        let [slack] = self.render(notification, [Form::Slack]);
        slack
    }

    /// Renders a notification in several forms, which costs less than one after the other. Never fails: a built-in
    /// template stands in for one of the user's, and the line's name for a built-in one.
    pub fn render<const N: usize>(&self, notification: &Notification, forms: [Form; N]) -> [String; N] {
        let mut own = self.own.as_deref().map(|own| (own, own.compiled.of(notification)));
        let mut built_in = self.built_in.of(notification);
        forms.map(|form| {
            if let Some((own, rendering)) = &mut own {
                match rendering.render(form) {
                    Ok(text) => return text,
                    Err(error) => tracing::warn!(
                        notification = notification.id,
                        incident = notification.incident.id,
                        error = check::describe(&error, &own.sources, &own.folder),
                        "a template failed; the built-in one is used instead"
                    ),
                }
            }
            built_in.render(form).unwrap_or_else(|error| {
                // Not known to happen. A message that says little is better than none.
                tracing::error!(notification = notification.id, %error, "a built-in template failed");
                title(&notification.incident.instance, templates::TITLE)
            })
        })
    }

    fn built_in(reader: &Reader) -> Self {
        let templates = Templates::compile(reader, &Own::new());
        // The built-in templates are the same in every run, and the tests compile and render them all.
        let built_in = Arc::new(templates.expect("the built-in templates compile"));
        Self { language: reader.language, built_in, own: None }
    }
}

/// What messages in a language call the line of an incident or, if it is a trouble of linedown's own, the part that has it.
pub fn name_of(incident: &Incident, language: Language) -> String {
    let name = templates::bare(AutoEscape::None).render_str(language.name_of_line(), variables::of_incident(incident));
    // The tests make the name of every sort of incident in every language.
    name.unwrap_or_else(|_| title(&incident.instance, templates::TITLE))
}

fn language(name: Option<&str>, section: &mut Section<'_>) -> Option<Language> {
    let Some(name) = name else { return Some(Language::default()) };
    let language = Language::parse(name);
    if language.is_none() {
        let names = Language::ALL.map(Language::name);
        let problem = section.error("language", format!("there are no texts in the language `{name}`"));
        problem.expected = Some(one_of(&names));
        problem.hint = did_you_mean(name, names);
    }
    language
}

/// Returns the time zone that a section's key `time_zone` names, the machine's by default. Notes an error if there is
/// no such zone.
pub fn time_zone(name: Option<&str>, section: &mut Section<'_>) -> Option<TimeZone> {
    let Some(name) = name else { return Some(TimeZone::try_system().unwrap_or(TimeZone::UTC)) };
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        let problem = section.error("time_zone", format!("there is no time zone `{name}`"));
        problem.expected = Some("a name of the IANA time zone database, such as `America/Sao_Paulo`".to_owned());
        problem.hint = similar_zone(name).map(|name| format!("did you mean `{name}`?"));
    }
    zone
}

/// The time zone that was probably meant.
fn similar_zone(name: &str) -> Option<String> {
    if let Some(hours) = name.strip_prefix("GMT").or(name.strip_prefix("UTC")).and_then(|hours| hours.parse().ok()) {
        return fixed_zone(hours);
    }
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    closest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// The time zone this many hours ahead of UTC. Names of the database have POSIX's sign: `Etc/GMT+3` is behind UTC.
fn fixed_zone(hours: i8) -> Option<String> {
    let name = format!("Etc/GMT{:+}", hours.checked_neg()?);
    TimeZone::get(&name).ok().map(|_| name)
}
