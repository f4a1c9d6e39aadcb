//! Talks to the relay: one conversation per message, over connections that are kept for the next message.
//!
//! lettre's own pool would put back a connection that was abandoned in the middle of a command, and its commands have
//! no time limit. Here a conversation owns its connection, every command has a time limit (RFC 5321, 4.5.3.2), and a
//! connection is kept only after a whole answer.

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

use super::answers;
use super::connection::{Body, Connection, Resumed, completes, goes_on};
use super::reply::{Stage, failure, unreachable};
use super::server::Encryption;
use super::tls::{self, Tls};
use super::wire::{Wire, dial, twice};
use crate::{Failure, FailureKind, Receipt, excerpt};

/// Time limit for any one answer, and for connecting with TLS.
const ANSWER: Duration = Duration::from_secs(30);
/// Time limit for the answer after the final dot, as RFC 5321, 4.5.3.2.6 has it: relays scan the message before they give
/// it. One who gives up sooner sends again what the relay accepts after that.
const ACCEPT: Duration = Duration::from_mins(10);
/// Time limit for commands that a kept connection answers at once if it still works.
const STILL_THERE: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_mins(1);

/// What to do about a relay that does not send its greeting.
const SILENT: &str = "does it want TLS from the start, as on port 465? then write smtps://";

/// A relay and the connections kept to it.
pub(super) struct Relay {
    address: (String, u16),
    encryption: Encryption,
    credentials: Option<Credentials>,
    hello: ClientId,
    kept: Arc<Mutex<Kept>>,
    /// Whether to send envelopes in one piece. Cleared when a message got through step by step after its envelope in
    /// one piece had failed.
    in_one_piece: AtomicBool,
}

#[derive(Default)]
struct Kept {
    /// The longest kept first.
    idle: Vec<Idle>,
    /// Whether a task is running that closes them after [`IDLE`].
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

    /// Sends one message to one recipient.
    pub(super) async fn send(&self, from: &Address, to: &Address, message: &[u8]) -> Result<Receipt, Failure> {
        let resumed = self.resume(from, to).await?;
        let choked = matches!(resumed, Resumed::Choked);
        let mut connection = match resumed {
            Resumed::Well(connection) => connection,
            _ => self.begin(from, to).await?,
        };
        let outcome = self.hand_in(&mut connection, to, message).await.map_err(Failure::may_spare_others);
        if choked && outcome.is_ok() {
            self.in_one_piece.store(false, Ordering::Relaxed);
        }
        let healthy = match &outcome {
            Ok(_) => true,
            // The relay refused this message in so many words: the connection is fine. After any other failure it is
            // dropped.
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

    /// Begins a message on a new connection, up to the sender.
    async fn begin(&self, from: &Address, to: &Address) -> Result<Connection, Failure> {
        let mut connection = Connection::new(self.connect().await?);
        let mail = connection.mail(from, to)?;
        self.say(&Stage::Sender(from), ANSWER, connection.smtp.command(mail)).await?;
        Ok(connection)
    }

    /// Begins a message on a kept connection, up to the sender or the content. If none is kept, returns
    /// [`Resumed::Gone`].
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

    /// Opens the stream to the relay, encrypted as configured.
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

    /// STARTTLS. Nothing that was said before TLS may count within it (RFC 3207, 4.2): what lettre learnt in the clear
    /// is dropped here, and any bytes after the relay's agreement stay in the stream, where they make the handshake
    /// fail.
    async fn agree_to_tls(&self, stream: TcpStream) -> Result<TcpStream, Failure> {
        let [stream, other] = twice(stream).map_err(|error| unreachable(&error, &self.address))?;
        let wire = Box::new(Wire::byte_by_byte(other));
        let agreeing = async {
            let mut clear = AsyncSmtpConnection::connect_with_transport(wire, &self.hello).await?;
            // Somebody on the way can strip the offer: without it, nothing is sent at all.
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

    /// Sends a command of the envelope, or the content, and returns its answer. A success of the wrong sort (2xx for
    /// 3xx, or the reverse) belongs to some other command: then nothing on this connection can be relied on.
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
        let ((host, port), code) = (&self.address, answers::of(&answer).0);
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

    /// Keeps a connection for the next message. No more are kept than were in use at the same time, since a new one is
    /// made only when none is left here.
    fn keep(&self, connection: Connection) {
        let mut kept = lock(&self.kept);
        kept.idle.push(Idle { connection, since: Instant::now() });
        if !std::mem::replace(&mut kept.watched, true) {
            tokio::spawn(close_in_time(Arc::downgrade(&self.kept)));
        }
    }
}

/// Closes each connection, with QUIT, after it has been idle for [`IDLE`]; ends when none is left.
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

/// Locks in spite of poisoning: the data are consistent at every moment, so a panic elsewhere spoils nothing.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receipt(answer: &Response) -> Receipt {
    let (code, words) = answers::of(answer);
    Receipt(if words.trim().is_empty() { code.to_string() } else { excerpt(&words) })
}
