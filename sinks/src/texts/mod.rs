//! The words of a notification: templates in the reader's language and time zone.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{Incident, Notification, Section};

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

/// Compiled templates, ready to put notifications into words. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Texts {}

impl Texts {
    /// Checks the keys, reads and compiles the templates, and tries each on every kind of notification.
    /// Problems are noted in `section`, in which the keys stand.
    pub fn check(_keys: &TextKeys, _section: &mut Section<'_>) -> Option<Self> {
        Some(Self {})
    }

    /// One line that says it all: an email's subject, a Slack message's header, a phone's notification.
    pub fn title(&self, notification: &Notification) -> String {
        notification.incident.instance.title().to_owned()
    }

    /// The whole message as plain text.
    pub fn text(&self, notification: &Notification) -> String {
        self.title(notification)
    }

    /// The whole message as an HTML document for mail readers.
    pub fn html(&self, notification: &Notification) -> String {
        self.title(notification)
    }

    /// The message below its title in Slack's mrkdwn, everything from outside escaped.
    pub fn slack(&self, notification: &Notification) -> String {
        self.title(notification)
    }
}

/// A short template within the config, such as a recipient: `{{ instance.labels.owner }}`.
#[derive(Clone, Debug)]
pub struct Inline {}

impl Inline {
    /// Compiles it; the error says what is wrong, in one line.
    pub fn compile(_source: &str) -> Result<Self, String> {
        Ok(Self {})
    }

    /// Fills it in. What the incident lacks becomes empty.
    pub fn render(&self, _incident: &Incident) -> String {
        String::new()
    }
}
