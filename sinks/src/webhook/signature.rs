//! The signature of Standard Webhooks 1.0.0: `v1,` and HMAC-SHA256 of `id.timestamp.body` in base64, one for each
//! secret, separated by spaces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::{Path, Problem, Rotation, Secret, Section};

/// How many bytes a secret has (the specification's "Signature scheme").
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How a secret begins.
const PREFIX: &str = "whsec_";

/// Signs what is posted.
#[derive(Clone)]
pub(super) struct Signature(Vec<Hmac<Sha256>>);

impl Signature {
    /// Checks the key `secret`. Without a secret, nothing is signed.
    pub(super) fn check(section: &mut Section<'_>, secrets: &Rotation) -> Option<Self> {
        let secrets = secrets.places("secret", section)?;
        let signers: Vec<_> = secrets.iter().map(|(place, secret)| signer(section, place, secret)).collect();
        signers.into_iter().collect::<Option<_>>().map(Self)
    }

    /// The value of `webhook-signature`. `at` is when this attempt began, in seconds since 1970.
    pub(super) fn of(&self, id: &str, at: i64, body: &str) -> Option<String> {
        let content = format!("{id}.{at}.{body}");
        let signed = |signer: &Hmac<Sha256>| signer.clone().chain_update(&content).finalize().into_bytes();
        let signatures: Vec<_> = self.0.iter().map(|key| format!("v1,{}", STANDARD.encode(signed(key)))).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

fn signer(section: &mut Section<'_>, place: &Path, secret: &Secret) -> Option<Hmac<Sha256>> {
    let secret = section.secret_at(place, secret)?;
    // A credential that this process does not have; the section has noted that.
    if secret.expose_secret().is_empty() {
        return None;
    }
    let encoded = secret.expose_secret().trim().strip_prefix(PREFIX);
    let bytes = encoded.and_then(|encoded| STANDARD.decode(encoded).ok()).filter(|bytes| BYTES.contains(&bytes.len()));
    let signer = bytes.and_then(|bytes| Hmac::new_from_slice(&bytes).ok());
    if signer.is_none() {
        let problem = Problem::error(section.path().extend(place), "this cannot sign webhooks");
        let problem =
            problem.expected(format!("`{PREFIX}`, then {} to {} bytes in base64", BYTES.start(), BYTES.end()));
        section
            .problems
            .push(problem.hint("copy what the receiver shows, or make one: echo whsec_$(openssl rand -base64 32)"));
    }
    signer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Environment;

    fn signature(secret: &serde_json::Value) -> (Option<Signature>, Vec<Problem>) {
        let environment = Environment::default();
        let mut section = Section::new(secret, Path::default(), &[], &environment);
        let signature = Signature::check(&mut section, &Rotation::deserialize(secret).unwrap());
        (signature, section.problems)
    }

    /// The example of the specification's libraries. `openssl dgst -sha256 -mac HMAC -macopt hexkey:…` says the same.
    #[test]
    fn the_example_of_the_specification_is_signed_as_there() {
        let (secret, at) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1_614_265_330);
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let one = signature(&secret.into()).0.unwrap();
        assert_eq!(one.of(id, at, body).as_deref(), Some(expected));
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let both = signature(&serde_json::json!([secret, other])).0.unwrap().of(id, at, body).unwrap();
        let both: Vec<_> = both.split(' ').collect();
        assert!(both.len() == 2 && both[0] == expected && both[1].starts_with("v1,"), "{both:?}");
        assert!(signature(&serde_json::json!([])).0.unwrap().of(id, at, body).is_none());
    }

    #[test]
    fn what_cannot_sign_is_refused_and_not_repeated() {
        for secret in
            ["0canary", "whsec_0canary", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
        {
            let (signature, problems) = signature(&secret.into());
            assert!(signature.is_none() && problems.len() == 1, "{problems:?}");
            assert!(!format!("{problems:?}").contains(secret), "{problems:?}");
        }
        let (_, problems) = signature(&serde_json::json!(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "x"]));
        assert_eq!(problems[0].path.to_string(), "secret[1]");
    }
}
