//! The certificate that webhooks are served with, and when it expires.
//!
//! ```no_run
//! # fn main() -> Result<(), rustls::Error> {
//! use linedown::certificate::Served;
//!
//! let served = Served::new();
//! let server = served.server()?; // serves what is installed at the time of each handshake
//! assert_eq!(served.expires(), None);
//! # Ok(())
//! # }
//! ```

mod files;
mod validity;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use files::Files;
pub use validity::Validity;

/// The ALPN protocol of a client that validates a name for an ACME certificate, and of nobody else (RFC 8737).
pub const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// A certificate chain, our own certificate first, with its key.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// When it is valid; none if that cannot be read. The certificate is served all the same: clients judge it.
    pub validity: Option<Validity>,
}

impl Certificate {
    /// Fails if the key is not that of the chain's first certificate, or if the two cannot be used.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, rustls::Error> {
        let validity = chain.first().and_then(|certificate| validity::read(certificate));
        let key = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?;
        Ok(Self { key: Arc::new(key), validity })
    }

    /// Whether a client accepts the certificate for every one of these names.
    pub fn covers(&self, names: &[String]) -> bool {
        let Ok(certificate) = self.key.end_entity_cert().and_then(ParsedCertificate::try_from) else { return false };
        let covers = |name: &String| {
            ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
        };
        names.iter().all(covers)
    }
}

/// The certificate for new connections. Open connections keep the one that they began with.
#[derive(Default)]
pub struct Served {
    current: ArcSwapOption<Certificate>,
    /// Certificates that prove to an authority that a name is ours, by name, while an order is in progress.
    challenges: ArcSwap<HashMap<String, Arc<CertifiedKey>>>,
    /// Why there is no better certificate, if an attempt to get one is in progress or has failed.
    lacks: ArcSwapOption<String>,
}

impl Served {
    /// Without a certificate yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The TLS settings: TLS 1.2 and 1.3, for HTTP/1.1, with the certificate that is installed at each handshake. As
    /// long as none is installed, handshakes fail.
    pub fn server(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"http/1.1".to_vec(), CHALLENGE_PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }

    /// Serves this certificate from now on.
    pub fn install(&self, certificate: Certificate) {
        self.current.store(Some(Arc::new(certificate)));
    }

    /// The certificate served now, if there is one.
    pub fn current(&self) -> Option<Arc<Certificate>> {
        self.current.load_full()
    }

    /// When the certificate served now expires; none if there is no certificate or it does not say.
    pub fn expires(&self) -> Option<Timestamp> {
        self.current().and_then(|certificate| certificate.validity).map(|validity| validity.until)
    }

    /// Sets why there is no certificate or no valid one, for [`Self::trouble`] to mention.
    pub fn lacks(&self, why: Option<String>) {
        self.lacks.store(why.map(Arc::new));
    }

    /// Why no connection can be served: there is no certificate, or it has expired.
    pub fn trouble(&self, now: Timestamp) -> Option<String> {
        let what = match self.current().map(|certificate| certificate.validity) {
            None => "there is no certificate yet".to_owned(),
            Some(Some(Validity { until, .. })) if until < now => {
                format!("the certificate expired on {}", until.strftime("%Y-%m-%d"))
            }
            Some(_) => return None,
        };
        Some(self.lacks.load().as_ref().map_or_else(|| what.clone(), |why| format!("{what}: {why}")))
    }

    /// Replaces the certificates that prove to an authority that names are ours.
    pub fn challenge(&self, challenges: HashMap<String, Arc<CertifiedKey>>) {
        self.challenges.store(Arc::new(challenges));
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|protocols| protocols.eq([CHALLENGE_PROTOCOL])) {
            // Names are compared without regard to case.
            let name = hello.server_name()?.to_ascii_lowercase();
            return self.challenges.load().get(&name).cloned();
        }
        self.current().map(|certificate| Arc::clone(&certificate.key))
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Served").field("expires", &self.expires()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str], (from, until): (i32, i32)) -> Certificate {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = vec![parameters.self_signed(&key).unwrap().der().clone()];
        Certificate::new(chain, key.serialize_der().try_into().unwrap()).unwrap()
    }

    #[test]
    fn what_is_served_says_when_it_expires() {
        let served = Served::new();
        assert_eq!(served.expires(), None);
        // From 2050 on, certificates write times in another form.
        for until in [2031, 2061] {
            served.install(certificate(&["a.example"], (2026, until)));
            assert_eq!(served.expires(), Some(format!("{until}-01-01T00:00:00Z").parse().unwrap()));
        }
    }

    #[test]
    fn without_a_good_one_nobody_can_be_served() {
        let served = Served::new();
        let now = "2031-06-01T00:00:00Z".parse().unwrap();
        assert_eq!(served.trouble(now).as_deref(), Some("there is no certificate yet"));
        served.install(certificate(&["a.example"], (2026, 2032)));
        served.lacks(Some("nobody answers".to_owned()));
        assert_eq!(served.trouble(now), None);
        served.install(certificate(&["a.example"], (2026, 2031)));
        let expired = "the certificate expired on 2031-01-01";
        assert_eq!(served.trouble(now), Some(format!("{expired}: nobody answers")));
        served.lacks(None);
        assert_eq!(served.trouble(now).as_deref(), Some(expired));
    }

    #[test]
    fn a_certificate_covers_its_own_names_only() {
        let certificate = certificate(&["a.example", "*.b.example"], (2026, 2031));
        for (names, covered) in [
            (vec!["a.example"], true),
            (vec!["A.EXAMPLE", "x.b.example"], true),
            (vec!["a.example", "c.example"], false),
            (vec!["x.y.b.example"], false),
            (vec!["not a name"], false),
        ] {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(certificate.covers(&names), covered, "{names:?}");
        }
    }
}
