//! How an attempt can fail. The kind alone tells whether to try again, and whether the whole sink is affected.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::one_line;

/// The longest text kept of what a far side said, in characters.
pub const EXCERPT: usize = 300;

/// One failed attempt.
#[derive(Debug)]
pub struct Failure {
    /// The sort of failure.
    pub kind: FailureKind,
    /// What happened, in words: no secret, at most [`EXCERPT`] characters, one line.
    pub message: String,
    /// What a person can do about it, if the sink knows.
    pub advice: Option<&'static str>,
    /// How long the far side asked linedown to wait, unclamped.
    pub retry_after: Option<Duration>,
    /// Whether it came when the sink had accepted everything up to the recipient. It may then concern that recipient
    /// alone, whatever its kind.
    pub may_spare_others: bool,
    /// The underlying error.
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with its message. Control characters become spaces, and the text is cut to [`EXCERPT`].
    pub fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: excerpt(message.as_ref()),
            advice: None,
            retry_after: None,
            may_spare_others: false,
            source: None,
        }
    }

    /// Adds what a person can do about it.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<Option<&'static str>>) -> Self {
        self.advice = advice.into();
        self
    }

    /// The kind and what happened, with the causes that the message does not name: for people, who are shown no chain of
    /// causes.
    pub fn described(&self) -> String {
        excerpt(&format!("{}: {}", self.kind.as_str(), self.with_causes()))
    }

    fn with_causes(&self) -> String {
        let causes = std::iter::successors(Error::source(self), |cause| (*cause).source());
        causes.fold(self.message.clone(), |words, cause| {
            let cause = excerpt(&cause.to_string());
            if words.contains(&cause) { words } else { format!("{words}: {cause}") }
        })
    }

    /// Returns the message and the advice in one line of at most [`EXCERPT`] characters, for a record that has no
    /// separate place for advice. If it is too long, the message is cut.
    pub fn in_full(&self) -> String {
        let what = self.with_causes();
        let Some(advice) = self.advice else { return excerpt(&what) };
        let room = EXCERPT.saturating_sub(advice.chars().count() + 2);
        excerpt(&format!("{}; {advice}", one_line(&what, room)))
    }

    /// Adds how long the far side asked linedown to wait.
    #[must_use]
    pub fn retry_after(mut self, hint: Option<Duration>) -> Self {
        self.retry_after = hint;
        self
    }

    /// Notes that it came when the sink had accepted everything up to the recipient.
    #[must_use]
    pub fn may_spare_others(mut self) -> Self {
        self.may_spare_others = true;
        self
    }

    /// Adds the underlying error. Its texts must not hold a secret either.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What to do if a name could not be looked up since no name server answers; `why` is what the system says.
pub(crate) fn about_name_servers(why: &str) -> Option<&'static str> {
    why.contains("Temporary failure in name resolution").then_some(NO_NAME_SERVER)
}

const NO_NAME_SERVER: &str = "does /etc/resolv.conf name a server that answers? as a service, linedown calls none at \
                              169.254.… unless the unit says IPAddressAllow=";

/// One line of at most [`EXCERPT`] characters from a text of unknown origin.
pub fn excerpt(text: &str) -> String {
    one_line(text, EXCERPT)
}

/// The sort of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// No connection: DNS, TCP or TLS failed, or the connection broke before an answer came.
    Unreachable,
    /// No answer within the time allowed.
    TimedOut,
    /// The service answers, but cannot take messages just now.
    Busy,
    /// linedown sends faster than the service allows.
    RateLimited,
    /// The service does not take this recipient or this message just now; it may take others.
    Deferred,
    /// The service will never take this recipient or this message.
    Refused,
    /// The sink's own credentials or address are not accepted; a person must act.
    Unauthorised,
}

impl FailureKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Busy,
        Self::RateLimited,
        Self::Deferred,
        Self::Refused,
        Self::Unauthorised,
    ];

    /// The label in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Busy => "busy",
            Self::RateLimited => "rate-limited",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
            Self::Unauthorised => "unauthorised",
        }
    }

    /// Whether trying the same again later may help.
    pub fn is_transient(self) -> bool {
        !matches!(self, Self::Refused | Self::Unauthorised)
    }

    /// Whether any other message to this sink would have failed as well.
    pub fn concerns_whole_sink(self) -> bool {
        !matches!(self, Self::Deferred | Self::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_name_server_answers_that_is_what_to_look_at() {
        let unanswered = "failed to lookup address information: Temporary failure in name resolution";
        assert!(about_name_servers(unanswered).is_some_and(|advice| advice.contains("IPAddressAllow=")));
        assert_eq!(about_name_servers("failed to lookup address information: Name or service not known"), None);
        assert_eq!(about_name_servers("Connection refused (os error 111)"), None);
    }

    #[test]
    fn what_to_do_survives_a_long_answer() {
        let failure = |words: &str| Failure::new(FailureKind::Refused, words).advice("set `webhook_url`");
        assert_eq!(failure("404 no_service").in_full(), "404 no_service; set `webhook_url`");
        assert_eq!(failure("404 no_service").to_string(), "refused: 404 no_service");
        let long = failure(&"x ".repeat(4000)).in_full();
        assert!(long.ends_with("…; set `webhook_url`") && long.chars().count() <= EXCERPT, "{long}");
    }

    #[test]
    fn a_cause_is_named_once() {
        let cause = || std::io::Error::from(std::io::ErrorKind::NotADirectory);
        let failure = |words: &str| Failure::new(FailureKind::Unreachable, words).caused_by(cause());
        assert_eq!(failure("cannot write to /x").in_full(), "cannot write to /x: not a directory");
        assert_eq!(failure("cannot write to /x").described(), "unreachable: cannot write to /x: not a directory");
        assert_eq!(failure("/x: not a directory").in_full(), "/x: not a directory");
        let advised = failure("cannot write to /x").advice("make room");
        assert_eq!(advised.in_full(), "cannot write to /x: not a directory; make room");
        let long = failure(&"x ".repeat(4000)).described();
        assert!(long.chars().count() <= EXCERPT, "{long}");
    }

    #[test]
    fn excerpts_are_one_bounded_line() {
        assert_eq!(excerpt("550 5.1.1\r\nno  such\tuser"), "550 5.1.1 no such user");
        let long = excerpt(&"ação ".repeat(200));
        assert!(long.chars().count() <= EXCERPT, "{}", long.chars().count());
        assert!(long.ends_with('…'));
        assert_eq!(excerpt(&"x".repeat(1000)).chars().count(), EXCERPT);
        assert!(excerpt(&format!("a {}", "x".repeat(1000))).starts_with("a x"));
        assert_eq!(excerpt(&format!("{} more", "x".repeat(EXCERPT))).chars().count(), EXCERPT);
    }
}
