//! Pure: which address a request through proxies really came from.

pub(super) mod header;

use std::net::IpAddr;

use ipnet::IpNet;
use warp::http::HeaderMap;

/// Most addresses of a chain of proxies that are examined.
const MOST: usize = 32;

/// The nearest address that is not one of our proxies. Each proxy appends the address that it heard from, so
/// `X-Forwarded-For` is read from its end, and whatever a stranger wrote at its beginning is never believed.
pub(super) fn sender(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_among(peer, trusted) {
        return peer;
    }
    // Values are read as bytes: a stranger's invalid text at the beginning must not hide what a proxy appended.
    let values = headers.get_all("x-forwarded-for").iter().rev();
    let chain = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')).take(MOST);
    let mut sender = peer;
    for part in chain {
        let Some(address) = std::str::from_utf8(part).ok().and_then(|text| address(text.trim())) else { break };
        sender = address;
        if !is_among(address, trusted) {
            break;
        }
    }
    sender
}

/// Whether an address belongs to one of the networks.
pub(super) fn is_among(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// Parses an address; some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse::<IpAddr>().ok().or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_our_proxies_say_is_believed() {
        let trusted: Vec<IpNet> = ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).to_vec();
        for (peer, chain, sender_is) in [
            ("203.0.113.5", vec!["198.51.100.1"], "203.0.113.5"),
            ("127.0.0.1", vec![], "127.0.0.1"),
            ("127.0.0.1", vec!["203.0.113.5"], "203.0.113.5"),
            ("::ffff:127.0.0.1", vec!["203.0.113.5"], "203.0.113.5"),
            ("127.0.0.1", vec!["198.51.100.1, 203.0.113.5"], "203.0.113.5"),
            ("127.0.0.1", vec!["198.51.100.1, 203.0.113.5, 10.1.2.3"], "203.0.113.5"),
            ("127.0.0.1", vec!["198.51.100.1", "203.0.113.5", "10.1.2.3"], "203.0.113.5"),
            ("127.0.0.1", vec!["10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", vec!["198.51.100.1, nonsense, 10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", vec!["203.0.113.5:4711"], "203.0.113.5"),
            ("fd00::1", vec!["[2001:db8::1]:443"], "2001:db8::1"),
            ("fd00::1", vec!["[2001:db8::1]"], "2001:db8::1"),
            ("127.0.0.1", vec![""], "127.0.0.1"),
            ("127.0.0.1", vec!["\u{b2}, 203.0.113.5"], "203.0.113.5"),
            ("127.0.0.1", vec!["\u{b2}", "203.0.113.5"], "203.0.113.5"),
            ("127.0.0.1", vec!["203.0.113.5", "\u{b2}"], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in &chain {
                headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(sender(peer.parse().unwrap(), &headers, &trusted).to_string(), sender_is, "{peer} {chain:?}");
        }
    }
}
