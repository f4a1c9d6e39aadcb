//! `tls = { certificate = …, key = … }`: loaded while checking, so that a config that was accepted does not fail
//! at the start. Or `tls = { acme = … }`, which has them by itself.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use jiff::Timestamp;
use linedown_sinks::{Path, Problem, Secret, Section};
use rustls::InconsistentKeys;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::acme::{self, Acme};
use super::reader::{Reader, is_missing};
use crate::certificate::{Certificate, Validity};

/// Largest file read; a long chain is a few kilobytes.
const LARGEST: u64 = 1024 * 1024;

/// Said of a file without quoting from it: it may be a key.
const DAMAGED: &str = "its PEM is cut off or damaged";

/// Where certificate and key come from.
#[derive(Clone)]
pub enum Tls {
    /// From files, ready to serve with. None only for a config that lacks its credentials.
    Files(Option<Certificate>),
    /// From an authority.
    Acme(Acme),
}

/// Files by their paths, or whatever a secret may be; a plain text is a path.
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
        let certificate = files(value, &keys, now, &mut section);
        reader.finish(section);
        return Some(Tls::Files(certificate));
    };
    for key in ["certificate", "key"].into_iter().filter(|key| !is_missing(value, key)) {
        section.error(key, format!("with `acme` there is no `{key}` to name")).hint =
            Some("leave out one of them".into());
    }
    reader.finish(section);
    acme::read(acme, &path.join("acme"), public_url, reader).map(Tls::Acme)
}

fn files(value: &Value, keys: &Keys, now: Timestamp, section: &mut Section<'_>) -> Option<Certificate> {
    for key in ["certificate", "key"].into_iter().filter(|key| is_missing(value, key)) {
        section.missing(key, "TLS needs a `certificate` and its `key`, both files in PEM; or `acme`");
    }
    let certificate = keys.certificate.as_ref().and_then(|place| pem("certificate", place, section));
    let key = keys.key.as_ref().and_then(|place| pem("key", place, section));
    let chain = certificate.as_ref().and_then(|pem| chain(pem, section));
    let private = key.as_ref().and_then(|pem| private(pem, section));
    let certificate = chain.zip(private).and_then(|(chain, key)| self::certificate(chain, key, section));
    if let Some(Validity { until, .. }) =
        certificate.as_ref().and_then(|certificate| certificate.validity).filter(|validity| validity.until < now)
    {
        section.warning("certificate", format!("it expired on {}", until.strftime("%Y-%m-%d"))).hint =
            Some("gateways will not post to it: renew it".into());
    }
    certificate
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

fn chain(pem: &SecretString, section: &mut Section<'_>) -> Option<Vec<CertificateDer<'static>>> {
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

fn certificate(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    section: &mut Section<'_>,
) -> Option<Certificate> {
    match Certificate::new(chain, key) {
        Ok(certificate) => Some(certificate),
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
