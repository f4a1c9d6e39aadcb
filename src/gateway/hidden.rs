//! Removes secrets from the gateway's words: the API's addresses contain tokens, and its errors may repeat them.

/// The secrets to remove from texts.
#[derive(Default)]
pub(super) struct Hidden<'s>(Vec<&'s str>);

impl<'s> Hidden<'s> {
    pub(super) fn new(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut secrets: Vec<&str> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        // The longest first: one may contain another, and nothing of it may be left.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// Whether a text contains one.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret))
    }

    /// The text with each secret replaced by `…`.
    pub(super) fn out_of(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
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
}
