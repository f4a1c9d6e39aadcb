//! An address that is a secret: whoever has it can do what linedown does there.

use std::fmt;

use reqwest::Url;

use super::is_loopback;
use crate::hidden::is_telling;
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

    /// Everything in the address that is secret: the whole, its path, its query, and parts of them.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let Self(url) = self;
        let query = url.query().unwrap_or_default();
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
        let parts = url.path().split('/').chain(values).chain(url.password()).map(str::to_owned).chain(decoded);
        let wholes = [url.as_str(), url.path(), query].into_iter().filter(|whole| whole.len() > 1).map(str::to_owned);
        wholes.chain(parts.filter(|part| is_telling(part))).collect()
    }
}
