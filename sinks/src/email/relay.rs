//! Talking to the relay: one conversation a message, over connections that are kept for the next one.
//!
//! lettre's own pool would put a connection back that was abandoned in the middle of a command, and its
//! commands have no time limit. Here a conversation owns its connection, every command has its patience
//! (RFC 5321, 4.5.3.2), and a connection goes back only after a whole answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, Extension};
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{Body, Connection, Resumed, completes, goes_on};
use super::reply::{Stage, failure, unreachable};
use super::server::Encryption;
use super::tls::{self, Tls};
use super::wire::{Wire, dial, twice};
use crate::{Failure, FailureKind, Receipt, excerpt};

/// For any one answer, and for connecting with TLS.
const ANSWER: Duration = Duration::from_secs(30);
/// For the answer after the final dot, for which relays scan the message.
const ACCEPT: Duration = Duration::from_mins(1);
/// For what a kept connection answers at once, if it still works.
const STILL_THERE: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_mins(1);

/// What to do about a relay that says nothing where it should speak first.
const SILENT: &str = "does it want TLS from the start, as on port 465? then write smtps://";

/// A relay and the connections kept to it.
pub(super) struct Relay {
    address: (String, u16),
    encryption: Encryption,
    credentials: Option<Credentials>,
    hello: ClientId,
    kept: Arc<Mutex<Kept>>,
    /// Whether envelopes may go out in one piece: until one did not get through that did step by step.
    in_one_piece: AtomicBool,
}

#[derive(Default)]
struct Kept {
    /// The longest kept first.
    idle: Vec<Idle>,
    /// Whether somebody closes them when their time is over.
    watched: bool,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Relay {
    pub(super) fn new(address: (String, u16), encryption: Encryption, credentials: Option<Credentials>) -> Self {
        let (hello, kept, in_one_piece) = (ClientId::default(), Arc::default(), AtomicBool::new(true));
        Self { address, encryption, credentials, hello, kept, in_one_piece }
    }

    /// Hands one message in for one recipient.
    pub(super) async fn send(&self, from: &Address, to: &Address, message: &[u8]) -> Result<Receipt, Failure> {
        let resumed = self.resume(from, to).await?;
        let choked = matches!(resumed, Resumed::Choked);
        let mut connection = match resumed {
            Resumed::Well(connection) => connection,
            _ => self.begin(from, to).await?,
        };
        let outcome = self.hand_in(&mut connection, to, message).await;
        if choked && outcome.is_ok() {
            self.in_one_piece.store(false, Ordering::Relaxed);
        }
        let healthy = match &outcome {
            Ok(_) => true,
            // Refused in so many words, all is well but this message. Otherwise the connection is dropped here.
            Err(failure) if matches!(failure.kind, FailureKind::Refused | FailureKind::Deferred) => {
                matches!(timeout(STILL_THERE, connection.smtp.command(Rset)).await, Ok(Ok(_)))
            }
            Err(_) => false,
        };
        if healthy {
            self.keep(connection);
        }
        outcome
    }

    /// On a new connection, up to the sender.
    async fn begin(&self, from: &Address, to: &Address) -> Result<Connection, Failure> {
        let mut connection = Connection::new(self.connect().await?);
        let mail = connection.mail(from, to)?;
        self.say(&Stage::Sender(from), ANSWER, connection.smtp.command(mail)).await?;
        Ok(connection)
    }

    /// On a kept connection, up to the sender or the content. Where there is none, it counts as gone.
    async fn resume(&self, from: &Address, to: &Address) -> Result<Resumed, Failure> {
        let kept = lock(&self.kept).idle.pop().filter(|kept| kept.since.elapsed() < IDLE);
        let Some(Idle { mut connection, .. }) = kept else { return Ok(Resumed::Gone) };
        let mail = match connection.mail(from, to) {
            Ok(mail) => mail,
            Err(failure) => {
                self.keep(connection);
                return Err(failure);
            }
        };
        let resuming = async {
            let asks = self.in_one_piece.load(Ordering::Relaxed);
            let asks_anew = asks && !connection.was_asked();
            let resumed = if asks && connection.pipelines(&self.hello).await {
                connection.resume_in_one_piece(mail, to).await
            } else {
                connection.resume(mail).await
            };
            if asks_anew && matches!(resumed, Resumed::Gone) { Resumed::Choked } else { resumed }
        };
        Ok(timeout(STILL_THERE, resuming).await.unwrap_or(Resumed::Choked))
    }

    async fn hand_in(&self, connection: &mut Connection, to: &Address, message: &[u8]) -> Result<Receipt, Failure> {
        let Connection { smtp, awaits_content, .. } = connection;
        if !*awaits_content {
            let recipient = smtp.command(Rcpt::new(to.clone(), Vec::new()));
            self.say(&Stage::Recipient(to), ANSWER, recipient).await?;
            self.say(&Stage::Data(to), ANSWER, smtp.command(Data)).await?;
        }
        let answer = self.say(&Stage::Message(to), ACCEPT, smtp.command(Body(message))).await?;
        Ok(receipt(&answer))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let wire = self.within(&Stage::Connect, ANSWER, self.open()).await?;
        let greeting = AsyncSmtpConnection::connect_with_transport(wire, &self.hello);
        let mut connection = self.step(&Stage::Connect, ANSWER, greeting).await?;
        if let Some(credentials) = &self.credentials {
            let login = connection.auth(DEFAULT_MECHANISMS, credentials);
            self.step(&Stage::Login, ANSWER, login).await?;
        }
        Ok(connection)
    }

    /// What the relay is talked to over, encrypted as wanted.
    async fn open(&self) -> Result<Box<dyn AsyncTokioStream>, Failure> {
        let (address, encryption) = (&self.address, &self.encryption);
        let stream = dial(address).await.map_err(|error| unreachable(&error, address))?;
        let begun = async |tls: &Tls, stream| {
            tls.begin(stream).await.map_err(|error| tls::failure(&error, address, encryption))
        };
        Ok(match encryption {
            Encryption::Off => Box::new(Wire::new(stream)),
            Encryption::FromTheStart(tls) => Box::new(Wire::new(begun(tls, stream).await?)),
            Encryption::StartTls(tls) => {
                let stream = self.agree_to_tls(stream).await?;
                Box::new(Wire::greeted(begun(tls, stream).await?))
            }
        })
    }

    /// STARTTLS. Nothing that was said before TLS counts within it (RFC 3207, 4.2): who said it, and what of it, is lost
    /// here, and what came after the relay's agreement is left for TLS to stumble over.
    async fn agree_to_tls(&self, stream: TcpStream) -> Result<TcpStream, Failure> {
        let [stream, other] = twice(stream).map_err(|error| unreachable(&error, &self.address))?;
        let wire = Box::new(Wire::byte_by_byte(other));
        let agreeing = async {
            let mut clear = AsyncSmtpConnection::connect_with_transport(wire, &self.hello).await?;
            // Whoever sits in between can take the offer out: without it nothing is sent at all.
            let is_offered = clear.server_info().supports_feature(Extension::StartTls);
            if is_offered { clear.command(Starttls).await.map(Some) } else { Ok(None) }
        };
        let agreed = agreeing.await.map_err(|error| self.failure(&Stage::Connect, &error))?;
        if agreed.is_some_and(|answer| completes(&answer)) {
            return Ok(stream);
        }
        let (host, port) = &self.address;
        let failure = Failure::new(FailureKind::Unreachable, format!("{host}:{port} offers no STARTTLS"));
        Err(failure.advice("use smtps://, or write tls = \"none\""))
    }

    /// A command of an envelope or the content, and its answer. One of another sort than belongs there is not an answer to
    /// it: then nothing that is said on this connection can be relied on.
    async fn say(
        &self,
        stage: &Stage<'_>,
        patience: Duration,
        command: impl Future<Output = Result<Response, Error>>,
    ) -> Result<Response, Failure> {
        let answer = self.step(stage, patience, command).await?;
        let belongs = if matches!(stage, Stage::Data(_)) { goes_on(&answer) } else { completes(&answer) };
        if belongs {
            return Ok(answer);
        }
        let ((host, port), code) = (&self.address, answer.code());
        Err(Failure::new(FailureKind::Unreachable, format!("{host}:{port} unexpectedly answered {stage} with {code}")))
    }

    async fn step<T>(
        &self,
        stage: &Stage<'_>,
        patience: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let work = async { work.await.map_err(|error| self.failure(stage, &error)) };
        self.within(stage, patience, work).await
    }

    async fn within<T>(
        &self,
        stage: &Stage<'_>,
        patience: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        timeout(patience, work).await.unwrap_or_else(|_| {
            let (host, port) = &self.address;
            let what = format!("{host}:{port} gave no answer to {stage} within {} seconds", patience.as_secs());
            let speaks_first =
                matches!(stage, Stage::Connect) && !matches!(self.encryption, Encryption::FromTheStart(_));
            Err(Failure::new(FailureKind::TimedOut, what).advice(speaks_first.then_some(SILENT)))
        })
    }

    fn failure(&self, stage: &Stage<'_>, error: &Error) -> Failure {
        failure(stage, error, &self.address, self.credentials.as_ref())
    }

    /// No more are kept than were in use at the same time: a new one is made only when none is left here.
    fn keep(&self, connection: Connection) {
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
            let _ = timeout(STILL_THERE, each.connection.smtp.quit()).await;
        }
        let mut kept = lock(&kept);
        let Some(oldest) = kept.idle.first() else {
            kept.watched = false;
            return;
        };
        next = oldest.since + IDLE;
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
