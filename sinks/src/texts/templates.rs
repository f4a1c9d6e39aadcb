//! The template engine, set up so that a template cannot run without bound or output anything unescaped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter};

use super::clean::{mrkdwn, one_line_of_ours, tidy};
use super::imports;
use super::reader::Reader;
use super::variables;
use super::wording::{self, LAID_OUT, WORDS};
use crate::{Kind, Notification};

/// The most bytes that a template may have, and that it may render.
pub(super) const LARGEST: usize = 100 * 1024;
/// The most characters of a title: Slack's limit for a header.
pub(super) const TITLE: usize = 150;
/// The most that a rendering may cost, in minijinja's units: one per instruction, or per 64 bytes. The built-in
/// templates need a tenth of it, for a digest of a hundred lines.
pub(super) const FUEL: u64 = 100_000;
/// How deep templates may call each other: not deep, as they run on small stacks.
const DEPTH: usize = 100;

/// A form in which a notification is put into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line that says it all: an email's subject, a Slack message's header, a phone's notification.
    Title,
    /// The whole message as plain text.
    Text,
    /// The whole message as an HTML document for mail readers.
    Html,
    /// The message without its title in Slack's mrkdwn, with everything from outside escaped.
    Slack,
}

impl Form {
    pub(super) const ALL: [Self; 4] = [Self::Title, Self::Text, Self::Html, Self::Slack];

    /// The file name of its template.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Title => "title.txt",
            Self::Text => "text.txt",
            Self::Html => "html.html",
            Self::Slack => "slack.txt",
        }
    }

    /// The most lines of a digest that it names; of the rest, it says how many there are.
    fn items(self) -> usize {
        match self {
            Self::Title => 1,
            Self::Text | Self::Html => 100,
            // As many as fit into one Slack message.
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

    fn escape(self) -> Escape {
        match self {
            Self::Title | Self::Text => Escape::None,
            Self::Html => Escape::Html,
            Self::Slack => Escape::Slack,
        }
    }
}

/// How a form escapes text from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Html,
    Slack,
}

impl Escape {
    const ALL: [Self; 3] = [Self::None, Self::Html, Self::Slack];

    fn engine(self) -> AutoEscape {
        match self {
            Self::None => AutoEscape::None,
            Self::Html => AutoEscape::Html,
            Self::Slack => AutoEscape::Custom("mrkdwn".into()),
        }
    }
}

/// The names of all files that a user may replace.
pub(super) fn files() -> [&'static str; 5] {
    let [title, text, html, slack] = Form::ALL.map(Form::file);
    [title, text, html, slack, WORDS]
}

/// Compiled templates. Each way of escaping has its own environment, so that everything a template includes or imports
/// is escaped for the form in which it ends up.
#[derive(Debug)]
pub(super) struct Templates([Arc<Environment<'static>>; 3]);

impl Templates {
    /// Compiles the built-in templates in the reader's language, except those that `own` replaces. All built-in ones
    /// can also be included as `built-in/NAME`, by a user's template that only adds to one.
    pub(super) fn compile(reader: &Reader, own: &BTreeMap<&'static str, String>) -> Result<Self, Error> {
        let environment = |escape: Escape| -> Result<_, Error> {
            let mut environment = with_filters(escape, reader);
            if own.is_empty() {
                // What the built-in templates do is bounded by what a message holds: counting it would only take time.
                environment.set_fuel(None);
            }
            let built_in = Form::ALL.map(|form| (form.file(), form.built_in()));
            for (name, source) in built_in.into_iter().chain(reader.language.words()) {
                imports::add(&mut environment, format!("built-in/{name}"), source.to_owned())?;
                if !files().contains(&name) {
                    continue;
                }
                let source = match own.get(name) {
                    // The import is put on the first line of the user's text, so that reported line numbers stay right.
                    Some(own) if name == WORDS => {
                        format!("{{% from 'built-in/{WORDS}' import {} %}}{own}", LAID_OUT.join(", "))
                    }
                    own => own.map_or(source, String::as_str).to_owned(),
                };
                imports::add(&mut environment, name.to_owned(), source)?;
            }
            Ok(Arc::new(environment))
        };
        let [none, html, slack] = Escape::ALL.map(environment);
        Ok(Self([none?, html?, slack?]))
    }

    /// The environment of a form.
    pub(super) fn environment(&self, form: Form) -> &Arc<Environment<'static>> {
        &self.0[form.escape() as usize]
    }

    /// Begins to put a notification into words.
    pub(super) fn of<'r>(&'r self, notification: &'r Notification) -> Rendering<'r> {
        Rendering { templates: self, notification, variables: BTreeMap::new() }
    }
}

/// One notification being put into words. Variables that several forms share are made once.
pub(super) struct Rendering<'r> {
    templates: &'r Templates,
    notification: &'r Notification,
    /// The variables, by the most lines of a digest that they name ([`Form::items`]).
    variables: BTreeMap<usize, Value>,
}

impl Rendering<'_> {
    /// Renders one form. Fails if the template fails, or renders nothing or more than [`LARGEST`].
    pub(super) fn render(&mut self, form: Form) -> Result<String, Error> {
        let variables = self.variables(form);
        let rendered = self.templates.environment(form).get_template(form.file())?.render(variables)?;
        let refused = |why: &str| Err(Error::new(ErrorKind::InvalidOperation, format!("{} {why}", form.file())));
        if rendered.len() > LARGEST {
            return refused("renders more than 100 KiB");
        }
        let finished = match form {
            Form::Title => one_line_of_ours(&rendered, TITLE),
            Form::Text | Form::Html | Form::Slack => tidy(&rendered),
        };
        if finished.is_empty() { refused("renders nothing") } else { Ok(finished) }
    }

    /// Everything that a form's template can name. The sentences in it are plain text, which each form escapes like any
    /// other value.
    fn variables(&mut self, form: Form) -> Value {
        let most = if self.notification.kind == Kind::Digest { form.items() } else { 0 };
        let plain = self.templates.environment(Form::Text);
        let all = || wording::beside(variables::of_notification(self.notification, most), plain);
        self.variables.entry(most).or_insert_with(all).clone()
    }
}

/// An environment without templates: bounded, and strict about undefined names.
pub(super) fn bare(escape: AutoEscape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax());
    environment.set_fuel(Some(FUEL));
    // Makes errors name the expression, in release builds too.
    environment.set_debug(true);
    environment.set_recursion_limit(DEPTH);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_formatter(write);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment
}

/// Makes lines that consist only of tags leave no blank lines.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}

fn with_filters(escape: Escape, reader: &Reader) -> Environment<'static> {
    let mut environment = bare(escape.engine());
    let clock = reader.clone();
    environment
        .add_filter("local", move |moment: Value, format: Option<String>| local(&clock, &moment, format.as_deref()));
    let clock = reader.clone();
    environment.add_filter("duration", move |seconds: i64| clock.duration(seconds));
    environment.add_filter("each", each);
    environment.add_filter("mrkdwn", |text: Value| {
        if text.is_safe() { text } else { Value::from_safe_string(mrkdwn(&text.to_string()).into_owned()) }
    });
    environment
}

/// The filter `default`: the value, or `other` if it is undefined, none or an empty text. Jinja's own filter would keep
/// an empty text, which linedown's variables have in place of missing values.
fn default(value: Value, other: Option<Value>) -> Value {
    let empty = value.is_undefined() || value.is_none() || value.as_str() == Some("");
    if empty { other.unwrap_or_default() } else { value }
}

/// The filter `local`: a time on the reader's clock. An empty text stays empty: the time has not come, such as the end
/// of an outage in progress.
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

/// The filter `each`: a line for each pair that has a value, such as `{}: {}` with its two parts in place of the braces.
/// The parts are escaped as the form needs. A loop in a template would do the same, and take longer.
fn each(state: &mut State, pairs: &Value, line: &str) -> Result<Value, Error> {
    let wrong = |why: &str| Error::new(ErrorKind::InvalidOperation, format!("`each`: {why}"));
    let parts: Vec<&str> = line.split("{}").collect();
    let [before, between, after] = parts[..] else {
        return Err(wrong("takes a line with two `{}`, such as \"{}: {}\""));
    };
    let mut lines = String::new();
    for pair in pairs.try_iter()? {
        state.consume_fuel(1)?;
        let (label, value) = (pair.get_item_by_index(0)?, pair.get_item_by_index(1)?);
        if value.is_true() {
            lines.extend([before, &shown(state, &label)?, between, &shown(state, &value)?, after, "\n"]);
        }
        if lines.len() > LARGEST {
            return Err(wrong("renders more than 100 KiB"));
        }
    }
    Ok(Value::from_safe_string(lines))
}

/// What a template would write for a value.
fn shown<'v>(state: &mut State, value: &'v Value) -> Result<Cow<'v, str>, Error> {
    match (state.auto_escape(), value.as_str()) {
        (AutoEscape::None, Some(text)) => Ok(Cow::Borrowed(text)),
        _ => state.format(value.clone()).map(Cow::Owned),
    }
}

/// Writes a value as its form needs it: nothing for none, and escaped unless it is marked safe.
fn write(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match (state.auto_escape(), value.as_str()) {
        _ if value.is_none() => Ok(()),
        // The same as the engine would write, without the detour through `Display`.
        (AutoEscape::None, Some(text)) => out.write_str(text).map_err(Error::from),
        (_, Some(text)) if value.is_safe() => out.write_str(text).map_err(Error::from),
        (AutoEscape::Custom(_), Some(text)) => out.write_str(&mrkdwn(text)).map_err(Error::from),
        (AutoEscape::Custom(_), None) => out.write_str(&mrkdwn(&value.to_string())).map_err(Error::from),
        _ => escape_formatter(out, state, value),
    }
}
