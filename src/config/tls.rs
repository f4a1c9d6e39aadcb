//! `tls = { certificate = …, key = … }`: loaded while checking, so that a config that was accepted does not fail
//! at the start.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use jiff::Timestamp;
use linedown_sinks::{Path, Problem, Secret, Section};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::reader::{Reader, is_missing};

/// Largest file read; a long chain is a few kilobytes.
const LARGEST: u64 = 1024 * 1024;

/// Said of a file without quoting from it: it may be a key.
const DAMAGED: &str = "its PEM is cut off or damaged";

/// A certificate with its key.
#[derive(Clone)]
pub struct Tls {
    /// Where the chain is, ours first.
    pub certificate: Secret,
    /// Where its key is.
    pub key: Secret,
    /// Both, ready to serve HTTP/1.1 with. None only for a config that lacks its credentials.
    pub server: Option<Arc<ServerConfig>>,
}

/// Files by their paths, or whatever a secret may be; a plain text is a path.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    certificate: Option<Secret>,
    key: Option<Secret>,
}

pub(super) fn read(value: &Value, path: &Path, now: Timestamp, reader: &mut Reader<'_>) -> Option<Tls> {
    reader.table(value, path, "tls = { certificate = \"…\", key = \"…\" }")?;
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: Keys = section.read().unwrap_or_default();
    for key in ["certificate", "key"].into_iter().filter(|key| is_missing(value, key)) {
        section.missing(key, "TLS needs a `certificate` and its `key`, both files in PEM");
    }
    let certificate = keys.certificate.as_ref().and_then(|place| pem("certificate", place, &mut section));
    let key = keys.key.as_ref().and_then(|place| pem("key", place, &mut section));
    let chain = certificate.as_ref().and_then(|pem| chain(pem, now, &mut section));
    let private = key.as_ref().and_then(|pem| private(pem, &mut section));
    let server = chain.zip(private).and_then(|(chain, key)| server(chain, key, &mut section));
    reader.finish(section);
    Some(Tls { certificate: keys.certificate?, key: keys.key?, server })
}

/// The content of a file or of a secret.
fn pem(name: &str, place: &Secret, section: &mut Section<'_>) -> Option<SecretString> {
    let Secret::Plain(file) = place else {
        // Empty stands for a credential that is not here to be looked at, which was noted.
        return section.secret(name, place).filter(|pem| !pem.expose_secret().is_empty());
    };
    let file = file.expose_secret();
    let mut pem = String::new();
    let read = File::open(file).and_then(|opened| {
        let mode = opened.metadata()?.permissions().mode();
        opened.take(LARGEST).read_to_string(&mut pem)?;
        Ok(mode)
    });
    match read {
        Ok(mode) if name == "key" && mode & 0o004 != 0 => {
            let what = format!("{file} can be read by every user of this machine");
            section.warning(name, what).hint = Some(format!("chmod o-r {file}"));
        }
        Ok(_) => {}
        Err(error) => {
            // A key pasted in instead of its path is not repeated.
            let shown = if file.contains("-----") { "the file" } else { file };
            let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
            let problem = section.error(name, format!("cannot read {shown}: {error}"));
            problem.hint = denied.then(|| "check as the user that the service runs as, or use a credential".into());
            return None;
        }
    }
    Some(pem.into())
}

fn chain(pem: &SecretString, now: Timestamp, section: &mut Section<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose_secret().as_bytes()).collect();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => {
            section.error("certificate", "there is no certificate in it").expected =
                Some("PEM: `-----BEGIN CERTIFICATE-----`".into());
            return None;
        }
        Err(_) => {
            section.error("certificate", DAMAGED);
            return None;
        }
    };
    if let Some(end) = not_after(&chain[0]).filter(|end| *end < now) {
        section.warning("certificate", format!("it expired on {}", end.strftime("%Y-%m-%d"))).hint =
            Some("gateways will not post to it: renew it".into());
    }
    Some(chain)
}

fn private(pem: &SecretString, section: &mut Section<'_>) -> Option<PrivateKeyDer<'static>> {
    match PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()) {
        Ok(key) => Some(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            section.error("key", "there is no private key in it").expected =
                Some("PEM: `-----BEGIN PRIVATE KEY-----`, without a passphrase".into());
            None
        }
        Err(_) => {
            section.error("key", DAMAGED);
            None
        }
    }
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    section: &mut Section<'_>,
) -> Option<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    match config {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Arc::new(config))
        }
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            section.error("key", "this key is not that of the certificate").hint =
                Some("in the certificate's file, the server's own certificate comes first".into());
            None
        }
        Err(error) => {
            let path = section.path().clone();
            section.problems.push(Problem::error(path, format!("certificate and key cannot be used: {error}")));
            None
        }
    }
}

/// When a certificate expires (RFC 5280, 4.1.2.5); none if it is not written as it should be, which is for
/// others to judge.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (tag, validity, _) = element(fields)?;
    let (_, _, end) = element(validity)?;
    let (form, end, _) = element(end)?;
    (tag == SEQUENCE).then(|| time(form, std::str::from_utf8(end).ok()?)).flatten()
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let bytes = if bytes.len() <= 4 { bytes } else { return None };
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn time(form: u8, text: &str) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    let full = match form {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        _ => text.to_owned(),
    };
    let part = |from: usize, to: usize| full.get(from..to);
    let (date, clock) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, clock.0, clock.1, clock.2).parse().ok()
}
