//! A certificate authority of the test's own, and a certificate for this machine by it, in files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// An authority and a certificate, in files that are deleted when this is dropped.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes an authority, and a certificate by it for `localhost`, `127.0.0.1` and `::1`.
    pub fn new() -> Self {
        Self::until(2100, 1, 1)
    }

    /// The same, with a certificate that is valid until the beginning of that year, month and day.
    pub fn until(year: i32, month: u8, day: u8) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let certificates = Self { folder };
        certificates.write(year, month, day).expect("certificates can be made and written");
        certificates
    }

    /// The same, with the authority's own certificate in the place of the server's.
    pub fn of_an_authority() -> Self {
        let certificates = Self::new();
        fs::copy(certificates.ca(), certificates.certificate()).expect("a file can be copied");
        fs::copy(certificates.authority_key(), certificates.key()).expect("a file can be copied");
        certificates
    }

    fn write(&self, year: i32, month: u8, day: u8) -> Result<(), Box<dyn std::error::Error>> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "linedown's tests");
        let key = KeyPair::generate()?;
        fs::write(self.ca(), authority.self_signed(&key)?.pem())?;
        fs::write(self.authority_key(), key.serialize_pem())?;
        let issuer = Issuer::new(authority, key);

        let mut server = CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(String::from))?;
        server.not_after = rcgen::date_time_ymd(year, month, day);
        let key = KeyPair::generate()?;
        fs::write(self.certificate(), server.signed_by(&key, &issuer)?.pem())?;
        fs::write(self.key(), key.serialize_pem())?;
        Ok(())
    }

    /// The TLS settings of a server that uses them.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.certificate()).expect("the certificate is in its file");
        let key = PrivateKeyDer::from_pem_file(self.key()).expect("the key is in its file");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("ring has them").with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate], key).expect("they belong together"))
    }

    /// The authority's certificate, PEM.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn authority_key(&self) -> PathBuf {
        self.folder.path().join("ca-key.pem")
    }

    /// The server's certificate, PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The server's key, PEM.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
