//! Removes secrets from what a far side says, which may repeat them.

use std::cmp::Reverse;

/// The secrets to remove from texts.
#[derive(Clone, Default)]
pub struct Hidden(Vec<String>);

/// The shortest part of a secret that counts as one by itself, in bytes.
const PART: usize = 8;
/// The shortest value that counts as a secret, in bytes. A text without its every `1` could not be read any more.
const SHORTEST: usize = 4;

impl Hidden {
    /// Takes the secrets, in any order; empty ones do not count.
    pub fn new<S: Into<String>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut secrets: Vec<String> =
            secrets.into_iter().map(Into::into).filter(|secret| !secret.is_empty()).collect();
        // The longest first: one may contain another, and nothing of it may be left.
        secrets.sort_unstable_by_key(|secret| Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// Whether a text contains one.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret))
    }

    /// The text with each secret replaced by `…`.
    pub fn out_of(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// Whether a part of a secret counts as one by itself.
pub(crate) fn is_telling(part: &str) -> bool {
    part.len() >= PART
}

/// A value that is secret, and its words and lines that count as secrets by themselves.
pub(crate) fn value_and_parts(value: &str) -> impl Iterator<Item = String> {
    let whole = Some(value.trim()).filter(|value| value.len() >= SHORTEST);
    whole.into_iter().chain(value.split_whitespace().filter(|part| is_telling(part))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_secret_that_holds_another() {
        let hidden = Hidden::new(["abc", "", "abcdef"]);
        assert_eq!(hidden.out_of("/abcdef/abc"), "/…/…");
        assert!(hidden.is_in("xabcx") && !hidden.is_in("ab"));
    }

    #[test]
    fn a_login_is_hidden_without_its_scheme_too_and_a_figure_is_none() {
        let hidden = Hidden::new(["Bearer hunter2canary", "1"].into_iter().flat_map(value_and_parts));
        assert_eq!(hidden.out_of("bearer hunter2canary, Bearer hunter2canary: 401"), "bearer …, …: 401");
    }
}
