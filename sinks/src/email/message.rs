//! The message itself: both bodies, and headers for threads and filters, none of them taken from a payload.

use std::time::SystemTime;

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use crate::texts::without_encoded_words;
use crate::{Failure, FailureKind, Form, Kind, Notification, Texts};

/// The headers that are the same on every message.
#[derive(Clone)]
pub(super) struct Letterhead {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
}

impl Letterhead {
    /// Returns the message as it is sent to the relay.
    pub(super) fn message(&self, texts: &Texts, notification: &Notification, to: Mailbox) -> Result<Vec<u8>, Failure> {
        let [title, text, html] = texts.render(notification, [Form::Title, Form::Text, Form::Html]);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(without_encoded_words(&title))
            .date(SystemTime::from(notification.at))
            // The same on every attempt: the copy that a lost answer causes is recognisable (RFC 5321, 6.1).
            .message_id(Some(self.identifier(&notification.key())))
            // No vacation replies (RFC 3834, 5); the second header is Exchange's for the same.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"))
            .raw_header(header("X-Linedown-Kind", notification.kind.as_str()));
        // A digest belongs to no single incident.
        if notification.kind != Kind::Digest {
            let thread = self.identifier(&notification.thread());
            builder = builder
                .in_reply_to(thread.clone())
                .references(thread)
                .raw_header(header("X-Linedown-Incident", &notification.incident.id.to_string()));
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let bodies = MultiPart::alternative_plain_html(text, html);
        let message = builder.multipart(bodies).map_err(|error| {
            Failure::new(FailureKind::Refused, "cannot build a message for this notification").caused_by(error)
        })?;
        Ok(message.formatted())
    }

    /// Returns the main headers and the text, for people to look at.
    pub(super) fn preview(&self, texts: &Texts, notification: &Notification) -> String {
        let [title, text] = texts.render(notification, [Form::Title, Form::Text]);
        let subject = without_encoded_words(&title);
        format!("From: {}\nTo: {}\nSubject: {subject}\n\n{text}", self.from, notification.recipient)
    }

    fn identifier(&self, name: &str) -> String {
        format!("<{name}@{}>", self.from.email.domain())
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
