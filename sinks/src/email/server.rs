//! Where messages are handed in: the address in `server`, and how the way there is encrypted.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use reqwest::Url;
use serde::Deserialize;

use crate::{BuildError, Section, read_file, unread};

/// Largest file of certificates read; a system's whole collection is a quarter of it.
const LARGEST: usize = 1024 * 1024;

/// The values of `tls`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TlsKey {
    Required,
    None,
}

/// What `server` names.
pub(super) enum Server {
    /// `file:DIR`
    Folder(PathBuf),
    /// `smtp://` and `smtps://`
    Smtp(Smtp),
}

/// A relay.
pub(super) struct Smtp {
    host: String,
    port: u16,
    encryption: Encryption,
    ca: Option<Certificate>,
}

/// How the way to the relay is encrypted (RFC 8314 prefers the first).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encryption {
    FromTheStart,
    StartTls,
    Off,
}

const EXPECTED: &str = "`smtps://host[:465]`, `smtp://host[:587]` or `file:DIR`";

/// Checks the keys about the server. Their values are never repeated: somebody may have put a password there.
pub(super) fn check(
    section: &mut Section<'_>,
    server: Option<&str>,
    tls: Option<TlsKey>,
    ca: Option<&Path>,
) -> Option<Server> {
    let ca = ca.map(|path| check_ca(section, path));
    let Some(server) = server else {
        section.missing("server", "name the relay: server = \"smtps://relay.example.com:465\"");
        return None;
    };
    if let Some(folder) = server.strip_prefix("file:") {
        let folder = if folder.starts_with("///") { &folder[2..] } else { folder };
        if folder.is_empty() {
            section.error("server", "the folder is missing").expected = Some("`file:DIR`".into());
        }
        return (!folder.is_empty()).then(|| Server::Folder(folder.into()));
    }
    let (host, port, secure) = address(section, server)?;
    let encryption = match (secure, tls) {
        (true, Some(TlsKey::None)) => {
            section.error("tls", "`smtps://` is TLS, and `tls` says there is none").hint =
                Some("take out `tls`, or write smtp://".into());
            return None;
        }
        (true, _) => Encryption::FromTheStart,
        (false, Some(TlsKey::None)) => Encryption::Off,
        (false, _) => Encryption::StartTls,
    };
    let ca = ca.map_or(Some(None), |checked| checked.map(Some))?;
    Some(Server::Smtp(Smtp { host, port, encryption, ca }))
}

/// Host, port and whether TLS comes first.
fn address(section: &mut Section<'_>, server: &str) -> Option<(String, u16, bool)> {
    let url = Url::parse(server).ok();
    let secure = url.as_ref().and_then(|url| match url.scheme() {
        "smtps" => Some(true),
        "smtp" => Some(false),
        _ => None,
    });
    let host = url.as_ref().and_then(|url| url.host_str()).filter(|host| !host.is_empty());
    let (Some(url), Some(host), Some(secure)) = (&url, host, secure) else {
        section.error("server", "not the address of a mail server").expected = Some(EXPECTED.into());
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        section.error("server", "user name and password do not belong into the address").hint =
            Some("write them as `username` and `password`, which may come from a file or a credential".into());
        return None;
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        section.error("server", "there is more in the address than a host and a port").expected = Some(EXPECTED.into());
        return None;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, url.port().unwrap_or(if secure { 465 } else { 587 }), secure))
}

fn check_ca(section: &mut Section<'_>, path: &Path) -> Option<Certificate> {
    let pem = match read_file(path, LARGEST) {
        Ok(pem) => pem,
        Err(error) => {
            section.error("ca", format!("cannot read {}: {error}", path.display())).hint = Some(unread(&error).into());
            return None;
        }
    };
    let found = pem.windows(11).any(|window| window == b"BEGIN CERTI");
    let certificate = Certificate::from_pem(&pem).ok().filter(|_| found);
    if certificate.is_none() {
        section.error("ca", format!("no certificate in {}", path.display())).expected =
            Some("a PEM file: -----BEGIN CERTIFICATE----- …".into());
    }
    certificate
}

impl Smtp {
    /// Host and port.
    pub(super) fn address(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }

    /// Whether everybody on the way to the relay can read along.
    pub(super) fn sends_in_the_clear(&self) -> bool {
        let local = self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.encryption == Encryption::Off && !local
    }

    /// The encryption with the certificates to trust: the system's (or those in `$SSL_CERT_FILE`) and `ca`.
    pub(super) fn encryption(&self) -> Result<Tls, BuildError> {
        if self.encryption == Encryption::Off {
            return Ok(Tls::None);
        }
        let mut builder = TlsParameters::builder(self.host.clone());
        if let Some(ca) = &self.ca {
            builder = builder.add_root_certificate(ca.clone());
        }
        let parameters = builder.build().map_err(|error| BuildError(format!("TLS cannot be set up: {error}")))?;
        Ok(if self.encryption == Encryption::FromTheStart {
            Tls::Wrapper(parameters)
        } else {
            Tls::Required(parameters)
        })
    }
}
