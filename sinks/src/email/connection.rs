//! Talking to the relay: one conversation a message, over connections that are kept for the next one.
//!
//! lettre's own pool would put a connection back that was abandoned in the middle of a command, and its
//! commands have no time limit. Here a conversation owns its connection, every command has its patience
//! (RFC 5321, 4.5.3.2), and a connection goes back only after a whole answer.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::{Instant, sleep_until, timeout};

use super::reply::{Stage, failure};
use crate::{Failure, FailureKind, Receipt, excerpt};

/// For the TCP connection alone.
const CONNECT: Duration = Duration::from_secs(10);
/// For any one answer, and for connecting with TLS and greeting.
const ANSWER: Duration = Duration::from_secs(30);
/// For the answer after the final dot, for which relays scan the message.
const ACCEPT: Duration = Duration::from_mins(1);
/// For what a kept connection answers at once, if it still works.
const STILL_THERE: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_mins(1);

/// A relay and the connections kept to it.
pub(super) struct Relay {
    address: (String, u16),
    encryption: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// The longest kept first.
    idle: Vec<Idle>,
    /// Whether somebody closes them when their time is over.
    watched: bool,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Relay {
    pub(super) fn new(address: (String, u16), encryption: Tls, credentials: Option<Credentials>) -> Self {
        Self { address, encryption, credentials, hello: ClientId::default(), kept: Arc::default() }
    }

    /// Hands one message in for one recipient.
    pub(super) async fn send(&self, from: &Address, to: &Address, message: &[u8]) -> Result<Receipt, Failure> {
        let mut connection = match self.resume(from, to).await {
            Some(resumed) => resumed?,
            None => self.begin(from, to).await?,
        };
        let outcome = self.hand_in(&mut connection, to, message).await;
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

    /// On a new connection, up to the sender.
    async fn begin(&self, from: &Address, to: &Address) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = self.connect().await?;
        let mail = mail(&connection, from, to)?;
        self.step(&Stage::Sender(from), ANSWER, connection.command(mail)).await?;
        Ok(connection)
    }

    /// On a kept connection, up to the sender. None if there is none, or the relay has left it meanwhile: that shows here,
    /// before it is given anything. Relays take leave with 421 (RFC 5321, 4.2.1), with 451 for idling, with 452 after so
    /// many messages; what is no leave is said again on a new connection.
    async fn resume(&self, from: &Address, to: &Address) -> Option<Result<AsyncSmtpConnection, Failure>> {
        let Idle { mut connection, since } = lock(&self.kept).idle.pop()?;
        if since.elapsed() >= IDLE {
            return None;
        }
        let mail = match mail(&connection, from, to) {
            Ok(mail) => mail,
            Err(failure) => {
                self.keep(connection);
                return Some(Err(failure));
            }
        };
        match timeout(STILL_THERE, connection.command(mail)).await {
            Ok(Ok(_)) => Some(Ok(connection)),
            Ok(Err(error)) if error.is_permanent() => Some(Err(failure(&Stage::Sender(from), &error, &self.address))),
            _ => None,
        }
    }

    async fn hand_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        to: &Address,
        message: &[u8],
    ) -> Result<Receipt, Failure> {
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

    /// No more are kept than were in use at the same time: a new one is made only when none is left here.
    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut kept = lock(&self.kept);
        kept.idle.push(Idle { connection, since: Instant::now() });
        if !std::mem::replace(&mut kept.watched, true) {
            tokio::spawn(close_in_time(Arc::downgrade(&self.kept)));
        }
    }
}

/// Takes leave of the relay on connections that nobody has needed for long; ends with the last of them.
async fn close_in_time(kept: Weak<Mutex<Kept>>) {
    let mut next = Instant::now() + IDLE;
    loop {
        sleep_until(next).await;
        let Some(kept) = kept.upgrade() else { return };
        let expired: Vec<Idle> = lock(&kept).idle.extract_if(.., |each| each.since.elapsed() >= IDLE).collect();
        for mut each in expired {
            let _ = timeout(STILL_THERE, each.connection.quit()).await;
        }
        let mut kept = lock(&kept);
        let Some(oldest) = kept.idle.first() else {
            kept.watched = false;
            return;
        };
        next = oldest.since + IDLE;
    }
}

/// MAIL FROM, as the relay can take it.
fn mail(connection: &AsyncSmtpConnection, from: &Address, to: &Address) -> Result<Mail, Failure> {
    let mut parameters = Vec::new();
    if !(AsRef::<str>::as_ref(from).is_ascii() && AsRef::<str>::as_ref(to).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let what = format!("{to}: the relay cannot take addresses with such letters (SMTPUTF8)");
            return Err(Failure::new(FailureKind::Refused, what));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    Ok(Mail::new(Some(from.clone()), parameters))
}

/// A message with its final dot (RFC 5321, 4.5.2), for one write: lettre's own `message` writes the dot apart, and a
/// system that waits for an acknowledgement in between (RFC 896) makes that 40 ms a message.
struct Body<'m>(&'m [u8]);

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

/// It is whole at every moment, so a panic elsewhere spoils nothing.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
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
