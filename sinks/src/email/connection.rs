//! Talking to the relay: one conversation a message, over connections that are kept for the next one.
//!
//! lettre's own pool would put a connection back that was abandoned in the middle of a command, and its
//! commands have no time limit. Here a conversation owns its connection, every command has its patience
//! (RFC 5321, 4.5.3.2), and a connection goes back only after a whole answer.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::{Instant, sleep, timeout};

use super::reply::{Stage, failure};
use crate::{Failure, FailureKind, Receipt, excerpt};

/// For the TCP connection alone.
const CONNECT: Duration = Duration::from_secs(10);
/// For any one answer, and for connecting with TLS and greeting.
const ANSWER: Duration = Duration::from_secs(30);
/// For the answer after the final dot, for which relays scan the message.
const ACCEPT: Duration = Duration::from_mins(1);
/// For finding out whether a kept connection still works.
const STILL_THERE: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_mins(1);

/// A relay and the connections kept to it.
pub(super) struct Relay {
    address: (String, u16),
    encryption: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
    idle: Arc<Mutex<Vec<Idle>>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Relay {
    pub(super) fn new(address: (String, u16), encryption: Tls, credentials: Option<Credentials>) -> Self {
        Self { address, encryption, credentials, hello: ClientId::default(), idle: Arc::default() }
    }

    /// Hands one message in for one recipient.
    pub(super) async fn send(&self, from: &Address, to: &Address, message: &[u8]) -> Result<Receipt, Failure> {
        let mut connection = match self.kept().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let outcome = self.hand_in(&mut connection, from, to, message).await;
        let healthy = match &outcome {
            Ok(_) => true,
            // Refused in so many words, all is well but this message. Otherwise the connection is dropped here.
            Err(failure) if matches!(failure.kind, FailureKind::Refused | FailureKind::Deferred) => {
                matches!(timeout(STILL_THERE, connection.command(Rset)).await, Ok(Ok(_)))
            }
            Err(_) => false,
        };
        if healthy {
            self.keep(connection);
        }
        outcome
    }

    async fn hand_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: &Address,
        to: &Address,
        message: &[u8],
    ) -> Result<Receipt, Failure> {
        let mut parameters = Vec::new();
        if !(AsRef::<str>::as_ref(from).is_ascii() && AsRef::<str>::as_ref(to).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let what = format!("{to}: the relay cannot take addresses with such letters (SMTPUTF8)");
                return Err(Failure::new(FailureKind::Refused, what));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let mail = connection.command(Mail::new(Some(from.clone()), parameters));
        self.step(&Stage::Sender(from), ANSWER, mail).await?;
        let recipient = connection.command(Rcpt::new(to.clone(), Vec::new()));
        self.step(&Stage::Recipient(to), ANSWER, recipient).await?;
        self.step(&Stage::Message(to), ANSWER, connection.command(Data)).await?;
        let answer = self.step(&Stage::Message(to), ACCEPT, connection.command(Body(message))).await?;
        Ok(receipt(&answer))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let at_once = match &self.encryption {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let address = (self.address.0.as_str(), self.address.1);
        let connecting = AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &self.hello, at_once, None);
        let mut connection = self.step(&Stage::Connect, ANSWER, connecting).await?;
        if let Tls::Required(parameters) = &self.encryption {
            // Whoever sits in between can take the offer out: without it nothing is sent at all.
            if !connection.can_starttls() {
                let (host, port) = &self.address;
                let what = format!("{host}:{port} offers no STARTTLS; use smtps://, or write tls = \"none\"");
                return Err(Failure::new(FailureKind::Unreachable, what));
            }
            self.step(&Stage::Connect, ANSWER, connection.starttls(parameters.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let login = connection.auth(DEFAULT_MECHANISMS, credentials);
            self.step(&Stage::Login(credentials), ANSWER, login).await?;
        }
        Ok(connection)
    }

    async fn step<T>(
        &self,
        stage: &Stage<'_>,
        patience: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        if let Ok(outcome) = timeout(patience, work).await {
            return outcome.map_err(|error| failure(stage, &error, &self.address));
        }
        let (host, port) = &self.address;
        let what = format!("{host}:{port} gave no answer to {stage} within {} seconds", patience.as_secs());
        Err(Failure::new(FailureKind::TimedOut, what))
    }

    /// A kept connection that still answers.
    async fn kept(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let Idle { mut connection, since } = lock(&self.idle).pop()?;
            if since.elapsed() < IDLE && timeout(STILL_THERE, connection.test_connected()).await == Ok(true) {
                return Some(connection);
            }
        }
    }

    /// No more are kept than were in use at the same time: a new one is made only when none is left here.
    fn keep(&self, connection: AsyncSmtpConnection) {
        lock(&self.idle).push(Idle { connection, since: Instant::now() });
        let idle = Arc::downgrade(&self.idle);
        tokio::spawn(async move {
            sleep(IDLE).await;
            let expired: Vec<Idle> = idle.upgrade().map(|idle| take_expired(&idle)).unwrap_or_default();
            for mut each in expired {
                let _ = timeout(STILL_THERE, each.connection.quit()).await;
            }
        });
    }
}

/// A message with its final dot (RFC 5321, 4.5.2), for one write: lettre's own `message` writes the dot apart, and a
/// system that waits for an acknowledgement in between (RFC 896) makes that 40 ms a message.
struct Body<'m>(&'m [u8]);

impl fmt::Display for Body<'_> {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = String::from_utf8_lossy(self.0);
        for line in message.strip_suffix("\r\n").unwrap_or(&message).split("\r\n") {
            let dot = if line.starts_with('.') { "." } else { "" };
            write!(text, "{dot}{line}\r\n")?;
        }
        text.write_str(".\r\n")
    }
}

fn take_expired(idle: &Mutex<Vec<Idle>>) -> Vec<Idle> {
    lock(idle).extract_if(.., |each| each.since.elapsed() >= IDLE).collect()
}

/// The list is whole at every moment, so a panic elsewhere spoils nothing.
fn lock(idle: &Mutex<Vec<Idle>>) -> std::sync::MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receipt(answer: &Response) -> Receipt {
    let words = answer.message().collect::<Vec<_>>().join(" ");
    Receipt(if words.trim().is_empty() { answer.code().to_string() } else { excerpt(&words) })
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
