//! Pure: the addresses at which webhooks must be registered, and the verdict on those that are.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

/// Everything except the characters that an address can contain as they are (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Shown in place of a secret.
const MASK: &str = "…";

/// The addresses at which this daemon accepts the webhooks of one source.
pub struct Addresses {
    /// The address up to the secret, with a final slash.
    base: String,
    /// The secrets that are accepted. The first is the one to register.
    secrets: Vec<SecretString>,
}

/// The verdict on a registered address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    /// It is as it should be.
    Right,
    /// It is ours, but without the instance. Webhooks arrive as long as the gateway's payloads name the instance.
    WithoutInstance,
    /// It is ours, with a secret that is accepted, but is not the one to register.
    FormerSecret,
    /// None is registered.
    Missing,
    /// It is ours, but for another instance: webhooks would be taken for that line's.
    OtherInstance,
    /// It is ours, but its secret is refused.
    OtherSecret,
    /// It is somebody else's.
    Elsewhere,
}

impl Registration {
    /// Whether webhooks arrive here and are about the right line.
    pub fn arrives(self) -> bool {
        matches!(self, Self::Right | Self::WithoutInstance | Self::FormerSecret)
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Right => "registered",
            Self::WithoutInstance => "registered without the instance",
            Self::FormerSecret => "registered with a former secret",
            Self::Missing => "not registered",
            Self::OtherInstance => "registered for another instance",
            Self::OtherSecret => "registered with a secret that is refused",
            Self::Elsewhere => "registered elsewhere",
        })
    }
}

impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        let secrets = self.secrets.iter().map(ExposeSecret::expose_secret);
        self.base == other.base && secrets.eq(other.secrets.iter().map(ExposeSecret::expose_secret))
    }
}

impl Addresses {
    /// The addresses of a source below the daemon's public address.
    pub fn new(public_url: &str, source: &str, secrets: &[SecretString]) -> Self {
        let base = format!("{}/hooks/{}/", public_url.trim_end_matches('/'), encoded(source));
        Self { base, secrets: secrets.to_vec() }
    }

    /// The address to register for an instance. It names the instance, because payloads may lack it.
    pub fn of(&self, instance: &str) -> SecretString {
        let secret = self.secrets.first().map(|secret| encoded(secret.expose_secret())).unwrap_or_default();
        format!("{}{secret}/{}", self.base, encoded(instance)).into()
    }

    /// Judges the address that is registered for an instance.
    pub fn judge(&self, instance: &str, registered: Option<&str>) -> Registration {
        let Some(registered) = registered else { return Registration::Missing };
        let Some(parts) = self.parts(registered) else { return Registration::Elsewhere };
        let (secret, named) = parts.split_first().map_or(("", &[][..]), |(secret, named)| (secret, named));
        let Some(age) = self.secrets.iter().position(|known| known.expose_secret() == secret) else {
            return Registration::OtherSecret;
        };
        match named {
            [named, rest @ ..] if named != instance || !rest.is_empty() => Registration::OtherInstance,
            _ if age > 0 => Registration::FormerSecret,
            [] => Registration::WithoutInstance,
            _ => Registration::Right,
        }
    }

    /// What follows the source in an address of ours, as the server reads it; none if it is somebody else's.
    fn parts(&self, registered: &str) -> Option<Vec<String>> {
        let mut url = Url::parse(registered).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        let rest = url.as_str().trim_end_matches('/').strip_prefix(&self.base)?;
        Some(rest.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect())
    }

    /// The address that is registered for an instance, for people: one of ours without its secret, of any other one only
    /// the host, because its path may be secret. Only the instance itself is shown after the secret: with its parts
    /// mixed up, the address has the secret there.
    pub fn shown(&self, instance: &str, registered: Option<&str>) -> String {
        let Some(registered) = registered else { return "-".to_owned() };
        if let Some(parts) = self.parts(registered) {
            let named = match &parts[..] {
                [_, named] if named == instance => format!("/{}", encoded(instance)),
                [_, _, ..] => format!("/{MASK}"),
                _ => String::new(),
            };
            return linedown_sinks::excerpt(&format!("{}{MASK}{named}", self.base));
        }
        match Url::parse(registered) {
            Ok(url) if url.has_host() => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{}{port}/{MASK}", url.scheme(), url.host_str().unwrap_or_default())
            }
            _ => "not an address".to_owned(),
        }
    }
}

fn encoded(part: &str) -> String {
    utf8_percent_encode(part, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses::new("https://alerts.example.com/", "z-api", &["s3cret".into(), "former".into()])
    }

    #[test]
    fn what_is_registered_is_judged() {
        use Registration as R;
        for (registered, expected) in [
            (None, R::Missing),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/A"), R::Right),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/A/"), R::Right),
            (Some("https://alerts.example.com/hooks/z-api/s3cret"), R::WithoutInstance),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/"), R::WithoutInstance),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/B"), R::OtherInstance),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/A/x"), R::OtherInstance),
            (Some("https://ALERTS.example.com:443/hooks/z-api/s3cret/A"), R::Right),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/A?x=1#y"), R::Right),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/%41"), R::Right),
            (Some("https://alerts.example.com:8443/hooks/z-api/s3cret/A"), R::Elsewhere),
            (Some("https://alerts.example.com/hooks/z-api/former/A"), R::FormerSecret),
            (Some("https://alerts.example.com/hooks/z-api/former"), R::FormerSecret),
            (Some("https://alerts.example.com/hooks/z-api/former/B"), R::OtherInstance),
            (Some("https://alerts.example.com/hooks/z-api/s3cre"), R::OtherSecret),
            (Some("https://alerts.example.com/hooks/z-api/old/A"), R::OtherSecret),
            (Some("https://alerts.example.com/hooks/other/s3cret/A"), R::Elsewhere),
            (Some("http://alerts.example.com/hooks/z-api/s3cret/A"), R::Elsewhere),
            (Some("https://crm.example.com/z"), R::Elsewhere),
            (Some("nonsense"), R::Elsewhere),
        ] {
            assert_eq!(addresses().judge("A", registered), expected, "{registered:?}");
            assert_eq!(expected.arrives(), matches!(expected, R::Right | R::WithoutInstance | R::FormerSecret));
        }
        let odd = addresses().of("a/b ç");
        assert_eq!(odd.expose_secret(), "https://alerts.example.com/hooks/z-api/s3cret/a%2Fb%20%C3%A7");
        assert_eq!(addresses().judge("a/b ç", Some(odd.expose_secret())), R::Right);
    }

    #[test]
    fn no_secret_is_shown() {
        for (registered, shown) in [
            (None, "-"),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/A"), "https://alerts.example.com/hooks/z-api/…/A"),
            (Some("https://alerts.example.com/hooks/z-api/s3cret/A/"), "https://alerts.example.com/hooks/z-api/…/A"),
            (Some("https://alerts.example.com/hooks/z-api/s3cret"), "https://alerts.example.com/hooks/z-api/…"),
            (Some("https://alerts.example.com/hooks/z-api/A/s3cret"), "https://alerts.example.com/hooks/z-api/…/…"),
            (
                Some("https://alerts.example.com/hooks/z-api/s3cret/s3cret"),
                "https://alerts.example.com/hooks/z-api/…/…",
            ),
            (
                Some("https://alerts.example.com/hooks/z-api/s3cret/A/s3cret"),
                "https://alerts.example.com/hooks/z-api/…/…",
            ),
            (
                Some("https://alerts.example.com/hooks/z-api/s3cret/A?s3cret"),
                "https://alerts.example.com/hooks/z-api/…/A",
            ),
            (Some("https://u:s3cret@crm.example.com:8/s3cret?s3cret"), "https://crm.example.com:8/…"),
            (Some("s3cret"), "not an address"),
        ] {
            assert_eq!(addresses().shown("A", registered), shown);
        }
    }
}
