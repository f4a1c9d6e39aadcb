//! Pure: why a notification was given up although trying again might have helped. In the notification's detail, it stands
//! behind the last failure.

/// It waited too long while its sink was failing.
pub const WHILE_FAILING: &str = " while the sink was failing";
/// Its tries failed for too long.
pub const TOO_LONG: &str = ": undelivered for longer than retry.give_up_after";

/// What stands between a failure and why the notification was given up.
pub const MARK: &str = linedown_sinks::GIVEN_UP;

/// A failure, with why the notification was given up.
pub fn with(failure: &str, why: &str) -> String {
    format!("{failure}{MARK}{why})")
}

/// A detail without and with only why the notification was given up.
pub fn split(detail: &str) -> (&str, Option<&str>) {
    match detail.strip_suffix(')').and_then(|detail| detail.rsplit_once(MARK)) {
        Some((failure, why)) => (failure, Some(why.trim_start_matches([':', ' ']))),
        None => (detail, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_and_why_it_was_the_last_are_told_apart() {
        let failure = "busy: 503 (maintenance)";
        for (why, words) in [
            (WHILE_FAILING, "while the sink was failing"),
            (TOO_LONG, "undelivered for longer than retry.give_up_after"),
        ] {
            assert_eq!(split(&with(failure, why)), (failure, Some(words)));
        }
        assert_eq!(split(failure), (failure, None));
    }
}
