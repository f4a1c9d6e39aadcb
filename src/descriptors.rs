//! The limit on open files, and how many webhook connections fit under it. Without free descriptors, neither webhooks
//! nor deliveries get through.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything else: the store, the sockets, the local API's connections, requests to gateways, name
/// lookups.
const OTHERS: usize = 128;
/// Descriptors for each concurrent delivery of a sink: its connection, which is kept for reuse, and a name lookup.
const EACH_DELIVERY: usize = 2;

/// Raises the soft limit on open files to the hard limit. Returns the limit now in force; `None` is unlimited.
pub(crate) fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current };
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Returns how many webhook connections to allow: `wanted`, reduced to what `limit` leaves after `deliveries`
/// concurrent deliveries, but never reduced below a quarter of the limit.
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
