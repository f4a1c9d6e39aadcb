//! The template engine, set up so that a template can neither run away nor let anything through unescaped.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter};

use super::clean::{mrkdwn, one_line, tidy};
use super::imports;
use super::reader::Reader;

/// The file with the sentences that the others lay out.
pub(super) const WORDS: &str = "words.txt";
/// Most bytes that a template may render, and may be long itself.
pub(super) const LARGEST: usize = 100 * 1024;
/// Most characters of a title: Slack's limit for a header.
pub(super) const TITLE: usize = 150;
/// What a rendering may cost, in minijinja's units: an instruction each, or 64 bytes. Ours cost a tenth,
/// and that for a digest of a hundred lines.
pub(super) const FUEL: u64 = 100_000;
/// How deep templates may call each other; little, as they run on small stacks.
const DEPTH: usize = 100;

/// One of the ways to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Title,
    Text,
    Html,
    Slack,
}

impl Form {
    pub(super) const ALL: [Self; 4] = [Self::Title, Self::Text, Self::Html, Self::Slack];

    /// Its template's file name.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Title => "title.txt",
            Self::Text => "text.txt",
            Self::Html => "html.html",
            Self::Slack => "slack.txt",
        }
    }

    /// How many lines of a digest it names at most; of the rest it says how many there are.
    pub(super) fn items(self) -> usize {
        match self {
            Self::Title => 1,
            Self::Text | Self::Html => 100,
            // As many as fit into a message of Slack's.
            Self::Slack => 30,
        }
    }

    fn built_in(self) -> &'static str {
        match self {
            Self::Title => include_str!("layout/title.txt"),
            Self::Text => include_str!("layout/text.txt"),
            Self::Html => include_str!("layout/html.html"),
            Self::Slack => include_str!("layout/slack.txt"),
        }
    }

    fn escape(self) -> AutoEscape {
        match self {
            Self::Title | Self::Text => AutoEscape::None,
            Self::Html => AutoEscape::Html,
            Self::Slack => AutoEscape::Custom("mrkdwn".into()),
        }
    }
}

/// What the others lay out of [`WORDS`]. An own file has all of it and replaces what it sets: one that was written for a
/// former version lacks nothing that has come since.
const LAID_OUT: &str = "title, language, paragraphs, quote_label, quote, list_label, entry, more, reconnect, acknowledge, \
                        steps_label, steps, facts";

/// Every file that there is, as a user may replace it.
pub(super) fn files() -> [&'static str; 5] {
    let [title, text, html, slack] = Form::ALL.map(Form::file);
    [title, text, html, slack, WORDS]
}

/// Compiled templates. Each form has an environment of its own, so that whatever a template includes or imports is
/// escaped for the form it ends up in.
#[derive(Debug)]
pub(super) struct Templates([Environment<'static>; 4]);

impl Templates {
    /// Compiles the built-in templates in the reader's language, save those that `own` replaces. As
    /// `built-in/NAME` all stay within reach, for an own template that only adds to one.
    pub(super) fn compile(reader: &Reader, own: &BTreeMap<&'static str, String>) -> Result<Self, Error> {
        let environment = |form: Form| -> Result<_, Error> {
            let mut environment = with_filters(form, reader);
            let built_in = Form::ALL.map(|form| (form.file(), form.built_in()));
            for (name, source) in built_in.into_iter().chain([(WORDS, reader.language.words())]) {
                imports::add(&mut environment, format!("built-in/{name}"), source.to_owned())?;
                let source = match own.get(name) {
                    // On the line of the first of its own, so that mistakes keep their lines.
                    Some(own) if name == WORDS => format!("{{% from 'built-in/{WORDS}' import {LAID_OUT} %}}{own}"),
                    own => own.map_or(source, String::as_str).to_owned(),
                };
                imports::add(&mut environment, name.to_owned(), source)?;
            }
            Ok(environment)
        };
        let [title, text, html, slack] = Form::ALL.map(environment);
        Ok(Self([title?, text?, html?, slack?]))
    }

    /// The form's environment.
    pub(super) fn environment(&self, form: Form) -> &Environment<'static> {
        &self.0[form as usize]
    }

    /// Puts a notification's variables into words. Fails rather than say nothing, or too much.
    pub(super) fn render(&self, form: Form, variables: &Value) -> Result<String, Error> {
        let template = self.environment(form).get_template(form.file())?;
        let rendered = template.render(variables)?;
        let refused = |why: &str| Err(Error::new(ErrorKind::InvalidOperation, format!("{} {why}", form.file())));
        if rendered.len() > LARGEST {
            return refused("renders more than 100 KiB");
        }
        let finished = match form {
            Form::Title => one_line(&rendered, TITLE),
            Form::Text | Form::Html | Form::Slack => tidy(&rendered),
        };
        if finished.is_empty() { refused("renders nothing") } else { Ok(finished) }
    }
}

/// An environment without templates: bounded, and strict about what is not defined.
pub(super) fn bare(escape: AutoEscape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax());
    environment.set_fuel(Some(FUEL));
    // So that errors name the expression, in every build.
    environment.set_debug(true);
    environment.set_recursion_limit(DEPTH);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_formatter(write);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment
}

/// Lines that hold nothing but tags leave nothing behind.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}

fn with_filters(form: Form, reader: &Reader) -> Environment<'static> {
    let mut environment = bare(form.escape());
    let clock = reader.clone();
    environment
        .add_filter("local", move |moment: Value, format: Option<String>| local(&clock, &moment, format.as_deref()));
    let clock = reader.clone();
    environment.add_filter("duration", move |seconds: i64| clock.duration(seconds));
    environment.add_filter("mrkdwn", |text: Value| {
        if text.is_safe() { text } else { Value::from_safe_string(mrkdwn(&text.to_string())) }
    });
    environment
}

/// The first that holds something. Jinja's own `default` would let our empty texts pass for something.
fn default(value: Value, other: Option<Value>) -> Value {
    let empty = value.is_undefined() || value.is_none() || value.as_str() == Some("");
    if empty { other.unwrap_or_default() } else { value }
}

/// A moment as the reader's clock shows it; nothing for a moment that has not come.
fn local(reader: &Reader, moment: &Value, format: Option<&str>) -> Result<String, Error> {
    let wrong = |why: String| Error::new(ErrorKind::InvalidOperation, format!("`local`: {why}"));
    match moment.as_str() {
        Some("") => Ok(String::new()),
        Some(text) => {
            let moment = text.parse().map_err(|_| wrong(format!("{text:?} is not a time")))?;
            reader.local(moment, format).map_err(|error| wrong(error.to_string()))
        }
        None => Err(wrong("takes a time, such as `incident.opened_at`".to_owned())),
    }
}

/// Prints a value as its form needs it: none is nothing, and what is not ours is escaped.
fn write(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match state.auto_escape() {
        _ if value.is_none() => Ok(()),
        AutoEscape::Custom(_) if value.is_safe() => out.write_str(&value.to_string()).map_err(Error::from),
        AutoEscape::Custom(_) => out.write_str(&mrkdwn(&value.to_string())).map_err(Error::from),
        _ => escape_formatter(out, state, value),
    }
}
