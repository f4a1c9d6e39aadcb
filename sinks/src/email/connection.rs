//! A connection to a relay, kept for one message after the other.
//!
//! From the second message on, the envelope goes out in one piece if the relay offers that (RFC 2920): two round trips
//! instead of four. Whatever goes wrong with it, before there is a content, has not happened: a new connection begins
//! anew, step by step, and what is said there counts.

use std::borrow::Cow;
use std::fmt;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};

use crate::{Failure, FailureKind};

pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    /// Whether it has taken an envelope and waits for the content, or has a sender at most.
    pub(super) awaits_content: bool,
    /// Whether the relay takes several commands at once; none until it was asked.
    pipelines: Option<bool>,
}

/// What became of a kept connection.
pub(super) enum Resumed {
    /// It goes on, with what it has taken.
    Well(Connection),
    /// The relay has left it: with 421 (RFC 5321, 4.2.1), with 451 for idling, with 452 after so many messages, or
    /// without a word.
    Gone,
    /// The relay wants this message later: it may say so once more.
    PutOff,
    /// It came to nothing after the relay was asked once more what it can do, or an envelope in one piece was refused or
    /// not answered. What was refused may well be right.
    Choked,
}

impl Connection {
    pub(super) fn new(smtp: AsyncSmtpConnection) -> Self {
        Self { smtp, awaits_content: false, pipelines: None }
    }

    /// MAIL FROM, as the relay can take it.
    pub(super) fn mail(&self, from: &Address, to: &Address) -> Result<Mail, Failure> {
        let mut parameters = Vec::new();
        if !(AsRef::<str>::as_ref(from).is_ascii() && AsRef::<str>::as_ref(to).is_ascii()) {
            if !self.smtp.server_info().supports_feature(Extension::SmtpUtfEight) {
                let what = format!("{to}: the relay does not accept addresses with non-ASCII letters (SMTPUTF8)");
                return Err(Failure::new(FailureKind::Refused, what));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        Ok(Mail::new(Some(from.clone()), parameters))
    }

    /// The sender of another message.
    pub(super) async fn resume(mut self, mail: Mail) -> Resumed {
        self.awaits_content = false;
        let is_taken = self.smtp.command(mail).await.is_ok_and(|answer| completes(&answer));
        if is_taken { Resumed::Well(self) } else { Resumed::Gone }
    }

    /// The whole envelope of another message, in one piece.
    pub(super) async fn resume_in_one_piece(mut self, mail: Mail, to: &Address) -> Resumed {
        self.awaits_content = true;
        let envelope = format!("{mail}{}{Data}", Rcpt::new(to.clone(), Vec::new()));
        match self.smtp.command(envelope).await {
            Ok(answer) if completes(&answer) => {}
            Err(error) if !error.is_permanent() => return Resumed::Gone,
            _ => return Resumed::Choked,
        }
        let recipient = self.smtp.read_response().await;
        let content = self.smtp.read_response().await;
        let is_put_off = [&recipient, &content].iter().any(|answer| answer.as_ref().is_err_and(Error::is_transient));
        let is_taken = recipient.is_ok_and(|answer| completes(&answer)) && content.is_ok_and(|answer| goes_on(&answer));
        match () {
            () if is_taken => Resumed::Well(self),
            () if is_put_off => Resumed::PutOff,
            () => Resumed::Choked,
        }
    }

    /// Whether it is known what the relay can do.
    pub(super) fn was_asked(&self) -> bool {
        self.pipelines.is_some()
    }

    /// Asks once more what the relay can do, of which lettre keeps only what lettre does. Not each likes to be asked.
    pub(super) async fn pipelines(&mut self, hello: &ClientId) -> bool {
        if let Some(known) = self.pipelines {
            return known;
        }
        let answer = self.smtp.command(Ehlo::new(hello.clone())).await;
        let offers = |line: &str| line.trim().eq_ignore_ascii_case("PIPELINING");
        *self.pipelines.insert(answer.is_ok_and(|answer| answer.message().any(offers)))
    }
}

/// Whether it says that what was asked is done.
pub(super) fn completes(answer: &Response) -> bool {
    answer.code().severity == Severity::PositiveCompletion
}

/// Whether it asks for the content.
pub(super) fn goes_on(answer: &Response) -> bool {
    answer.code().severity == Severity::PositiveIntermediate
}

/// A message with its final dot (RFC 5321, 4.5.2), for one write: lettre's own `message` writes the dot apart, and a
/// system that waits for an acknowledgement in between (RFC 896) makes that 40 ms a message.
pub(super) struct Body<'m>(pub(super) &'m [u8]);

impl fmt::Display for Body<'_> {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = str::from_utf8(self.0).map_or_else(|_| String::from_utf8_lossy(self.0), Cow::Borrowed);
        let message = message.strip_suffix("\r\n").unwrap_or(&message);
        let mut begins_line = true;
        for (index, part) in message.split('.').enumerate() {
            if index > 0 {
                text.write_str(if begins_line { ".." } else { "." })?;
                begins_line = false;
            }
            text.write_str(part)?;
            begins_line = if part.is_empty() { begins_line } else { part.ends_with("\r\n") };
        }
        text.write_str("\r\n.\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::Body;

    #[test]
    fn a_message_ends_with_its_only_lone_dot() {
        for (message, sent) in [
            ("Subject: a\r\n\r\nb", "Subject: a\r\n\r\nb\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a\r\n\r\n", "a\r\n\r\n.\r\n"),
            (".\r\n.a\r\n..", "..\r\n..a\r\n...\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            assert_eq!(Body(message.as_bytes()).to_string(), sent, "{message:?}");
        }
    }
}
