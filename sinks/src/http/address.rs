//! An address that is a secret: whoever has it can do what linedown does there.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::percent_decode_str;
use url::Url;

use super::is_loopback;
use crate::hidden::{Hidden, is_telling, value_and_parts};
use crate::{Problem, Section};

/// An address that cannot print itself.
#[derive(Clone)]
pub struct Address(pub Url);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// What an address is for, in the words of the problems with it.
#[derive(Clone, Copy, Debug)]
pub struct Purpose {
    /// What it must be.
    pub what: &'static str,
    /// What anyone who has it can do.
    pub lets: &'static str,
    /// What one looks like.
    pub example: &'static str,
}

impl Address {
    /// Checks the address that is the value of `key`. No problem repeats it. An empty one stands for a credential that
    /// this process does not have, which has been noted.
    pub fn check(section: &mut Section<'_>, key: &str, text: &str, insecure: bool, purpose: &Purpose) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let text = text.trim();
        if text.contains(char::is_whitespace) {
            section.error(key, "there is a blank in the address").hint = Some("copy it again, in one line".into());
            return None;
        }
        let url = Url::parse(text).ok().filter(Url::has_host);
        match url {
            Some(url) if url.scheme() == "https" => Some(Self(url)),
            Some(url) if url.scheme() == "http" && (insecure || is_loopback(&url)) => Some(Self(url)),
            Some(url) if url.scheme() == "http" => {
                let what = format!("http:// would expose the address, and anyone who has it can {}", purpose.lets);
                let problem = Problem::error(section.path().join(key), what);
                let problem = problem.hint("use https://, or write `insecure = true`");
                section.problems.push(problem.unless("insecure"));
                None
            }
            _ => {
                section.error(key, format!("not {}", purpose.what)).expected = Some(purpose.example.into());
                None
            }
        }
    }

    /// What a far side may repeat of the way to this address, and of `others`, is hidden by this.
    pub(crate) fn hidden(&self, others: impl IntoIterator<Item = String>) -> Hidden {
        let proxies = proxy_logins(|name| std::env::var(name).ok());
        Hidden::new(self.secrets().into_iter().chain(proxies).chain(others))
    }

    /// Everything in the address that is secret: the whole, its path, its query, its login, and parts of them.
    fn secrets(&self) -> Vec<String> {
        let Self(url) = self;
        let query = url.query().unwrap_or_default();
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let decoded = url.query_pairs().map(|(_, value)| value.into_owned()).chain(url.path().split('/').map(decoded));
        let parts = url.path().split('/').chain(values).map(str::to_owned).chain(decoded);
        let wholes = [url.as_str(), url.path(), query].into_iter().filter(|whole| whole.len() > 1).map(str::to_owned);
        wholes.chain(parts.filter(|part| is_telling(part))).chain(login_secrets(url)).collect()
    }
}

/// The user and the password in an address, as they are meant.
pub(super) fn login(url: &Url) -> (String, String) {
    (decoded(url.username()), decoded(url.password().unwrap_or_default()))
}

/// What is secret of the login in an address: as it is written, as it is meant, and as it is sent (RFC 7617).
fn login_secrets(url: &Url) -> Vec<String> {
    let (user, password) = login(url);
    if user.is_empty() && password.is_empty() {
        return Vec::new();
    }
    let sent = STANDARD_NO_PAD.encode(format!("{user}:{password}"));
    // A key may stand in the place of the user's name.
    let users = [url.username(), &user].map(str::to_owned).into_iter().filter(|user| is_telling(user));
    let passwords = [url.password().unwrap_or_default(), &password].into_iter().flat_map(value_and_parts);
    users.chain(passwords).chain([sent]).collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What is secret of the logins at this system's proxies, which stand in the variables that the HTTP client reads.
fn proxy_logins(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let names = ["http_proxy", "https_proxy", "all_proxy"];
    let values = names.iter().flat_map(|name| [variable(name), variable(&name.to_uppercase())]).flatten();
    let urls = values.filter_map(|value| {
        // The scheme may be missing; without one, a user's name looks like it.
        let scheme = if value.contains("://") { "" } else { "http://" };
        Url::parse(&format!("{scheme}{value}")).ok()
    });
    urls.flat_map(|url| login_secrets(&url)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_hidden_in_every_form() {
        let secrets = Address("https://ops:hunter2%40canary@example.com/a".parse().unwrap()).secrets();
        let hidden = Hidden::new(secrets);
        for said in
            ["hunter2%40canary", "ops:hunter2@canary", "Basic b3BzOmh1bnRlcjJAY2FuYXJ5", "b3BzOmh1bnRlcjJAY2FuYXJ5="]
        {
            let shown = hidden.out_of(said);
            assert!(shown.contains('…') && !shown.contains("hunter2") && !shown.contains("b3Bz"), "{said}: {shown}");
        }
        // An API's key in the place of the user's name.
        let hidden = Hidden::new(Address("https://sk_live_51x:@example.com/a".parse().unwrap()).secrets());
        assert_eq!(hidden.out_of("no key sk_live_51x"), "no key …");
    }

    #[test]
    fn the_login_at_a_proxy_is_hidden_with_or_without_a_scheme() {
        for (name, value) in [("HTTP_PROXY", "http://ops:hunter2@proxy:3128"), ("all_proxy", "ops:hunter2@proxy:3128")]
        {
            let logins = proxy_logins(|known| (known == name).then(|| value.to_owned()));
            let hidden = Hidden::new(logins);
            assert_eq!(hidden.out_of("407 hunter2 b3BzOmh1bnRlcjI="), "407 … …=", "{name}");
        }
    }
}
