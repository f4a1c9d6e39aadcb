//! How many files and sockets we may have open, and how many of these may be webhooks' connections: one too many, and
//! neither a webhook nor a delivery gets through.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What else is open: the store, the sockets, the local API's connections, what asks gateways and names.
const OTHERS: usize = 128;
/// What each delivery that a sink may have under way can have open: its connection, which is kept for the next, and a
/// name that is looked up.
const EACH_DELIVERY: usize = 2;

/// Asks for as many as we may have by ourselves. Answers how many that are; none: as many as there are.
pub(crate) fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current };
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Of the connections that are wanted, as many as a limit on open files leaves room for beside the deliveries that there
/// may be at the same time; a quarter of the limit in any case.
pub(crate) fn connections(wanted: usize, deliveries: usize, limit: Option<usize>) -> usize {
    let Some(limit) = limit else { return wanted };
    let room = limit.saturating_sub(OTHERS + EACH_DELIVERY * deliveries);
    wanted.min(room.max(limit / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_what_else_is_open() {
        for (wanted, deliveries, limit, expected) in [
            (1024, 8, None, 1024),
            (1024, 8, Some(65_536), 1024),
            (100_000, 8, Some(65_536), 65_392),
            (1024, 8, Some(1024), 880),
            (1024, 64 * 1000, Some(1024), 256),
            (1, 64 * 1000, Some(20), 1),
        ] {
            assert_eq!(connections(wanted, deliveries, limit), expected, "{wanted} {deliveries} {limit:?}");
        }
    }
}
