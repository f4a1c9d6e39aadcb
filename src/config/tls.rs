//! `tls = { certificate = …, key = … }`: both are loaded during the check, so that a config that was accepted does not
//! fail at the start. Also `tls = { acme = … }`, which obtains them by itself.

use std::path::PathBuf;

use jiff::Timestamp;
use linedown_sinks::{Path, Problem, Secret, Section};
use rustls::InconsistentKeys;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::acme::{self, Acme};
use super::reader::{Reader, is_missing};
use crate::certificate::{Certificate, Files, Validity};

/// The error for a damaged file. It quotes nothing from the file, which may be a key.
const DAMAGED: &str = "its PEM is cut off or damaged";

/// The hint for a damaged file.
const ANEW: &str = "copy it again from where it was issued";

/// The hint for a certificate in place of the key, or the reverse.
const SWAPPED: &str = "are `certificate` and `key` swapped?";

/// Where the certificate and its key come from.
#[derive(Clone)]
pub enum Tls {
    /// From files or credentials.
    Files(Loaded),
    /// From an ACME authority.
    Acme(Acme),
}

/// A certificate with its key, as loaded.
#[derive(Clone)]
pub struct Loaded {
    /// Ready to serve with. None only if the config lacks its credentials.
    pub certificate: Option<Certificate>,
    /// The files, with their state before they were read. None of them are credentials: those do not change until a
    /// restart.
    pub files: Files,
}

/// Both can be written like secrets; a plain text is the path of a file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    certificate: Option<Secret>,
    key: Option<Secret>,
    acme: Option<Value>,
}

pub(super) fn read(
    value: &Value,
    path: &Path,
    public_url: Option<&str>,
    now: Timestamp,
    reader: &mut Reader<'_>,
) -> Option<Tls> {
    reader.table(value, path, "tls = { certificate = \"…\", key = \"…\" }")?;
    let mut section = Section::new(value, path.clone(), &[], reader.environment);
    let keys: Keys = section.read().unwrap_or_default();
    let Some(acme) = &keys.acme else {
        let loaded = files(keys, public_url, now, &mut section);
        reader.finish(section);
        return Some(Tls::Files(loaded));
    };
    for key in ["certificate", "key"].into_iter().filter(|key| !is_missing(value, key)) {
        section.error(key, format!("`{key}` cannot be combined with `acme`")).hint =
            Some("leave out one of them".into());
    }
    reader.finish(section);
    acme::read(acme, &path.join("acme"), public_url, reader).map(Tls::Acme)
}

fn files(keys: Keys, public_url: Option<&str>, now: Timestamp, section: &mut Section<'_>) -> Loaded {
    for key in ["certificate", "key"] {
        section.missing(key, "TLS needs a `certificate` and its `key`, both files in PEM; or `acme`");
    }
    let certificate = keys.certificate.and_then(|written| place("certificate", written, section));
    let key = keys.key.and_then(|written| place("key", written, section));
    let files = Files::look([&certificate, &key].into_iter().flatten().filter_map(file));
    // An empty text stands for a credential that is not available, which has been noted.
    let is_there = |pem: &SecretString| !pem.expose_secret().is_empty();
    let certificate = certificate.and_then(|place| section.no_secret("certificate", &place)).filter(is_there);
    let key = key.and_then(|place| section.secret("key", &place)).filter(is_there);
    let chain = certificate.as_ref().and_then(|pem| chain(pem, section));
    let private = key.as_ref().and_then(|pem| private(pem, section));
    let certificate = chain.zip(private).and_then(|(chain, key)| self::certificate(&chain, &key, section));
    if let Some(certificate) = &certificate {
        let url = public_url.and_then(|text| Url::parse(text).ok());
        judge(certificate, url.as_ref().and_then(Url::host_str), now, section);
    }
    Loaded { certificate, files }
}

/// Warns if gateways would not accept the certificate. It is served all the same, so that deliveries go on meanwhile.
fn judge(certificate: &Certificate, host: Option<&str>, now: Timestamp, section: &mut Section<'_>) {
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    match certificate.validity {
        Some(Validity { until, .. }) if until < now => {
            section.warning("certificate", format!("the certificate expired on {}", day(until))).hint =
                Some("gateways will not post to it: renew it".into());
        }
        Some(Validity { from, .. }) if from > now => {
            section.warning("certificate", format!("the certificate is not valid before {}", day(from))).hint =
                Some("gateways will not post to it until then; if that is past, this machine's clock is wrong".into());
        }
        _ => {}
    }
    if let Some(host) = host.filter(|host| !certificate.covers(&[(*host).to_owned()])) {
        section.warning("certificate", format!("the certificate is not for {host}, the host of `public_url`")).hint =
            Some("gateways will not post to it: get one for that name".into());
    }
}

/// The path, if it is a file.
fn file(place: &Secret) -> Option<PathBuf> {
    match place {
        Secret::File(path) => Some(path.clone()),
        Secret::Plain(_) | Secret::Env(_) | Secret::Credential(_) => None,
    }
}

/// Turns a plain text into the file with that path, since it is not a secret here.
fn place(name: &str, written: Secret, section: &mut Section<'_>) -> Option<Secret> {
    match written {
        // The text is not repeated: it may be the key.
        Secret::Plain(text) if text.expose_secret().contains("-----") => {
            section.error(name, "this is not the path of a file").hint =
                Some("write it into a file that only the service can read, and name that".into());
            None
        }
        Secret::Plain(path) => Some(Secret::File(path.expose_secret().into())),
        place => Some(place),
    }
}

fn chain(pem: &SecretString, section: &mut Section<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose_secret().as_bytes()).collect();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => {
            let problem = section.error("certificate", "there is no certificate in it");
            problem.expected = Some("PEM: `-----BEGIN CERTIFICATE-----`".into());
            problem.hint = pem.expose_secret().contains("PRIVATE KEY-----").then(|| SWAPPED.into());
            return None;
        }
        Err(_) => {
            section.error("certificate", DAMAGED).hint = Some(ANEW.into());
            return None;
        }
    };
    Some(chain)
}

fn private(pem: &SecretString, section: &mut Section<'_>) -> Option<PrivateKeyDer<'static>> {
    let text = pem.expose_secret();
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => Some(key),
        // Encrypted keys in PKCS #8, and in the older format.
        Err(_) if text.contains("ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") => {
            let problem = section.error("key", "the key has a passphrase, and nobody can type it in at startup");
            problem.expected = Some("a key without one, which only root can read, or a credential".into());
            problem.hint = Some("openssl pkey -in encrypted.pem -out privkey.pem".into());
            None
        }
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            let problem = section.error("key", "there is no private key in it");
            problem.expected = Some("PEM: `-----BEGIN PRIVATE KEY-----`, without a passphrase".into());
            problem.hint = text.contains("CERTIFICATE-----").then(|| SWAPPED.into());
            None
        }
        Err(_) => {
            section.error("key", DAMAGED).hint = Some(ANEW.into());
            None
        }
    }
}

fn certificate(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    section: &mut Section<'_>,
) -> Option<Certificate> {
    match Certificate::new(chain.to_vec(), key.clone_key()) {
        Ok(certificate) => Some(certificate),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let is_of_key =
                |other: &CertificateDer<'static>| Certificate::new(vec![other.clone()], key.clone_key()).is_ok();
            if let Some(place) = chain.iter().position(is_of_key) {
                let what = format!("the key's own certificate comes first, and here it is number {}", place + 1);
                section.error("certificate", what).hint =
                    Some("then that of who signed it, and so on: cat own.pem intermediate.pem >fullchain.pem".into());
            } else {
                section.error("key", "this key is not that of the certificate").hint =
                    Some("`openssl x509 -in FILE -noout -pubkey` and `openssl pkey -in FILE -pubout` show what belongs together".into());
            }
            None
        }
        Err(error) => {
            let path = section.path().clone();
            let problem = Problem::error(path, format!("certificate and key cannot be used: {error}"));
            let hint = if error.to_string().contains("UnsupportedCertVersion") { OLD } else { SHOWN };
            section.problems.push(problem.hint(hint));
            None
        }
    }
}

const SHOWN: &str = "`openssl x509 -in FILE -noout -text` shows what the certificate is";

/// Such as `openssl x509 -req` makes without `-extfile`.
const OLD: &str = "that is a certificate of version 1, which names no hosts: get one of version 3, with the host of \
                   `public_url` in its `subjectAltName` (openssl req -x509 -addext subjectAltName=DNS:HOST …)";
