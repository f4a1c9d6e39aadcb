//! Why a request has no complete answer.

use std::error;

use hyper_util::client::legacy;

use super::connector::AnyError;
use super::wire::Endless;
use crate::tls::{causes, error_in};

/// A request has no complete answer. No text of it contains the address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The far side cannot be reached. A connection that was not made in time counts as that.
    #[error("cannot connect")]
    Unreachable(#[source] AnyError),
    /// The answer did not come in time.
    #[error("no answer in time")]
    Late,
    /// The connection broke before the answer was complete, or what came is not HTTP.
    #[error("the connection broke")]
    Broken(#[source] AnyError),
}

impl Error {
    pub(super) fn of(error: legacy::Error) -> Self {
        if error.is_connect() { Self::Unreachable(error.into()) } else { Self::Broken(error.into()) }
    }

    /// Whether the answer did not come in time.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Late)
    }

    /// Whether the far side cannot be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the far side sent more than it may: the text of the innermost cause says how much that is.
    pub(super) fn is_endless(&self) -> bool {
        causes(self).any(<dyn error::Error>::is::<Endless>)
    }

    /// The TLS error because of which the request failed.
    pub fn tls(&self) -> Option<&rustls::Error> {
        error_in(self)
    }

    /// The text of the innermost cause.
    pub fn innermost(&self) -> String {
        let mut cause: &dyn error::Error = self;
        while let Some(next) = cause.source() {
            cause = next;
        }
        cause.to_string()
    }
}
