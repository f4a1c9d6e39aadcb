//! The server that takes the messages: the address in `server`, and how the connection to it is encrypted.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use url::Url;

use super::tls::Tls;
use crate::http::is_loopback_host;
use crate::{BuildError, Section, read_file, unread};

/// The largest file of certificates read, in bytes; a system's whole collection is a quarter of that.
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
    encryption: Encryption<ServerName<'static>>,
    /// Authorities to trust besides the system's.
    ca: Vec<CertificateDer<'static>>,
}

/// How the connection to the relay is encrypted. RFC 8314 prefers the first. `T` is what TLS needs: the server's name
/// when checked, [`Tls`] when built.
pub(super) enum Encryption<T = Tls> {
    FromTheStart(T),
    StartTls(T),
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
        return check_folder(section, folder);
    }
    let Address { host, port, name, secure } = address(section, server)?;
    warn_of_port(section, secure, port);
    let encryption = match (secure, tls) {
        (true, Some(TlsKey::None)) => {
            section.error("tls", "`smtps://` means TLS, but `tls` says there is none").hint =
                Some("take out `tls`, or write smtp://".into());
            return None;
        }
        (true, _) => Encryption::FromTheStart(name),
        (false, Some(TlsKey::None)) => Encryption::Off,
        (false, _) => Encryption::StartTls(name),
    };
    let ca = ca.unwrap_or(Some(Vec::new()))?;
    Some(Server::Smtp(Smtp { host, port, encryption, ca }))
}

fn check_folder(section: &mut Section<'_>, folder: &str) -> Option<Server> {
    let folder = match folder.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) => {
            section.error("server", "`file://` is followed by a host here, and a folder has none").hint =
                Some("write file:///mails for /mails".into());
            return None;
        }
        None => folder,
    };
    if folder.is_empty() {
        section.error("server", "the folder is missing").expected = Some("`file:DIR`".into());
    } else if Path::new(folder).is_relative() {
        let what = "where this is depends on the folder that linedown is started in";
        section.warning("server", what).expected = Some("file:/absolute/folder".into());
    }
    (!folder.is_empty()).then(|| Server::Folder(folder.into()))
}

/// The parts of an `smtp://` or `smtps://` address.
struct Address {
    host: String,
    port: u16,
    /// The host as certificates name it.
    name: ServerName<'static>,
    /// Whether TLS begins at once (`smtps://`).
    secure: bool,
}

fn address(section: &mut Section<'_>, server: &str) -> Option<Address> {
    let url = Url::parse(server).ok();
    let secure = url.as_ref().and_then(|url| match url.scheme() {
        "smtps" => Some(true),
        "smtp" => Some(false),
        _ => None,
    });
    let host = url.as_ref().and_then(|url| url.host_str()).map(|host| host.trim_matches(['[', ']']));
    let name = host.and_then(|host| ServerName::try_from(host.to_owned()).ok());
    let (Some(url), Some(host), Some(name), Some(secure)) = (&url, host, name, secure) else {
        section.error("server", "not the address of a mail server").expected = Some(EXPECTED.into());
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        section.error("server", "user name and password do not belong in the address").hint =
            Some("write them as `username` and `password`, which may come from a file or a credential".into());
        return None;
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        section.error("server", "the address has more than a host and a port").expected = Some(EXPECTED.into());
        return None;
    }
    let port = url.port().unwrap_or(if secure { 465 } else { 587 });
    if port == 0 {
        section.error("server", "there is no port 0").expected = Some(EXPECTED.into());
        return None;
    }
    Some(Address { host: host.to_owned(), port, name, secure })
}

/// Warns of a port on which TLS begins at another time than the scheme says (RFC 8314, 3.3; RFC 6409, 3.1): each side
/// would wait for the other to begin.
fn warn_of_port(section: &mut Section<'_>, secure: bool, port: u16) {
    let (what, hint) = match (secure, port) {
        (true, 25 | 587) => ("a start without TLS, but smtps:// starts with it", "write smtp://, which uses STARTTLS"),
        (false, 465) => ("TLS from the start, but smtp:// starts without it", "write smtps://"),
        _ => return,
    };
    section.warning("server", format!("on port {port} relays expect {what}")).hint = Some(hint.into());
}

fn check_ca(section: &mut Section<'_>, path: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let pem = match read_file(path, LARGEST) {
        Ok(pem) => pem,
        Err(error) => {
            section.error("ca", format!("cannot read {}: {error}", path.display())).hint = Some(unread(&error).into());
            return None;
        }
    };
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.ok().filter(|found| !found.is_empty());
    if certificates.is_none() {
        section.error("ca", format!("no certificate in {}", path.display())).expected =
            Some("a PEM file: -----BEGIN CERTIFICATE----- …".into());
    }
    certificates
}

impl Smtp {
    /// Host and port.
    pub(super) fn address(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }

    /// Whether anybody on the way to the relay can read along: no encryption, and not this machine.
    pub(super) fn sends_in_the_clear(&self) -> bool {
        matches!(self.encryption, Encryption::Off) && !is_loopback_host(&self.host)
    }

    /// Sets up the encryption. Fails if TLS cannot be set up, for example with an unusable certificate in `ca`.
    pub(super) fn encryption(&self) -> Result<Encryption, BuildError> {
        let tls = |name: &ServerName<'static>| Tls::new(name.clone(), &self.ca);
        Ok(match &self.encryption {
            Encryption::FromTheStart(name) => Encryption::FromTheStart(tls(name)?),
            Encryption::StartTls(name) => Encryption::StartTls(tls(name)?),
            Encryption::Off => Encryption::Off,
        })
    }
}
