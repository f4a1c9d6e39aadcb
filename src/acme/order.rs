//! One order, from the authority's questions to its certificate (RFC 8555, 7.4), with names shown to be ours over TLS
//! on the port that webhooks come to (TLS-ALPN-01, RFC 8737).

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

/// How an order is looked at while the authority works on it: every 250 ms, then less and less often, for so long.
const LOOKS: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The authority refuses, or cannot be asked.
    #[error("{}", explained(.0))]
    Authority(#[from] Error),
    /// It asked for the name where it leads to, and did not find us.
    #[error("{name} could not be validated: {why}")]
    Invalid { name: String, why: String },
    /// There is another way to validate, but none by TLS.
    #[error("it does not offer TLS-ALPN-01 to validate {0}")]
    NotOffered(String),
    /// What it asks us to show cannot be made.
    #[error("cannot prove control of {name}: {why}")]
    Unshowable { name: String, why: String },
    /// It issued something else.
    #[error("the certificate that it issued cannot be used: {0}")]
    Unusable(String),
    /// It takes too long.
    #[error("it did not issue the certificate within {} s", .0.as_secs())]
    Slow(Duration),
}

impl Failure {
    /// What to do.
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

    /// Whether the authority does not know the account that we think we have.
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

/// Orders a certificate for these names. Meanwhile `served` shows what the authority wants to see.
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

/// Shows what there is to show, and tells the authority that it may look.
async fn show(order: &mut Order, served: &Served) -> Result<(), Failure> {
    let mut shown = HashMap::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        // What was validated not long ago need not be again.
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
        challenge.set_ready().await?;
    }
    Ok(())
}

/// The certificate that shows that a name is ours (RFC 8737, 3).
fn proof(name: &str, authorization: &KeyAuthorization) -> Result<CertifiedKey, String> {
    let digest = authorization.digest();
    let mut parameters = CertificateParams::new([name.to_owned()]).map_err(|error| error.to_string())?;
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let certificate = parameters.self_signed(&key).map_err(|error| error.to_string())?;
    let key = any_ecdsa_type(&PrivateKeyDer::from(key)).map_err(|error| error.to_string())?;
    // Unchecked: to whoever does not validate names, what it shows is unknown and critical.
    Ok(CertifiedKey::new(vec![certificate.into()], key))
}

/// An order does not say which of its names was not validated; their authorizations do.
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
