//! TLS with far sides, and why it could not begin.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::BuildError;

/// The system's authorities, or those in `$SSL_CERT_FILE`.
pub(crate) fn authorities() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    authorities
}

/// TLS for which a certificate of these authorities is needed.
pub(crate) fn trusting(authorities: RootCertStore) -> Result<ClientConfig, BuildError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| impossible(&error))?.with_root_certificates(authorities).with_no_client_auth())
}

/// Why TLS cannot be set up.
pub(crate) fn impossible(error: &rustls::Error) -> BuildError {
    BuildError(format!("TLS cannot be set up: {error}"))
}

/// An error and its causes. I/O errors do not show the error inside them as their source.
pub(crate) fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |error| cause(*error))
}

fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|within| within as _),
        None => error.source(),
    }
}

/// The TLS error among an error and its causes.
pub(crate) fn error_in<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// What is wrong with the certificate of the far side, as the end of a sentence that begins with its name, and what to
/// do: `advice` is for a certificate that is not trusted. None if the certificate is not the trouble.
pub(crate) fn about_certificate(error: &rustls::Error, advice: &'static str) -> Option<(String, &'static str)> {
    let rustls::Error::InvalidCertificate(_) = error else { return None };
    let why = error.to_string();
    Some(if why.contains("CaUsedAsEndEntity") {
        ("presents the certificate of an authority as its own".to_owned(), SERVERS_OWN)
    } else {
        (format!("is not trusted ({why})"), advice)
    })
}

const SERVERS_OWN: &str = "give it a server certificate (openssl: -addext basicConstraints=critical,CA:FALSE)";

/// What a far side does that does not want to speak TLS, as the end of a sentence that begins with its name.
pub(crate) const CLOSED: &str = "closed the connection when TLS was to begin";
