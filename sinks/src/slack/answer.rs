//! What Slack's answer means (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).

use crate::http::{self, Answer};
use crate::{Failure, FailureKind, Receipt, excerpt};

/// Returns the outcome that an answer means. Only 200 with the body `ok` is a success.
pub(super) fn outcome(answer: &Answer) -> Result<Receipt, Failure> {
    let body = excerpt(&answer.body);
    if answer.status == 200 && answer.body.trim() == "ok" {
        return Ok(Receipt(body));
    }
    Err(answer.failure("Slack", meaning(answer.status, &body)))
}

/// The kind of failure, and what a person can do about it.
fn meaning(status: u16, body: &str) -> (FailureKind, Option<&'static str>) {
    use FailureKind::{Busy, Refused, Unauthorised};
    if let Some(meaning) = http::later(status) {
        return meaning;
    }
    match status {
        _ if body == "rollup_error" => (Busy, None),
        200..=299 => (Unauthorised, Some("is something other than Slack answering at `webhook_url`?")),
        300..=399 => (Unauthorised, Some("redirects are not followed: set `webhook_url` to the new address")),
        401..=406 | 410 => (Unauthorised, Some(ANEW)),
        // The body is about the webhook, whatever the status says.
        _ if of_webhook(body) => (Unauthorised, Some(ANEW)),
        _ => (Refused, Some("if you replaced the template for Slack, correct it")),
    }
}

/// What to do about a webhook that Slack does not know, or through which nobody may post.
const ANEW: &str =
    "create a new webhook and set `webhook_url` (a credential needs a restart), or let apps post to its channel again";

fn of_webhook(body: &str) -> bool {
    let words = ["no_team", "team_disabled", "user_not_found", "channel_not_found", "no_service", "invalid_token"];
    words.contains(&body)
        || ["action_prohibited", "channel_is_archived", "posting_to_"].iter().any(|w| body.starts_with(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ok_is_a_yes() {
        let answer = |status, body: &str| Answer { status, retry_after: None, body: body.into(), whole: true };
        assert_eq!(outcome(&answer(200, "ok")).unwrap(), Receipt("ok".into()));
        assert!(outcome(&answer(200, "<html>ok</html>")).is_err());
        assert!(outcome(&answer(202, "ok")).is_err());
        assert!(outcome(&answer(200, "\0ok")).is_err());
    }

    #[test]
    fn a_proxy_that_wants_a_login_is_not_taken_for_slack() {
        let answer = Answer { status: 407, retry_after: None, body: "<h1>Denied</h1>".into(), whole: true };
        let failure = outcome(&answer).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.kind.is_transient());
        assert_eq!(failure.message, "a proxy on the way to Slack answered 407 <h1>Denied</h1>");
        assert!(failure.advice.is_some_and(|advice| advice.contains("HTTPS_PROXY")), "{failure:?}");
    }

    #[test]
    fn what_to_do_stands_apart_from_what_was_said() {
        let failure = outcome(&Answer { status: 404, retry_after: None, body: "no_service".into(), whole: true });
        let failure = failure.unwrap_err();
        assert_eq!((failure.message.as_str(), failure.advice), ("Slack answered 404 no_service", Some(ANEW)));
    }
}
