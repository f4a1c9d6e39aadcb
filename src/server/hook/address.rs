//! The address of a webhook: `SOURCE/SECRET`, or `SOURCE/SECRET/INSTANCE`.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::source::SourceKind;

/// A source that may send webhooks, with the digest of each secret that it may use.
pub struct HookSource {
    pub(super) kind: &'static SourceKind,
    digests: Vec<[u8; 32]>,
}

impl HookSource {
    /// A source of this kind with any of these secrets in its webhooks' address.
    pub fn new(kind: &'static SourceKind, secrets: &[SecretString]) -> Self {
        let digest = |secret: &SecretString| Sha256::digest(secret.expose_secret()).into();
        Self { kind, digests: secrets.iter().map(digest).collect() }
    }

    /// Compares all digests, whichever of them it is.
    fn knows(&self, guess: &[u8; 32]) -> Choice {
        self.digests.iter().fold(Choice::from(0), |known, digest| known | digest.ct_eq(guess))
    }
}

/// The source, and perhaps the instance, that an address names.
pub(super) struct Addressee<'s> {
    pub(super) name: &'s str,
    pub(super) source: &'s HookSource,
    /// The instance, if the address names one. It may be any text: no webhook with the right secret is refused for it.
    pub(super) instance: Option<String>,
    /// Whether the address has further parts, which is a mistake.
    pub(super) goes_on: bool,
}

/// Finds the source by name and secret. Compares every source's secrets, in constant time, whatever the name.
pub(super) fn find<'s>(sources: &'s BTreeMap<String, HookSource>, address: &str) -> Option<Addressee<'s>> {
    let mut parts = address.trim_end_matches('/').split('/').map(decoded);
    let (name, secret) = (parts.next()?, parts.next()?);
    let guess: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let mut found = None;
    for (source_name, source) in sources {
        let same_name = Choice::from(u8::from(*source_name == name));
        if bool::from(same_name & source.knows(&guess)) {
            found = Some((source_name.as_str(), source));
        }
    }
    let (instance, goes_on) = (parts.next(), parts.next().is_some());
    found.map(|(name, source)| Addressee { name, source, instance, goes_on })
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_decides_and_the_instance_may_be_anything() {
        let secret = "0123456789abcdef";
        let kind = crate::source::kind("z-api").expect("there is one");
        let sources = BTreeMap::from([("z-api".to_owned(), HookSource::new(kind, &["newer".into(), secret.into()]))]);
        let instance = |address: &str| find(&sources, address).map(|found| found.instance);
        for (rest, named) in [
            ("", None),
            ("/", None),
            ("/A%20b/", Some("A b")),
            ("/%ff%fe", Some("\u{fffd}\u{fffd}")),
            (&format!("/{}", "x".repeat(1000)), Some("x".repeat(1000).as_str())),
        ] {
            assert_eq!(instance(&format!("z-api/{secret}{rest}")), Some(named.map(str::to_owned)), "{rest}");
        }
        assert_eq!(instance("z-api/newer/A"), Some(Some("A".to_owned())), "any of its secrets");
        assert!(find(&sources, &format!("z-api/{secret}/a/b")).is_some_and(|found| found.goes_on));
        for wrong in
            ["", "z-api", "z-api/", "z-api/0123456789abcde", "other/0123456789abcdef", "/z-api/0123456789abcdef"]
        {
            assert_eq!(instance(wrong), None, "{wrong}");
        }
    }
}
