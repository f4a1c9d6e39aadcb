//! The demo's gateway: posts what Z-API posts when a line drops, over HTTPS with a throw-away certificate.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use jiff::Timestamp;
use linedown_sinks::http::{self, Client, Manners, Response};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use url::Url;

use super::folder::Folder;

/// How long the daemon may take to answer. What it says has no bound.
const MANNERS: Manners =
    Manners { connect: Duration::from_secs(10), answer: Duration::from_secs(10), most: usize::MAX, kept: 1 };
/// The source's secret in packaging/demo.toml.
const SECRET: &str = "a-secret-that-only-the-demo-knows";

/// The instances of packaging/demo.toml that the story is about.
pub(super) const LOJA_CENTRO: &str = "39ECB202B157D11E37905AE607963117";
pub(super) const LOJA_NORTE: &str = "3A71F0C64D2E9B8812C5704BD93E6AF0";

/// A webhook that the gateway posts.
#[derive(Clone)]
pub(super) struct Webhook {
    /// The body, uncompressed.
    pub(super) body: String,
    pub(super) gzip: bool,
    secret: &'static str,
}

impl Webhook {
    /// A line lost its connection.
    pub(super) fn disconnected(instance: &str, phone: &str, error: &str, at: Timestamp) -> Self {
        Self::of(&json!({
            "type": "DisconnectedCallback",
            "instanceId": instance,
            "phone": phone,
            "momment": at.as_millisecond(),
            "disconnected": true,
            "error": error,
        }))
    }

    /// A line has its connection again.
    pub(super) fn connected(instance: &str, phone: &str, at: Timestamp) -> Self {
        Self::of(&json!({
            "type": "ConnectedCallback",
            "connected": true,
            "momment": at.as_millisecond(),
            "instanceId": instance,
            "phone": phone,
            "isBusiness": false,
        }))
    }

    /// Something that is not a webhook.
    pub(super) fn garbage() -> Self {
        Self { body: "<html>Bad Gateway</html>".to_owned(), gzip: false, secret: SECRET }
    }

    fn of(body: &Value) -> Self {
        Self { body: body.to_string(), gzip: false, secret: SECRET }
    }

    /// The same, compressed.
    pub(super) fn gzipped(self) -> Self {
        Self { gzip: true, ..self }
    }

    /// The same, from somebody who does not know the secret.
    pub(super) fn with_wrong_secret(self) -> Self {
        Self { secret: "let-me-in", ..self }
    }

    fn bytes(&self) -> std::io::Result<Vec<u8>> {
        if !self.gzip {
            return Ok(self.body.clone().into_bytes());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(self.body.as_bytes())?;
        encoder.finish()
    }
}

/// The daemon's answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) took: Duration,
}

/// The client that posts webhooks.
pub(super) struct Gateway {
    client: Client,
}

impl Gateway {
    /// Makes a certificate authority, and with it a certificate for the daemon, which it writes into the folder. The
    /// client trusts that authority and no other.
    pub(super) fn new(folder: &Folder) -> Result<Self, Box<dyn Error>> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "linedown demo");
        let key = KeyPair::generate()?;
        let trusted = authority.self_signed(&key)?.der().clone();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        folder.write("certificate.pem", &certificate.pem())?;
        folder.write("key.pem", &key.serialize_pem())?;

        Ok(Self { client: Client::trusting(trusted, MANNERS)? })
    }

    /// Posts a webhook to the daemon.
    pub(super) async fn post(&self, to: SocketAddr, webhook: &Webhook) -> Result<Answer, Box<dyn Error>> {
        let address = Url::parse(&format!("https://{to}/hooks/z-api/{}", webhook.secret))?;
        let request = http::request(Method::POST, &address).header(CONTENT_TYPE, "application/json");
        let request = if webhook.gzip { request.header(CONTENT_ENCODING, "gzip") } else { request };
        let began = Instant::now();
        let response = self.client.send(request, webhook.bytes()?).await?;
        let took = began.elapsed();
        let status = response.parts.status.as_u16();
        Ok(Answer { status, body: text(response).await?, took })
    }

    /// Fetches the daemon's metrics.
    pub(super) async fn metrics(&self, from: SocketAddr) -> Result<String, Box<dyn Error>> {
        let request = http::request(Method::GET, &Url::parse(&format!("https://{from}/metrics"))?);
        let response = self.client.send(request, "").await?;
        match response.parts.status.as_u16() {
            200 => text(response).await,
            status => Err(format!("the metrics were answered with {status}").into()),
        }
    }
}

async fn text(response: Response) -> Result<String, Box<dyn Error>> {
    Ok(String::from_utf8(response.read(usize::MAX).await?.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_knows_what_the_config_says() {
        let config: toml::Table = super::super::CONFIG.parse().unwrap();
        assert_eq!(config["sources"]["z-api"]["secret"].as_str(), Some(SECRET));
        for instance in [LOJA_CENTRO, LOJA_NORTE] {
            assert!(config["instances"].get(instance).is_some(), "{instance}");
        }
    }
}
