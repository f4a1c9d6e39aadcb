//! A connection to a relay, kept for one message after another.
//!
//! From the second message on, the envelope (MAIL, RCPT, DATA) is sent in one piece if the relay offers PIPELINING (RFC
//! 2920): two round trips instead of four. If anything goes wrong before the content is sent, it does not count: the
//! message is sent again step by step on a new connection, and the answers there count.

use std::borrow::Cow;
use std::fmt;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};

use crate::{Failure, FailureKind};

/// A connection, and the state of its conversation.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    /// Whether the relay has taken the whole envelope and waits for the content. If not, it has the sender at most.
    pub(super) awaits_content: bool,
    /// Whether the relay offers PIPELINING; none until it was asked.
    pipelines: Option<bool>,
}

/// What came of using a kept connection for another message.
pub(super) enum Resumed {
    /// It works, and the relay has taken the sender or the envelope.
    Well(Connection),
    /// The relay has ended it: with 421 (RFC 5321, 4.2.1), with 451 for idling, with 452 after a number of messages, or
    /// by closing it without a word.
    Gone,
    /// The relay put this message off with a 4xx; it is asked again on a new connection.
    PutOff,
    /// The connection failed after the second EHLO, or an envelope in one piece was refused or not answered. Sending it
    /// in one piece may be the cause, but the refusal may also be meant.
    Choked,
}

impl Connection {
    pub(super) fn new(smtp: AsyncSmtpConnection) -> Self {
        Self { smtp, awaits_content: false, pipelines: None }
    }

    /// MAIL FROM, with SMTPUTF8 if an address needs it. Fails if the relay does not offer that.
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

    /// Begins another message with its sender alone.
    pub(super) async fn resume(mut self, mail: Mail) -> Resumed {
        self.awaits_content = false;
        let is_taken = self.smtp.command(mail).await.is_ok_and(|answer| completes(&answer));
        if is_taken { Resumed::Well(self) } else { Resumed::Gone }
    }

    /// Begins another message with its whole envelope in one piece.
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
        if is_taken {
            Resumed::Well(self)
        } else if is_put_off {
            Resumed::PutOff
        } else {
            Resumed::Choked
        }
    }

    /// Whether [`Connection::pipelines`] has asked the relay.
    pub(super) fn was_asked(&self) -> bool {
        self.pipelines.is_some()
    }

    /// Whether the relay offers PIPELINING. Asks with a second EHLO the first time, because lettre keeps only the
    /// extensions that it uses itself. Some relays dislike a second EHLO.
    pub(super) async fn pipelines(&mut self, hello: &ClientId) -> bool {
        if let Some(known) = self.pipelines {
            return known;
        }
        let answer = self.smtp.command(Ehlo::new(hello.clone())).await;
        let offers = |line: &str| line.trim().eq_ignore_ascii_case("PIPELINING");
        *self.pipelines.insert(answer.is_ok_and(|answer| answer.message().any(offers)))
    }
}

/// Whether the answer is 2xx: the command is done.
pub(super) fn completes(answer: &Response) -> bool {
    answer.code().severity == Severity::PositiveCompletion
}

/// Whether the answer is 3xx: the relay waits for the content.
pub(super) fn goes_on(answer: &Response) -> bool {
    answer.code().severity == Severity::PositiveIntermediate
}

/// A message with its final dot (RFC 5321, 4.5.2), for a single write. lettre's own `message` writes the dot
/// separately, and a system that waits for an acknowledgement in between (RFC 896) then adds 40 ms to each message.
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
