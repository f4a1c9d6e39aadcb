//! One certificate order (RFC 8555, 7.4). We prove that the names are ours over TLS, on the port that webhooks come to
//! (TLS-ALPN-01, RFC 8737).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, KeyAuthorization, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::authority::words;
use super::kept::Issued;
use crate::certificate::Served;

/// How an order is polled while the authority works on it: after 250 ms, then less and less often, for this long.
const LOOKS: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));

/// Why an attempt obtained no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The authority refused, or could not be asked.
    #[error("{}", explained(.0))]
    Authority(#[from] Error),
    /// The authority connected to the name's address, and did not get our proof.
    #[error("{name} could not be validated: {why}")]
    Invalid { name: String, why: String },
    /// The authority offers other validation methods, but not TLS-ALPN-01.
    #[error("it does not offer TLS-ALPN-01 to validate {0}")]
    NotOffered(String),
    /// The certificate that proves that the name is ours could not be made.
    #[error("cannot prove control of {name}: {why}")]
    Unshowable { name: String, why: String },
    /// The authority issued something that cannot be used.
    #[error("the certificate that it issued cannot be used: {0}")]
    Unusable(String),
    /// The attempt took too long.
    #[error("it did not issue the certificate within {} s", .0.as_secs())]
    Slow(Duration),
}

impl Failure {
    /// What the operator can do.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => {
                "port 443 of every name must reach linedown, also from outside: check the names' addresses, the \
                 firewall, and `systemctl cat linedown.socket`"
            }
            Self::Authority(Error::Api(_)) => "do what the authority says; linedown asks again by itself",
            Self::Authority(_) | Self::Slow(_) => {
                "is this machine online? are its name resolution, proxy and clock right?"
            }
            Self::NotOffered(_) | Self::Unshowable { .. } | Self::Unusable(_) => {
                "use another authority, or certificate and key from files"
            }
        }
    }

    /// Whether the authority does not know the account that we have kept.
    pub(super) fn is_about_the_account(&self) -> bool {
        let Self::Authority(Error::Api(problem)) = self else { return false };
        problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
    }
}

fn explained(error: &Error) -> String {
    match error {
        Error::Api(problem) => words(problem),
        Error::Timeout(_) => "it did not finish in time".to_owned(),
        other => other.to_string(),
    }
}

/// Orders a certificate for these names, and serves the proofs that the authority asks for meanwhile.
pub(super) async fn order(account: &Account, names: &[String], served: &Served) -> Result<Issued, Failure> {
    let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    show(&mut order, served).await?;
    if order.state().status == OrderStatus::Pending {
        let ready = order.poll_ready(&LOOKS).await;
        if order.state().status == OrderStatus::Invalid {
            return Err(why_invalid(&mut order).await?);
        }
        ready?;
    }
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&LOOKS).await?;
    Ok(Issued { chain, key })
}

/// Serves a proof for each name that is yet to be validated, and tells the authority to check it.
async fn show(order: &mut Order, served: &Served) -> Result<(), Failure> {
    let mut shown = HashMap::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        // A name that was validated recently need not be validated again.
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut challenge =
            authorization.challenge(ChallengeType::TlsAlpn01).ok_or_else(|| Failure::NotOffered(name.clone()))?;
        let proof = proof(&name, &challenge.key_authorization())
            .map_err(|why| Failure::Unshowable { name: name.clone(), why })?;
        shown.insert(name.to_ascii_lowercase(), Arc::new(proof));
        served.challenge(shown.clone());
        // A fast authority answers this with why it could not validate the name.
        challenge.set_ready().await.map_err(|error| match error {
            Error::Api(problem) => Failure::Invalid { name, why: words(&problem) },
            other => Failure::Authority(other),
        })?;
    }
    Ok(())
}

/// The certificate that proves that a name is ours (RFC 8737, 3).
fn proof(name: &str, authorization: &KeyAuthorization) -> Result<CertifiedKey, String> {
    let digest = authorization.digest();
    let mut parameters = CertificateParams::new([name.to_owned()]).map_err(|error| error.to_string())?;
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let certificate = parameters.self_signed(&key).map_err(|error| error.to_string())?;
    let key = any_ecdsa_type(&PrivateKeyDer::from(key)).map_err(|error| error.to_string())?;
    // `new` does not check the certificate: its critical extension is unknown to everybody but validating authorities.
    Ok(CertifiedKey::new(vec![certificate.into()], key))
}

/// Finds the name that could not be validated: the order does not say it, but its authorizations do.
async fn why_invalid(order: &mut Order) -> Result<Failure, Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        authorization.refresh().await?;
        if let Some(problem) = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return Ok(Failure::Invalid { name: authorization.identifier().to_string(), why: words(problem) });
        }
    }
    Ok(Failure::Unusable("the order is invalid, without a reason".to_owned()))
}
