//! TLS with a relay, and the reasons why it cannot begin.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::Encryption;
use crate::tls::{self, CLOSED, about_certificate, error_in};
use crate::{BuildError, Failure, FailureKind};

/// TLS with one relay.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Trusts the system's authorities (or those in `$SSL_CERT_FILE`) and `others`.
    pub(super) fn new(name: ServerName<'static>, others: &[CertificateDer<'static>]) -> Result<Self, BuildError> {
        let mut authorities = tls::authorities();
        for other in others {
            authorities.add(other.clone()).map_err(|error| tls::impossible(&error))?;
        }
        Ok(Self { connector: Arc::new(tls::trusting(authorities)?).into(), name })
    }

    /// Encrypts a connection.
    pub(super) async fn begin(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// Returns why TLS could not begin, at once or after STARTTLS.
pub(super) fn failure(error: &io::Error, (host, port): &(String, u16), encryption: &Encryption) -> Failure {
    use rustls::Error::InvalidMessage;
    let why = error.to_string();
    let found = error_in(error);
    let about_certificate =
        |found| about_certificate(found, "correct the name in `server`, or name its authority in `ca`");
    let (what, advice) = match found {
        Some(found) if let Some((what, advice)) = about_certificate(found) => (what, Some(advice)),
        Some(InvalidMessage(_)) if matches!(encryption, Encryption::StartTls(_)) => (
            format!("agreed to TLS but went on without it ({why})"),
            Some("find out who answers: it may be somebody else in the relay's place"),
        ),
        Some(InvalidMessage(_)) => {
            (format!("does not speak TLS from the start ({why})"), Some("smtps:// is for port 465, smtp:// for 587"))
        }
        None if error.kind() == ErrorKind::UnexpectedEof => (CLOSED.to_owned(), None),
        _ => (format!("cannot begin TLS: {why}"), None),
    };
    Failure::new(FailureKind::Unreachable, format!("{host}:{port} {what}")).advice(advice)
}
